#!/usr/bin/env bash
# Puts cuBLAS, cuDNN and NCCL, from PyPI's wheels, beside a CUDA toolkit that lacks them. Does nothing where
# there is no nvcc, where all are there, or where the toolkit's folder is not ours to write to.
set -euo pipefail

packages=(nvidia-cublas==13.1.0.3 nvidia-cudnn-cu13==9.13.1.26 nvidia-nccl-cu13==2.27.7) # of CUDA 13.0

command -v nvcc > /dev/null || [[ -x /usr/local/cuda/bin/nvcc ]] || exit 0
toolkit=$(dirname "$(dirname "$(realpath /usr/local/cuda/bin/nvcc)")")
[[ -w $toolkit/include && -w $toolkit/lib64 ]] || exit 0
if [[ -e $toolkit/include/cublas_v2.h && -e $toolkit/include/cudnn_version.h && -e $toolkit/include/nccl.h ]]; then exit 0; fi
version=$("$toolkit/bin/nvcc" --version | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
if [[ $version != 13 ]]; then
  echo "install_cuda_libraries: $toolkit is CUDA $version, and the wheels are of CUDA 13" >&2
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "cuBLAS, cuDNN and NCCL for $toolkit: ${packages[*]}"
python3 -m pip download --quiet --no-deps --dest "$work" "${packages[@]}"
for wheel in "$work"/*.whl; do
  python3 -m zipfile -e "$wheel" "$work/unpacked"
done
for folder in "$work"/unpacked/nvidia/*/; do
  cp -r "$folder/include/." "$toolkit/include/"
  cp "$folder"/lib/*.so* "$toolkit/lib64/"
done
# A wheel has libNAME.so.VERSION alone; a linker asks for libNAME.so.
for library in "$toolkit"/lib64/libcublas*.so.* "$toolkit"/lib64/libcudnn*.so.* "$toolkit"/lib64/libnccl*.so.*; do
  ln -sf "$(basename "$library")" "${library%%.so.*}.so"
done
