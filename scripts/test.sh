#!/usr/bin/env bash
# Runs every check and every test, and ends with one line: "N passed, N failed".
#
# A step that is not a test suite counts as one. Nothing is skipped when a step fails: all failures of
# a run are seen at once, and the exit status tells.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
# npm does this by itself; started by hand, the script would take the machine's own, older Node.
export PATH="$PWD/node_modules/.bin:$PATH"

# Some tests give up root. In a checkout that only root may enter (its own folder, or one above it) such
# a process could not read the program, so its entries are shown a second time at a place everybody may
# enter, in a mount namespace of this run. Once: GHOSTSNAP_SHOWN says that it has happened.
if [ "$(id -u)" -eq 0 ] && [ -z "${GHOSTSNAP_SHOWN:-}" ] &&
  command -v unshare >/dev/null && command -v setpriv >/dev/null &&
  ! setpriv --reuid=65534 --regid=65534 --clear-groups test -r "$PWD/package.json"; then
  show=$(mktemp -d)
  chmod 755 "$show"
  GHOSTSNAP_SHOWN=1 unshare --mount --propagation private bash -c '
    set -eu
    mount -t tmpfs -o mode=755 none "$2"
    shopt -s dotglob
    for entry in "$1"/*; do
      if [ -d "$entry" ]; then mkdir "$2/${entry##*/}"; else : >"$2/${entry##*/}"; fi
      mount --bind "$entry" "$2/${entry##*/}"
    done
    mkdir -p "$1/dist"
    [ -d "$2/dist" ] || { mkdir "$2/dist" && mount --bind "$1/dist" "$2/dist"; }
    cd "$2" && exec scripts/test.sh' test "$PWD" "$show"
  status=$?
  rmdir "$show"
  exit "$status"
fi

readonly SIM_SEED=${GHOSTSNAP_SIM_SEED:-1}
readonly SIM_STEPS=${GHOSTSNAP_SIM_STEPS:-50000}
readonly PROVE_SEED=${GHOSTSNAP_PROVE_SEED:-1}

passed=0
failed=0
failures=()

# step NAME COMMAND...: one result.
step() {
  local name=$1
  shift
  echo "== $name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    failures+=("$name")
  fi
}

# suite: vitest with its own counts, written by test/no-skips-reporter.ts.
suite() {
  local counts suite_passed suite_failed suite_skipped
  counts=$(mktemp)
  echo "== tests"
  if ! GHOSTSNAP_TEST_COUNTS=$counts vitest run; then
    failures+=("tests")
    # A run that dies before it reports must not look like a run without failures.
    [ -s "$counts" ] || failed=$((failed + 1))
  fi
  if [ -s "$counts" ]; then
    read -r suite_passed suite_failed suite_skipped <"$counts"
    passed=$((passed + suite_passed))
    failed=$((failed + suite_failed))
    [ "$suite_skipped" -eq 0 ] || echo "$suite_skipped skipped, with their reasons above."
  fi
  rm -f "$counts"
}

# proofs: every prover in its bounded form; each is one result.
proofs() {
  local log counts
  log=$(mktemp)
  echo "== proofs"
  npm run -s prove -- --seed "$PROVE_SEED" 2>&1 | tee "$log" || failures+=("proofs")
  counts=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
  if [ -n "$counts" ]; then
    passed=$((passed + ${counts%% *}))
    failed=$((failed + $(echo "$counts" | awk '{print $3}')))
  else
    failed=$((failed + 1))
  fi
  rm -f "$log"
}

step "system packages" scripts/setup-debian.sh
step "build" npm run -s build
step "type check" npm run -s typecheck
step "lint" npm run -s lint
step "package" npm run -s lint:package
step "API documents" node scripts/check-api-docs.ts
suite
step "simulator" npm run -s sim -- --seed "$SIM_SEED" --steps "$SIM_STEPS"
proofs

for name in "${failures[@]}"; do echo "failed: $name"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "${#failures[@]}" -eq 0 ]
