#!/usr/bin/env bash
# What the library does in builds of others: as a part of another project's, inside a shared library,
# and in programs under AddressSanitizer, by each compiler that is here.
#
# Usage: embedding.sh BUILD_FOLDER
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$1
cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
compiler=$(cached CMAKE_CXX_COMPILER)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "embedding: $1" >&2
  exit 1
}

echo "as a part of another project: the library alone, and nothing installed"
disabled=()
for package in CLI11 tomlplusplus GTest Boost; do
  disabled+=("-DCMAKE_DISABLE_FIND_PACKAGE_$package=ON")
done
cmake -S "$here/subproject" -B "$work/subproject" -G "$(cached CMAKE_GENERATOR)" \
  -DCMAKE_CXX_COMPILER="$compiler" -DAE_SOURCE="$here/../.." -DAE_CUDA=OFF "${disabled[@]}" \
  > "$work/subproject.log" 2>&1 || { cat "$work/subproject.log"; exit 1; }
! grep -rlE 'libae|include/ae' --include=cmake_install.cmake "$work/subproject" \
  || fail "these would install ae"

cmake --install "$build" --prefix "$work/prefix" > /dev/null
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name ae.pc)")
export PKG_CONFIG_PATH
library=$(find "$work/prefix" -name libae.a)
read -ra ae <<< "$(pkg-config --cflags --libs --static ae)"
read -ra simt <<< "$(pkg-config --cflags --libs --static ae-simt)"

echo "the library without the emulated device and what that needs"
nm "$library" > "$work/symbols" 2> /dev/null
! grep -E '__asan_|fcontext|ae4simt' "$work/symbols" || fail "libae.a has these"
nm "${library%.a}_simt.a" > "$work/simt_symbols" 2> /dev/null
! grep -E '__asan_' "$work/simt_symbols" || fail "libae_simt.a has these"

echo "inside a shared library"
"$compiler" -std=c++20 -fPIC -shared "$here/plugin.cpp" -o "$work/plugin.so" "${ae[@]}"
nm -D --defined-only -C "$work/plugin.so" > "$work/exported"
grep -q ' T plugin_loss' "$work/exported" || fail "the plugin does not export its own function"
! grep -E ' [A-TX-Z] ae::' "$work/exported" || fail "the plugin exports these of ae"

# Every access of the program to memory becomes a call to the sanitizer's runtime, by the names that
# kernels of the emulated device are compiled with, too.
export ASAN_OPTIONS=detect_leaks=0 # of libraries that are not ours
sanitized() { # NAME COMPILER OPTION…
  local name=$1 status=0
  "$2" -std=c++20 -g -O1 -fsanitize=address -fsanitize-recover=address "${@:3}" -o "$work/$name"
  "$work/$name"
  "$work/$name" 5 > "$work/report" 2>&1 || status=$?
  [[ $status -ne 0 ]] && grep -q heap-buffer-overflow "$work/report" \
    || { cat "$work/report"; fail "$name wrote behind the end of an array, and nothing said so"; }
}

for other in g++ clang++; do
  command -v $other > /dev/null || continue
  [[ $other == g++ ]] && calls=(--param=asan-instrumentation-with-call-threshold=0) \
    || calls=(-mllvm -asan-instrumentation-with-call-threshold=0)
  echo '#include <cstddef>' > "$work/empty.cpp"
  $other -fsanitize=address -shared -fPIC "$work/empty.cpp" -o "$work/empty.so" 2> /dev/null || continue
  echo "under AddressSanitizer, by $other"
  sanitized "$other.cpu" $other "${calls[@]}" "$here/sanitized.cpp" "${ae[@]}"
  sanitized "$other.simt" $other "${calls[@]}" -DWITH_SIMT "$here/sanitized.cpp" "${simt[@]}"
done
