#!/usr/bin/env bash
# Configures and builds one preset, quietly: the build's own output goes to a file, and is shown
# only if something fails. Called by the other tools; prints nothing when all goes well.
#
# Usage: tools/build.sh PRESET [CMAKE OPTION…]
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1
shift
mkdir -p "build/$preset"
log=build/$preset/build.log
if ! { cmake --preset "$preset" "$@" && cmake --build --preset "$preset"; } > "$log" 2>&1; then
  grep -E -A 5 'error|Error|FAILED' "$log" | head -n 40 >&2 || tail -n 40 "$log" >&2
  echo "build: the preset $preset failed; all of its output is in $log" >&2
  exit 1
fi
