"""What the command-line tests share: the program, small data files, and a reader of model files that
has nothing in common with the program's own."""

import gzip
import json
import os
import pty
import random
import struct
import subprocess
import tempfile
import unittest

AE = os.environ["AE_BINARY"]

# For tests under limits of the system. The release build runs them.
without_sanitizers = unittest.skipIf(
    os.environ.get("AE_SANITIZE"), "sanitizers need memory, threads, files and stacks of their own")


def idx(rows, shape, kind=0x08):
    """An IDX file of bytes: rows of `shape`, given as one flat sequence."""
    extents = [len(rows) // size(shape)] + list(shape)
    return struct.pack(">HBB", 0, kind, len(extents)) + struct.pack(
        f">{len(extents)}I", *extents) + bytes(rows)


def size(shape):
    product = 1
    for extent in shape:
        product *= extent
    return product


def pixels(count, seed=1):
    """`count` 4x4 images of a few patterns with noise: something to learn."""
    rng = random.Random(seed)
    patterns = [[rng.choice([0, 0, 0, 220]) for _ in range(16)] for _ in range(4)]
    flat = []
    for _ in range(count):
        flat += [max(0, min(255, value + rng.randint(-15, 15))) for value in rng.choice(patterns)]
    return flat


def npy(values, shape, dtype="<f4", fortran_order=False):
    """A .npy file of values in the order in which it holds them."""
    header = f"{{'descr': '{dtype}', 'fortran_order': {fortran_order}, 'shape': {tuple(shape)!r}, }}"
    header += " " * ((64 - (10 + len(header) + 1) % 64) % 64) + "\n"
    code = {"<f4": "f", "<f8": "d", "|u1": "B", "|b1": "?", "<i8": "q", "<f2": "e"}[dtype]
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            + struct.pack(f"<{len(values)}{code}", *values))


def read_npy(path):
    """(shape, values) of a float32 .npy file."""
    with open(path, "rb") as file:
        data = file.read()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    length = struct.unpack("<H", data[8:10])[0]
    header = eval(data[10:10 + length])  # a Python literal, as NumPy defines the format
    assert header["descr"] == "<f4" and not header["fortran_order"]
    return header["shape"], struct.unpack(f"<{size(header['shape'])}f", data[10 + length:])


def read_safetensors(path):
    """(metadata, {name: (shape, values)}), read as the format's specification says."""
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    body = data[8 + length:]
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32"
        begin, end = entry["data_offsets"]
        tensors[name] = (entry["shape"],
                         struct.unpack(f"<{size(entry['shape'])}f", body[begin:end]))
    return header["__metadata__"], tensors


class ProgramTest(unittest.TestCase):
    """A test in a folder of its own, with `data.idx` (500 images of 4x4) and `test.idx` in it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ae-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.write("data.idx", idx(pixels(500), (4, 4)))
        self.write("test.idx", idx(pixels(100, seed=1), (4, 4)))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return name

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def environment(self):
        # Nothing of the machine's own data or settings.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AE_")}
        environment["AE_DATA_DIR"] = self.path("data-dir")
        return environment

    def run_ae(self, *arguments, **options):
        return subprocess.run([AE, *arguments], cwd=self.folder, env=self.environment(),
                              capture_output=True, text=True, timeout=120, **options)

    def on_terminal(self, *arguments, **environment):
        """Runs on a terminal, with these variables besides, expects success, and returns all that was
        printed."""
        master, slave = pty.openpty()
        process = subprocess.Popen([AE, *arguments], cwd=self.folder,
                                   env=self.environment() | environment, stdout=slave, stderr=slave)
        os.close(slave)
        output = b""
        try:
            while chunk := os.read(master, 65536):
                output += chunk
        except OSError:
            pass  # Linux's way to say that the other side is closed
        os.close(master)
        self.assertEqual(process.wait(), 0, output)
        return output.decode()

    def ok(self, *arguments, **options):
        """Runs, expects success, and returns stdout."""
        done = self.run_ae(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def fails(self, code, says, *arguments, **options):
        """Runs and expects an exit code and one line of error that has each text of `says`."""
        done = self.run_ae(*arguments, **options)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        lines = done.stderr.strip().split("\n")
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("ae: error: "), lines[0])
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, lines[0])
        self.assertNotIn("std::", lines[0])
        return lines[0]

    def train(self, *arguments, out="run", epochs=2, **options):
        """Trains a small model on data.idx."""
        return self.ok("train", "--data", "data.idx", "--test-data", "test.idx", "--hidden", "4",
                       "--epochs", str(epochs), "--batch-size", "64", "--out", out, *arguments,
                       **options)

    def json_lines(self, text):
        return [json.loads(line) for line in text.splitlines()]


def gzipped(content):
    return gzip.compress(content, mtime=0)
