#!/usr/bin/env bash
# Shows ghostsnap at work on this checkout, its node_modules included: `ghostsnap demo` copies the
# checkout first and never touches it. As root it also installs what the btrfs half needs.
set -euo pipefail
cd "$(dirname "$0")/.."
# npm does this by itself; started by hand, the script would take the machine's own, older Node.
export PATH="$PWD/node_modules/.bin:$PATH"

# Without packages the demo still runs, on the store alone: a failed installation is not the end.
scripts/setup-debian.sh || echo "Some system packages are missing; going on without them." >&2
npm run -s build
exec node bin/ghostsnap.js demo "$@"
