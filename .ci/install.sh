#!/usr/bin/env bash
# What CI needs beyond what the tools install: ccache, which lets the presets share what they compile
# alike, and CUDA's libraries where there is a compiler for CUDA.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v ccache > /dev/null; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ccache
fi
./install_cuda_libraries.sh
