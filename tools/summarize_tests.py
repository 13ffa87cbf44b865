#!/usr/bin/env python3
"""Reads CTest's JUnit files and prints the reasons of skipped tests, and then one line that counts.

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


def reason(case):
    """What a skipped GoogleTest case said, else CTest's own word for it."""
    output = case.findtext("system-out") or ""
    said = re.search(r"Skipped\n(.+?)\n", output)
    if said:
        return said.group(1).strip()
    mark = case.find("skipped")
    return (mark.get("message") if mark is not None else None) or case.get("status", "not run")


def all_kernels():
    """The names of the kernels that kernels/*.cu define."""
    folder = pathlib.Path(__file__).parent.parent / "kernels"
    return {
        name
        for path in folder.glob("*.cu")
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
    passed = failed = skipped = 0
    reasons = collections.Counter()
    for path in options.results:
        for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
            status = case.get("status")
            if status == "run":
                passed += 1
            elif status == "fail":
                failed += 1
                print("failed: " + case.get("name"))
            else:
                skipped += 1
                reasons[reason(case)] += 1
    for text, count in reasons.most_common():
        print(f"skipped {count}: {text}")
    line = f"{passed} passed, {failed} failed, {skipped} skipped"
    idle = set()
    if options.kernels_run:
        kernels = all_kernels()
        idle = kernels - kernels_run(options.kernels_run)
        for kernel in sorted(idle):
            print("no test ran the kernel " + kernel)
        line += f"; {len(kernels) - len(idle)} of {len(kernels)} kernels ran on the emulated device"
    print(line)
    return 1 if failed or idle or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
