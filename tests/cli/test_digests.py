"""Compares the bits of trained models with recorded digests, so that a refactoring changes no number.
Together the sets below use every kind of layer, activation, loss, optimiser, noise and schedule,
clipping, averaging, tying and every part of the objective. Each writes its options out in full, so that
a new default does not matter.

The emulated device's digests hold everywhere but for the C library's functions. The CPU's hold for an instruction set, a version of oneDNN
and the instruction set that oneDNN uses; other machines skip them. To record digests on such a machine,
or after a change of bits that CHANGELOG.md names:

  cd tests/cli && AE_RECORD_DIGESTS=1 AE_BINARY=$OLDPWD/build/release/src/ae python3 -m unittest test_digests"""

import hashlib
import json
import os
import platform
import unittest

from program import ProgramTest, npy, without_sanitizers

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "model_digests.json")

COMMON = ["--epochs", "2", "--seed", "5", "--learning-rate", "0.003", "--beta1", "0.9", "--beta2", "0.999",
          "--epsilon", "1e-7", "--momentum", "0.9", "--rho", "0.9", "--code-target", "0.05"]
ADAM = ["--optimizer", "adam", "--weight-decay", "0"]

# name: (data, options)
SETS = {
    "simple": ("bytes", ["--encoder", "dense 32 relu", "--decoder", "dense 168 sigmoid", "--loss", "bce",
                         "--reduction", "mean", "--batch-size", "64", *ADAM]),
    "deep": ("bytes", ["--encoder", "dense 65 gelu, dense 33 silu, dense 9 identity", "--decoder",
                       "dense 33 softplus, dense 65 elu, dense 168 sigmoid", "--loss", "bce", "--reduction",
                       "sum", "--batch-size", "50", "--optimizer", "rmsprop", "--weight-decay", "0",
                       "--clip-norm", "5", "--ema", "0.99"]),
    "tied": ("bytes", ["--encoder", "dense 40 tanh, dense 17 leaky_relu", "--decoder",
                       "dense 40 tied tanh, dense 168 tied sigmoid", "--loss", "mse", "--reduction", "mean",
                       "--batch-size", "64", "--optimizer", "sgd", "--weight-decay", "1e-4"]),
    "sparse": ("bytes", ["--encoder", "dense 48 sigmoid", "--decoder", "dense 168 sigmoid", "--loss", "bce",
                         "--reduction", "sum", "--code-l1", "0.01", "--code-kl", "0.5", "--batch-size", "37",
                         *ADAM]),
    "top_k": ("bytes", ["--encoder", "dense 64 silu, dense 40 relu, top_k 7", "--decoder",
                        "dense 168 sigmoid", "--loss", "bce", "--reduction", "mean", "--code-l1", "0.001",
                        "--batch-size", "64", "--optimizer", "adadelta", "--weight-decay", "0"]),
    "top_k, gelu": ("bytes", ["--encoder", "dense 40 gelu, top_k 5", "--decoder", "dense 168 sigmoid", "--loss",
                              "bce", "--reduction", "mean", "--batch-size", "300", *ADAM]),
    "variational": ("bytes", ["--encoder", "dense 60 relu, gaussian 9", "--decoder",
                              "dense 60 relu, dense 168 sigmoid", "--loss", "bce", "--reduction", "sum",
                              "--beta", "0.5", "--free-bits", "0.1", "--kl-warm-up", "1", "--batch-size",
                              "64", *ADAM]),
    "norms": ("bytes", ["--encoder",
                        "dense 60 elu, layer_norm relu, dropout 0.3, dense 20 softplus, batch_norm tanh",
                        "--decoder", "dropout 0.1, dense 50 leaky_relu, layer_norm identity, "
                        "batch_norm gelu, dense 168 sigmoid", "--loss", "bce", "--reduction", "mean",
                        "--batch-size", "64", "--optimizer", "nesterov", "--weight-decay", "0"]),
    "prelu": ("bytes", ["--encoder", "conv 3 3x3 identity, prelu, max_pool 2, dense 21 identity, prelu", "--decoder",
                        "dense 40 identity, prelu, dense 168 sigmoid", "--loss", "bce", "--reduction", "mean",
                        "--batch-size", "50", *ADAM]),
    "images": ("bytes", ["--encoder", "conv 5 3x3 same relu, max_pool 2, conv 4 3x3 stride 2 same gelu, "
                         "flatten, dense 20 relu", "--decoder", "dense 48 relu, reshape 3x4x4, upsample 2, "
                         "conv 6 3x3 valid silu, batch_norm relu, transposed_conv 5 4x3 stride 2 valid elu, "
                         "transposed_conv 3 4x2 valid relu, flatten, dense 168 sigmoid", "--loss", "bce",
                         "--reduction", "mean", "--noise", "gaussian", "--noise-amount", "0.2",
                         "--schedule", "cosine", "--schedule-floor", "1e-5", "--warm-up", "1",
                         "--batch-size", "50", *ADAM]),
    "images to the end": ("bytes", ["--encoder", "conv 4 3x3 stride 2 same relu, layer_norm tanh", "--decoder",
                                    "transposed_conv 4 3x3 stride 2 same relu, conv 1 3x3 same sigmoid",
                                    "--loss", "bce", "--reduction", "sum", "--noise", "salt_and_pepper",
                                    "--noise-amount", "0.1", "--batch-size", "64", "--clip-norm", "1",
                                    "--optimizer", "adamw", "--weight-decay", "0.01"]),
    "masking, huber": ("floats", ["--encoder", "dense 50 relu", "--decoder", "dense 33 identity", "--loss",
                                  "huber", "--reduction", "mean", "--noise", "masking", "--noise-amount",
                                  "0.3", "--schedule", "step", "--schedule-factor", "0.5",
                                  "--schedule-epochs", "1", "--batch-size", "64", "--optimizer", "adamw",
                                  "--weight-decay", "0.01"]),
    "mae, plateau": ("floats", ["--encoder", "dense 50 tanh", "--decoder", "dense 33 identity", "--loss",
                                "mae", "--reduction", "sum", "--schedule", "plateau", "--schedule-factor",
                                "0.1", "--schedule-patience", "1", "--batch-size", "64", "--ema", "0.9",
                                *ADAM]),
    "gaussian": ("floats", ["--encoder", "dense 50 gelu, gaussian 4", "--decoder",
                            "dense 50 silu, dense 33 identity", "--loss", "gaussian", "--reduction", "sum",
                            "--beta", "1", "--free-bits", "0", "--kl-warm-up", "0", "--batch-size", "20",
                            *ADAM]),
    "norm first": ("floats", ["--encoder", "batch_norm identity, dense 21 sigmoid", "--decoder",
                              "dropout 0.5, dense 33 identity", "--loss", "mse", "--reduction", "sum",
                              "--code-kl", "0.1", "--batch-size", "299", *ADAM]),
}


def bytes_of_images():
    """300 images of 14x12, about half of whose pixels are black."""
    values, state = [], 1
    for _ in range(300 * 168):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(max(0, (state >> 16) % 512 - 256))
    return npy(values, (300, 14, 12), "|u1")


def floats_of_rows():
    """300 rows of 33 numbers around 0."""
    values, state = [], 2
    for _ in range(300 * 33):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(((state >> 16) % 1001 - 500) / 256)
    return npy(values, (300, 33))


def digests_of(path):
    """Of a model file's tensors, by name, and of its metadata."""
    with open(path, "rb") as file:
        data = file.read()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    body = data[8 + length:]
    metadata = header.pop("__metadata__")
    metadata.pop("crc32")  # of all of it
    training = json.loads(metadata.pop("training"))
    training.pop("ae_version")
    tensors = hashlib.sha256()
    for name in sorted(header):
        begin, end = header[name]["data_offsets"]
        tensors.update(json.dumps([name, header[name]["shape"]]).encode())
        tensors.update(body[begin:end])
    described = json.dumps([sorted(metadata.items()), sorted(training.items())])
    return [tensors.hexdigest()[:32], hashlib.sha256(described.encode()).hexdigest()[:32]]


class DigestsTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.settings = {}  # of the environment
        self.write("bytes.npy", bytes_of_images())
        self.write("floats.npy", floats_of_rows())

    def environment(self):
        return super().environment() | self.settings

    def trained(self, name, device, *more):
        data, options = SETS[name]
        out = f"{device}-{name}".replace(" ", "-").replace(",", "")
        self.ok("train", "--data", data + ".npy", "--limit", "160" if device == "simt" else "300", "--out", out,
                "--device", device, "--no-report", "--quiet", *COMMON, *options, *more)
        return digests_of(self.path(out + "/model.safetensors"))

    def judge(self, key, device):
        found = {name: self.trained(name, device) for name in SETS}
        with open(RECORD, encoding="utf-8") as file:
            record = json.load(file)
        if os.environ.get("AE_RECORD_DIGESTS"):
            record[key] = found
            with open(RECORD, "w", encoding="utf-8") as file:
                json.dump(record, file, indent=1, sort_keys=True)
                file.write("\n")
        if key not in record:
            self.skipTest(f"no digests are recorded for '{key}'; to record them, see this file's head")
        for name in SETS:
            with self.subTest(set=name, key=key):
                tensors, metadata = record[key][name]
                self.assertEqual(found[name][0], tensors, "the numbers of the model")
                self.assertEqual(found[name][1], metadata, "the description of the model")

    def test_of_the_emulated_device(self):
        # Adam's kernel calls expm1f, which glibc rounds correctly from 2.41 on.
        library, version = platform.libc_ver()
        is_newer = library == "glibc" and [int(part) for part in version.split(".")[:2]] >= [2, 41]
        self.judge("simt, glibc from 2.41 on" if is_newer else "simt", "simt")

    @without_sanitizers  # they change the compiled code, and with it the order of sums
    def test_of_the_cpu(self):
        # Pairs of our and oneDNN's instruction set, as machines have them; this one may lack some.
        for isa, onednn in (("avx512", "AVX512_CORE"), ("avx2", "AVX2"), ("baseline", "SSE41")):
            with self.subTest(instruction_set=isa):
                self.settings = {"AE_ISA": isa, "ONEDNN_MAX_CPU_ISA": onednn}
                info = self.run_ae("info", "--json")
                if "which this machine does not have" in info.stderr + info.stdout:
                    continue
                version = json.loads(info.stdout)["libraries"]["oneDNN"]
                self.judge(f"{isa}, oneDNN {version}", "cpu")

    def test_that_threads_change_nothing(self):
        for name in ("deep", "images", "norms"):
            self.assertEqual(self.trained(name, "cpu", "--threads", "1"),
                             self.trained(name, "cpu", "--threads", "2"), name)


if __name__ == "__main__":
    unittest.main()
