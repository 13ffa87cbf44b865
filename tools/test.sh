#!/usr/bin/env bash
# Builds and runs the whole test suite, everything that can run on this machine, and closes with one
# line: how many passed, failed and were skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: tools/test.sh [--yes] [PRESET…]

  PRESET   release (the default), dev (AddressSanitizer, UBSan) or tsan (ThreadSanitizer)
  --yes    do not ask before using sudo
TEXT
}

yes=()
presets=()
for argument in "$@"; do
  case $argument in
    --yes) yes=(--yes) ;;
    --help | -h) usage; exit 0 ;;
    release | dev | tsan) presets+=("$argument") ;;
    *) echo "test: there is no option or preset $argument" >&2; usage >&2; exit 2 ;;
  esac
done
[[ ${#presets[@]} -gt 0 ]] || presets=(release)

tools/install_dependencies.sh --tests "${yes[@]}"
# Some tests train on the real digits. Without them they are skipped, and say so.
tools/fetch_mnist.sh mnist --quiet || echo "test: without MNIST, some tests will be skipped" >&2

# Runs a command and notes its time in the file $AE_TIMES, if that is set.
timed() { # NAME COMMAND…
  local name=$1 start=$SECONDS status=0
  shift
  "$@" || status=$?
  echo "$name|$((SECONDS - start))" >> "${AE_TIMES:-/dev/null}"
  return "$status"
}

results=()
failed=0
# Tests on the emulated device note here which kernels they ran.
export AE_SIMT_KERNELS=$PWD/build/kernels_run.txt
mkdir -p build
rm -f "$AE_SIMT_KERNELS"
for preset in "${presets[@]}"; do
  options=(-DAE_BUILD_TESTS=ON)
  # A quickstart without a GPU leaves CUDA out. Tests have it wherever its compiler is.
  [[ $preset != release ]] || options+=(-DAE_CUDA=AUTO)
  timed "build $preset" tools/build.sh "$preset" "${options[@]}"
  # A run that broke off leaves no results, and those of an earlier run must not stand for it.
  result=$PWD/build/$preset/tests.xml
  rm -rf "$result" "build/$preset/test-results"
  timed "tests $preset" ctest --preset "$preset" --output-junit "$result" -j "$(nproc)" || failed=1
  if [[ -f $result ]]; then results+=("$result"); else failed=1; fi
done
python3 tools/summarize_tests.py --kernels-run "$AE_SIMT_KERNELS" "${results[@]}" || failed=1
exit "$failed"
