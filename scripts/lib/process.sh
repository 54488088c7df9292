# shellcheck shell=bash
# Broker processes on this machine: started so that they outlive the script, found again by pid file, stopped for certain.
# Every process carries GANTRY_BROKER=<state directory>/<name> in its environment: a pid file that outlived its process can
# never make us signal a stranger. Sourced after common.sh; uses BROKERS_DIR.

pid_file() { printf '%s/%s/pid' "$BROKERS_DIR" "$1"; }

broker_log() { printf '%s/%s/log/%s.log' "$BROKERS_DIR" "$1" "$1"; }

is_ours() { # PID NAME
  grep -qzxF "GANTRY_BROKER=$BROKERS_DIR/$2" "/proc/$1/environ" 2>/dev/null
}

# running NAME - true while the broker's main process lives.
running() {
  local pid
  pid=$(cat "$(pid_file "$1")" 2>/dev/null) && [[ -n $pid ]] && is_ours "$pid" "$1"
}

gone() { ! running "$1"; }

# launch NAME COMMAND... - starts COMMAND in a session of its own, with no input, its output in the broker's log and no
# file of ours open: it neither dies with the caller nor keeps a caller's pipe or lock open.
launch() {
  local name=$1
  shift
  mkdir -p "$BROKERS_DIR/$name/log"
  rm -f "$(pid_file "$name")"
  (
    exec </dev/null >>"$(broker_log "$name")" 2>&1
    close_inherited
    export GANTRY_BROKER="$BROKERS_DIR/$name"
    # The inner shell writes its own pid and then becomes the broker.
    # shellcheck disable=SC2016
    exec setsid --fork bash -c 'trap "" HUP; echo $$ >"$1.new" && mv "$1.new" "$1" && shift && exec "$@"' launch "$(pid_file "$name")" "$@"
  )
  wait_until 5 test -s "$(pid_file "$name")" || die "could not start $name: see $(broker_log "$name")"
}

close_inherited() {
  local fd
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    if ((fd > 2)); then eval "exec $fd>&-" 2>/dev/null || true; fi
  done
}

# halt NAME SIGNAL SECONDS - sends SIGNAL and returns when the process has gone; SIGKILL once SECONDS have passed.
halt() {
  local name=$1 pid
  if running "$name"; then
    pid=$(cat "$(pid_file "$name")")
    kill -s "$2" "$pid" 2>/dev/null || true
    if ! wait_until "$3" gone "$name"; then
      warn "$name ignored SIG$2 for $3 s; killing it"
      kill -s KILL "$pid" 2>/dev/null || true
      wait_until 10 gone "$name" || die "$name (process $pid) cannot be killed"
    fi
  fi
  rm -f "$(pid_file "$name")"
}

# leftovers NAME - the processes that carry the broker's mark: children of a killed broker (Erlang's port helpers and its
# name server), or a broker whose pid file was lost.
leftovers() {
  local environ pid
  for environ in /proc/[0-9]*/environ; do
    pid=${environ#/proc/}
    pid=${pid%/environ}
    if is_ours "$pid" "$1"; then printf '%s\n' "$pid"; fi
  done
}

no_leftovers() { [[ -z $(leftovers "$1") ]]; }

# sweep NAME - ends all of them.
sweep() {
  local pid
  for pid in $(leftovers "$1"); do kill -s KILL "$pid" 2>/dev/null || true; done
  wait_until 10 no_leftovers "$1" || die "some processes of $1 cannot be killed: $(leftovers "$1" | xargs)"
}
