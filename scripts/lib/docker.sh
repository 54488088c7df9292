# shellcheck shell=bash
# The brokers as containers, where a Docker engine answers. Same ports, same settings and same functions as local.sh.
# A container keeps its data while it is stopped; `down --purge` removes it. Sourced after endpoints.sh and kafka.sh.

RABBITMQ_IMAGE=rabbitmq:4.2.9-management
KAFKA_IMAGE=apache/kafka:$KAFKA_VERSION

docker_answers() { have docker && [[ -n $(timeout 10 docker info --format '{{.ServerVersion}}' 2>/dev/null) ]]; }

container() { printf 'gantry-test-%s-%s' "$1" "$AMQP_PORT"; }

docker_install() {
  local image
  have curl || need_apt "asking the brokers whether they are ready" curl
  case $1 in
  rabbitmq) image=$RABBITMQ_IMAGE ;;
  kafka) image=$KAFKA_IMAGE ;;
  esac
  docker image inspect "$image" >/dev/null 2>&1 && return
  say "pulling $image"
  docker pull --quiet "$image" >&2
}

docker_configure() {
  docker container inspect "$(container "$1")" >/dev/null 2>&1 || "docker_create_$1" >/dev/null
}

docker_create_rabbitmq() {
  local dir=$BROKERS_DIR/rabbitmq
  mkdir -p "$dir"
  (IFS=, && printf '[%s].\n' "${RABBITMQ_PLUGINS[*]}") >"$dir/enabled_plugins"
  printf 'stream.advertised_host = 127.0.0.1\nstream.advertised_port = %s\n' "$STREAM_PORT" >"$dir/rabbitmq.conf"
  rabbitmq_tls 5671 /tls >>"$dir/rabbitmq.conf"
  # A fixed host name: RabbitMQ's data directory is named after it.
  docker create --name "$(container rabbitmq)" --hostname gantry \
    --publish "127.0.0.1:$AMQP_PORT:5672" --publish "127.0.0.1:$AMQPS_PORT:5671" \
    --publish "127.0.0.1:$MANAGEMENT_PORT:15672" \
    --publish "127.0.0.1:$RABBITMQ_METRICS_PORT:15692" --publish "127.0.0.1:$STREAM_PORT:5552" \
    --publish "127.0.0.1:$MQTT_PORT:1883" --publish "127.0.0.1:$STOMP_PORT:61613" \
    --volume "$dir/enabled_plugins:/etc/rabbitmq/enabled_plugins:ro" \
    --volume "$dir/rabbitmq.conf:/etc/rabbitmq/conf.d/20-gantry.conf:ro" \
    --volume "$BROKERS_DIR/tls:/tls:ro" \
    "$RABBITMQ_IMAGE"
}

docker_create_kafka() {
  local port name value settings=()
  for port in "$KAFKA_PORT" "$KAFKA_BEHIND_PROXY_PORT" "$KAFKA_TLS_PORT" "$KAFKA_SECURE_PORT" \
    "$KAFKA_SECURE_BEHIND_PROXY_PORT"; do
    settings+=(--publish "127.0.0.1:$port:$port")
  done
  while IFS='=' read -r name value; do
    settings+=(--env "$(docker_kafka_variable "$name")=$value")
  done < <(kafka_security /tls)
  docker create --name "$(container kafka)" --hostname kafka \
    "${settings[@]}" --volume "$BROKERS_DIR/tls:/tls:ro" \
    --env KAFKA_HEAP_OPTS=-Xmx512m \
    --env CLUSTER_ID="$KAFKA_CLUSTER_ID" \
    --env KAFKA_NODE_ID=1 \
    --env KAFKA_PROCESS_ROLES=broker,controller \
    --env KAFKA_CONTROLLER_QUORUM_VOTERS=1@localhost:9093 \
    --env KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER \
    --env KAFKA_LISTENERS="PLAINTEXT://:$KAFKA_PORT,PROXIED://:$KAFKA_BEHIND_PROXY_PORT,TLS://:$KAFKA_TLS_PORT,SECURE://:$KAFKA_SECURE_PORT,SECUREPROXIED://:$KAFKA_SECURE_BEHIND_PROXY_PORT,CONTROLLER://localhost:9093" \
    --env KAFKA_ADVERTISED_LISTENERS="$(kafka_advertised)" \
    --env KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="$KAFKA_PROTOCOLS" \
    --env KAFKA_LOG_DIRS=/tmp/kafka-data \
    --env KAFKA_LOG_RETENTION_MS=-1 \
    --env KAFKA_AUTO_CREATE_TOPICS_ENABLE=false \
    --env KAFKA_DEFAULT_REPLICATION_FACTOR=1 \
    --env KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1 \
    --env KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS=4 \
    --env KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=1 \
    --env KAFKA_TRANSACTION_STATE_LOG_MIN_ISR=1 \
    --env KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS=4 \
    --env KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR=1 \
    --env KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR=1 \
    --env KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS=0 \
    --env KAFKA_BROKER_SESSION_TIMEOUT_MS=3000 \
    --env KAFKA_BROKER_HEARTBEAT_INTERVAL_MS=500 \
    "$KAFKA_IMAGE"
}

# A setting's name as the image wants it in the environment: dots are _, hyphens ___.
docker_kafka_variable() {
  local name=${1^^}
  name=${name//-/___}
  printf 'KAFKA_%s' "${name//./_}"
}

docker_kafka_configs() {
  docker exec "$(container kafka)" /opt/kafka/bin/kafka-configs.sh --bootstrap-server "127.0.0.1:$KAFKA_PORT" "$@"
}

docker_start() { docker start "$(container "$1")" >/dev/null; }

docker_running() {
  [[ $(docker container inspect --format '{{.State.Running}}' "$(container "$1")" 2>/dev/null) == true ]]
}

docker_stop() {
  if docker_running "$1"; then docker stop -t 60 "$(container "$1")" >/dev/null; fi
}

docker_kill() {
  if docker_running "$1"; then docker kill "$(container "$1")" >/dev/null; fi
  wait_until 10 docker_stopped "$1" || die "container $(container "$1") does not stop"
}

docker_stopped() { ! docker_running "$1"; }

docker_log() { docker logs --tail 30 "$(container "$1")" 2>&1 | sed 's/^/    /' >&2; }

docker_cleanup() { :; }

docker_purge() { docker rm --force --volumes "$(container "$1")" >/dev/null 2>&1 || true; }

docker_rabbitmqctl() { docker exec "$(container rabbitmq)" rabbitmqctl "$@"; }

# Tests that run Kafka's own tools need its jars outside the container as well.
docker_kafka_libs() { printf '%s' "$KAFKA_LIBS"; }

docker_copy_kafka_libs() {
  [[ -d $KAFKA_LIBS ]] && return
  mkdir -p "${KAFKA_LIBS%/*}"
  docker cp --quiet "$(container kafka):/opt/kafka/libs" "$KAFKA_LIBS.$$" >/dev/null
  mv -T "$KAFKA_LIBS.$$" "$KAFKA_LIBS" 2>/dev/null || rm -rf "$KAFKA_LIBS.$$"
}
