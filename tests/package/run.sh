#!/usr/bin/env bash
# Installs a build, moves the installation elsewhere, and builds and runs a project that uses it:
# through find_package and through pkg-config.
#
# Usage: run.sh BUILD_FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1
cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
compiler=$(cached CMAKE_CXX_COMPILER)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" > /dev/null
mv "$work/first" "$work/prefix"
"$work/prefix/bin/ae" --version

echo "through find_package"
cmake -S "$here" -B "$work/build" -G "$(cached CMAKE_GENERATOR)" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$work/prefix" \
  > "$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
cmake --build "$work/build"
"$work/build/consumer" "$work/model.safetensors"
"$work/build/consumer_by_long_name" "$work/same.safetensors"
cmp "$work/model.safetensors" "$work/same.safetensors"
"$work/build/consumer_of_simt"

echo "through pkg-config"
pc=$(dirname "$(find "$work/prefix" -name ae.pc)")
export PKG_CONFIG_PATH=$pc
# shellcheck disable=SC2046 # flags are words
"$compiler" -std=c++20 "$here/main.cpp" -o "$work/by_pkg_config" $(pkg-config --cflags --libs --static ae)
"$work/by_pkg_config" "$work/by_pkg_config.safetensors"
cmp "$work/model.safetensors" "$work/by_pkg_config.safetensors"
