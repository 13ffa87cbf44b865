#!/usr/bin/env bash
# From a fresh clone to a trained autoencoder: installs what is missing, builds, fetches MNIST during
# the build, trains the Keras example, and says where the report and the picture are. What is done
# already is not done again.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: tools/quickstart.sh [--yes] [--cuda] [--epochs N] [--seed N] [--out DIR]

  --yes        do not ask before using sudo
  --cuda       build the CUDA backend, for all GPUs, even if this machine has none
  --epochs N   times through the data [50]
  --seed N     of weights and shuffles [1]
  --out DIR    the run folder [runs/quickstart]

Without --cuda the build is for the GPUs that are in this machine, and without CUDA where there is
none: compiling for all GPUs takes minutes. A build that is there already keeps what it has.
TEXT
}

yes=()
cuda=no
epochs=50
seed=1
out=runs/quickstart
while [[ $# -gt 0 ]]; do
  case $1 in
    --yes) yes=(--yes) ;;
    --cuda) cuda=yes ;;
    --epochs | --seed | --out)
      [[ $# -gt 1 ]] || { echo "quickstart: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"
      shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "quickstart: there is no option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

# Prints the compute capabilities of this machine's GPUs that CUDA 13 compiles for, as CMake writes
# them: "86-real;90-real".
gpu_architectures() {
  command -v nvidia-smi > /dev/null || return 0
  nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2> /dev/null |
    sed -n 's/^\([0-9]*\)\.\([0-9]\)$/\1\2/p' | sort -nu |
    awk '$1 >= 75 { list = list separator $1 "-real"; separator = ";" } END { print list }'
}

# Prints CMake's options for this machine's GPUs.
cuda_options() {
  local cache=build/release/CMakeCache.txt architectures
  if [[ $cuda == yes ]]; then
    echo -DAE_CUDA=ON
  elif [[ -f $cache ]] && ! grep -q '^AE_CUDA:STRING=OFF' "$cache"; then
    return 0
  else
    architectures=$(gpu_architectures)
    if [[ -z $architectures ]]; then
      echo -DAE_CUDA=OFF
    else
      echo -DAE_CUDA=AUTO
      echo "-DAE_CUDA_ARCHITECTURES=$architectures"
    fi
  fi
}

echo "1/4 dependencies"
tools/install_dependencies.sh "${yes[@]}"

echo "2/4 build (release), and MNIST beside it"
mkdir -p build/release
fetch_log=build/release/fetch_mnist.log
tools/fetch_mnist.sh mnist > "$fetch_log" 2>&1 &
fetch=$!
trap 'kill "$fetch" 2> /dev/null || true' EXIT
mapfile -t options < <(cuda_options)
if [[ ${options[*]} == *AE_CUDA=OFF* ]]; then
  echo "    no NVIDIA GPU in this machine: a build without CUDA (--cuda builds it all the same)"
fi
tools/build.sh release -DAE_BUILD_TESTS=OFF "${options[@]}"
sed -n 's/^-- CUDA backend: built/    CUDA backend: built/p; s/^-- CUDA backend: not/    CUDA backend: not/p' \
  build/release/build.log

echo "3/4 MNIST"
wait "$fetch" || { cat "$fetch_log" >&2; exit 1; }
tail -n 1 "$fetch_log"

ae=build/release/src/ae
asked="epochs=$epochs seed=$seed $(cksum < "$ae")"
if [[ -f $out/model.safetensors && -f $out/report.html && $(cat "$out/.quickstart" 2> /dev/null) == "$asked" ]]; then
  echo "4/4 training: done before"
  "$ae" evaluate "$out/model.safetensors"
  echo "picture  $out/reconstructions.png"
  echo "report   $out/report.html"
  exit 0
fi
echo "4/4 training"
"$ae" train --data mnist --epochs "$epochs" --seed "$seed" --out "$out"
echo "$asked" > "$out/.quickstart"
