#!/usr/bin/env bash
# install-harnesses.sh [cli|claude|codex|copilot]: installs agents that tests run, in the versions they were
# written against, into a cache of their own: they are several hundred megabytes and no part of this package,
# and the licences of Claude Code and Copilot CLI are not open. Prints the folder. `cli` is Gemini CLI and
# OpenCode, `claude` the Claude Agent SDK with the Claude Code that it brings.
set -euo pipefail

readonly GEMINI_CLI=0.61.0
readonly OPENCODE=1.18.33
readonly CLAUDE_AGENT_SDK=0.3.331
readonly CODEX=0.169.0
readonly COPILOT=1.0.102
base=${GHOSTSNAP_HARNESS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/ghostsnap-harnesses}
case ${1:-cli} in
  cli)
    folder=$base/gemini-$GEMINI_CLI-opencode-$OPENCODE
    packages=("@google/gemini-cli@$GEMINI_CLI" "opencode-ai@$OPENCODE")
    ;;
  claude)
    folder=$base/claude-agent-sdk-$CLAUDE_AGENT_SDK
    packages=("@anthropic-ai/claude-agent-sdk@$CLAUDE_AGENT_SDK")
    ;;
  codex)
    folder=$base/codex-$CODEX
    packages=("@openai/codex@$CODEX")
    ;;
  copilot)
    folder=$base/copilot-$COPILOT
    packages=("@github/copilot@$COPILOT")
    ;;
  *)
    echo "usage: install-harnesses.sh [cli|claude|codex|copilot]" >&2
    exit 64
    ;;
esac
mkdir -p "$base"

# Two test files may ask at once; what is there is complete, because it was renamed into its place.
exec 9>"$base/lock"
flock 9
if [ ! -d "$folder" ]; then
  rm -rf "$folder.new"
  mkdir "$folder.new"
  npm install --prefix "$folder.new" --no-audit --no-fund --no-save --loglevel=error \
    "${packages[@]}" >&2
  mv "$folder.new" "$folder"
fi
echo "$folder"
