# shellcheck shell=bash
# The orders example seen from outside: topology into RabbitMQ, and what was sent against what arrived.
# Sourced after common.sh; uses RABBITMQ_MANAGEMENT (with user and password).

management() { # PATH [CURL OPTION...]
  local path=$1
  shift
  curl --silent --show-error --fail --noproxy '*' --max-time 30 "$@" "$RABBITMQ_MANAGEMENT$path"
}

load_definitions() { # FILE
  management /api/definitions --header 'content-type: application/json' --data "@$1"
}

# queue_empty NAME - nothing ready and nothing unacknowledged. Asked of the broker itself: the management API's numbers are
# a few seconds old, and would say 0 for a queue that has just been filled.
queue_empty() {
  [[ $("$REPO_ROOT/scripts/brokers" rabbitmqctl --silent list_queues name messages | awk -v name="$1" '$1 == name { print $2 }') == 0 ]]
}

# arrived COUNT FILE - the watcher's file has COUNT different orders.
arrived() { [[ -f $2 ]] && (($(jq -r .key "$2" 2>/dev/null | sort -u | wc -l) >= $1)); }

# compare SENT ARRIVED - says what is missing, altered or there twice; true only if nothing is. SENT has a line
# "id body" an order, ARRIVED the watcher's JSON lines.
compare() {
  local id body found good=0 bad=0
  while read -r id body; do
    found=$(jq -c --arg id "$id" 'select(.key == $id)' "$2")
    if [[ -z $found ]]; then
      warn "$id did not arrive"
    elif [[ $(wc -l <<<"$found") -ne 1 ]]; then
      warn "$id arrived more than once"
    elif [[ $(jq -r .payload <<<"$found") != "$body" ]]; then
      warn "$id: sent $body, arrived $(jq -r .payload <<<"$found")"
    elif ! jq -e --arg shop "moscow-${id##*-}" \
      '.headers | [range(0; length; 2) as $i | select(.[$i] == "shop" and .[$i + 1] == $shop)] | length == 1' \
      <<<"$found" >/dev/null; then
      warn "$id: the header shop is missing or altered in $(jq -c .headers <<<"$found")"
    else
      good=$((good + 1))
      continue
    fi
    bad=$((bad + 1))
  done <"$1"
  ((bad == 0 && good > 0))
}
