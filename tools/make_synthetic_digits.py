#!/usr/bin/env python3
"""Draws a small set of made-up digits, for tests where MNIST is not at hand.

    tools/make_synthetic_digits.py tests/data/synthetic-digits-idx3-ubyte.gz

They are the digits of a seven-segment display, 28x28 and grey like MNIST's, each drawn with a pen of
its own: shifted, slanted, thicker or thinner, with joints that are a little off. No picture in it
comes from any data set.
"""

import gzip
import math
import random
import struct
import sys

ROWS = 400
SIDE = 28
SEED = 20

# Joints of the display, (x, y) with y down:
#   0 ─ 1
#   2 ─ 3
#   4 ─ 5
JOINTS = [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]
# The strokes that make each digit, from joint to joint.
DIGITS = [
    [(0, 1), (1, 5), (5, 4), (4, 0)],
    [(1, 5)],
    [(0, 1), (1, 3), (3, 2), (2, 4), (4, 5)],
    [(0, 1), (1, 5), (5, 4), (2, 3)],
    [(0, 2), (2, 3), (1, 5)],
    [(1, 0), (0, 2), (2, 3), (3, 5), (5, 4)],
    [(1, 0), (0, 4), (4, 5), (5, 3), (3, 2)],
    [(0, 1), (1, 5)],
    [(0, 1), (1, 5), (5, 4), (4, 0), (2, 3)],
    [(3, 2), (2, 0), (0, 1), (1, 5), (5, 4)],
]


def distance(x, y, a, b):
    """From (x, y) to the stroke from a to b."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    along = ((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy)
    along = min(max(along, 0), 1)
    return math.hypot(x - a[0] - along * dx, y - a[1] - along * dy)


def draw(digit, pen):
    width = pen.uniform(8, 11)
    height = pen.uniform(7.5, 9)  # of one of the two boxes
    slant = pen.uniform(-0.1, 0.25)
    left = 14 - width / 2 + pen.uniform(-1.5, 1.5)
    top = 14 - height + pen.uniform(-1.5, 1.5)
    radius = pen.uniform(0.9, 1.6)
    joints = [(left + x * width + (1 - y) * slant * height + pen.gauss(0, 0.5),
               top + y * height + pen.gauss(0, 0.5)) for x, y in JOINTS]
    strokes = [(joints[a], joints[b]) for a, b in DIGITS[digit]]
    pixels = bytearray()
    for y in range(SIDE):
        for x in range(SIDE):
            nearest = min(distance(x, y, a, b) for a, b in strokes)
            ink = min(max(radius + 0.5 - nearest, 0), 1)
            pixels.append(17 * round(15 * ink))  # sixteen greys: they compress well
    return bytes(pixels)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pen = random.Random(SEED)
    images = b"".join(draw(row % 10, pen) for row in range(ROWS))
    idx = struct.pack(">4B3I", 0, 0, 8, 3, ROWS, SIDE, SIDE) + images
    with open(sys.argv[1], "wb") as file:
        file.write(gzip.compress(idx, mtime=0))  # no time in it: the same bytes each time


if __name__ == "__main__":
    main()
