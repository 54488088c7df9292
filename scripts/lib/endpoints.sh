# shellcheck shell=bash
# Where the brokers of this checkout listen and keep their state, and whether they answer. Sourced after common.sh.

BROKERS_DIR=$(realpath -m "${GANTRY_BROKERS_DIR:-$REPO_ROOT/.brokers}")

# Below 32768, where Linux begins to hand out ports of its own: a client that knocks while a broker is down could be given
# the very port of the broker, and reach itself.
# set_ports OFFSET - every port is its usual one plus OFFSET, so that two checkouts can run brokers side by side. The ports
# differ from one another modulo 1000: offsets of whole thousands never collide.
set_ports() {
  PORT_OFFSET=$1
  AMQP_PORT=$((21672 + PORT_OFFSET))
  AMQPS_PORT=$((21671 + PORT_OFFSET))
  MANAGEMENT_PORT=$((21673 + PORT_OFFSET))
  RABBITMQ_METRICS_PORT=$((21692 + PORT_OFFSET))
  STREAM_PORT=$((21552 + PORT_OFFSET))
  MQTT_PORT=$((21883 + PORT_OFFSET))
  STOMP_PORT=$((21613 + PORT_OFFSET))
  DIST_PORT=$((21679 + PORT_OFFSET))
  EPMD_PORT=$((21369 + PORT_OFFSET))
  KAFKA_PORT=$((21092 + PORT_OFFSET))
  KAFKA_CONTROLLER_PORT=$((21093 + PORT_OFFSET))
  # Clients follow the address that a broker advertises. So whoever wants to stand between Kafka and its clients needs a
  # listener that advertises the proxy's port and not its own.
  KAFKA_BEHIND_PROXY_PORT=$((21094 + PORT_OFFSET))
  KAFKA_PROXY_PORT=$((21095 + PORT_OFFSET))
  KAFKA_TLS_PORT=$((21096 + PORT_OFFSET))
  KAFKA_SECURE_PORT=$((21097 + PORT_OFFSET))
  KAFKA_SECURE_BEHIND_PROXY_PORT=$((21098 + PORT_OFFSET))
  KAFKA_SECURE_PROXY_PORT=$((21099 + PORT_OFFSET))
}

# The three nodes of the cluster: where clients connect, where they log in, where the controllers talk to each other.
cluster_port() { printf '%s' "$((21100 + $1 + PORT_OFFSET))"; }
cluster_sasl_port() { printf '%s' "$((21110 + $1 + PORT_OFFSET))"; }
cluster_controller_port() { printf '%s' "$((21120 + $1 + PORT_OFFSET))"; }

rabbitmq_ports() {
  printf '%s\n' "$AMQP_PORT" "$AMQPS_PORT" "$MANAGEMENT_PORT" "$RABBITMQ_METRICS_PORT" "$STREAM_PORT" "$MQTT_PORT" "$STOMP_PORT" \
    "$DIST_PORT"
}
kafka_ports() {
  printf '%s\n' "$KAFKA_PORT" "$KAFKA_CONTROLLER_PORT" "$KAFKA_BEHIND_PROXY_PORT" "$KAFKA_TLS_PORT" \
    "$KAFKA_SECURE_PORT" "$KAFKA_SECURE_BEHIND_PROXY_PORT"
}

# The offset that `up` settled on stays in force until the next `up` from nothing.
set_ports "$(cat "$BROKERS_DIR/port-offset" 2>/dev/null || printf '%s' "${GANTRY_BROKERS_PORT_OFFSET:-0}")"

ports_taken() {
  local port
  for port in $(rabbitmq_ports) $(kafka_ports) "$EPMD_PORT" "$KAFKA_PROXY_PORT" "$KAFKA_SECURE_PROXY_PORT"; do
    if port_answers "$port"; then
      printf '%s' "$port"
      return 0
    fi
  done
  return 1
}

# choose_ports - called by `up` when nothing of ours runs: the offset asked for, or the last one
# used if it is free, or the first one that is.
choose_ports() {
  local taken offset
  if [[ -n ${GANTRY_BROKERS_PORT_OFFSET:-} ]]; then
    set_ports "$GANTRY_BROKERS_PORT_OFFSET"
    if taken=$(ports_taken); then
      die "port $taken is taken by a process that is not ours; set GANTRY_BROKERS_PORT_OFFSET to another multiple of 1000"
    fi
  else
    for offset in $(printf '%s\n' "$PORT_OFFSET" 0 1000 2000 3000 | awk '!seen[$0]++'); do
      set_ports "$offset"
      taken=$(ports_taken) || break
      warn "port $taken is taken, by another checkout's brokers perhaps"
    done
    [[ -z $taken ]] || die "no free ports; set GANTRY_BROKERS_PORT_OFFSET to a multiple of 1000 that is free"
    ((PORT_OFFSET == 0)) || warn "using the usual ports plus $PORT_OFFSET; 'eval \"\$(scripts/brokers env)\"' tells tests"
  fi
  printf '%s\n' "$PORT_OFFSET" >"$BROKERS_DIR/port-offset"
}

# rabbitmq_ready - AMQP answers, and the management API says that every other protocol listens too.
rabbitmq_ready() {
  local protocol urls=()
  for protocol in amqp091 stream mqtt stomp; do
    urls+=(-o /dev/null "http://127.0.0.1:$MANAGEMENT_PORT/api/health/checks/protocol-listener/$protocol")
  done
  curl --silent --fail --fail-early --noproxy '*' --max-time 5 --user guest:guest "${urls[@]}" 2>/dev/null &&
    amqp_answers "$AMQP_PORT"
}

# The version that the node says it is, if it answers.
rabbitmq_version() {
  curl --silent --noproxy '*' --max-time 5 --user guest:guest "http://127.0.0.1:$MANAGEMENT_PORT/api/overview" 2>/dev/null |
    sed -n 's/.*"rabbitmq_version":"\([^"]*\)".*/\1/p'
}

# amqp_answers PORT - says hello in AMQP 0-9-1; a broker's first byte back is a method frame.
amqp_answers() {
  # shellcheck disable=SC2016
  [[ $(timeout 5 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "AMQP\0\0\11\1" >&3 && head -c 1 <&3 | od -An -tu1
  ' "$1" 2>/dev/null) -eq 1 ]]
}

kafka_ready() {
  local brokers
  brokers=$(kafka_brokers "$KAFKA_PORT") && ((brokers > 0))
}

# kafka_brokers PORT - how many live brokers a Metadata request (version 1, no topics) names. An open port is not enough: a
# KRaft broker listens before the controller lets it work.
kafka_brokers() {
  local brokers
  # shellcheck disable=SC2016
  brokers=$(timeout 5 bash -c '
    exec 3<>"/dev/tcp/127.0.0.1/$0" &&
      printf "\0\0\0\16\0\3\0\1\0\0\0\1\377\377\0\0\0\0" >&3 && head -c 12 <&3 | od -An -tu1 -j 11
  ' "$1" 2>/dev/null) || return 1
  [[ -n $brokers ]] && printf '%s' "$((brokers))"
}
