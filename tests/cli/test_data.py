"""Data as people have them: types and orders, ranges and scales, more rows than are wanted, other
formats."""

import json
import os
import random
import resource
import struct
import subprocess
import tomllib
import unittest
import zlib

from program import (AE, ProgramTest, gzipped, idx, npy, pixels, read_npy, read_safetensors,
                     without_sanitizers)

ROWS = 40


def uniform(low, high, rows=ROWS, seed=1):
    rng = random.Random(seed)
    return [rng.uniform(low, high) for _ in range(rows * 16)]


class DataTest(ProgramTest):
    def run_train(self, *arguments):
        return self.run_ae("train", "--hidden", "4", "--epochs", "1", "--batch-size", "16", "--out",
                           "run", "--no-report", *arguments)

    def train_notes(self, *arguments):
        """Trains, and returns the notes without their beginning."""
        return self.notes(self.run_train(*arguments))

    def notes(self, done):
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stderr.splitlines()
        for line in lines:
            self.assertTrue(line.startswith("ae: note: "), line)
        return [line[len("ae: note: "):] for line in lines]

    def output_layer(self):
        metadata, _ = read_safetensors(self.path("run/model.safetensors"))
        return json.loads(metadata["model"])["decoder"][-1]

    def training(self):
        metadata, _ = read_safetensors(self.path("run/model.safetensors"))
        return json.loads(metadata["training"])


class Types(DataTest):
    def test_the_same_numbers_in_any_type_and_order_train_the_same_model(self):
        rows = [[(7 * row + column) % 2 for column in range(16)] for row in range(ROWS)]
        c_order = [value for row in rows for value in row]
        fortran_order = [row[column] for column in range(16) for row in rows]
        tensors = []
        for dtype in ("<f4", "<f8", "<f2", "|b1", "<i8"):
            for values, is_fortran in ((c_order, False), (fortran_order, True)):
                self.write("x.npy", npy(values, (ROWS, 16), dtype, is_fortran))
                self.assertEqual(self.train_notes("--data", "x.npy"), [])
                tensors.append(read_safetensors(self.path("run/model.safetensors"))[1])
        for other in tensors[1:]:
            self.assertEqual(other, tensors[0])

    def test_bytes_of_images_in_fortran_order_are_the_same_images(self):
        flat = pixels(ROWS)
        fortran = [flat[row * 16 + 4 * y + x] for x in range(4) for y in range(4) for row in range(ROWS)]
        self.write("f.npy", npy(fortran, (ROWS, 4, 4), "|u1", True))
        self.write("c.idx", idx(flat, (4, 4)))
        self.train()
        for name in ("f.npy", "c.idx"):
            self.ok("encode", "run/model.safetensors", "--data", name, "--out", name + ".codes.npy")
        self.assertEqual(read_npy(self.path("f.npy.codes.npy")), read_npy(self.path("c.idx.codes.npy")))

    def test_an_array_of_the_shape_of_a_sample_is_one_sample(self):
        self.train()
        model = "run/model.safetensors"
        one = pixels(1)
        self.write("rows.npy", npy(one, (1, 4, 4), "|u1"))
        self.ok("encode", model, "--data", "rows.npy", "--out", "expected.npy")
        for shape in ((16,), (4, 4)):
            self.write("one.npy", npy(one, shape, "|u1"))
            self.ok("encode", model, "--data", "one.npy", "--out", "codes.npy", "--limit", "1")
            self.assertEqual(self.read("codes.npy"), self.read("expected.npy"))
            line, = self.json_lines(self.ok("evaluate", model, "--data", "one.npy", "--json"))
            self.assertEqual(line["rows"], 1)
            self.ok("reconstruct", model, "--data", "one.npy", "--out", "again.npy")
            self.assertEqual(read_npy(self.path("again.npy"))[0], (1, 4, 4))
        _, code = read_npy(self.path("expected.npy"))
        self.write("code.npy", npy(code, (4,)))
        self.ok("decode", model, "code.npy", "--out", "decoded.npy")
        self.assertEqual(self.read("decoded.npy"), self.read("again.npy"))
        self.fails(2, ["--first is 1", "one.npy", "single sample"], "reconstruct", model, "--data", "one.npy",
                   "--first", "1")
        self.write("other.npy", npy([0] * 15, (15,), "|u1"))
        self.fails(1, ["other.npy", "16"], "encode", model, "--data", "other.npy")

    def test_numbers_that_no_float_holds(self):
        self.write("large.npy", npy([0.5] * 31 + [1e300], (2, 16), "<f8"))
        for loss in ("bce", "mse"):
            line = self.fails(1, ["large.npy", "row 1, element 15", "1e+300", "float32"], "train",
                              "--data", "large.npy", "--loss", loss, "--out", "run")
            self.assertNotIn("infinite", line)


class Ranges(DataTest):
    def test_values_outside_the_unit_interval_take_identity(self):
        self.write("x.npy", npy(uniform(-3, 5), (ROWS, 16)))
        for loss in ("mse", "mae", "huber", "gaussian"):
            with self.subTest(loss):
                note, = self.train_notes("--data", "x.npy", "--loss", loss)
                for part in ("x.npy has values from -2.", "to 4.9", "identity, not sigmoid",
                             "--output-activation"):
                    self.assertIn(part, note)
                self.assertEqual(self.output_layer(), "dense 16 identity")
        # What was written repeats the run, and says nothing any more.
        first = self.read("run/model.safetensors")
        with open(self.path("run/config.toml"), "rb") as file:
            self.assertEqual(tomllib.load(file)["output-activation"], "identity")
        done = self.run_ae("train", "--config", "run/config.toml", "--out", "again")
        self.assertEqual(self.notes(done), [])
        self.assertEqual(self.read("again/model.safetensors"), first)

    def test_values_inside_keep_the_sigmoid(self):
        self.write("x.npy", npy(uniform(0, 1) + [0.0] * 15 + [1.0000001], (ROWS + 1, 16)))
        for loss in ("mse", "mae", "huber", "gaussian"):
            self.assertEqual(self.train_notes("--data", "x.npy", "--loss", loss), [])
            self.assertEqual(self.output_layer(), "dense 16 sigmoid")

    def test_recipes_and_layers_that_name_no_output(self):
        self.write("x.npy", npy(uniform(0, 255), (ROWS, 4, 4)))
        for arguments in (("--recipe", "deep"), ("--recipe", "conv"),
                          ("--encoder", "dense 4", "--decoder", "dense 16")):
            done = self.run_ae("train", "--data", "x.npy", "--loss", "mse", "--epochs", "1", "--out",
                               "run", "--no-report", *arguments)
            self.assertIn("identity", self.notes(done)[0])
            self.assertTrue(self.output_layer().endswith(" identity"))
        done = self.run_ae("bench", "--data", "x.npy", "--loss", "mse", "--hidden", "4", "--repeats", "1")
        self.assertIn("identity", self.notes(done)[0])

    def test_an_output_that_was_asked_for_and_cannot_reach_is_refused(self):
        self.write("wide.npy", npy(uniform(-3, 5), (ROWS, 16)))
        self.write("signed.npy", npy(uniform(-0.9, 0.9), (ROWS, 16)))
        give = "give --output-activation identity"
        for data, activation in (("wide.npy", "sigmoid"), ("wide.npy", "tanh"), ("wide.npy", "relu"),
                                 ("wide.npy", "softplus"), ("wide.npy", "elu"), ("wide.npy", "gelu"),
                                 ("signed.npy", "sigmoid"), ("signed.npy", "silu")):
            with self.subTest((data, activation)):
                self.fails(2, [data, f"--output-activation {activation} makes values from", give],
                           "train", "--data", data, "--loss", "mse", "--output-activation", activation,
                           "--out", "refused")
        for data, activation in (("signed.npy", "tanh"), ("signed.npy", "elu"),
                                 ("wide.npy", "leaky_relu"), ("wide.npy", "identity")):
            self.assertEqual(self.train_notes("--data", data, "--loss", "mse", "--output-activation",
                                              activation), [])
        self.fails(2, ["'dense 16 sigmoid'", "give 'dense 16 identity' in its place"], "train", "--data",
                   "wide.npy", "--loss", "mse", "--encoder", "dense 4", "--decoder", "dense 16 sigmoid",
                   "--out", "refused")
        self.write("c.toml", b"output-activation = 'sigmoid'\nloss = 'huber'\n")
        self.fails(2, give, "train", "--data", "wide.npy", "--config", "c.toml", "--out", "refused")
        self.assertFalse(os.path.exists(self.path("refused")))

    def test_the_advice_of_our_own_message_works(self):
        self.write("x.npy", npy(uniform(0, 255), (ROWS, 16)))
        line = self.fails(1, ["outside [0, 1]", "mse loss", "output activation identity"], "train",
                          "--data", "x.npy", "--out", "run")
        self.assertNotIn("or train with the mse loss\n", line + "\n")
        self.train_notes("--data", "x.npy", "--loss", "mse", "--output-activation", "identity")

    def test_rounding_is_clamped_for_bce(self):
        values = uniform(0, 1)
        clean = values[:]
        values[3], values[20] = 1.0000001, -1e-9
        clean[3], clean[20] = 1.0, 0.0
        self.write("clean.npy", npy(clean, (ROWS, 16)))
        self.assertEqual(self.train_notes("--data", "clean.npy"), [])
        expected = read_safetensors(self.path("run/model.safetensors"))[1]
        for dtype in ("<f4", "<f8"):
            self.write("x.npy", npy(values, (ROWS, 16), dtype))
            notes = self.train_notes("--data", "x.npy", "--test-data", "x.npy")
            self.assertEqual(len(notes), 2)
            for part in ("x.npy", "1e-6", "0 or 1", "2 of them"):
                self.assertIn(part, notes[0])
            self.assertEqual(read_safetensors(self.path("run/model.safetensors"))[1], expected)
        note, = self.notes(self.run_ae("evaluate", "run/model.safetensors", "--data", "x.npy"))
        self.assertIn("2 of them", note)
        self.assertEqual(self.run_train("--data", "x.npy", "--quiet").stderr, "")
        values[3] = 1.00001
        self.write("x.npy", npy(values, (ROWS, 16)))
        self.fails(1, ["x.npy", "row 0, element 3", "1.00001", "outside [0, 1]"], "train", "--data",
                   "x.npy", "--out", "other")

    def test_scales_of_training_and_test_rows(self):
        self.write("floats.npy", npy(uniform(0, 255), (ROWS, 16)))
        self.write("unit.npy", npy(uniform(0, 1), (ROWS, 16)))
        self.write("shifted.npy", npy(uniform(-1, 1), (ROWS, 16)))
        for training, test in (("floats.npy", "test.idx"), ("floats.npy", "unit.npy"),
                               ("unit.npy", "floats.npy"), ("data.idx", "floats.npy"),
                               ("shifted.npy", "test.idx"), ("data.idx", "shifted.npy")):
            with self.subTest((training, test)):
                note = self.train_notes("--data", training, "--test-data", test, "--loss", "mse",
                                        "--output-activation", "identity")
                self.assertEqual(len(note), 1)
                for part in (training, test, "one scale"):
                    self.assertIn(part, note[0])
        for training, test in (("floats.npy", "floats.npy"), ("unit.npy", "test.idx"),
                               ("data.idx", "unit.npy"), ("shifted.npy", "unit.npy")):
            with self.subTest((training, test)):
                self.assertEqual(self.train_notes("--data", training, "--test-data", test, "--loss",
                                                  "mse", "--output-activation", "identity"), [])

    def test_scales_of_a_model_and_its_data(self):
        self.write("floats.npy", npy(uniform(0, 255), (ROWS, 16)))
        self.write("unit.npy", npy(uniform(0, 1), (ROWS, 16)))
        model = "run/model.safetensors"
        commands = (("evaluate", model), ("encode", model, "--out", "c.npy"),
                    ("reconstruct", model, "--out", "r.npy"))
        for output in ("sigmoid", "identity"):
            self.train_notes("--data", "data.idx", "--loss", "mse", "--output-activation", output)
            for command in commands:
                with self.subTest((output, command)):
                    note, = self.notes(self.run_ae(*command, "--data", "floats.npy"))
                    for part in ("floats.npy", "trained on values from 0 to"):
                        self.assertIn(part, note)
                    for data in ("test.idx", "unit.npy"):
                        self.assertEqual(self.notes(self.run_ae(*command, "--data", data)), [])
        self.train_notes("--data", "floats.npy", "--loss", "mse")
        for command in commands:
            note, = self.notes(self.run_ae(*command, "--data", "test.idx"))
            self.assertIn("trained on values from 0.", note)
            self.assertIn("bytes", note)
            self.assertEqual(self.notes(self.run_ae(*command, "--data", "floats.npy")), [])

    def test_models_with_a_sigmoid_are_described_as_before(self):
        self.train()
        self.assertNotIn("data_low", self.training())
        self.train("--loss", "mse", "--output-activation", "identity")
        self.assertEqual((self.training()["data_low"], self.training()["data_high"]), ("0", "0.92156863"))


def limit_memory():
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


class Limits(DataTest):
    ROWS = 134217728  # of 16 floats: 8 GB
    THREADS = ("--threads", "1", "--device", "cpu")

    def sparse(self, name, head, size):
        with open(self.path(name), "wb") as file:
            file.write(head)
            file.truncate(len(head) + size)
        return name

    def huge_files(self):
        head = npy([], (self.ROWS, 16))
        yield self.sparse("huge.npy", head, self.ROWS * 64)
        yield self.sparse("fortran.npy", npy([], (self.ROWS, 16), "<f4", True), self.ROWS * 64)
        yield self.sparse("huge.idx", struct.pack(">HBBII", 0, 0x0D, 2, self.ROWS, 16), self.ROWS * 64)

    @without_sanitizers
    def test_little_of_a_huge_file_fits_into_little_memory(self):
        self.train()
        model = "run/model.safetensors"
        self.write("code.npy", npy([0.0] * 4, (1, 4)))
        for data in self.huge_files():
            for command in (
                    ("train", "--hidden", "4", "--epochs", "1", "--out", "limited"),
                    ("train", "--hidden", "4", "--epochs", "1", "--out", "limited", "--test-data", data),
                    ("evaluate", model), ("encode", model, "--out", "c.npy"),
                    ("reconstruct", model, "--out", "r.npy"),
                    ("bench", "--hidden", "4", "--repeats", "1")):
                with self.subTest((data, command)):
                    self.ok(*command, "--data", data, "--limit", "100", *self.THREADS,
                            preexec_fn=limit_memory)
            # The rows that are wanted are a limit as well.
            for first in ("0", "134217700"):
                self.ok("reconstruct", model, "--data", data, "--first", first, "--count", "5", "--out",
                        "r.npy", *self.THREADS, preexec_fn=limit_memory)
        codes = self.sparse("codes.npy", npy([], (self.ROWS, 4)), self.ROWS * 16)
        self.ok("decode", model, codes, "--limit", "100", "--out", "d.npy", *self.THREADS,
                preexec_fn=limit_memory)
        self.assertEqual(read_npy(self.path("d.npy"))[0], (100, 4, 4))

    def test_gzip_is_read_as_far_as_needed(self):
        """Behind the rows that are wanted the stream is damaged."""
        content = idx(random.Random(1).randbytes(16 * 50000), (4, 4))
        damaged = gzipped(content)
        damaged = damaged[:len(damaged) // 2] + bytes(1000)
        self.write("damaged.gz", damaged)
        self.fails(1, "damaged.gz", "train", "--data", "damaged.gz", "--hidden", "4", "--out", "run")
        self.train()
        model = "run/model.safetensors"
        for command in (("train", "--hidden", "4", "--epochs", "1", "--out", "other"),
                        ("evaluate", model), ("encode", model), ("reconstruct", model),
                        ("bench", "--hidden", "4", "--repeats", "1")):
            self.ok(*command, "--data", "damaged.gz", "--limit", "100")

    def test_a_known_data_set_is_read_as_far_as_needed(self):
        """Either file is damaged where nobody looks."""
        folder = os.path.join("data-dir", "mnist")
        os.makedirs(self.path(folder))
        for name, rows in (("train-images-idx3-ubyte", 60000), ("t10k-images-idx3-ubyte", 10000)):
            head = struct.pack(">HBBIII", 0, 8, 3, rows, 28, 28)
            compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
            whole = compressor.compress(head + random.Random(2).randbytes(784 * 1000)) + compressor.flush(
                zlib.Z_FULL_FLUSH)
            # So much that the claim is possible.
            self.sparse(os.path.join(folder, name + ".gz"), whole, rows)
        self.ok("train", "--limit", "50", "--hidden", "4", "--epochs", "1", "--out", "run")
        model = "run/model.safetensors"
        for split in ("train", "test"):
            line, = self.json_lines(self.ok("evaluate", model, "--limit", "60", "--split", split, "--json"))
            self.assertEqual(line["rows"], 60)
        self.ok("reconstruct", model, "--first", "20", "--count", "5")
        self.ok("bench", "--data", "mnist", "--limit", "50", "--hidden", "4", "--repeats", "1")
        # The test rows alone are enough for what looks at them alone.
        os.remove(self.path(os.path.join(folder, "train-images-idx3-ubyte.gz")))
        self.ok("evaluate", model, "--limit", "60")
        self.fails(1, ["train-images-idx3-ubyte is missing", "fetch_mnist.sh"], "evaluate", model,
                   "--limit", "60", "--split", "train")

    def test_it_bounds_the_test_rows(self):
        self.train("--limit", "30", epochs=1)
        report = self.read("run/report.html").decode()
        self.assertIn("30 training rows and 30 test rows", report)
        self.assertIn("test data", self.ok("train", "--help"))
        self.train("--limit", "300", epochs=1)
        self.assertIn("300 training rows and 100 test rows", self.read("run/report.html").decode())

    def test_what_the_limit_leaves(self):
        self.train()
        self.fails(2, ["--first is 30", "--limit 30", "rows 0 to 29"], "reconstruct",
                   "run/model.safetensors", "--data", "test.idx", "--first", "30", "--limit", "30")
        self.ok("reconstruct", "run/model.safetensors", "--data", "test.idx", "--first", "25",
                "--limit", "30", "--out", "r.npy")
        self.assertEqual(read_npy(self.path("r.npy"))[0], (5, 4, 4))
        for command in (("evaluate",), ("encode",), ("reconstruct",)):
            self.fails(2, "--limit is -3", *command, "run/model.safetensors", "--data", "test.idx",
                       "--limit", "-3")


class Formats(DataTest):
    def test_other_files_are_named_as_data_and_as_models(self):
        files = {
            "x.csv": (b"a,b\n1,2\n3,4\n", "CSV text", "np.loadtxt('x.csv', delimiter=',', skiprows=1"),
            "x.png": (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG picture", "PIL.Image"),
            "x.jpg": (b"\xff\xd8\xff\xe0" + bytes(50), "a JPEG picture", "PIL.Image"),
            "x.h5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file", "h5py.File('x.h5')"),
            "x.pkl": (b"\x80\x04\x95" + bytes(50), "a Python pickle", "pickle.load"),
            "x.parquet": (b"PAR1" + bytes(50), "a Parquet file", "pandas.read_parquet"),
            "x.txt": (b"plain text of no kind, but long enough\n", "text", "np.save"),
        }
        self.train()
        for name, (content, is_what, helps) in files.items():
            with self.subTest(name):
                self.write(name, content)
                said = [f"{name} is {is_what}", "ae reads IDX and .npy files", helps]
                self.fails(1, said, "train", "--data", name, "--out", "other")
                self.fails(1, said, "evaluate", "run/model.safetensors", "--data", name)
                self.fails(1, said, "decode", "run/model.safetensors", name)
                for command in (("info", name), ("evaluate", name), ("decode", name, name)):
                    line = self.fails(1, [f"{name} is {is_what}", "not a model"], *command)
                    self.assertNotIn("bytes", line)
        self.write("x.csv.gz", gzipped(b"1,2\n3,4\n"))
        self.fails(1, ["x.csv.gz is gzip of what is CSV text", "np.loadtxt"], "train", "--data",
                   "x.csv.gz", "--out", "other")

    def test_data_given_as_a_model(self):
        self.write("x.npy", npy([0.0] * 16, (1, 16)))
        for name, is_what in (("x.npy", "a NumPy array"), ("data.idx", "IDX data")):
            self.fails(1, [f"{name} is {is_what}, not a model"], "info", name)

    def test_images_with_the_channels_first(self):
        self.write("first.npy", npy(uniform(0, 1, rows=12), (1, 3, 8, 8)))
        self.write("last.npy", npy(uniform(0, 1, rows=12), (1, 8, 8, 3)))
        says = ["first.npy", "3x8x8", "channels-first", "save x.transpose(0, 2, 3, 1)"]
        layers = ("--encoder", "conv 4 3x3, dense 5", "--decoder",
                  "dense 192, reshape 8x8x3, conv 3 3x3")
        for arguments in (("--recipe", "conv"), layers,
                          ("--encoder", "conv 4 3x3, max_pool 2, dense 5", "--decoder", "dense 192")):
            self.fails(1, says, "train", "--data", "first.npy", "--epochs", "1", "--out", "other",
                       *arguments)
            self.fails(1, says, "bench", "--data", "first.npy", *arguments)
        # Where no layer works on images, any order is one.
        self.ok("train", "--data", "first.npy", "--hidden", "4", "--epochs", "1", "--out", "dense")
        self.ok("train", "--data", "last.npy", "--test-data", "last.npy", "--epochs", "1", "--out", "run",
                *layers)
        self.fails(1, [*says, "8x8x3"], "train", "--data", "last.npy", "--test-data", "first.npy",
                   "--epochs", "1", "--out", "other", *layers)
        for command in ("evaluate", "encode", "reconstruct"):
            self.fails(1, [*says, "8x8x3"], command, "run/model.safetensors", "--data", "first.npy",
                       *(("--out", "x.npy") if command == "reconstruct" else ()))


if __name__ == "__main__":
    unittest.main()
