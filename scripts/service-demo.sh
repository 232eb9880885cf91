#!/usr/bin/env bash
# Shows the service at work: certificates, sessions from a template, a rollback, a trace, Prometheus. Needs
# root, for the pool image.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
if [ "$(id -u)" -ne 0 ]; then
  echo "Left out: the service's demo makes and mounts a pool image. Run it as root." >&2
  echo "0 passed, 0 failed"
  exit 0
fi
scripts/setup-debian.sh
npm run -s build
exec node test/service-demo/main.ts
