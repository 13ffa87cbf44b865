#!/usr/bin/env python3
"""Times an epoch of a recipe's model in ae and in PyTorch on this CPU, in turn, A B A B …, and prints
the ratio of each pair. Each side runs at the number of threads that serves it best.

Needs PyTorch for the Python that runs it, on a BLAS worth comparing with; on Debian and Ubuntu:
  apt-get install python3-torch libopenblas0-pthread     and then: /usr/bin/python3 tools/compare/compare.py

With --device cuda it times ae, PyTorch eager and PyTorch with CUDA graphs on this GPU, in turn,
A B C A B C …, and prints both ratios. That needs a PyTorch which sees the GPU.
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


def run_epochs(command):
    """The epochs that a command reports, the first one left out to warm up."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"compare: {' '.join(map(str, command))} failed:\n{done.stderr}")
    return [line for line in map(json.loads, done.stdout.splitlines())
            if line.get("event", "epoch") == "epoch"][1:]


def median_epoch(command):
    """The median time of the epochs that a command reports, the first one left out to warm up."""
    return statistics.median(epoch["seconds"] for epoch in run_epochs(command))


def best_threads(counts, command):
    """The number of threads with the fastest run of several, in turn: one slow moment decides nothing."""
    rounds = [[median_epoch(command(count)) for count in counts] for _ in range(3)]
    fastest = [min(times) for times in zip(*rounds)]
    return counts[fastest.index(min(fastest))]


def gpu_of_torch():
    """The GPU that PyTorch uses, with PyTorch's version."""
    script = ("import torch; print(f'{torch.cuda.get_device_name()}, PyTorch {torch.__version__}' "
              "if torch.cuda.is_available() else '')")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("compare: this Python has no PyTorch; install one for CUDA")
    if not done.stdout.strip():
        sys.exit("compare: this Python's PyTorch sees no GPU; install one for CUDA")
    return done.stdout.strip()


def compare_on_gpu(arguments, ours, theirs):
    """Three sides in turn: what a GPU's clocks and its other users do meets each of them alike."""
    print(gpu_of_torch())
    commands = {"ae": ours(), "eager": theirs("eager"), "graph": theirs("graph")}
    print(f"{'round':>5} {'ae':>12} {'eager':>12} {'graph':>12} {'eager/ae':>9} {'graph/ae':>9}")
    ratios = {"eager": [], "graph": []}
    losses = {}
    for number in range(1, arguments.pairs + 1):
        seconds = {}
        for side, command in commands.items():
            epochs = run_epochs(command)
            seconds[side] = statistics.median(epoch["seconds"] for epoch in epochs)
            losses[side] = epochs[-1]["train_loss"]
        for side, found in ratios.items():
            found.append(seconds[side] / seconds["ae"])
        print(f"{number:>5} " + " ".join(f"{1000 * value:>9.3f} ms" for value in seconds.values()) +
              "".join(f" {found[-1]:>9.2f}" for found in ratios.values()), flush=True)
    print("training loss of the last epoch: " +
          ", ".join(f"{side} {loss:.4f}" for side, loss in losses.items()))
    for side, name in (("eager", "eager"), ("graph", "with CUDA graphs")):
        found = ratios[side]
        print(f"an epoch in PyTorch, {name}, takes {statistics.median(found):.2f} times as long as in ae "
              f"(median of {len(found)} rounds, {min(found):.2f} to {max(found):.2f})")
    # Initial weights and shuffles differ, so losses do a little; a side that did not do the work
    # would be fast and wrong.
    if max(losses.values()) > 1.1 * min(losses.values()):
        sys.exit("compare: the sides did not learn the same: their losses differ by more than 10 %")


def require_images(images):
    if not images.exists():
        sys.exit(f"compare: {images} is not there; run tools/fetch_mnist.sh")


def compare_on_cpu(arguments, images, ours, theirs):
    blas = blas_of_torch()
    cores = len(os.sched_getaffinity(0))
    print(f"{cpu_model()}, {cores} cores")
    print("PyTorch's BLAS:", ", ".join(blas) or "built in")
    if not any(name in path.lower() for path in blas for name in ("openblas", "mkl", "blis")):
        sys.exit("compare: that is the reference BLAS, several times slower than PyTorch deserves; "
                 "install libopenblas0-pthread")
    require_images(images)

    counts = sorted({1, 2, cores // 2, cores} & set(range(1, cores + 1)))
    our_threads = best_threads(counts, ours)
    their_threads = best_threads(counts, theirs)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where to compare [cpu]")
    parser.add_argument("--recipe", choices=["simple", "deep", "sparse", "conv", "denoise", "vae"],
                        default="simple", help="the model [simple]")
    parser.add_argument("--pairs", type=int, default=7, help="runs of each side [7]")
    parser.add_argument("--epochs", type=int, default=4, help="epochs a run, the first not counted [4]")
    parser.add_argument("--ae", help="the program to time [build/release/src/ae; of build/cuda on a GPU]")
    arguments = parser.parse_args()
    if arguments.pairs < 1 or arguments.epochs < 2:
        parser.error("--pairs must be at least 1 and --epochs at least 2")
    on_gpu = arguments.device == "cuda"
    program = arguments.ae or ROOT / ("build/cuda/src/ae" if on_gpu else "build/release/src/ae")
    images = data_directory() / "mnist" / "train-images-idx3-ubyte"
    run_folder = tempfile.TemporaryDirectory(prefix="ae-compare-")

    def ours(*options):
        return [program, "train", "--recipe", arguments.recipe, "--device", arguments.device, *options, "--json", "--no-report",
                "--epochs", str(arguments.epochs), "--out", run_folder.name]

    def theirs(*options):
        return [sys.executable, ROOT / "tools/compare/pytorch_autoencoder.py", images, "--recipe",
                arguments.recipe, "--epochs", str(arguments.epochs), *options]

    if on_gpu:
        require_images(images)
        compare_on_gpu(arguments, ours,
                       lambda mode: theirs("--device", "cuda", "--mode", mode))
    else:
        compare_on_cpu(arguments, images,
                       lambda threads: ours("--threads", str(threads)),
                       lambda threads: theirs("--threads", str(threads)))


if __name__ == "__main__":
    main()
