# shellcheck shell=bash
# What every script of this directory shares: messages, waiting by condition, clean exits.
# Sourced, never run. The caller has set `set -euo pipefail`.

REPO_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export REPO_ROOT

# Progress goes to stderr, so that what a script prints as its result can be piped or evaluated.
say() { printf '==> %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# wait_until SECONDS COMMAND... - true as soon as COMMAND is, false when the deadline passes first.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

# port_answers PORT - true if something on this machine accepts connections there.
port_answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# show_tail FILE [LINES] - the end of a log, indented, for an error message.
show_tail() {
  [[ -f $1 ]] || return 0
  printf '    --- last lines of %s\n' "$1" >&2
  tail -n "${2:-30}" "$1" | sed 's/^/    /' >&2
}

# quietly COMMAND... - shows what the command printed only if it fails.
quietly() {
  local output status=0
  output=$("$@" 2>&1 </dev/null) || status=$?
  if ((status)); then
    printf '%s\n' "$output" | tail -n 30 >&2
    die "failed: $*"
  fi
}
