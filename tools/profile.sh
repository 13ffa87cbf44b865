#!/usr/bin/env bash
# The Nsight command lines that show what a training does on a GPU: a timeline with Nsight Systems
# (nsys), and each of our kernels in detail with Nsight Compute (ncu).
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: tools/profile.sh [--run] [--ae PROGRAM] [--out DIR]

Prints the command lines, to be pasted one by one.

  --run          executes them, in this order, and stops at the first that fails
  --ae PROGRAM   the program to profile [build/cuda/src/ae]
  --out DIR      where profiles go [build/profile]

nsys and ncu come with the CUDA toolkit (packages cuda-nsight-systems-13-0, cuda-nsight-compute-13-0).
ncu reads hardware counters, which the driver may reserve for root: run it with sudo, or see
https://developer.nvidia.com/ERR_NVGPUCTRPERM. Open .nsys-rep in nsys-ui, .ncu-rep in ncu-ui.
TEXT
}

run=no
ae=build/cuda/src/ae
out=build/profile
while [[ $# -gt 0 ]]; do
  case $1 in
    --run) run=yes ;;
    --ae | --out)
      [[ $# -gt 1 ]] || { echo "profile: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"
      shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "profile: there is no option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

if [[ $run == yes ]]; then
  for tool in nsys ncu; do
    if ! command -v "$tool" > /dev/null && [[ -x ${CUDA_HOME:-/usr/local/cuda}/bin/$tool ]]; then
      PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
    fi
    command -v "$tool" > /dev/null || { echo "profile: $tool is not installed, see --help" >&2; exit 1; }
  done
  [[ -x $ae ]] || { echo "profile: there is no $ae; tools/build.sh cuda builds it" >&2; exit 1; }
fi

say() { printf '\n# %s\n' "$@"; }

# Prints a command line, and executes it if asked to.
command_line() {
  local line='' word
  for word in "$@"; do
    # Quotes where the shell would need them, and no backslashes to puzzle over.
    if [[ $word =~ [^a-zA-Z0-9_./:=,-] ]]; then word="'$word'"; fi
    line+="${line:+ }$word"
  done
  echo "$line"
  [[ $run == no ]] || "$@"
}

train=("$ae" train --device cuda --no-report --out "$out/run")
timeline=(nsys profile "--trace=cuda,nvtx" --sample=none --cpuctxsw=none --cuda-graph-trace=node
          --force-overwrite=true)

command_line mkdir -p "$out"

# A step is one graph launch; "node" makes its kernels visible one by one, at the cost of some time.
say "Timeline of three epochs: epochs and steps as NVTX ranges, each kernel of a step's graph"
command_line "${timeline[@]}" --output="$out/train" "${train[@]}" --epochs 3
say "Time by kernel, by NVTX range, and in the CUDA API"
command_line nsys stats --force-export=true --report cuda_gpu_kern_sum --report nvtx_gpu_proj_sum \
  --report cuda_api_sum "$out/train.nsys-rep"

# In a graph, operations are ranges only while it is recorded. Beside the CPU they are called one by one.
say "Time of each kernel by operation (forward, loss, backward, Adam)"
command_line "${timeline[@]}" --output="$out/operations" "$ae" train --device check --limit 5000 \
  --epochs 1 --no-report --out "$out/run"
command_line nsys stats --force-export=true --report nvtx_kern_sum "$out/operations.nsys-rep"

# gemm_kernel stands in for cuBLAS on the emulated device; no training runs it here.
kernels=$(cat kernels/*/*.cu | grep -oE '[a-z0-9_]+_kernel\(' | tr -d '(' | grep -vx gemm_kernel | sort -u)
# The first launches are of the recording and of cold caches.
ncu=(ncu --graph-profiling node --set full --launch-skip 5 --launch-count 3 --force-overwrite)
for kernel in $kernels; do
  say "Everything that the hardware counts, of three launches of $kernel"
  command_line "${ncu[@]}" --kernel-name "regex:$kernel" --export "$out/$kernel" "${train[@]}" --epochs 1
done
say "The same of the library's products"
command_line "${ncu[@]}" --kernel-name 'regex:gemm|gemv|cutlass' --export "$out/gemm" \
  "${train[@]}" --epochs 1
say "One of them as text; what to do about it is in its rules"
command_line ncu --import "$out/adam_kernel.ncu-rep" --page details
