#!/usr/bin/env bash
# Configures and builds one preset. The build's own output goes to a file and is shown only if
# something fails. On a terminal a live line shows how much of the build is done; elsewhere a line is
# printed for every fifth of it.
#
# Usage: tools/build.sh PRESET [CMAKE OPTION…]
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1
shift
mkdir -p "build/$preset"
log=build/$preset/build.log

# Reads Ninja's output, writes it to $log, and shows the share of its steps that are done.
show_progress() {
  local line='' more='' done=0 total=0 fifths=0 live=no status=0
  [[ -t 2 ]] && live=yes
  while true; do
    status=0
    IFS= read -r -t 1 more || status=$?
    line+=$more
    if [[ $status -eq 0 ]]; then
      printf '%s\n' "$line" >> "$log"
      if [[ $line =~ ^\[([0-9]+)/([0-9]+)\]\  ]]; then
        done=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
      fi
      line=''
    elif [[ $status -le 128 ]]; then # the end, not a second without a line
      break
    fi
    if [[ $total -eq 0 ]]; then
      continue
    elif [[ $live == yes ]]; then
      printf '\r    building %s: %3d %% (%d of %d steps), %d s ' \
        "$preset" $((100 * done / total)) "$done" "$total" "$SECONDS" >&2
    elif [[ $((5 * done / total)) -gt $fifths ]]; then
      fifths=$((5 * done / total))
      echo "    building $preset: $((20 * fifths)) % ($done of $total steps), $SECONDS s"
    fi
  done
  [[ $live == no || $total -eq 0 ]] || printf '\r\033[K' >&2
}

fail() {
  grep -E -A 5 'error|Error|FAILED' "$log" | head -n 40 >&2 || tail -n 40 "$log" >&2
  echo "build: the preset $preset failed; all of its output is in $log" >&2
  exit 1
}

options=("$@")
[[ ${CI:-} != true ]] || options+=(-DAE_WARNINGS_AS_ERRORS=ON)
[[ ! -t 2 ]] || printf '    configuring %s' "$preset" >&2
cmake --preset "$preset" "${options[@]}" > "$log" 2>&1 || fail
NINJA_STATUS='[%f/%t] ' cmake --build --preset "$preset" 2>&1 | show_progress || fail
