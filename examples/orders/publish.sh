#!/bin/sh
# Publishes orders to the exchange orders-send, over RabbitMQ's management API.
#
#   publish.sh RUN [COUNT [SECONDS]]   COUNT orders (0, the default: no end), one every SECONDS (default 2)
#
# Order number n has the message id RUN-n and the header shop=moscow-n; its id and body are printed, so that a reader of the
# other side can compare. RABBITMQ_MANAGEMENT is the API's address with user and password
# (default http://guest:guest@127.0.0.1:15672). Needs only a shell and curl: docker-compose.yml runs it in curl's own image.
set -eu

management=${RABBITMQ_MANAGEMENT:-http://guest:guest@127.0.0.1:15672}
run=${1:?"usage: publish.sh RUN [COUNT [SECONDS]]"}
count=${2:-0}
pause=${3:-2}

# pick N WORD... - the Nth word, counting on from the first after the last.
pick() {
  skip=$((($1 - 1) % ($# - 1) + 1))
  shift "$skip"
  printf '%s' "$1"
}

order() { # N
  printf '{"client":"%s","count":%d,"good":"%s"}' \
    "$(pick "$1" 'Вася' 'Маша' 'Петя' 'Оля' 'Zoë')" "$(($1 * 10))" \
    "$(pick "$1" 'АйФончик' 'Самовар' 'Книга «Кафка»' 'Teapot')"
}

# An order as a JSON string inside JSON: it holds quotes, and nothing else that needs escaping.
quoted_order() { printf '"%s"' "$(order "$1" | sed 's/"/\\"/g')"; }

message() { # N
  cat <<JSON
{
  "routing_key": "",
  "payload": $(quoted_order "$1"),
  "payload_encoding": "string",
  "properties": {
    "message_id": "$run-$1",
    "content_type": "application/json",
    "delivery_mode": 2,
    "headers": { "shop": "moscow-$1" }
  }
}
JSON
}

publish() { # N
  answer=$(message "$1" | curl --silent --show-error --fail --noproxy '*' --max-time 10 \
    --header 'content-type: application/json' --data @- "$management/api/exchanges/%2f/orders-send/publish")
  if [ "$answer" != '{"routed":true}' ]; then
    printf 'error: order %s-%s reached no queue: %s\n' "$run" "$1" "$answer" >&2
    exit 1
  fi
  printf '%s-%s %s\n' "$run" "$1" "$(order "$1")"
}

n=1
while [ "$count" -eq 0 ] || [ "$n" -le "$count" ]; do
  publish "$n"
  if [ "$n" -ne "$count" ]; then sleep "$pause"; fi
  n=$((n + 1))
done
