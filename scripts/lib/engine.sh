# shellcheck shell=bash
# A Docker engine: the one that answers, or one of our own. And a client that can build for it.
# Sourced after common.sh, packages.sh.

ENGINE_DIR=$(realpath -m "${GANTRY_TEST_IMAGE_DIR:-$REPO_ROOT/.brokers/image}")
ENGINE_PID=''

engine_up() {
  if ! docker info >/dev/null 2>&1; then
    engine_start
  fi
  engine_client
}

engine_start() {
  ((EUID == 0)) || die "no Docker engine answers: start one, or run this as root, where it starts one of its own"
  have dockerd || need_apt "an engine to build and run the image with" docker.io
  have dockerd || die "no Docker engine answers and there is no dockerd: install Docker"
  mkdir -p "$ENGINE_DIR"
  say "starting a Docker engine of our own in $ENGINE_DIR"
  export DOCKER_HOST=unix://$ENGINE_DIR/docker.sock
  dockerd --data-root "$ENGINE_DIR/data" --exec-root "$ENGINE_DIR/exec" --pidfile "$ENGINE_DIR/pid" --host "$DOCKER_HOST" \
    >"$ENGINE_DIR/log" 2>&1 </dev/null &
  ENGINE_PID=$!
  wait_until 60 docker info >/dev/null 2>&1 || {
    show_tail "$ENGINE_DIR/log"
    die "the engine did not come up"
  }
}

engine_is_ours() { [[ -n $ENGINE_PID ]]; }

engine_down() {
  engine_is_ours || return 0
  kill "$ENGINE_PID" || return 0
  wait "$ENGINE_PID" || true
}

# Since version 23 the client leaves building to buildx, which may be missing; Debian's own is older and does it itself.
engine_client() {
  local client version
  for client in docker /usr/bin/docker; do
    version=$("$client" version --format '{{.Client.Version}}' 2>/dev/null) || continue
    if ((${version%%.*} < 23)) || "$client" buildx version >/dev/null 2>&1; then
      DOCKER=$client
      return 0
    fi
  done
  die "this Docker client cannot build: install its buildx plugin"
}

docker() { command "${DOCKER:-docker}" "$@"; }
