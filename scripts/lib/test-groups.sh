# shellcheck shell=bash
# All tests, in groups side by side, because they wait far more than they compute. Sourced by scripts/test after common.sh,
# packages.sh and endpoints.sh.
#
# - A group has brokers of its own, which it may break: a directory below TESTS_DIR, which is beside the usual brokers, and a thousand of ports. Its programs run one
#   after the other. Nothing is shared with another group but the machine.
# - Every program runs, whatever fails before it. What a group prints goes to a file and is shown whole when the group ends; a line
#   for each program comes at once.
# - However this ends, no broker of a group is left. Those of a group that failed keep their files.
# - Where memory is plenty, what brokers write stays in memory, so that three sets of them do not wait for one disk. Tests kill processes, never the
#   machine, so nothing is proved by a real disk.

TESTS_DIR=$BROKERS_DIR/tests

# Nine nodes of Kafka and three of RabbitMQ share the machine, and are started again and again.
export GANTRY_BROKERS_CHEAP=1

# Files of brokers in memory: a directory of its own for each checkout. Needs so many GiB free there, and as many of memory.
MEMORY_DIR=/dev/shm/gantry-tests-$(id -u)-$(printf '%s' "$TESTS_DIR" | cksum | cut -d ' ' -f 1)
MEMORY_GIB=10

# Thousands of ports that a developer's own brokers (0) and scripts/soak (7000) do not have.
PORT_OFFSETS=${GANTRY_TEST_PORT_OFFSETS:-1000 2000 3000 4000 5000 6000 8000 9000 10000}

# A program that takes longer hangs; nobody would see its output otherwise.
PROGRAM_SECONDS=${GANTRY_TEST_PROGRAM_SECONDS:-2400}

group_names() { printf '%s' 'faults faults-reverse rest'; }

# group_programs GROUP - what it runs, a program a line: its name, then its arguments. `rest` takes every program that no other
# group names, so that a new one is never forgotten.
group_programs() {
  case $1 in
  # In halves: the tests of one process break the brokers one after the other.
  faults) printf '%s\n' 'gantry/faults --skip reverse' ;;
  faults-reverse) printf '%s\n' 'gantry/faults reverse' ;;
  rest)
    printf '%s\n' demo documentation
    # Before the first build there is no list.
    cut -f 1 "$TESTS_DIR/programs" 2>/dev/null | grep -vx 'gantry/faults' || true
    ;;
  *) return 1 ;;
  esac
}

# In `faults` each test takes the brokers for itself, and one that waits for them would count that as its own time. The others may
# overlap more than there are cores.
group_threads() { if [[ $1 == rest ]]; then printf 4; else printf 1; fi; }

group_log() { printf '%s/%s.log' "$TESTS_DIR" "$1"; }
group_results() { printf '%s/%s.results' "$TESTS_DIR" "$1"; }

# group_place GROUP - an empty directory for its brokers, which are down. On the disk unless there is memory for it, or if GANTRY_TEST_DISK is 1.
group_place() {
  local place=$MEMORY_DIR/$1
  rm -rf "${TESTS_DIR:?}/$1" "$place"
  if [[ ${GANTRY_TEST_DISK:-} != 1 ]] && memory_is_plenty && (umask 077 && mkdir -p "$place"); then
    ln -s "$place" "$TESTS_DIR/$1"
  else
    mkdir "$TESTS_DIR/$1"
  fi
}

memory_is_plenty() {
  local free available
  free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || return 1
  available=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
  ((free >= MEMORY_GIB << 20 && available >= MEMORY_GIB << 20))
}

# group_brokers GROUP ARG... - scripts/brokers for the brokers of that group.
group_brokers() {
  local group=$1
  shift
  GANTRY_BROKERS_DIR=$TESTS_DIR/$group scripts/brokers "$@" </dev/null
}

# Processes of ours: who starts the brokers, who builds, the groups by their process.
starting='' building=''
declare -A running=() failed=()

# groups_run GROUP... - builds everything and runs these groups. False if anything failed.
groups_run() {
  groups=("$@")
  mkdir -p "$TESTS_DIR"
  exec 8>"$TESTS_DIR/lock"
  flock -n 8 || die "another scripts/test runs in $TESTS_DIR"
  trap groups_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  local group
  for group in "${groups[@]}"; do
    : >"$(group_results "$group")"
    group_brokers "$group" down --purge >"$(group_log "$group")" 2>&1 || die "cannot clear $TESTS_DIR/$group: see $(group_log "$group")"
    group_place "$group"
  done
  # While cargo builds, and one after the other: whoever installs what is missing wants to be alone.
  groups_brokers_up 8>&- &
  starting=$!
  # In the background, because a shell that waits in the foreground heeds no signal.
  groups_build 8>&- &
  building=$!
  wait "$building" || die "the tests do not build"
  building=''
  wait "$starting" || die "the brokers of the tests are not up"
  starting=''
  for group in "${groups[@]}"; do
    group_run "$group" 8>&- &
    running[$!]=$group
  done
  groups_await
  groups_report
}

# The knobs of docs/testing.md for every night, unless the caller has set them.
groups_long_forms() {
  export GANTRY_TEST_MESSAGES=${GANTRY_TEST_MESSAGES:-1000000} GANTRY_TEST_FAULTS=${GANTRY_TEST_FAULTS:-10}
  export GANTRY_ROUND_TRIP_CASES=${GANTRY_ROUND_TRIP_CASES:-100000} GANTRY_SCHEDULES=${GANTRY_SCHEDULES:-100000}
  export GANTRY_FUZZ_CASES=${GANTRY_FUZZ_CASES:-1000000} GANTRY_SIMULATIONS=${GANTRY_SIMULATIONS:-10000}
  PROGRAM_SECONDS=${GANTRY_TEST_PROGRAM_SECONDS:-28800}
}

# groups_await - shows the output of each group as it ends.
groups_await() {
  local ended status group
  while ((${#running[@]})); do
    ended='' status=0
    wait -n -p ended "${!running[@]}" || status=$?
    [[ -n $ended ]] || die "lost sight of the groups: ${running[*]}"
    group=${running[$ended]}
    unset "running[$ended]"
    ((status == 0)) || failed[$group]=$status
    say "what group $group printed:"
    cat "$(group_log "$group")"
    say "end of group $group"
  done
}

# The way out, in any case: who still runs is told to end, then the brokers go down.
groups_end() {
  local status=$? pid group
  trap - EXIT
  trap '' INT TERM
  for pid in $starting $building "${!running[@]}"; do kill -s TERM "$pid" 2>/dev/null || true; done
  wait
  for group in "${groups[@]}"; do
    if [[ -s $TESTS_DIR/$group/incidents.log ]]; then
      warn "a broker hung in its start and was started again: see $TESTS_DIR/$group/incidents.log"
    fi
    group_brokers "$group" down >>"$(group_log "$group")" 2>&1 || warn "brokers in $TESTS_DIR/$group may still run"
    # The files of those that passed are gone.
    [[ -d $TESTS_DIR/$group/rabbitmq ]] || rm -rf "${TESTS_DIR:?}/$group" "${MEMORY_DIR:?}/$group"
  done
  rmdir "$MEMORY_DIR" 2>/dev/null || true
  exit "$status"
}

groups_brokers_up() {
  local group offset
  trap 'exit 143' INT TERM
  for group in "${groups[@]}"; do
    offset=$(free_offset) || die "no free ports for the brokers of group $group among $PORT_OFFSETS"
    GANTRY_BROKERS_PORT_OFFSET=$offset group_brokers "$group" up >>"$(group_log "$group")" 2>&1 ||
      { cat "$(group_log "$group")" >&2 && die "the brokers of group $group are not up"; }
    say "brokers of group $group: up, on the usual ports plus $offset"
  done
}

# The first thousand of ports that nobody listens on.
free_offset() (
  for offset in $PORT_OFFSETS; do
    set_ports "$offset"
    ports_taken >/dev/null && continue
    printf '%s' "$offset"
    exit 0
  done
  exit 1
)

# groups_build - builds all, and writes down what there is to run, a line each: its name, the executable, its crate, the crate's folder.
groups_build() {
  local begun=$SECONDS
  trap 'exit 143' INT TERM
  attended 0 cargo test --workspace --locked --no-run --message-format=json-render-diagnostics >"$TESTS_DIR/build.json"
  cargo metadata --locked --no-deps --format-version 1 >"$TESTS_DIR/metadata.json"
  # The kind of a target tells a crate's own unit tests from the programs in its tests/.
  jq --raw-output --slurpfile metadata "$TESTS_DIR/metadata.json" '
    ($metadata[0].packages | map({key: .id, value: .name}) | from_entries) as $names
    | select(.reason == "compiler-artifact" and .profile.test and .executable)
    | $names[.package_id] as $crate
    | (if .target.kind[0] == "test" then .target.name else .target.kind[0] + "-" + .target.name end) as $target
    | [$crate + "/" + (if .target.kind[0] == "lib" then "unit" else $target end), .executable, $crate, (.manifest_path | rtrimstr("/Cargo.toml"))]
    | @tsv' "$TESTS_DIR/build.json" | sort >"$TESTS_DIR/programs"
  say "built in $((SECONDS - begun)) s"
}

# attended SECONDS [VARIABLE=VALUE...] COMMAND... - runs it for so long at most (0: without end). A signal to this shell ends it at once, with all that it
# started: `timeout` has a group of processes of its own.
attended() {
  local status=0 seconds=$1
  shift
  timeout -k 10 "$seconds" env --default-signal=INT,QUIT "$@" </dev/null 3>&- &
  attended=$!
  trap 'attended_end; exit 143' INT TERM
  wait "$attended" || status=$?
  trap 'exit 143' INT TERM
  # What a test left behind.
  kill -s KILL -- "-$attended" 2>/dev/null || true
  return "$status"
}

attended_end() {
  kill -s TERM "$attended" 2>/dev/null || true
  wait "$attended" || true
  kill -s KILL -- "-$attended" 2>/dev/null || true
}

# group_run GROUP - all of its programs, then its brokers go down.
group_run() {
  local group=$1 program arguments passed=1
  trap 'exit 143' INT TERM
  exec >>"$(group_log "$group")" 2>&1
  RUST_TEST_THREADS=$(group_threads "$group")
  export RUST_TEST_THREADS
  # The list is read before it begins: a program that reads its input must not eat it.
  mapfile -t programs < <(group_programs "$group")
  for program in "${programs[@]}"; do
    read -ra arguments <<<"$program"
    # A test that broke a broker may have failed to mend it; the next program should not be blamed for that.
    group_brokers "$group" status >/dev/null || group_brokers "$group" up || true
    eval "$(group_brokers "$group" env)"
    program_run "$group" "${arguments[@]}" || passed=''
  done
  if [[ -n $passed ]]; then group_brokers "$group" down --purge; else group_brokers "$group" down; fi
  [[ -n $passed ]]
}

# program_run GROUP NAME [ARG...] - runs one program and notes how it ended.
program_run() {
  local group=$1 name=$2 begun=$SECONDS status=0 result tests log from
  shift 2
  log=$(group_log "$group")
  from=$(($(stat -c %s "$log") + 1))
  say "$name${*:+ $*}"
  case $name in
  documentation) attended "$PROGRAM_SECONDS" cargo test --workspace --locked --doc || status=$? ;;
  demo) attended "$PROGRAM_SECONDS" GANTRY_DEMO_BINARY="$(gantry_binary)" scripts/demo --once || status=$? ;;
  *) test_program "$name" "$@" || status=$? ;;
  esac
  case $status in
  0) result=passed ;;
  124) result="FAILED (too long)" ;;
  *) result="FAILED ($status)" ;;
  esac
  tests=$(tail -c "+$from" "$log" | awk '/^test result: / { n += $4 + $6 } END { print n + 0 }')
  printf '%s\t%s\t%s\t%s\t%s\n' "$group" "$name${*:+ $*}" "$tests" "$((SECONDS - begun))" "$result" >>"$(group_results "$group")"
  say "$name${*:+ $*}: $result after $((SECONDS - begun)) s"
  # The script's own standard error, past the log.
  printf '==> %-15s %-40s %4s s  %s\n' "$group" "$name${*:+ $*}" "$((SECONDS - begun))" "$result" >&3
  return "$status"
}

# The gantry that was built with the tests.
gantry_binary() {
  jq --raw-output 'select(.reason == "compiler-artifact" and .target.name == "gantry" and .target.kind[0] == "bin" and (.profile.test | not)) | .executable' \
    "$TESTS_DIR/build.json"
}

# test_program NAME [ARG...] - as cargo would run it, and the time of each test besides.
test_program() {
  local name=$1 executable crate folder
  shift
  IFS=$'\t' read -r executable crate folder < <(awk -F '\t' -v OFS='\t' -v name="$name" '$1 == name { print $2, $3, $4 }' "$TESTS_DIR/programs")
  [[ -n $executable ]] || { warn "there is no program $name" && return 1; }
  attended "$PROGRAM_SECONDS" --chdir="$folder" CARGO_MANIFEST_DIR="$folder" CARGO_PKG_NAME="$crate" RUSTC_BOOTSTRAP=1 \
    "$executable" "$@" -Zunstable-options --report-time
}

# groups_report - tables of durations, then the tests that failed. False if any did.
groups_report() {
  local group
  {
    printf '\nprogram\tgroup\ttests\tseconds\tresult\n'
    for group in "${groups[@]}"; do awk -F '\t' -v OFS='\t' '{ print $2, $1, $3, $4, $5 }' "$(group_results "$group")"; done
  } | column -t -s $'\t'
  printf '\nThe slowest tests:\n'
  for group in "${groups[@]}"; do
    sed -n 's/^test \(.*\) \.\.\. [a-zA-Z]* <\([0-9.]*\)s>.*$/\2 \1/p' "$(group_log "$group")"
  done | sort -rn | awk 'NR <= 15 { printf "%7.0f s  %s\n", $1, $2 }' # not head: what writes to it would end by a signal
  for group in "${groups[@]}"; do
    [[ -n ${failed[$group]:-} ]] || continue
    printf '\nFAILED in group %s (%s):\n' "$group" "$(group_log "$group")"
    awk -F '\t' '$5 ~ /FAILED/ { print "  " $2 }' "$(group_results "$group")"
    sed -n 's/^test \(.*\) \.\.\. FAILED.*$/    \1/p' "$(group_log "$group")"
  done
  ((${#failed[@]} == 0))
}
