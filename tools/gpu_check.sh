#!/usr/bin/env bash
# Everything that needs a GPU, in one go: builds for this machine's card, tests, looks for errors with
# compute-sanitizer, trains, times, compares, and writes one report. A section that fails does not
# stop the ones after it.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: tools/gpu_check.sh [--yes] [--quick] [--out FILE]

  --yes        do not ask before using sudo
  --quick      2 epochs instead of 50, memcheck alone of the sanitizers, 2 rounds of comparing
  --out FILE   the report [gpu-report.md]

Needs an NVIDIA GPU with its driver, and the CUDA toolkit (12 or 13). Without --quick it takes a
while: the sanitizers slow the tests down many times. Whole outputs are left in build/gpu-check.
TEXT
}

yes=()
quick=no
out=gpu-report.md
while [[ $# -gt 0 ]]; do
  case $1 in
    --yes) yes=(--yes) ;;
    --quick) quick=yes ;;
    --out)
      [[ $# -gt 1 ]] || { echo "gpu_check: --out needs a value" >&2; exit 2; }
      out=$2
      shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "gpu_check: there is no option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

# Numbers with a decimal point, whatever the user's language.
export LC_ALL=C.UTF-8
# nvidia-smi and CUDA count GPUs alike.
export CUDA_DEVICE_ORDER=PCI_BUS_ID
# Where NVIDIA's packages put nvcc and compute-sanitizer, though not on PATH.
PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin

gpus=$(nvidia-smi -L 2> /dev/null || true)
if [[ $gpus != *GPU* ]]; then
  echo "gpu_check: there is no NVIDIA GPU here (nvidia-smi -L lists none), nothing was checked;" \
    "run this where there is one with its driver, or tools/test.sh for what needs none" >&2
  exit 1
fi

card_index=${CUDA_VISIBLE_DEVICES:-0}
card_index=${card_index%%,*}

ask_card() { # FIELD: what nvidia-smi says of the card that the program will use
  nvidia-smi -i "$card_index" --query-gpu="$1" --format=csv,noheader 2> /dev/null ||
    nvidia-smi --query-gpu="$1" --format=csv,noheader 2> /dev/null | head -n 1 || true
}

card=$(ask_card name)
card=${card:-unnamed GPU}
driver=$(ask_card driver_version)

build=build/cuda
ae=$build/src/ae
cuda_programs=("$build/tests/ae_tests" "$build/tests/ae_cuda_test")
cuda_cases='*cuda*:*Cuda*:*CUDA*'
work=build/gpu-check
epochs=50
rounds=7
if [[ $quick == yes ]]; then
  epochs=2
  rounds=2
fi

rm -rf "$work"
mkdir -p "$work" "$(dirname "$out")"
partial=$out.partial
trap 'rm -f "$partial"' EXIT
trap 'echo "gpu_check: interrupted, no report was written; outputs so far are in $work" >&2; exit 130' INT TERM

# Here, where it can still ask. What is missing nevertheless, the build will name.
tools/install_dependencies.sh --tests "${yes[@]}" ||
  echo "gpu_check: going on without what is missing" >&2

# ── Running a section ───────────────────────────────────────────────────────────────────────────

readonly skipped=77 # as automake's tests say it; the last line of output is the reason
count=0
results=()

now() { date +%s.%N; }

# For sections: stops here, as skipped.
skip() { # REASON
  echo "$*"
  exit "$skipped"
}

need_program() { [[ -e $work/built ]] || skip "the program was not built"; }
need_mnist() { [[ -e $work/mnist ]] || skip "MNIST could not be fetched"; }
need_command() { command -v "$1" > /dev/null || skip "$1 is not installed; $2"; }

# Notes a number that the report's summary should have.
figure() { # NAME VALUE
  printf '| %s | %s | %s |\n' "$1" "$2" "$card" >> "$work/figures"
}

section() { # TITLE FUNCTION ARGUMENT…
  local title=$1 status=0 start seconds result reason=''
  shift
  count=$((count + 1))
  local output
  output=$work/$(printf '%02d' "$count")-${title//[^a-zA-Z0-9]/-}.log
  echo "$count/$sections $title …"
  start=$(now)
  # In a condition, bash would ignore errors within the function.
  set +e
  (
    set -e
    "$@"
  ) > "$output" 2>&1 < /dev/null
  status=$?
  set -e
  seconds=$(awk -v start="$start" -v end="$(now)" 'BEGIN { printf "%.1f", end - start }')
  case $status in
    0) result=passed ;;
    "$skipped")
      result=skipped
      reason=": $(tail -n 1 "$output")" ;;
    *)
      result=failed
      reason=": exit code $status" ;;
  esac
  results+=("$result|$title|$seconds s|${reason#: }")
  echo "$count/$sections $title: $result in $seconds s$reason"
  write_section "$title" "$result$reason" "$seconds" "$output" >> "$work/sections.md"
}

# Long outputs are folded, and of very long ones the middle is left out: a report must fit a bug report.
write_section() { # TITLE RESULT SECONDS OUTPUT
  local lines
  lines=$(wc -l < "$4")
  printf '\n## %s\n\n%s, %s s, on %s\n\n' "$1" "$2" "$3" "$card"
  [[ $lines -gt 0 ]] || return 0
  [[ $lines -le 30 ]] || printf '<details><summary>%s lines</summary>\n\n' "$lines"
  echo '~~~~text'
  if [[ $lines -gt 400 ]]; then
    head -n 200 "$4"
    echo "[… $((lines - 400)) lines, all of them in $4 …]"
    tail -n 200 "$4"
  else
    cat "$4"
  fi
  echo '~~~~'
  [[ $lines -le 30 ]] || printf '\n</details>\n'
}

# ── Sections ────────────────────────────────────────────────────────────────────────────────────

machine() {
  local field
  for field in name driver_version compute_cap memory.total persistence_mode pstate power.limit \
    clocks.sm clocks.mem clocks.max.sm clocks.max.mem ecc.mode.current mig.mode.current \
    utilization.gpu; do
    printf '%-18s %s\n' "$field" "$(ask_card "$field")"
  done
  # A card that others use at the same time gives no figures worth having.
  printf '%-18s %s\n' "other programs" \
    "$(nvidia-smi --query-compute-apps=pid --format=csv,noheader 2> /dev/null | wc -l)"
  printf '%-18s %s\n' GPUs "$(grep -c GPU <<< "$gpus")"
  printf '%-18s %s\n' toolkit "$(nvcc --version 2> /dev/null | grep release || echo 'no nvcc')"
  printf '%-18s %s\n' kernel "$(uname -srm)"
  printf '%-18s %s\n' system "$(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' /etc/os-release 2> /dev/null)"
  printf '%-18s %s, %s threads\n' CPU \
    "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)"
  if git rev-parse HEAD > /dev/null 2>&1; then
    printf '%-18s %s\n' commit "$(git rev-parse HEAD)"
    local changes
    changes=$(git status --porcelain)
    if [[ -z $changes ]]; then
      printf '%-18s clean\n' "working tree"
    else
      printf '%-18s changed:\n%s\n' "working tree" "$changes"
    fi
  else
    printf '%-18s unknown, this is no git repository\n' commit
  fi
}

build_all() {
  # CMake learnt of "native" in 3.24.
  local architecture=native version
  version=$(cmake --version | sed -n 's/^cmake version //p')
  if [[ $(printf '%s\n' 3.24 "$version" | sort -V | head -n 1) != 3.24 ]]; then
    architecture=$(ask_card compute_cap | tr -d .)-real
  fi
  tools/build.sh cuda -DAE_BUILD_TESTS=ON -DAE_CUDA_ARCHITECTURES="$architecture"
  touch "$work/built"
  "$ae" info
}

fetch_mnist() {
  tools/fetch_mnist.sh mnist
  touch "$work/mnist"
}

# All tests as CTest knows them; those of the GPU may not be skipped here.
tests() {
  need_program
  local result=$PWD/$work/tests.xml failed=0 jobs
  # Each test is a process with a CUDA context of its own, and they share one card's memory.
  jobs=$(nproc)
  [[ $jobs -le 4 ]] || jobs=4
  AE_REQUIRE_GPU=1 ctest --preset cuda --output-junit "$result" -j "$jobs" || failed=1
  python3 tools/summarize_tests.py "$result" || failed=1
  return "$failed"
}

# What runs on the GPU alone, under the command that is given, if any.
run_cuda_cases() { # COMMAND…
  local program failed=0
  for program in "${cuda_programs[@]}"; do
    AE_REQUIRE_GPU=1 "$@" "$program" --gtest_filter="$cuda_cases" || failed=$?
  done
  return "$failed"
}

cuda_tests() {
  need_program
  local status=0 passed
  run_cuda_cases env | tee "$work/cuda_tests.txt" || status=$?
  passed=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$work/cuda_tests.txt" |
    awk '{ sum += $1 } END { print sum + 0 }')
  figure "test cases passed on the GPU" "$passed"
  echo "$passed test cases passed on the GPU"
  [[ $status -eq 0 && $passed -gt 0 ]]
}

need_sanitizer() { # TOOL
  need_program
  [[ $quick == no || $1 == memcheck ]] || skip "--quick was given"
  need_command compute-sanitizer "it is in the CUDA toolkit, NVIDIA's package cuda-sanitizer-VERSION"
}

# API errors stay out: some tests provoke them, such as memory that nobody has, and the program checks
# every call itself.
sanitizer() { # TOOL
  need_sanitizer "$1"
  run_cuda_cases compute-sanitizer --tool "$1" --report-api-errors no --error-exitcode 9
}

leaks() {
  need_sanitizer memcheck
  need_mnist
  compute-sanitizer --tool memcheck --leak-check full --error-exitcode 9 \
    "$ae" train --device cuda --limit 2000 --epochs 2 --no-report --out "$work/leaks"
}

kernel_resources() {
  [[ -f tools/kernel_resources.py ]] || skip "this version has no tools/kernel_resources.py"
  need_program
  python3 tools/kernel_resources.py
}

train_seed_model() { # FOLDER
  "$ae" train --data mnist --device cuda --epochs "$epochs" --seed 1 --json --out "$1"
}

seed_training() {
  need_program
  need_mnist
  train_seed_model "$work/seed-1" | tee "$work/seed.json"
  # 0.0917 is what the CPU and Keras reach in 50 epochs; two epochs only show that it learns: 0.2625
  # is the mean image's loss.
  local limit=0.0917 summary
  [[ $quick == no ]] || limit=0.2625
  python3 - "$work/seed.json" "$limit" > "$work/seed.txt" <<'PYTHON'
import json
import statistics
import sys

lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
done = next(line for line in lines if line["event"] == "done")
# The first epoch warms up.
seconds = [line["seconds"] for line in lines if line["event"] == "epoch"][1:]
print(f"{done['test_loss']:.5f}")
print(f"{statistics.median(seconds):.6f} (from {min(seconds):.6f} to {max(seconds):.6f}, {len(seconds)} epochs)")
print("reached" if round(done["test_loss"], 4) <= float(sys.argv[2]) else "missed")
PYTHON
  mapfile -t summary < "$work/seed.txt"
  figure "test loss (BCE) after $epochs epochs" "${summary[0]}"
  figure "seconds an epoch, median, the first not counted" "${summary[1]}"
  echo "test loss ${summary[0]}; at most $limit: ${summary[2]}"
  echo "seconds an epoch: ${summary[1]}"
  [[ ${summary[2]} == reached ]]
}

same_bits() {
  need_program
  need_mnist
  [[ -f $work/seed-1/model.safetensors ]] || skip "there is no first model to compare with"
  train_seed_model "$work/seed-2" > /dev/null
  cmp "$work/seed-1/model.safetensors" "$work/seed-2/model.safetensors"
  echo "two trainings gave the same model file, byte for byte"
}

bench() { # PRECISION
  need_program
  "$ae" bench --device cuda --precision "$1" | tee "$work/bench.txt"
  local epoch
  epoch=$(sed -n 's/^an epoch, run as training runs it: //p' "$work/bench.txt")
  [[ -z $epoch ]] || figure "an epoch in ae bench, $1" "$epoch"
}

# Both ways to convolve train the same bits again, and are timed in turn.
convolutions() {
  need_program
  need_mnist
  [[ $("$ae" info --json) == *'"cuDNN"'* ]] || skip "the program was built without cuDNN"
  local way again line
  for way in cudnn own; do
    for again in 1 2; do
      "$ae" train --recipe conv --device cuda --convolution "$way" --limit 10000 --epochs 1 \
        --no-report --json --out "$work/conv-$way-$again" | grep '"done"'
    done
    cmp "$work/conv-$way-"{1,2}/model.safetensors
    echo "--convolution $way: two trainings gave the same model file, byte for byte"
  done
  "$ae" bench --recipe conv --device cuda | tee "$work/bench-conv.txt"
  line=$(sed -n 's/^an epoch with --convolution cudnn: //p' "$work/bench-conv.txt")
  figure "an epoch of the recipe conv, on cuDNN; timed in turn, on our kernels" "$line"
  [[ -n $line ]]
}

check() {
  need_program
  need_mnist
  "$ae" train --device check --limit 2000 --epochs 1 --no-report --out "$work/check"
  "$ae" train --device check --recipe conv --limit 500 --epochs 1 --no-report --out "$work/check-conv"
}

pytorch() {
  need_program
  need_mnist
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
      "$python" tools/compare/compare.py --device cuda --ae "$ae" --rounds "$rounds" |
        tee "$work/pytorch.txt"
      local mode
      for mode in eager 'with CUDA graphs'; do
        figure "an epoch in PyTorch, $mode, against ae" \
          "$(sed -n "s/^an epoch in PyTorch, $mode, takes //p" "$work/pytorch.txt")"
      done
      return 0
    fi
  done
  skip "no PyTorch sees the GPU (tried python3 and /usr/bin/python3)"
}

sections=$(grep -c '^section ' tools/gpu_check.sh)
section "machine" machine
section "build" build_all
section "MNIST" fetch_mnist
section "tests" tests
section "tests on the GPU alone" cuda_tests
section "memcheck" sanitizer memcheck
section "racecheck" sanitizer racecheck
section "initcheck" sanitizer initcheck
section "synccheck" sanitizer synccheck
section "memory leaks" leaks
section "kernel resources" kernel_resources
section "seed training" seed_training
section "same bits again" same_bits
section "bench, fp32" bench fp32
section "bench, tf32" bench tf32
section "convolutions, cuDNN beside our own" convolutions
section "GPU beside CPU, operation by operation" check
section "PyTorch" pytorch

# ── The report ──────────────────────────────────────────────────────────────────────────────────

passed=0
failures=()
skips=()
for line in "${results[@]}"; do
  IFS='|' read -r result title _ reason <<< "$line"
  case $result in
    passed) passed=$((passed + 1)) ;;
    failed) failures+=("$title") ;;
    skipped) skips+=("$title: $reason") ;;
  esac
done

join() { # SEPARATOR WORD…
  local separator=$1 text=${2:-}
  shift 2 || return 0
  for word in "$@"; do text+=$separator$word; done
  echo "$text"
}

closing="$passed passed, ${#failures[@]} failed, ${#skips[@]} skipped"
[[ ${#failures[@]} -eq 0 ]] || closing+="; failed: $(join ', ' "${failures[@]}")"
[[ ${#skips[@]} -eq 0 ]] || closing+="; skipped: $(join '; ' "${skips[@]}")"

{
  printf '# ae on %s\n\n' "$card"
  printf 'Driver %s, %s, by tools/gpu_check.sh%s.\n\n' "${driver:-unknown}" "$(date -u '+%Y-%m-%d %H:%M UTC')" \
    "$([[ $quick == no ]] || echo ' --quick')"
  printf '%s\n\n' "$closing"
  printf '| section | result | time | |\n| --- | --- | --- | --- |\n'
  for line in "${results[@]}"; do
    IFS='|' read -r result title seconds reason <<< "$line"
    printf '| %s | %s | %s | %s |\n' "$title" "$result" "$seconds" "$reason"
  done
  if [[ -s $work/figures ]]; then
    printf '\n| figure | value | measured on |\n| --- | --- | --- |\n'
    cat "$work/figures"
  fi
  cat "$work/sections.md"
} > "$partial"
mv "$partial" "$out"

echo "gpu_check: $closing; report: $out"
[[ ${#failures[@]} -eq 0 ]]
