"""Dependencies point down only: what a file includes lies in its own folder or in one below."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Lowest first. Folders on one line must not include each other. Of a folder and one within it, the one
# within it counts.
FLOORS = [
    ["include/ae"],
    ["src/core", "src/io"],
    ["kernels/formulas", "src/data"],
    ["kernels/cpu", "kernels/cuda", "kernels/simt"],
    ["kernels/common"],
    ["kernels"],
    ["src/step"],
    ["src/device"],
    ["src/executors"],
    ["src/layers"],
    ["src/model"],
    ["src/train"],
    ["src/report"],
    ["src/formats"],
    ["src/cli"],
    ["bench"],
]
FLOOR = {folder: floor for floor, folders in enumerate(FLOORS) for folder in folders}

# Headers of whole models and trainings: the folders in LOW must not include them.
TALL = {"ae/train.hpp", "ae/model.hpp", "ae/infer.hpp", "ae/ae.hpp"}
LOW = ["kernels", "src/core", "src/step", "src/device", "src/executors"]


def folder_of(path):
    for folder in sorted(FLOOR, key=len, reverse=True):
        if path.is_relative_to(ROOT / folder):
            return folder
    return None


def includes():
    """(file, what it includes, as a path of this project)"""
    for top in ("include", "kernels", "src", "bench"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix not in (".hpp", ".cpp", ".cu", ".cuh"):
                continue
            for name in re.findall(r'^#include "([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE):
                for root in ("include", "src", "kernels", "bench"):
                    if (ROOT / root / name).exists():
                        yield path, name, ROOT / root / name
                        break


class IncludesTest(unittest.TestCase):
    def test_point_down(self):
        seen = 0
        for path, name, target in includes():
            here, there = folder_of(path), folder_of(target)
            seen += 1
            if here is None or here == there:
                continue
            with self.subTest(file=str(path.relative_to(ROOT)), includes=name):
                self.assertIsNotNone(there, "it lies in a folder that has no floor, see FLOORS")
                self.assertLess(FLOOR[there], FLOOR[here], f"{here} must not include {there}")
        self.assertGreater(seen, 700, "hardly any includes were found")

    def test_know_no_training_below_the_layers(self):
        for path, name, _ in includes():
            if folder_of(path) in LOW:
                with self.subTest(file=str(path.relative_to(ROOT))):
                    self.assertNotIn(name, TALL)


if __name__ == "__main__":
    unittest.main()
