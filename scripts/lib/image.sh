# shellcheck shell=bash
# Builds the image, and what must hold of it. Nothing is piped into `grep -q`, which ends before the other side has written all.
# Sourced after common.sh, engine.sh; uses IMAGE and WORK.

# What the compose file gives its container as well.
CONFINED=(--read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp)
CONTAINERS=()
VOLUME=gantry-image-test-$$

image_bases() {
  local base
  while read -r base; do
    docker image inspect "$base" >/dev/null 2>&1 && continue
    docker pull --quiet "$base" >&2 2>"$WORK/pull" && continue
    engine_is_ours || die "cannot pull $base: $(cat "$WORK/pull")"
    image_base_from_packages "$base"
  done < <(sed -nE 's/^FROM ([^ ]+:[^ ]+).*/\1/p' Dockerfile)
}

# image_base_from_packages NAME:TAG - the distribution that the tag names, and for `rust` what a build needs.
image_base_from_packages() {
  local name=${1%%:*} packages=ca-certificates root=$WORK/base suite
  suite=$(grep -oE 'bookworm|trixie' <<<"$1") || die "cannot pull $1, and cannot tell its distribution"
  [[ $name != rust ]] || packages+=,build-essential,pkg-config,python3,perl
  say "cannot pull $1: making it from the packages of $suite"
  have debootstrap || need_apt "making base images" debootstrap
  quietly debootstrap --variant=minbase "--include=$packages" "$suite" "$root" http://deb.debian.org/debian
  if [[ $name == rust ]]; then
    mkdir -p "$root/usr/local/cargo"
    cp -a "$(rustc --print sysroot)" "$root/usr/local/toolchain"
    # A build fetches crates through what this machine trusts.
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
  fi
  tar -C "$root" -c --exclude=./usr/local/toolchain/share/doc . | docker import \
    --change 'ENV PATH=/usr/local/toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=/usr/local/cargo' \
    - "$1" >/dev/null
  rm -rf "$root"
}

# The host's network, because the engine may have no other way to the registries.
image_build() {
  DOCKER_BUILDKIT=1 docker build --network host --tag "$IMAGE" .
  DOCKER_BUILDKIT=1 docker build --network host --target symbols --output "$WORK/symbols" .
}

image_symbols() {
  local container build_id
  container=$(docker create "$IMAGE")
  CONTAINERS+=("$container")
  docker cp "$container:/usr/local/bin/gantry" "$WORK/gantry" >/dev/null
  # It misses the sections that are in the other file, and says so.
  sections() { readelf --sections --wide "$1" 2>/dev/null; }
  if sections "$WORK/gantry" | grep -E '\.(symtab|debug_info)' >&2; then die "the image's binary is not stripped"; fi
  sections "$WORK/gantry" | grep -F .gnu_debuglink >/dev/null || die "the image's binary does not name its symbols"
  sections "$WORK/symbols/gantry.debug" | grep -F .debug_info >/dev/null || die "the symbols hold no debug information"
  build_id=$(readelf --notes "$WORK/gantry" 2>/dev/null | sed -n 's/.*Build ID: //p')
  [[ -n $build_id ]] || die "the binary has no build id"
  readelf --notes "$WORK/symbols/gantry.debug" 2>/dev/null | grep -F "$build_id" >/dev/null || die "the symbols are of another build"
  say "binary $(du -h "$WORK/gantry" | cut -f1), symbols $(du -h "$WORK/symbols/gantry.debug" | cut -f1)"
}

# container NAME YAML ARG... - starts the image with this configuration, in the background.
container() {
  local name=$1
  mkdir -p "$WORK/$name"
  printf '%s\n' "$2" >"$WORK/$name/gantry.yaml"
  chmod 644 "$WORK/$name/gantry.yaml"
  shift 2
  CONTAINERS+=("gantry-$name-$$")
  docker run --detach --name "gantry-$name-$$" "${CONFINED[@]}" \
    --volume "$WORK/$name/gantry.yaml:/etc/gantry/gantry.yaml:ro" "$@" "$IMAGE" >/dev/null
}

inspect() { docker inspect --format "$2" "gantry-$1-$$"; }
is_healthy() { [[ $(inspect "$1" '{{.State.Health.Status}}') == healthy ]]; }
has_ended() { [[ $(inspect "$1" '{{.State.Status}}') == exited ]]; }
# Every look so far came to the same: 0.
never_unhealthy() { [[ $(inspect "$1" '{{range .State.Health.Log}}{{.ExitCode}}{{end}}') =~ ^0+$ ]]; }
ask() { curl --silent --fail --noproxy '*' --max-time 5 "$@"; }
control() { docker port "gantry-$1-$$" 8083/tcp | head -n 1; }
logs() { docker logs "gantry-$1-$$" 2>&1; }

image_finite() {
  container finite 'bridges:
  ten:
    source: { generate: { rate: 1, count: 10, body: "hello {n}" } }
    sink: { file: { path: /var/lib/gantry/ten.jsonl } }' --volume "$VOLUME:/var/lib/gantry"
  wait_until 60 is_healthy finite || die "a finite run was never healthy"
  wait_until 60 has_ended finite || die "a finite run did not end"
  [[ $(inspect finite '{{.State.ExitCode}}') == 0 ]] || die "a finite run ended badly"
  never_unhealthy finite || die "a finite run was unhealthy: $(inspect finite '{{json .State.Health.Log}}')"
  local lines
  lines=$(docker run --rm --volume "$VOLUME:/var/lib/gantry" --entrypoint cat "$IMAGE" /var/lib/gantry/ten.jsonl | wc -l)
  ((lines == 10)) || die "the volume holds $lines lines instead of 10"
}

outage_is_told() { curl --silent --noproxy '*' "http://$(control outage)/readyz" | grep -iF 'connection refused' >/dev/null; }
outage_was_looked_at() { (($(inspect outage '{{len .State.Health.Log}}') >= 3)); }

# Nobody listens on port 9.
image_outage() {
  # shellcheck disable=SC2016 # Gantry puts the password in.
  container outage 'connections:
  nobody: { rabbitmq: { urls: ["amqp://guest:${env:PASSWORD}@127.0.0.1:9"] } }
bridges:
  waits:
    source: { rabbitmq: { connection: nobody, queue: q } }
    sink: { "null": {} }' --env PASSWORD=guest --publish 127.0.0.1::8083
  wait_until 60 is_healthy outage || die "unhealthy without a broker"
  wait_until 30 outage_is_told || die "/readyz does not say that the broker is away, or cannot be reached"
  wait_until 60 outage_was_looked_at || die "the health check is not repeated"
  never_unhealthy outage || die "unhealthy because a broker is away"
}

image_listen() {
  container listen 'control: { listen: 127.0.0.1:9999 }
bridges:
  one:
    source: { generate: { rate: 1 } }
    sink: { "null": {} }' --env GANTRY_URL=http://127.0.0.1:9999 --publish 127.0.0.1::8083
  wait_until 60 is_healthy listen || die "it does not listen where its file says"
  if ask "http://$(control listen)/healthz"; then die "it listens on the image's address although a file names another"; fi
}

distrusts_both() { (($(logs distrusts | grep -c 'signed by an authority that is not trusted') >= 2)); }
all_arrived() { # PORT
  ask "http://127.0.0.1:$1/metrics" | grep -E '^gantry_records_out_total\{bridge="on".*\} 10$' >/dev/null
}

# The brokers' own authority in the place of the public ones. Without it nothing of what they sign is trusted.
image_authorities() {
  local yaml queue=image-test-$$
  yaml="connections:
  rabbit: { rabbitmq: { urls: [\"amqps://guest:\${env:RABBITMQ_PASSWORD}@${GANTRY_TEST_AMQPS/127.0.0.1/localhost}\"] } }
  events:
    kafka:
      bootstrap_servers: ${GANTRY_TEST_KAFKA_SECURE/127.0.0.1/localhost}
      tls: {}
      sasl: { mechanism: PLAIN, username: bridge, password: \"\${env:KAFKA_PASSWORD}\" }
bridges:
  there:
    source: { generate: { count: 10 } }
    sink: { rabbitmq: { connection: rabbit, queue: $queue, declare: { queue: { arguments: { x-expires: 600000 } } } } }
  on:
    source: { rabbitmq: { connection: rabbit, queue: $queue, declare: { queue: { arguments: { x-expires: 600000 } } } } }
    sink: { kafka: { connection: events, topic: $queue, declare: { partitions: 1, replication: 1 } } }"
  local secrets=(--env RABBITMQ_PASSWORD=guest --env KAFKA_PASSWORD=bridge-secret --network host)

  container distrusts "$yaml" "${secrets[@]}" --env GANTRY_DEFAULT_LISTEN="127.0.0.1:$(free_port)"
  wait_until 60 distrusts_both || die "an unknown authority was trusted"
  docker rm --force "gantry-distrusts-$$" >/dev/null

  local port
  port=$(free_port)
  container trusts "$yaml" "${secrets[@]}" --env GANTRY_DEFAULT_LISTEN="127.0.0.1:$port" \
    --volume "$GANTRY_TEST_TLS/ca.pem:/etc/ssl/certs/ca-certificates.crt:ro"
  wait_until 90 all_arrived "$port" || die "the machine's authorities are not trusted"
}

free_port() {
  local port
  for port in {18890..18899}; do
    if ! port_answers "$port"; then
      printf '%s' "$port"
      return 0
    fi
  done
  die "no free port from 18890 to 18899"
}

image_evidence() {
  local name
  for name in "${CONTAINERS[@]}"; do
    docker logs "$name" >"$WORK/log" 2>&1 || continue
    say "$name: $(docker inspect --format '{{json .State}}' "$name")"
    show_tail "$WORK/log"
  done
}

image_down() {
  ((${#CONTAINERS[@]} == 0)) || docker rm --force "${CONTAINERS[@]}" >/dev/null 2>&1 || true
  docker volume rm --force "$VOLUME" >/dev/null 2>&1 || true
}
