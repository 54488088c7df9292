# shellcheck shell=bash
# A RabbitMQ node from the distribution's package, or a newer one (rabbitmq-4.sh), as any user, with everything it writes below
# $BROKERS_DIR/rabbitmq.
# Sourced after common.sh, packages.sh, process.sh.

RABBITMQ_BIN=/usr/lib/rabbitmq/bin
RABBITMQ_PLUGINS=(rabbitmq_management rabbitmq_prometheus rabbitmq_amqp1_0 rabbitmq_mqtt rabbitmq_stomp rabbitmq_stream
  rabbitmq_auth_mechanism_ssl)

rabbitmq_install() {
  local fresh=
  if rabbitmq_is_apart; then
    rabbitmq_4_install
    return
  fi
  have "$RABBITMQ_BIN/rabbitmq-server" || fresh=1
  need_apt "the RabbitMQ that tests and the demo talk to" rabbitmq-server curl
  have "$RABBITMQ_BIN/rabbitmq-server" || die "no $RABBITMQ_BIN/rabbitmq-server: install RabbitMQ, or start a Docker engine"
  # We brought the package, so its own service is not wanted at the next boot either.
  if [[ -n $fresh ]] && have systemctl; then
    as_root systemctl disable --now rabbitmq-server >/dev/null 2>&1 || true
  fi
}

rabbitmq_configure() {
  local dir=$BROKERS_DIR/rabbitmq plugins
  mkdir -p "$dir/home" "$dir/data" "$dir/log"
  plugins=$(IFS=, && printf '%s' "${RABBITMQ_PLUGINS[*]}")
  printf '[%s].\n' "$plugins" >"$dir/enabled_plugins"
  # Read in place of the machine's /etc/rabbitmq/rabbitmq-env.conf, which belongs to the machine's own broker.
  : >"$dir/rabbitmq-env.conf"
  cat >"$dir/rabbitmq.conf" <<CONF
listeners.tcp.default = 127.0.0.1:$AMQP_PORT
collect_statistics_interval = 250
management.tcp.ip = 127.0.0.1
management.tcp.port = $MANAGEMENT_PORT
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = $RABBITMQ_METRICS_PORT
stream.listeners.tcp.1 = 127.0.0.1:$STREAM_PORT
stream.advertised_host = 127.0.0.1
stream.advertised_port = $STREAM_PORT
mqtt.listeners.tcp.default = 127.0.0.1:$MQTT_PORT
stomp.listeners.tcp.default = 127.0.0.1:$STOMP_PORT
log.file.level = info
log.console = false
CONF
  rabbitmq_tls "127.0.0.1:$AMQPS_PORT" "$BROKERS_DIR/tls" >>"$dir/rabbitmq.conf"
}

# rabbitmq_tls LISTENER CERTIFICATES - the settings of the encrypted listener. Who shows a certificate may log in with it as
# the user of its common name (EXTERNAL); nobody must.
rabbitmq_tls() {
  cat <<CONF
listeners.ssl.default = $1
ssl_options.cacertfile = $2/ca.pem
ssl_options.certfile = $2/server.pem
ssl_options.keyfile = $2/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
ssl_cert_login_from = common_name
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = EXTERNAL
CONF
}

# rabbitmq_env COMMAND... - runs COMMAND with the node's environment. Every RABBITMQ_ variable of the caller is left out:
# they belong to some other broker.
rabbitmq_env() (
  local dir=$BROKERS_DIR/rabbitmq name cheap=
  # Schedulers that have nothing to do sleep at once instead of looking for work for a while.
  [[ -z ${GANTRY_BROKERS_CHEAP:-} ]] || cheap=' +sbwt none +sbwtdcpu none +sbwtdio none'
  for name in "${!RABBITMQ_@}"; do export -n "${name?}"; done
  export HOME=$dir/home
  export ERL_EPMD_PORT=$EPMD_PORT ERL_EPMD_ADDRESS=127.0.0.1
  export RABBITMQ_NODENAME=gantry@localhost
  export RABBITMQ_DIST_PORT=$DIST_PORT
  # Where rabbitmqctl itself listens while it runs; its default range begins at the AMQP port of this node.
  export RABBITMQ_CTL_DIST_PORT_MIN=$((DIST_PORT + 1)) RABBITMQ_CTL_DIST_PORT_MAX=$((DIST_PORT + 10))
  export RABBITMQ_CONF_ENV_FILE=$dir/rabbitmq-env.conf
  export RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf
  export RABBITMQ_ADVANCED_CONFIG_FILE=$dir/advanced.config
  export RABBITMQ_ENABLED_PLUGINS_FILE=$dir/enabled_plugins
  export RABBITMQ_MNESIA_BASE=$dir/data
  export RABBITMQ_LOG_BASE=$dir/log
  export RABBITMQ_PID_FILE=$dir/erlang.pid
  # Makes the start script become the Erlang VM, so that the process we know is the broker itself and not a shell
  # around it; -noinput is what the script leaves out in exchange, +B i makes the VM ignore an interrupt.
  export RABBITMQ_ALLOW_INPUT=1
  export RABBITMQ_SERVER_START_ARGS="-noinput +B i"
  export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}$cheap"
  "$@"
)

rabbitmq_start() {
  local entering
  mapfile -t entering < <(rabbitmq_entering)
  rabbitmq_env launch rabbitmq "${entering[@]}" "$RABBITMQ_BIN/rabbitmq-server"
}

rabbitmq_ctl() {
  local entering
  mapfile -t entering < <(rabbitmq_entering)
  rabbitmq_env "${entering[@]}" "$RABBITMQ_BIN/rabbitmqctl" "$@"
}

# rabbitmq_evidence - what tells why a node does not answer: the end of its own log, and where the processes of a node
# that hangs in its start are.
rabbitmq_evidence() {
  show_tail "$BROKERS_DIR/rabbitmq/log/gantry@localhost.log"
  if running rabbitmq; then
    say "rabbitmq: its processes that seem stuck"
    timeout 60 "$0" rabbitmqctl eval 'rabbit_diagnostics:maybe_stuck().' >&2 || true
  fi
}
