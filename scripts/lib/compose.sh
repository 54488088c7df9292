# shellcheck shell=bash
# Runs docker-compose.yml with the image that was built. Sourced after common.sh, engine.sh, image.sh; uses IMAGE and WORK.

COMPOSE=()

compose() { "${COMPOSE[@]}" --project-name gantry-image-test --file docker-compose.yml --file "$WORK/override.yml" "$@"; }

compose_tool() {
  if docker compose version >/dev/null 2>&1; then
    COMPOSE=(docker compose)
  else
    have docker-compose || need_apt "running docker-compose.yml" docker-compose
    COMPOSE=(docker-compose)
  fi
}

# All of it where the images of the brokers can be had, gantry alone where not.
compose_check() {
  compose_tool
  printf 'services: { gantry: { image: %s } }\n' "$IMAGE" >"$WORK/override.yml"
  compose config --quiet
  if port_answers 8083; then die "port 8083 is taken, and docker-compose.yml publishes it"; fi
  if compose_brokers; then
    # It waits for each until the next one may start.
    compose --profile orders up --detach --no-build orders
    wait_until 120 compose_moves || die "no order arrives"
  else
    say "left out: the brokers of the compose file, whose images cannot be pulled"
    compose up --detach --no-build --no-deps gantry
  fi
  wait_until 60 compose_healthy || die "gantry of the compose file is not healthy"
  compose_confined || die "gantry of the compose file is not confined"
  # By the name that Prometheus and Kafka UI know it by.
  ask --header 'Host: gantry:8083' http://127.0.0.1:8083/metrics | grep '^gantry_build_info' >/dev/null ||
    die "Prometheus could not scrape gantry of the compose file"
}

# The images of what sends orders through it are here, or can be pulled.
compose_brokers() {
  local name
  while read -r name; do
    docker image inspect "$name" >/dev/null 2>&1 || docker pull --quiet "$name" >/dev/null 2>&1 || return 1
  done < <(sed -nE 's/^ +image: ((rabbitmq|apache\/kafka|curlimages\/curl):.*)/\1/p' docker-compose.yml)
}

compose_inspect() { docker inspect --format "$1" "$(compose ps --quiet gantry)"; }
compose_healthy() { [[ $(compose_inspect '{{.State.Health.Status}}') == healthy ]]; }
compose_confined() {
  [[ $(compose_inspect '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.Config.User}}') == \
    "true [ALL] [no-new-privileges:true] 10001:10001" ]]
}
compose_moves() { ask http://127.0.0.1:8083/metrics | grep -E '^gantry_records_out_total\{bridge="orders"' | grep -v ' 0$' >/dev/null; }

compose_down() {
  ((${#COMPOSE[@]})) || return 0
  compose --profile orders down --volumes --timeout 45 >/dev/null 2>&1 || true
}
