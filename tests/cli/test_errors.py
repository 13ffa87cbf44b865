"""Every kind of trouble gives one clear line, the right exit code, and no half-written file."""

import json
import os
import resource
import struct
import subprocess
import unittest

from program import AE, ProgramTest, gzipped, idx, npy, pixels


class BadData(ProgramTest):
    def train_fails(self, says, name, content=None, code=1, extra=()):
        if content is not None:
            self.write(name, content)
        line = self.fails(code, says, "train", "--data", name, "--hidden", "4", "--epochs", "1",
                          "--out", "run", *extra)
        self.assertFalse(os.path.exists(self.path("run")))
        return line

    def test_missing_file(self):
        self.train_fails(["nowhere.idx", "no such file"], "nowhere.idx")

    def test_a_folder(self):
        os.mkdir(self.path("folder"))
        self.train_fails("folder", "folder")

    def test_truncated_idx(self):
        whole = idx(pixels(10), (4, 4))
        self.train_fails(["cut.idx", "byte 100"], "cut.idx", whole[:100])

    def test_a_gzip_that_is_not_one(self):
        self.train_fails(["false.gz", "not gzip"], "false.gz", b"this was never compressed")

    def test_a_cut_gzip(self):
        self.train_fails("cut.gz", "cut.gz", gzipped(idx(pixels(100), (4, 4)))[:-20])

    def test_gzip_works(self):
        self.write("data.gz", gzipped(idx(pixels(50), (4, 4))))
        self.ok("train", "--data", "data.gz", "--hidden", "4", "--epochs", "1", "--out", "run")

    def test_labels(self):
        self.train_fails(["labels", "one value a row"], "labels.idx", idx([7, 2, 1], ()))

    def test_headers_that_claim_too_much(self):
        head = struct.pack(">HBB", 0, 8, 3)
        self.train_fails("huge.idx", "huge.idx", head + struct.pack(">3I", 2**32 - 1, 28, 28))
        self.train_fails("over.idx", "over.idx", head + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1))
        self.train_fails("huge.gz", "huge.gz",
                         gzipped(head + struct.pack(">3I", 2**32 - 1, 1024, 1024) + bytes(100)))
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 16), }\n"
        self.train_fails("huge.npy", "huge.npy", b"\x93NUMPY\x01\x00" +
                         struct.pack("<H", len(header)) + header.encode())

    def test_values_outside_the_unit_interval_with_bce(self):
        values = [0.5] * 32
        values[20] = 1.5
        self.train_fails(["out.npy", "1.5", "row 1"], "out.npy", npy(values, (2, 16)))
        self.ok("train", "--data", "out.npy", "--loss", "mse", "--output-activation", "identity",
                "--hidden", "4", "--epochs", "1", "--out", "other")

    def test_nan(self):
        values = [0.5] * 32
        values[3] = float("nan")
        for loss in ("bce", "mse"):
            self.train_fails(["nan.npy", "row 0"], "nan.npy", npy(values, (2, 16)),
                             extra=("--loss", loss))

    def test_test_data_of_another_shape(self):
        self.write("other.idx", idx([0] * 25, (5, 5)))
        self.fails(1, ["other.idx", "25", "16"], "train", "--data", "data.idx", "--test-data",
                   "other.idx", "--hidden", "4", "--out", "run")

    def test_rows_that_do_not_fit_the_model(self):
        """To the library's callers a usage error; here they come from a file, as other bad data."""
        self.train()
        self.write("other.idx", idx([0] * 25, (5, 5)))
        for command in ("encode", "evaluate", "reconstruct"):
            self.fails(1, ["other.idx", "25", "16"], command, "run/model.safetensors", "--data",
                       "other.idx")
        self.write("codes.npy", npy([0.5] * 6, (2, 3)))
        self.fails(1, ["codes.npy", "codes of 3 numbers"], "decode", "run/model.safetensors",
                   "codes.npy")

    def test_divergence(self):
        self.fails(1, ["diverged", "learning rate"], "train", "--data", "data.idx", "--hidden", "4",
                   "--loss", "mse", "--output-activation", "identity", "--learning-rate", "1e30",
                   "--epochs", "5", "--out", "run")

    def test_known_data_that_are_not_there(self):
        self.fails(1, ["mnist", "tools/fetch_mnist.sh"], "train", "--out", "run")


class BadRequest(ProgramTest):
    def test_unknown_options_and_commands_suggest_the_nearest(self):
        self.fails(2, ["--epoch", "did you mean --epochs"], "train", "--epoch", "3")
        self.fails(2, ["--batchsize", "--batch-size"], "train", "--batchsize=3")
        self.fails(2, ["'trian'", "did you mean ae train"], "trian")
        self.fails(2, "--zzz", "train", "--zzz")
        self.fails(2, "one argument too many", "train", "data.idx")

    def test_arguments_that_are_missing(self):
        for command in ("evaluate", "encode", "decode", "reconstruct"):
            self.fails(2, "MODEL is missing", command)
        self.fails(2, "CODES is missing", "decode", "model.safetensors")

    def test_values_that_make_no_sense(self):
        for arguments, says in (
                (("--epochs", "abc"), "--epochs"),
                (("--epochs", "-1"), "epochs is -1"),
                (("--batch-size", "0"), "batch size is 0"),
                (("--learning-rate", "0"), "learning rate is 0"),
                (("--learning-rate", "nan"), "--learning-rate is 'nan', it must be a finite number"),
                (("--beta1", "1"), "beta1 is 1"),
                (("--epsilon", "0"), "epsilon is 0"),
                (("--threads", "-2"), "threads is -2"),
                (("--limit", "-2"), "--limit is -2"),
                (("--hidden", "32,,4"), "--hidden is '32,,4'"),
                (("--hidden", "0"), "'dense 0 relu' would make 0"),
                (("--hidden", "99999999999999999999"), "--hidden"),
                (("--activation", "rleu"), "rleu"),
                (("--loss", "l3"), "bce, mse"),
                (("--reduction", "max"), "mean, sum"),
                (("--optimizer", "sgdd"), "adam, adamw, sgd"),
                (("--momentum", "1"), "momentum is 1"),
                (("--weight-decay", "-1"), "weight decay is -1"),
                (("--device", "tpu"), "'tpu'"),
                (("--output-activation", "relu"), "sigmoid"),
                (("--json", "--quiet"), "contradict")):
            with self.subTest(arguments):
                self.fails(2, says, "train", "--data", "data.idx", "--out", "run", *arguments)

    def test_cuda_where_there_is_none(self):
        """Without a GPU the error says what is missing: the driver, the card, or CUDA in the build."""
        devices = json.loads(self.ok("info", "--json"))["devices"]
        gpus = [device for device in devices if device["name"].startswith("cuda")]
        if gpus[0]["usable"]:
            self.fails(1, f"there is no GPU {len(gpus)}", "train", "--data", "data.idx", "--device",
                       f"cuda:{len(gpus)}")
            return
        self.assertRegex(gpus[0]["why_not"], "^(no GPU: .+|this build has no CUDA backend .+)$")
        for device in ("cuda", "cuda:1"):
            self.fails(1, [device, gpus[0]["why_not"]], "train", "--data", "data.idx", "--device",
                       device)

    def test_what_only_gpus_know(self):
        for option, value in (("--precision", "tf32"), ("--gemm", "cublaslt"),
                              ("--convolution", "cudnn")):
            self.fails(2, [value, "GPU"], "train", "--data", "data.idx", "--device", "cpu", option,
                       value)
            self.fails(2, "no-such-thing", "train", "--data", "data.idx", option, "no-such-thing")
        if "cuDNN" not in json.loads(self.ok("info", "--json"))["libraries"]:
            self.fails(2, ["cuDNN", "-DAE_CUDNN=ON"], "train", "--data", "data.idx", "--convolution",
                       "cudnn")
        self.fails(2, "GPU memory", "train", "--data", "data.idx", "--gpu-memory", "-1")
        self.fails(2, "abacus", "train", "--data", "data.idx", "--device", "check:abacus")


class BadPlaces(ProgramTest):
    def test_a_folder_that_cannot_be_made(self):
        self.fails(1, ["data.idx/run", "--out"], "train", "--data", "data.idx", "--out",
                   "data.idx/run")

    def test_a_file_that_cannot_be_written(self):
        self.train()
        before = self.read("run/model.safetensors")
        self.fails(1, "nowhere/codes.npy", "encode", "run/model.safetensors", "--out",
                   "nowhere/codes.npy")
        self.assertEqual(self.read("run/model.safetensors"), before)

    def test_a_full_disk(self):
        """A limit on file sizes, below the model's, fails writes as a full disk does."""
        self.train()
        before = self.read("run/model.safetensors")

        def limit_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

        self.fails(1, "run/model.safetensors", "train", "--data", "data.idx", "--hidden", "40",
                   "--epochs", "1", "--seed", "2", "--out", "run", preexec_fn=limit_files)
        self.assertEqual(self.read("run/model.safetensors"), before)
        self.assertEqual([name for name in os.listdir(self.path("run")) if "tmp" in name.lower()], [])

    def test_a_full_stdout(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([AE, "info"], stdout=full, stderr=subprocess.PIPE, text=True,
                                  env=self.environment(), timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("ae: error: the output cannot be written", done.stderr)


if __name__ == "__main__":
    unittest.main()
