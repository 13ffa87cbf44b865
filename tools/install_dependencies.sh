#!/usr/bin/env bash
# Installs what building needs and this machine lacks, on Debian and Ubuntu. Does nothing, and asks
# for nothing, where all of it is there.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: tools/install_dependencies.sh [--tests] [--yes]

  --tests   what the test suite needs, too
  --yes     do not ask before using sudo
TEXT
}

# oneDNN's CMake package looks for OpenCL, which its Debian package only recommends.
packages=(g++ cmake ninja-build pkg-config git ca-certificates curl
          libdnnl-dev ocl-icd-opencl-dev nlohmann-json3-dev zlib1g-dev libpng-dev libfmt-dev
          libtomlplusplus-dev libeigen3-dev libboost-context-dev)
yes=no
for argument in "$@"; do
  case $argument in
    --tests) packages+=(libgtest-dev python3) ;;
    --yes) yes=yes ;;
    --help | -h) usage; exit 0 ;;
    *) echo "install_dependencies: there is no option $argument" >&2; usage >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query > /dev/null; then
  echo "install_dependencies: this is no Debian or Ubuntu. Please install, as your system calls them:" >&2
  echo "  ${packages[*]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2> /dev/null || true)
  [[ $status == "install ok installed" ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

echo "to install: ${missing[*]}"
as_root=()
if [[ $(id -u) -ne 0 ]]; then
  if ! command -v sudo > /dev/null; then
    echo "install_dependencies: this needs root, and there is no sudo. As root, run:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit 1
  fi
  if [[ $yes == no ]]; then
    read -r -p "Install these with sudo apt-get? [y/N] " answer || answer=n
    [[ $answer == [yY]* ]] || { echo "nothing was installed" >&2; exit 1; }
  fi
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
  "${missing[@]}"
