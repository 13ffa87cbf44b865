#!/usr/bin/env python3
"""Times an epoch of the seed model in ae and in PyTorch on this CPU, in turn, A B A B …, and prints
the ratio of each pair. Each side runs at the number of threads that serves it best.

Needs PyTorch for the Python that runs it, on a BLAS worth comparing with; on Debian and Ubuntu:
  apt-get install python3-torch libopenblas0-pthread     and then: /usr/bin/python3 tools/compare/compare.py
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def data_directory():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", ""), ".cache")
    return pathlib.Path(os.environ.get("AE_DATA_DIR") or os.path.join(cache, "ae"))


def blas_of_torch():
    """The file names of the BLAS that a process with PyTorch has loaded."""
    script = ("import torch, re; torch.mm(torch.ones(8, 8), torch.ones(8, 8)); "
              "print(*sorted({m for m in re.findall(r'/\\S*(?:blas|mkl)\\S*', "
              "open('/proc/self/maps').read())}), sep='\\n')")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("compare: this Python has no PyTorch; see --help for how to install it")
    return [os.path.realpath(path) for path in done.stdout.split()]


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(": ", 1)[1]
    return "an unnamed CPU"


def median_epoch(command):
    """The median time of the epochs that a command reports, the first one left out to warm up."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"compare: {' '.join(map(str, command))} failed:\n{done.stderr}")
    seconds = [line["seconds"] for line in map(json.loads, done.stdout.splitlines())
               if line.get("event", "epoch") == "epoch"]
    return statistics.median(seconds[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7, help="runs of each side [7]")
    parser.add_argument("--epochs", type=int, default=4, help="epochs a run, the first not counted [4]")
    parser.add_argument("--ae", default=ROOT / "build/release/src/ae", help="the program to time")
    arguments = parser.parse_args()

    blas = blas_of_torch()
    cores = len(os.sched_getaffinity(0))
    print(f"{cpu_model()}, {cores} cores")
    print("PyTorch's BLAS:", ", ".join(blas) or "built in")
    if not any(name in path.lower() for path in blas for name in ("openblas", "mkl", "blis")):
        sys.exit("compare: that is the reference BLAS, several times slower than PyTorch deserves; "
                 "install libopenblas0-pthread")
    images = data_directory() / "mnist" / "train-images-idx3-ubyte"
    if not images.exists():
        sys.exit(f"compare: {images} is not there; run tools/fetch_mnist.sh")

    run_folder = tempfile.TemporaryDirectory(prefix="ae-compare-")

    def ours(threads):
        return [arguments.ae, "train", "--device", "cpu", "--threads", str(threads), "--json",
                "--no-report", "--epochs", str(arguments.epochs), "--out", run_folder.name]

    def theirs(threads):
        return [sys.executable, ROOT / "tools/compare/pytorch_autoencoder.py", images, "--epochs",
                str(arguments.epochs), "--threads", str(threads)]

    counts = sorted({1, 2, cores // 2, cores} & set(range(1, cores + 1)))
    our_threads = min(counts, key=lambda count: median_epoch(ours(count)))
    their_threads = min(counts, key=lambda count: median_epoch(theirs(count)))
    print(f"threads that serve each best, of {counts}: ae {our_threads}, PyTorch {their_threads}")
    print(f"{'pair':>4} {'ae':>10} {'PyTorch':>10} {'ratio':>7}")
    ratios = []
    for pair in range(1, arguments.pairs + 1):
        our_seconds = median_epoch(ours(our_threads))
        their_seconds = median_epoch(theirs(their_threads))
        ratios.append(their_seconds / our_seconds)
        print(f"{pair:>4} {our_seconds:>8.3f} s {their_seconds:>8.3f} s {ratios[-1]:>7.2f}", flush=True)
    print(f"an epoch in PyTorch takes {statistics.median(ratios):.2f} times as long as in ae "
          f"(median of {len(ratios)} pairs, {min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
