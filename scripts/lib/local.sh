# shellcheck shell=bash
# The brokers as processes of this machine. Same functions as docker.sh. Sourced after rabbitmq.sh and kafka.sh.

# await_ports NAME - waits for the broker's ports to be free. They lie in the range that Linux takes outgoing ports from: a
# client that retries while its broker is down may be given the broker's own port, and hold it for a moment.
await_ports() {
  local port
  for port in $("$1_ports"); do
    wait_until 30 port_free "$port" || warn "port $port is still in use"
  done
}

# Every state but the ones of a closing connection stops a listener (01 established, 02 connecting, 08 half closed, 0A
# listening).
port_free() {
  local hex
  hex=$(printf '%04X' "$1")
  ! cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk -v end=":$hex\$" '$2 ~ end && $4 ~ /^(01|02|08|0A)$/ { found = 1 } END { exit !found }'
}

local_install() { "$1_install"; }
local_configure() { "$1_configure"; }
local_start() {
  await_ports "$1"
  "$1_start"
}
local_running() { running "$1"; }
local_stop() { halt "$1" TERM 60; }
local_kill() { halt "$1" KILL 10; }
local_log() { show_tail "$(broker_log "$1")" && "$1_evidence"; }
local_cleanup() { sweep "$1"; }
local_purge() { :; }
local_rabbitmqctl() { rabbitmq_ctl "$@"; }
local_kafka_configs() { kafka_configs "$@"; }
local_kafka_libs() { printf '%s' "$KAFKA_LIBS"; }
