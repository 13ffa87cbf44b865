#!/usr/bin/env python3
"""Runs the compiled CUDA program and its tests where a program imitates a GPU, in several orders of
whatever CUDA leaves open, and judges the reports: no error, no warning, no leak, no read of memory
that nothing wrote, no training step of more nodes than promised. An imitation uses one core, so as
many runs go on at a time as there are cores, the longest first.

Usage: .ci/virtual_gpu.py RUNNER

  RUNNER   is called as RUNNER PROGRAM ARGUMENT…; the build preset `virtual` makes programs for it

Closes with "virtual-gpu: N passed, N failed", runs of a program being counted.
"""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/virtual"
SEEDS = (1, 2, 3)
# Of the operations' tests, in all orders but the first, those that go through many shapes are left
# out: an imitation takes minutes for each.
MANY_SHAPES = "*AtEverySize*:*AtEveryShape*"
MOST_NODES_A_STEP = 10


def faults(report):
    """Lines, one for each thing that a run's report holds against it."""
    for message in report["error_messages"] + report["warning_messages"]:
        yield message
    if report["uninitialised_reads"]:
        yield f"{report['uninitialised_reads']} reads of memory that nothing wrote"
    for what, count in report["leaks"].items():
        if what != "list" and count:
            yield f"leaked {what}: {count}"
    if not report["kernels"]:
        yield "no kernel ran"


def run(runner, name, seed, command, most_nodes):
    """Returns whether the program ended well and nothing is held against it, and what to print: one
    line, and if not also the end of the program's output."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report_path = pathlib.Path(folder) / "report.json"
        environment = dict(os.environ, AE_REQUIRE_GPU="1", FAKECUDA_SEED=str(seed),
                           FAKECUDA_RACECHECK="1", FAKECUDA_INITCHECK="1",
                           FAKECUDA_REPORT=str(report_path))
        done = subprocess.run([runner, *command, *(["--out", folder] if "train" in command else [])],
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, cwd=ROOT)
        report = json.loads(report_path.read_text()) if report_path.exists() else None
    wrong = [f"exit status {done.returncode}"] if done.returncode else []
    wrong += faults(report) if report else ["no report was written"]
    nodes = report["nodes_per_graph"] if report else []
    if most_nodes and (not nodes or max(nodes) > most_nodes):
        wrong.append(f"graphs of {nodes} nodes, a step has at most {most_nodes}")
    launched = sum(kernel["launches"] for kernel in report["kernels"]) if report else 0
    text = (f"{name}, seed {seed}: {'FAILED: ' + '; '.join(wrong) if wrong else 'passed'} "
            f"({launched} kernel launches, {time.monotonic() - start:.0f} s)")
    return not wrong, text + ("\n" + done.stdout[-4000:] if wrong else "")


def runs():
    """(name, seed, command, nodes at most) of each run, the longest first."""
    tests = [BUILD / "tests/ae_tests"]
    train = [BUILD / "src/ae", "train", "--limit", "600", "--epochs", "2", "--no-report"]
    for seed in SEEDS:
        left_out = "" if seed == SEEDS[0] else f"-{MANY_SHAPES}"
        yield ("operations, steps, trainings", seed,
               [*tests, "--gtest_filter=*cuda*:Gpu.*" + left_out], None)
    for seed in SEEDS:
        yield "what only a GPU has", seed, [BUILD / "tests/ae_cuda_test"], None
        yield "ae train", seed, [*train, "--device", "cuda"], MOST_NODES_A_STEP
        yield "ae train beside the CPU", seed, [*train, "--device", "check"], None


def main(runner):
    subprocess.run([ROOT / "tools/build.sh", "virtual", "-DAE_BUILD_TESTS=ON"], check=True)
    # Its first call builds the imitation.
    subprocess.run([runner, BUILD / "src/ae", "--version"], check=True, stdout=subprocess.DEVNULL)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = [pool.submit(run, runner, name, seed, [str(word) for word in command], most_nodes)
                   for name, seed, command, most_nodes in runs()]
        for done in concurrent.futures.as_completed(waiting):
            went_well, text = done.result()
            print(text, flush=True)
            passed += went_well
            failed += not went_well
    print(f"virtual-gpu: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
