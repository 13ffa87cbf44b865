#!/usr/bin/env python3
"""Times an epoch of a recipe's model in ae and in PyTorch and Keras on this CPU, in turn, A B C A B C …,
and prints the ratio of each round. Each side runs at the settings that serve it best, found by trial:
threads 1, 2, … for all; eager or compiled, channels first or last for PyTorch; backend and steps per
execution for Keras. All sides train on the same rows in batches of the recipe's size.

  tools/compare/compare.py --pytorch PYTHON --pytorch PYTHON --keras PYTHON [--recipe NAME]

PYTHON is an interpreter that has that framework, in a virtual environment for example: PyTorch's build for
CPUs (its site says how to install it), and keras, jax and tensorflow-cpu from PyPI. An older PyTorch is Debian's:
apt-get install python3-torch libopenblas0-pthread

With --device cuda it times ae, PyTorch eager and PyTorch with CUDA graphs on this GPU, in turn, with
the Python that runs this script, and prints both ratios. That needs a PyTorch which sees the GPU.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def data_directory():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", ""), ".cache")
    return pathlib.Path(os.environ.get("AE_DATA_DIR") or os.path.join(cache, "ae"))


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
    for number in range(1, arguments.rounds + 1):
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
    require_same_work(losses)


def require_images(images):
    if not images.exists():
        sys.exit(f"compare: {images} is not there; run tools/fetch_mnist.sh")


class Side:
    """A program that trains, in the variants among which its best is chosen."""

    def __init__(self, name, variants):
        self.name, self.variants = name, variants
        self.ratios = []

    def choose(self):
        """Keeps the variant with the faster of two runs, in turn: one slow moment decides nothing."""
        fastest = dict.fromkeys(self.variants, float("inf"))
        for trial in range(2):
            for label, command in self.variants.items():
                if trial > 0 and fastest[label] > 2 * min(fastest.values()):
                    continue  # out of the question
                fastest[label] = min(fastest[label], median_epoch(command))
        self.label = min(fastest, key=fastest.get)
        self.command = self.variants[self.label]
        print(f"  {self.name}: {self.label}   (" + ", ".join(
            f"{label} {seconds:.3f} s" for label, seconds in fastest.items()) + ")", flush=True)


def version_of(python, module):
    done = subprocess.run([python, "-c", f"import {module}; print({module}.__version__)"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"compare: {python} has no {module}; see --help for how to install it")
    return done.stdout.strip().splitlines()[-1]


def pytorch_side(python, recipe, threads, common):
    version = version_of(python, "torch")
    script = [python, ROOT / "tools/compare/pytorch_autoencoder.py", *common]
    modes = ["eager"] + (["compiled"] if int(version.split(".")[0]) >= 2 else [])
    layouts = [[], ["--channels-last"]] if recipe in ("conv", "denoise") else [[]]
    return Side(f"PyTorch {version}", {
        " ".join([f"{count} threads", mode, *(option[2:] for option in layout)]):
            [*script, "--threads", str(count), "--mode", mode, *layout]
        for count in threads for mode in modes for layout in layouts})


def keras_side(python, backend, threads, common):
    version = version_of(python, "keras")
    script = ["env", f"KERAS_BACKEND={backend}", python,
              ROOT / "tools/compare/keras_autoencoder.py", *common]
    return Side(f"Keras {version} on {backend}", {
        f"{count} threads, {steps} steps per execution":
            [*script, "--threads", str(count), "--steps-per-execution", str(steps)]
        for count in threads for steps in (1, 32)})


def compare_on_cpu(arguments, program, images, run_folder):
    cores = len(os.sched_getaffinity(0))
    print(f"{arguments.recipe} on {cpu_model()}, {cores} cores; "
          f"{arguments.limit or 'all'} rows, {arguments.epochs} epochs a run")
    require_images(images)
    recipe = tomllib.loads((ROOT / f"recipes/{arguments.recipe}.toml").read_text(encoding="utf-8"))
    limit = ["--limit", str(arguments.limit)] if arguments.limit else []
    shared = ["--recipe", arguments.recipe, "--epochs", str(arguments.epochs), *limit]
    common = [images, *shared, "--batch-size", str(recipe["batch-size"]),
              "--learning-rate", str(recipe.get("learning-rate", 1e-3))]
    threads = sorted({1, 2, cores // 2, cores} & set(range(1, cores + 1)))
    ours = Side("ae", {f"{count} threads": [program, "train", *shared, "--device", "cpu", "--threads",
                                            str(count), "--json", "--no-report", "--out", run_folder]
                       for count in threads})
    others = [pytorch_side(python, arguments.recipe, threads, common) for python in arguments.pytorch]
    others += [keras_side(python, backend, threads, common)
               for python in arguments.keras for backend in ("jax", "tensorflow")]
    print("the best settings of each:")
    for side in (ours, *others):
        side.choose()

    losses = {}
    print("  ".join(["round", "ae".rjust(9), *(side.name for side in others)]))
    for number in range(1, arguments.rounds + 1):
        seconds = {}
        for side in (ours, *others):
            epochs = run_epochs(side.command)
            seconds[side.name] = statistics.median(epoch["seconds"] for epoch in epochs)
            losses[side.name] = epochs[-1]["train_loss"]
        for side in others:
            side.ratios.append(seconds[side.name] / seconds["ae"])
        print("  ".join([f"{number:>5}", f"{seconds['ae']:>7.3f} s",
                         *(f"{seconds[side.name]:.3f} s, {side.ratios[-1]:.2f}".rjust(len(side.name))
                           for side in others)]), flush=True)
    print("training loss of the last epoch: " +
          ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))
    for side in others:
        print(f"{arguments.recipe}: an epoch in {side.name} takes {statistics.median(side.ratios):.2f} times "
              f"as long as in ae (median of {len(side.ratios)} rounds, {min(side.ratios):.2f} to "
              f"{max(side.ratios):.2f})")
    require_same_work(losses)


def require_same_work(losses):
    """Initial weights, shuffles and schedules differ, so losses do a little; a side that did not do
    the work would be fast and wrong."""
    if max(losses.values()) > 1.2 * min(losses.values()):
        sys.exit("compare: the sides did not learn the same: their losses differ by more than 20 %")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where to compare [cpu]")
    parser.add_argument("--recipe", choices=["simple", "deep", "sparse", "conv", "denoise", "vae"],
                        default="simple", help="the model [simple]")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each side [7]")
    parser.add_argument("--epochs", type=int, default=4, help="epochs a run, the first not counted [4]")
    parser.add_argument("--limit", type=int, help="train on the first rows only [all]")
    parser.add_argument("--pytorch", action="append", default=[], metavar="PYTHON",
                        help="compare with the PyTorch that this interpreter has; may be given again")
    parser.add_argument("--keras", action="append", default=[], metavar="PYTHON",
                        help="compare with the Keras 3 that this interpreter has, on JAX and TensorFlow")
    parser.add_argument("--ae", help="the program to time [build/release/src/ae; of build/cuda on a GPU]")
    arguments = parser.parse_args()
    if arguments.rounds < 1 or arguments.epochs < 2:
        parser.error("--rounds must be at least 1 and --epochs at least 2")
    on_gpu = arguments.device == "cuda"
    program = arguments.ae or ROOT / ("build/cuda/src/ae" if on_gpu else "build/release/src/ae")
    images = data_directory() / "mnist" / "train-images-idx3-ubyte"
    run_folder = tempfile.TemporaryDirectory(prefix="ae-compare-")

    if on_gpu:
        require_images(images)
        shared = ["--recipe", arguments.recipe, "--epochs", str(arguments.epochs), "--device", "cuda"]
        compare_on_gpu(arguments,
                       lambda: [program, "train", *shared, "--json", "--no-report", "--out", run_folder.name],
                       lambda mode: [sys.executable, ROOT / "tools/compare/pytorch_autoencoder.py", images,
                                     *shared, "--mode", mode])
    else:
        if not arguments.pytorch and not arguments.keras:
            parser.error("nothing to compare with: give --pytorch PYTHON, --keras PYTHON or both")
        compare_on_cpu(arguments, program, images, run_folder.name)


if __name__ == "__main__":
    main()
