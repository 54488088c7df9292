# shellcheck shell=bash
# RabbitMQ 4 where the distribution's own is older: Debian 13's package with what it needs, in a root file system of its own.
# The node runs in it as the distribution's would, under the same paths. Sourced after packages.sh, endpoints.sh, rabbitmq.sh.
#
# - The root file system is made once, with debootstrap, which needs root. All sets of brokers share it, and none writes in it.
# - Each process sees it through a mount namespace of its own. Nothing stays mounted when the process has gone.

RABBITMQ_4_ROOT=${XDG_CACHE_HOME:-$HOME/.cache}/gantry/rabbitmq-4
RABBITMQ_4_SUITE=trixie

# The version that `up` was told; it stays in force until `down --purge`, because the data are of that version.
rabbitmq_version_file() { printf '%s/rabbitmq-version' "$BROKERS_DIR"; }
rabbitmq_wanted() { cat "$(rabbitmq_version_file)" 2>/dev/null || true; }

# rabbitmq_choose VERSION - 4, or nothing for what these brokers have been so far: the distribution's to begin with.
rabbitmq_choose() {
  case $1 in
  '') return 0 ;;
  4) ;;
  *) die "RabbitMQ '$1': 4, or leave it out for the distribution's own" ;;
  esac
  [[ $(rabbitmq_wanted) != "$1" ]] || return 0
  [[ ! -d $BROKERS_DIR/rabbitmq/data ]] ||
    die "the brokers in $BROKERS_DIR are of another RabbitMQ: run scripts/brokers down --purge, or set GANTRY_BROKERS_DIR to another directory"
  printf '%s\n' "$1" >"$(rabbitmq_version_file)"
}

# Whether this machine's own package is, or would be, RabbitMQ 4 or newer.
rabbitmq_own_is_4() {
  local candidate
  if have "$RABBITMQ_BIN/rabbitmq-server"; then
    compgen -G '/usr/lib/rabbitmq/lib/rabbitmq_server-[4-9]*' >/dev/null
    return
  fi
  candidate=$(LC_ALL=C apt-cache policy rabbitmq-server 2>/dev/null | sed -n 's/^  Candidate: //p')
  [[ $candidate == [4-9]* ]]
}

rabbitmq_is_apart() { [[ $(rabbitmq_wanted) == 4 ]] && ! rabbitmq_own_is_4; }

rabbitmq_4_install() {
  have curl || need_apt "asking the brokers whether they are ready" curl
  [[ -d $RABBITMQ_4_ROOT ]] || rabbitmq_4_make
  [[ -d $RABBITMQ_4_ROOT$BROKERS_DIR ]] || as_root mkdir -p "$RABBITMQ_4_ROOT$BROKERS_DIR"
}

rabbitmq_4_make() {
  local new
  have debootstrap || need_apt "a RabbitMQ 4 beside the distribution's" debootstrap debian-archive-keyring
  have debootstrap || die "RabbitMQ 4 needs a distribution that has it, debootstrap, or a Docker engine"
  say "making $RABBITMQ_4_ROOT from the packages of Debian $RABBITMQ_4_SUITE (370 MB, a minute or two)"
  # Filled aside and moved into place: an interrupted one never looks like a finished one.
  mkdir -p "${RABBITMQ_4_ROOT%/*}"
  new=$(mktemp -d "$RABBITMQ_4_ROOT.XXXXXX")
  (
    quietly as_root debootstrap --variant=minbase --include=rabbitmq-server "$RABBITMQ_4_SUITE" "$new" "$(debian_mirror)"
    as_root chmod 755 "$new"
    as_root chroot "$new" apt-get clean
  ) || { as_root rm -rf --one-file-system "$new" && die "could not make $RABBITMQ_4_ROOT"; }
  # Another set of brokers may have been faster.
  as_root mv -T "$new" "$RABBITMQ_4_ROOT" 2>/dev/null || as_root rm -rf --one-file-system "$new"
}

# The mirror that this machine's own apt sources name, if they are Debian's.
debian_mirror() {
  local mirror
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null | sed -n 1p)
  printf '%s' "${mirror:-http://deb.debian.org/debian}"
}

# rabbitmq_entering - what goes before a command of RabbitMQ, a word a line: nothing for the distribution's own.
rabbitmq_entering() {
  rabbitmq_is_apart || return 0
  printf '%s\n' unshare --mount
  ((EUID == 0)) || printf '%s\n' --map-root-user
  printf '%s\n' "$REPO_ROOT/scripts/lib/enter-root" "$RABBITMQ_4_ROOT" "$BROKERS_DIR"
}
