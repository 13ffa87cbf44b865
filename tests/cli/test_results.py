"""What is shown at the end: figures that mean something, pictures that can be looked at, files that
are what they are called, text that a terminal does not obey."""

import json
import os
import random
import resource
import struct
import subprocess
import unittest
import zlib

from program import AE, ProgramTest, idx, npy, pixels, read_npy, without_sanitizers


def png_size(content):
    return struct.unpack(">II", content[16:24])


def png_pixels(content):
    """The rows of an 8-bit grey PNG."""
    width, height = png_size(content)
    data, at = b"", 8
    while at < len(content):
        length, kind = struct.unpack(">I4s", content[at:at + 8])
        if kind == b"IDAT":
            data += content[at + 8:at + 8 + length]
        at += length + 12
    data = zlib.decompress(data)
    rows, before = [], bytes(width)
    for y in range(height):
        line = data[y * (width + 1):(y + 1) * (width + 1)]
        row = bytearray(line[1:])
        for x in range(width):
            left, up, corner = (row[x - 1], before[x], before[x - 1]) if x else (0, before[x], 0)
            near = min((abs(left + up - corner - value), order, value)
                       for order, value in enumerate((left, up, corner)))[2]
            row[x] = row[x] + (0, left, up, (left + up) // 2, near)[line[0]] & 255
        rows.append(bytes(row))
        before = row
    return rows


class Quotients(ProgramTest):
    def summary(self, *arguments):
        text = self.ok("train", "--hidden", "4", "--epochs", "1", "--out", "run", *arguments)
        for word in ("nan", "inf", "-0.0 %"):
            self.assertNotIn(word, text)
        self.assertNotRegex(text, r"-\d[\d.]* %")
        return text

    def test_worse_than_the_mean_is_said_in_words(self):
        # Constant rows: always answering their mean is as good as can be.
        self.write("constant.npy", npy([0.3] * 16 * 50, (50, 16)))
        text = self.summary("--data", "constant.npy", "--test-data", "constant.npy", "--loss", "mse")
        self.assertRegex(text, "worse than that|no gap between them")
        self.assertNotIn("of that gap closed", text)
        text = self.summary("--data", "data.idx", "--test-data", "test.idx", "--learning-rate", "1e-9",
                            "--seed", "3")
        self.assertIn("the model is worse than that", text)
        self.assertIn("The model is worse than that.", self.read("run/report.html").decode())

    def test_black_rows(self):
        self.write("black.idx", idx([0] * 16 * 50, (4, 4)))
        self.summary("--data", "black.idx", "--test-data", "black.idx")

    def test_a_gap_that_is_closed_is_a_percentage(self):
        text = self.train(epochs=30)
        self.assertRegex(text, r"floor [\d.]+, mean image [\d.]+: \d+\.\d % of that gap closed")

    def test_no_epoch_has_no_loss(self):
        text = self.summary("--data", "data.idx", "--epochs", "0")
        self.assertNotIn("train loss", text)
        self.assertIn("0 epochs in", text)
        self.summary("--data", "data.idx", "--test-data", "test.idx", "--epochs", "0")

    def test_no_epoch_of_a_variational_model(self):
        for test in ((), ("--test-data", "test.idx")):
            text = self.ok("train", "--encoder", "gaussian 2", "--epochs", "0", "--data", "data.idx",
                           "--out", "run", *test)
            self.assertNotIn("nan", text)
            self.assertNotRegex(self.read("run/report.html").decode().split("base64")[0], r"\bnan\b")

    def test_as_many_components_as_columns_lose_nothing(self):
        self.ok("train", "--data", "data.idx", "--test-data", "test.idx", "--hidden", "16", "--epochs",
                "1", "--out", "run")
        report = self.read("run/report.html").decode()
        self.assertIn("as many numbers as a row has values, 16", report)
        self.assertNotIn("PCA (16)", report)

    def test_one_row(self):
        self.write("one.idx", idx(pixels(1), (4, 4)))
        self.summary("--data", "one.idx", "--test-data", "one.idx")
        self.ok("bench", "--data", "one.idx", "--hidden", "2", "--repeats", "1")


class Pictures(ProgramTest):
    def test_sorted_rows_are_evenly_spread(self):
        # Row i is grey i / 2: of 500, the picture has the rows 0, 25, 50, …
        self.write("sorted.idx", idx([i // 2 for i in range(500) for _ in range(16)], (4, 4)))
        self.ok("train", "--data", "sorted.idx", "--hidden", "2", "--epochs", "1", "--out", "run",
                "--no-report")
        rows = png_pixels(self.read("run/reconstructions.png"))
        size, gutter, hairline, gap = 12, 6, 2, 18
        greys = [rows[gutter + line * (2 * size + hairline + gap) + 1]
                 [gutter + column * (size + gutter) + 1]
                 for line in range(2) for column in range(10)]
        self.assertEqual(greys, [i * 25 // 2 for i in range(20)])

    def test_many_codes_make_a_square_picture(self):
        self.train()
        model = "run/model.safetensors"
        rng = random.Random(1)
        self.write("codes.npy", npy([rng.random() for _ in range(4 * 10000)], (10000, 4)))
        text = self.ok("decode", model, "codes.npy", "--out", "few.png")
        self.assertRegex(text, "400 samples of 4x4 .*\nthese are the first of 10,000, --limit")
        width, height = png_size(self.read("few.png"))
        self.assertEqual(width, height)
        text = self.ok("decode", model, "codes.npy", "--out", "all.png", "--limit", "10000")
        self.assertNotIn("first of", text)
        width, height = png_size(self.read("all.png"))
        self.assertEqual(width, height)
        self.assertGreater(width, 100 * 8)
        self.ok("decode", model, "codes.npy", "--out", "line.png", "--limit", "30", "--columns", "30")
        width, height = png_size(self.read("line.png"))
        self.assertGreater(width, 20 * height)
        self.ok("reconstruct", model, "--out", "pairs.png", "--count", "500")
        width, height = png_size(self.read("pairs.png"))
        self.assertLess(max(width, height), 1.5 * min(width, height))
        self.ok("decode", model, "codes.npy", "--out", "all.npy")
        self.write("none.npy", npy([], (0, 4)))
        self.fails(1, "none.npy holds no codes", "decode", model, "none.npy", "--out", "none.png")
        self.assertEqual(os.path.getsize(self.path("all.npy")), 128 + 4 * 16 * 10000)

    def test_vectors_are_lines(self):
        rng = random.Random(1)
        self.write("vectors.npy", npy([rng.random() for _ in range(16 * 100)], (100, 16)))
        text = self.ok("train", "--data", "vectors.npy", "--hidden", "4", "--epochs", "1", "--out", "run")
        self.assertFalse(os.path.exists(self.path("run/reconstructions.png")))
        self.assertIn("these rows are no images", text)
        report = self.read("run/report.html").decode()
        self.assertNotIn("data:image/png", report)
        self.assertEqual(report.count('<path class="reconstruction"'), 20)


class Reports(ProgramTest):
    def report(self, *arguments):
        self.text = self.ok("train", "--data", "data.idx", "--test-data", "test.idx", "--epochs", "2",
                            "--out", "run", *arguments)
        return self.read("run/report.html").decode()

    def test_of_a_variational_model(self):
        report = self.report("--encoder", "dense 8, gaussian 3", "--reduction", "sum", "--beta", "0.5",
                             "--kl-warm-up", "1", "--free-bits", "0.1")
        self.assertRegex(report, r"the reconstruction, <b>[\d.]+</b>, and &beta; = 0\.5 times the KL "
                                 r"divergence .*<b>[\d.]+</b> nats a sample\.")
        for part in ("Samples from the prior", '<th scope="col">Training KL</th>', ">β<", "from 0 over 1 epochs",
                     "0.1 nats a unit"):
            self.assertIn(part, report)
        self.assertEqual(report.count("data:image/png;base64,"), 2)

    def test_of_a_variational_model_without_test_rows(self):
        self.ok("train", "--data", "data.idx", "--encoder", "gaussian 3", "--epochs", "1", "--out", "run")
        report = self.read("run/report.html").decode()
        self.assertRegex(report, r"<b>[\d.]+</b> nats a sample, divided by the 16 values of a sample")

    def test_of_a_variational_model_of_vectors(self):
        rng = random.Random(1)
        self.write("vectors.npy", npy([rng.random() for _ in range(16 * 100)], (100, 16)))
        self.ok("train", "--data", "vectors.npy", "--encoder", "gaussian 2", "--epochs", "1", "--out",
                "run")
        report = self.read("run/report.html").decode()
        self.assertIn("Samples from the prior", report)
        self.assertEqual(report.count('<path class="original"'), 40)

    def test_of_a_sparse_code(self):
        report = self.report("--hidden", "4", "--code-l1", "1e-3")
        self.assertRegex(report, r"a penalty of <b>[\d.]+</b> in the last epoch")
        self.assertIn('<th scope="col">Penalty</th>', report)
        self.assertIn("0.001 · Σ|code|", report)
        self.assertRegex(self.text, r"\npenalty [\d.]+ in the last epoch")
        report = self.report("--encoder", "dense 4 sigmoid", "--code-kl", "0.1", "--code-target", "0.2")
        self.assertIn("0.1 · KL(0.2 ‖ mean activation)", report)


class Names(ProgramTest):
    def test_other_endings_are_refused(self):
        self.train()
        model = "run/model.safetensors"
        for arguments in (("encode", model, "--out", "c.tsv"), ("encode", model, "--out", "c.png"),
                          ("encode", model, "--out", "codes"), ("evaluate", model, "--per-row", "l.png"),
                          ("evaluate", model, "--per-row", "l.txt")):
            with self.subTest(arguments):
                self.fails(2, [f"{arguments[2]} is {arguments[3]}", ".npy or .csv"], *arguments)
                self.assertFalse(os.path.exists(self.path(arguments[3])))
        self.ok("encode", model, "--out", "C.NPY")
        self.ok("reconstruct", model, "--out", "R.PNG")

    def test_csv_has_the_numbers_of_npy(self):
        self.train()
        model = "run/model.safetensors"
        self.ok("encode", model, "--out", "codes.npy")
        for name, arguments in (("codes", ("encode", model, "--out")),
                                ("losses", ("evaluate", model, "--per-row")),
                                ("decoded", ("decode", model, "codes.npy", "--out")),
                                ("outputs", ("reconstruct", model, "--out"))):
            with self.subTest(name):
                self.ok(*arguments, name + ".npy")
                self.ok(*arguments, name + ".csv")
                shape, values = read_npy(self.path(name + ".npy"))
                with open(self.path(name + ".csv"), encoding="ascii") as file:
                    rows = [[float(text) for text in line.split(",")] for line in file]
                self.assertEqual(len(rows), shape[0])
                as_floats = struct.pack(f"<{len(values)}f", *(value for row in rows for value in row))
                self.assertEqual(as_floats, struct.pack(f"<{len(values)}f", *values))

    def test_data_that_the_model_remembers_are_not_here(self):
        self.train()
        os.mkdir(self.path("elsewhere"))
        for command in ("evaluate", "encode", "reconstruct"):
            done = subprocess.run([AE, command, "../run/model.safetensors"], text=True,
                                  cwd=self.path("elsewhere"), env=self.environment(),
                                  capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 1)
            for part in ("data.idx", "what the model records", "--data"):
                self.assertIn(part, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)
        self.assertNotIn("records", self.fails(1, "nowhere.idx", "evaluate", "run/model.safetensors",
                                               "--data", "nowhere.idx"))

    def test_files_that_are_no_models(self):
        for name, content, says in (
                ("table.csv", b"0.1,0.2,0.3\n" * 9, "CSV text"),
                ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "a PNG picture"),
                ("model.h5", b"\x89HDF\r\n\x1a\n" + bytes(40), "an HDF5 file"),
                ("model.pt", b"PK\x03\x04" + b"\x08" * 40, "a zip archive"),
                ("model.pkl", b"\x80\x04\x95" + b"\x08" * 40, "a Python pickle"),
                ("data.npy", npy([0.5] * 16, (1, 16)), "a NumPy array"),
                ("test.idx", None, "IDX data")):
            with self.subTest(name):
                if content is not None:
                    self.write(name, content)
                line = self.fails(1, [f"{name} is {says}", "not a model", "ae train"], "info", name)
                self.assertNotIn("bytes", line)


class Terminals(ProgramTest):
    def with_record(self, **record):
        """A model whose record of its training says what we like, with the right checksum."""
        self.train("--no-report")
        whole = self.read("run/model.safetensors")
        length, = struct.unpack("<Q", whole[:8])
        header = json.loads(whole[8:8 + length])
        training = json.loads(header["__metadata__"]["training"])
        training.update(record)
        header["__metadata__"]["training"] = json.dumps(training)
        header["__metadata__"]["crc32"] = "0" * 8
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        body = whole[8 + length:]
        crc = zlib.crc32(struct.pack("<Q", len(text)) + text + body)
        text = text.replace(b'"crc32":"00000000"', b'"crc32":"%08x"' % crc)
        return self.write("model.safetensors", struct.pack("<Q", len(text)) + text + body)

    def test_what_a_model_says_is_not_obeyed(self):
        evil = "\x1b]0;owned\x07\x1b[2J\r\n\x9b31m\x7f"
        model = self.with_record(data=evil, loss="bce", ae_version=evil, **{evil: "x"})
        for arguments in (("info", model), ("evaluate", model, "--data", "test.idx"),
                          ("evaluate", model), ("encode", model), ("reconstruct", model)):
            with self.subTest(arguments):
                done = self.run_ae(*arguments)
                for character in "\x1b\x07\r\x9b\x7f":
                    self.assertNotIn(character, done.stdout + done.stderr)
        self.assertEqual(self.run_ae("evaluate", model).stderr.count("\n"), 1)
        model = self.with_record(loss="\x1b[2J")
        self.assertNotIn("\x1b", self.fails(2, "[2J", "evaluate", model, "--data", "test.idx"))

    def test_numbers_of_a_record_are_numbers(self):
        model = self.with_record(noise="gaussian", noise_amount="0.5x")
        self.fails(2, ["noise_amount in the record of model.safetensors is '0.5x'"], "evaluate", model,
                   "--data", "test.idx")

    def test_a_dumb_terminal_gets_no_escapes(self):
        self.write("big.idx", idx(pixels(500) * 400, (4, 4)))
        arguments = ("train", "--data", "big.idx", "--hidden", "64,32", "--batch-size", "8", "--epochs",
                     "1", "--out", "run", "--no-report")
        text = self.on_terminal(*arguments, TERM="dumb")
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\r", text.replace("\r\n", "\n"))
        self.assertIn("epoch 1/1  train loss", text)
        self.assertIn("\x1b", self.on_terminal(*arguments, TERM="xterm"))


class Stacks(ProgramTest):
    @without_sanitizers
    def test_a_small_stack_is_enough(self):
        def limit_stack():
            resource.setrlimit(resource.RLIMIT_STACK, (128 * 1024, 128 * 1024))

        rng = random.Random(1)
        self.write("images.idx", idx(rng.randbytes(784 * 300), (28, 28)))
        common = ("--data", "images.idx", "--test-data", "images.idx", "--epochs", "1", "--quiet")
        for arguments in (("--hidden", "32"), ("--hidden", "300"), ("--recipe", "vae"),
                          ("--recipe", "conv", "--limit", "100")):
            with self.subTest(arguments):
                self.ok("train", *common, *arguments, "--out", "run", preexec_fn=limit_stack)
        self.ok("evaluate", "run/model.safetensors", "--data", "images.idx", "--limit", "50",
                preexec_fn=limit_stack)
        self.ok("train", *common, "--hidden", "4", "--limit", "20", "--device", "simt", "--out", "simt",
                preexec_fn=limit_stack)


if __name__ == "__main__":
    unittest.main()
