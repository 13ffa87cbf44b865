#!/usr/bin/env bash
# From a fresh clone to a trained autoencoder: installs what is missing, builds, fetches MNIST,
# trains the Keras example, and says where the report and the picture are. What is done already is
# not done again.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: tools/quickstart.sh [--yes] [--epochs N] [--seed N] [--out DIR]

  --yes        do not ask before using sudo
  --epochs N   times through the data [50]
  --seed N     of weights and shuffles [1]
  --out DIR    the run folder [runs/quickstart]
TEXT
}

yes=()
epochs=50
seed=1
out=runs/quickstart
while [[ $# -gt 0 ]]; do
  case $1 in
    --yes) yes=(--yes) ;;
    --epochs | --seed | --out)
      [[ $# -gt 1 ]] || { echo "quickstart: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"
      shift ;;
    --help | -h) usage; exit 0 ;;
    *) echo "quickstart: there is no option $1" >&2; usage >&2; exit 2 ;;
  esac
  shift
done

echo "1/4 dependencies"
tools/install_dependencies.sh "${yes[@]}"

echo "2/4 build (release)"
tools/build.sh release -DAE_BUILD_TESTS=OFF
sed -n 's/^-- CUDA backend: /    CUDA backend: /p' build/release/build.log

echo "3/4 MNIST"
tools/fetch_mnist.sh mnist

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
