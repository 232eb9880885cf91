#!/usr/bin/env bash
# Installs the Debian packages that the tests and the demo use, and only those that are missing.
#
# Where packages can't be installed (no root, no apt) it says what is missing and ends well: the
# program itself needs none of them, and a test that needs one says so by failing.
set -euo pipefail

# command:package, in the order a person would miss them. `gcc` compiles the baselines of the bench and
# what races the provers; `strace` makes system calls fail for them; `zsh` and `fish` complete what is typed; `testssl`
# judges the service's TLS; `promtool` tries the alert rules, and `prometheus` scrapes.
readonly NEEDED=(
  git:git
  rsync:rsync
  python3:python3-minimal
  mkfs.btrfs:btrfs-progs
  mkfs.xfs:xfsprogs
  mkfs.ext4:e2fsprogs
  setfacl:acl
  setfattr:attr
  losetup:mount
  mount:mount
  mkfifo:coreutils
  unshare:util-linux
  setpriv:util-linux
  zsh:zsh
  fish:fish
  strace:strace
  prometheus:prometheus
  promtool:prometheus
  testssl:testssl.sh
  faketime:faketime
  curl:curl
  gcc:gcc
  gcc:libc6-dev
)

missing_packages() {
  local pair command
  for pair in "${NEEDED[@]}"; do
    command=${pair%%:*}
    # mkfs.* and losetup live in /sbin, which a plain user's PATH often lacks.
    PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null || echo "${pair##*:}"
  done | sort -u
  # No command, a module: it makes a client of openapi.json.
  perl -MOpenAPI::Client -e 1 2>/dev/null || echo libopenapi-client-perl
}

mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -eq 0 ]; then
  echo "Every needed system package is there." >&2
  exit 0
fi

if ! command -v apt-get >/dev/null; then
  echo "Missing: ${packages[*]}. This is not Debian: install them with your package manager." >&2
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Missing: ${packages[*]}. Run as root: apt-get install ${packages[*]}" >&2
  exit 0
fi

echo "Installing ${packages[*]}." >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -qq &&
  apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "The packages could not be installed; what apt-get said is above." >&2
  exit 1
fi
