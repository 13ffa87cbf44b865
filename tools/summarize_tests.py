#!/usr/bin/env python3
"""Reads CTest's JUnit files and prints the reasons of skipped tests, and then one line that counts.

A CTest test that is a share of a GoogleTest program (ae_tests.7) left its own results beside the
JUnit file, in test-results/ae_tests.7.xml; its cases are counted one by one.

Usage: summarize_tests.py [--kernels-run NAMES.txt] RESULT.xml…

  --kernels-run   the names of the kernels that ran on the emulated device, one a line: those in
                  kernels/*.cu that are not among them are named and count as a failure

Exits with 1 if a test failed, a kernel did not run, or no test ran.
"""

import argparse
import collections
import pathlib
import re
import sys
import xml.etree.ElementTree


class Counts:
    """How many cases passed, failed and were skipped, and why those were."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.reasons = collections.Counter()

    def fail(self, name):
        self.failed += 1
        print("failed: " + name)

    def skip(self, why):
        self.skipped += 1
        self.reasons[why] += 1

    def add_program(self, path):
        """The cases of one GoogleTest program. Returns how many of them failed."""
        failed_before = self.failed
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            if case.get("status") == "notrun":  # disabled, or another share's
                continue
            if case.find("failure") is not None:
                self.fail(f"{case.get('classname')}.{case.get('name')}")
            elif case.get("result") == "skipped":
                message = case.find("skipped").get("message")
                self.skip(message.split("\n", 1)[-1].strip())  # after the place in the source
            else:
                self.passed += 1
        return self.failed - failed_before

    def add_ctest(self, path):
        """All tests of one run of CTest."""
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            name, status = case.get("name"), case.get("status")
            program = pathlib.Path(path).parent / "test-results" / (name + ".xml")
            if program.exists():
                failed = self.add_program(program)
                if status == "fail" and not failed:
                    self.fail(name + ", after its last case")
            elif status == "run":
                self.passed += 1
            elif status == "fail":
                self.fail(name)
            else:
                mark = case.find("skipped")
                self.skip((mark.get("message") if mark is not None else None) or status)


def all_kernels():
    """The names of the kernels that kernels/*/*.cu define."""
    folder = pathlib.Path(__file__).parent.parent / "kernels"
    return {
        name
        for path in folder.glob("*/*.cu")
        for name in re.findall(r"__global__[^;{]*?(\w+_kernel)\s*\(", path.read_text(encoding="utf-8"))
    }


def kernels_run(path):
    """Their names without template arguments, as launches noted them."""
    file = pathlib.Path(path)
    noted = file.read_text(encoding="utf-8") if file.exists() else ""
    return set(re.findall(r"\w+_kernel\b", noted))


def main(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernels-run")
    parser.add_argument("results", nargs="+")
    options = parser.parse_args(arguments)
    counts = Counts()
    for path in options.results:
        counts.add_ctest(path)
    for text, count in counts.reasons.most_common():
        print(f"skipped {count}: {text}")
    line = f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped"
    idle = set()
    if options.kernels_run:
        kernels = all_kernels()
        idle = kernels - kernels_run(options.kernels_run)
        for kernel in sorted(idle):
            print("no test ran the kernel " + kernel)
        line += f"; {len(kernels) - len(idle)} of {len(kernels)} kernels ran on the emulated device"
    print(line)
    return 1 if counts.failed or idle or not counts.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
