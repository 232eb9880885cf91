#!/usr/bin/env bash
# Installs the agents that the end-to-end tests run, in the versions they were written against, into a
# cache of their own: they are several hundred megabytes and no part of this package. Prints the folder.
set -euo pipefail

readonly GEMINI_CLI=0.61.0
readonly OPENCODE=1.18.33
base=${GHOSTSNAP_HARNESS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ghostsnap-harnesses}
folder=$base/gemini-$GEMINI_CLI-opencode-$OPENCODE
mkdir -p "$base"

# Two test files may ask at once; what is there is complete, because it was renamed into its place.
exec 9>"$base/lock"
flock 9
if [ ! -d "$folder" ]; then
  rm -rf "$folder.new"
  mkdir "$folder.new"
  npm install --prefix "$folder.new" --no-audit --no-fund --no-save --loglevel=error \
    "@google/gemini-cli@$GEMINI_CLI" "opencode-ai@$OPENCODE" >&2
  mv "$folder.new" "$folder"
fi
echo "$folder"
