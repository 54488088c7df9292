# shellcheck shell=bash
# What the machine needs, and how it gets there: apt packages on Debian and Ubuntu, Rust by the user's own hand.
# Sourced after common.sh.

# as_root COMMAND... - runs it as root, through sudo when we are not.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    die "this needs root and there is no sudo; as root, run: $*"
  fi
}

installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# A package that apt could install. A name that is only mentioned by other packages has no candidate.
apt_knows() { LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep '^  Candidate: [^(]' >/dev/null; }

apt_refresh() {
  [[ -z ${APT_REFRESHED:-} ]] || return 0
  APT_REFRESHED=1
  say "refreshing the package lists (apt-get update)"
  quietly as_root apt-get -q -o DPkg::Lock::Timeout=300 update
}

# need_apt REASON PACKAGE... - installs the packages that are missing, and says which and why.
need_apt() {
  local reason=$1 package missing=()
  shift
  if ! have dpkg-query || ! have apt-get; then
    warn "this is not Debian or Ubuntu; $reason needs the equivalent of: $*"
    return 0
  fi
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  apt_refresh
  say "installing ${missing[*]} (apt): $reason"
  quietly without_service_start as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}"
}

# Packages that bring a service would start it while they install. Ours run on ports and in a directory of their own, so
# Debian's own switch (policy-rc.d) holds the service back for as long as apt runs.
without_service_start() (
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    # Never left behind, not even by Ctrl-C: it would stop every later package from starting its service.
    trap 'as_root rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  "$@"
)

# need_build_tools - what the C libraries inside our crates need to build: librdkafka (make, a C and C++ compiler, python for
# its configure step), OpenSSL and zlib headers for it to link.
need_build_tools() {
  need_apt "building librdkafka and linking OpenSSL" \
    build-essential pkg-config libssl-dev zlib1g-dev python3
}

# need_test_tools - what single tests need beside the brokers.
need_test_tools() {
  need_apt "the test of a wall clock that jumps" libfaketime
}

need_rust() {
  # A toolchain installed by rustup in this very shell session is not on PATH yet.
  local environment=${CARGO_HOME:-$HOME/.cargo}/env
  # shellcheck source=/dev/null
  if [[ -r $environment ]]; then . "$environment"; fi
  have cargo || die "no Rust toolchain: install one from https://rustup.rs, then run this again"
}
