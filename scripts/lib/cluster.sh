# shellcheck shell=bash
# A Kafka of three nodes, for what one node cannot show: leaders that move, replicas that are missing, rights. Each node is
# broker and controller. Beside its open listener, whose clients may do everything, it has one with a log-in (SASL PLAIN),
# whose user may do only what `cluster acls` grants.
#
# Always processes of this machine, also where a Docker engine runs the other brokers: the nodes reach each other under the
# addresses that they tell their clients, and a container's published port is not one of those.
# Sourced after endpoints.sh, process.sh, kafka.sh, local.sh.

CLUSTER_NODES=(1 2 3)
CLUSTER_USER=bridge
CLUSTER_PASSWORD=bridge-secret

cluster_name() { printf 'cluster-%s' "$1"; }

cluster_node_ports() { printf '%s\n' "$(cluster_port "$1")" "$(cluster_sasl_port "$1")" "$(cluster_controller_port "$1")"; }

cluster_servers() { # PORT_FUNCTION
  local node servers=()
  for node in "${CLUSTER_NODES[@]}"; do servers+=("127.0.0.1:$("$1" "$node")"); done
  (IFS=, && printf '%s' "${servers[*]}")
}

cluster_voters() {
  local node voters=()
  for node in "${CLUSTER_NODES[@]}"; do voters+=("$node@127.0.0.1:$(cluster_controller_port "$node")"); done
  (IFS=, && printf '%s' "${voters[*]}")
}

cluster_configure() {
  local node=$1 dir
  dir=$BROKERS_DIR/$(cluster_name "$1")
  mkdir -p "$dir/data" "$dir/log"
  cat >"$dir/server.properties" <<CONF
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$(cluster_voters)
listeners=PLAINTEXT://127.0.0.1:$(cluster_port "$node"),SASL://127.0.0.1:$(cluster_sasl_port "$node"),CONTROLLER://127.0.0.1:$(cluster_controller_port "$node")
advertised.listeners=PLAINTEXT://127.0.0.1:$(cluster_port "$node"),SASL://127.0.0.1:$(cluster_sasl_port "$node")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$CLUSTER_USER="$CLUSTER_PASSWORD";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
# Who comes without a name: the brokers themselves, and tests on the open listener.
super.users=User:ANONYMOUS
min.insync.replicas=1
replica.lag.time.max.ms=5000
# The first replica leads again soon after it is back, so that a test can move a leader there and back.
leader.imbalance.check.interval.seconds=5
CONF
  kafka_settings "$dir" 3 >>"$dir/server.properties"
  kafka_prepare "$dir"
}

cluster_running() { running "$(cluster_name "$1")"; }

# All that run agree that they are so many. A node that starts is not one of them before it answers itself.
cluster_complete() { # HOW_MANY
  local node answering=0
  for node in "${CLUSTER_NODES[@]}"; do
    [[ $(kafka_brokers "$(cluster_port "$node")") == "$1" ]] && answering=$((answering + 1))
  done
  ((answering == $1))
}

cluster_count() {
  local node count=0
  for node in "${CLUSTER_NODES[@]}"; do
    if cluster_running "$node"; then count=$((count + 1)); fi
  done
  printf '%s' "$count"
}

cluster_launch() {
  local port name
  name=$(cluster_name "$1")
  cluster_running "$1" && return
  sweep "$name"
  for port in $(cluster_node_ports "$1"); do
    wait_until 30 port_free "$port" || warn "port $port is still in use"
  done
  kafka_launch "$name" 384m
}

cluster_await() {
  local node
  wait_until "$READY_SECONDS" cluster_complete "$(cluster_count)" && return
  for node in "${CLUSTER_NODES[@]}"; do show_tail "$BROKERS_DIR/$(cluster_name "$node")/log/server.log"; done
  die "the cluster did not come up (its logs are above)"
}

cluster_up() {
  local node begun=$SECONDS
  kafka_install
  for node in "${CLUSTER_NODES[@]}"; do
    cluster_running "$node" || cluster_configure "$node"
    cluster_launch "$node"
  done
  cluster_await
  say "cluster: three nodes answer after $((SECONDS - begun)) s"
}

# All at once: the last two would wait in vain for a controller to give their partitions to.
cluster_down() {
  local node stopping=()
  for node in "${CLUSTER_NODES[@]}"; do
    cluster_running "$node" || continue
    halt "$(cluster_name "$node")" TERM 20 2>/dev/null &
    stopping+=($!)
  done
  ((${#stopping[@]} == 0)) || wait "${stopping[@]}"
  for node in "${CLUSTER_NODES[@]}"; do sweep "$(cluster_name "$node")"; done
}

# As if the node's disk were full: no file of its grows beyond 64 KiB any more, which leaves its own log readable. Kafka halts with
# the next write to a topic that is larger, so somebody has to write. Started again, it has room.
cluster_fill() {
  local name
  name=$(cluster_name "$1")
  cluster_running "$1" || die "$name does not run"
  prlimit --pid "$(cat "$(pid_file "$name")")" --fsize=65536:
  wait_until 60 gone "$name" || die "nobody writes to $name: it has not noticed"
}

cluster_purge() {
  local node
  for node in "${CLUSTER_NODES[@]}"; do rm -rf "${BROKERS_DIR:?}/$(cluster_name "$node")"; done
}

cluster_status() {
  local node failed=0
  for node in "${CLUSTER_NODES[@]}"; do
    if cluster_running "$node"; then
      printf '%-9s up  127.0.0.1:%s\n' "$(cluster_name "$node")" "$(cluster_port "$node")"
    else
      printf '%-9s down\n' "$(cluster_name "$node")"
      failed=1
    fi
  done
  return "$failed"
}

# Kafka's own tool for rights, on the open listener.
cluster_acls() {
  java "${KAFKA_JAVA[@]}" -cp "$KAFKA_LIBS/*" org.apache.kafka.tools.AclCommand --bootstrap-server "$(cluster_servers cluster_port)" "$@"
}

check_node() {
  case ${1:-} in
  1 | 2 | 3) ;;
  *) die "which node of the cluster: 1, 2 or 3?" ;;
  esac
}

cluster() {
  local action=${1:-}
  shift || true
  case $action in
  up) lock && cluster_up ;;
  down) lock && cluster_down ;;
  status) cluster_status ;;
  acls) cluster_acls "$@" ;;
  stop | kill)
    check_node "$@" && lock
    say "cluster-$1: $action"
    if [[ $action == kill ]]; then halt "$(cluster_name "$1")" KILL 10; else halt "$(cluster_name "$1")" TERM 60; fi
    ;;
  fill) check_node "$@" && lock && cluster_fill "$1" ;;
  start)
    check_node "$@" && lock
    [[ -f $BROKERS_DIR/$(cluster_name "$1")/server.properties ]] || die "the cluster was never started: scripts/brokers cluster up"
    cluster_launch "$1"
    cluster_await
    ;;
  *) die "cluster takes up, down, status, stop N, kill N, fill N, start N or acls, not '$action'" ;;
  esac
}
