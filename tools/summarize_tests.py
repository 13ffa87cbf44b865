#!/usr/bin/env python3
"""Reads CTest's JUnit files and prints the reasons of skipped tests, and then one line that counts.

Usage: summarize_tests.py RESULT.xml…
Exits with 1 if a test failed or none ran.
"""

import collections
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


def main(paths):
    passed = failed = skipped = 0
    reasons = collections.Counter()
    for path in paths:
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
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
