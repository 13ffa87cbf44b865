"""The kinds of models: recipes, layers on the command line, noise, sparse and Gaussian codes."""

import json
import math
import os
import re
import tomllib
import unittest

from program import ProgramTest, read_npy, read_safetensors

RECIPES = os.path.join(os.path.dirname(__file__), "..", "..", "recipes")


class Recipes(ProgramTest):
    def train_recipe(self, name, *arguments):
        return self.ok("train", "--recipe", name, "--data", "data.idx", "--test-data", "test.idx",
                       "--epochs", "2", "--out", "run", *arguments)

    def test_each_trains_and_its_model_is_of_use(self):
        names = sorted(file[:-5] for file in os.listdir(RECIPES))
        self.assertEqual(names, ["conv", "deep", "denoise", "simple", "sparse", "vae"])
        for name in names:
            with self.subTest(name):
                lines = self.json_lines(self.train_recipe(name, "--json"))
                losses = [line["train_loss"] for line in lines[:-1]]
                self.assertLess(losses[1], losses[0])
                model = "run/model.safetensors"
                again, = self.json_lines(self.ok("evaluate", model, "--data", "test.idx", "--json"))
                self.assertEqual(again["loss"], lines[-1]["test_loss"])
                self.ok("encode", model, "--data", "test.idx", "--out", "codes.npy")
                self.ok("decode", model, "codes.npy", "--out", "decoded.npy")
                self.ok("reconstruct", model, "--data", "test.idx", "--count", "100", "--out", "all.npy")
                self.assertEqual(read_npy(self.path("decoded.npy")), read_npy(self.path("all.npy")))

    def test_the_file_as_configuration_is_the_same(self):
        self.train_recipe("sparse", "--no-report")
        first = self.read("run/model.safetensors")
        self.ok("train", "--config", os.path.join(RECIPES, "sparse.toml"), "--data", "data.idx",
                "--test-data", "test.idx", "--epochs", "2", "--out", "run", "--no-report")
        self.assertEqual(self.read("run/model.safetensors"), first)

    def test_the_written_configuration_repeats_each(self):
        for name in ("denoise", "vae"):
            with self.subTest(name):
                self.train_recipe(name, "--no-report")
                first = self.read("run/model.safetensors")
                self.ok("train", "--config", "run/config.toml", "--out", "again")
                self.assertEqual(self.read("again/model.safetensors"), first)

    def test_flags_and_files_win_over_it(self):
        self.write("c.toml", b"hidden = [3]\nseed = 5\n")
        self.ok("train", "--recipe", "deep", "--config", "c.toml", "--seed", "6", "--data",
                "data.idx", "--epochs", "1", "--out", "run", "--no-report")
        with open(self.path("run/config.toml"), "rb") as file:
            config = tomllib.load(file)
        self.assertEqual((config["hidden"], config["seed"], config["batch-size"]), ([3], 6, 256))

    def test_names_that_are_none(self):
        self.fails(2, ["'dep'", "simple, deep"], "train", "--recipe", "dep")


class Layers(ProgramTest):
    ENCODER = "conv 3 3x3 relu, max_pool 2, dense 5 tanh"
    DECODER = "dense 12, reshape 2x2x3, upsample 2, conv 1 3x3"

    def test_are_shown_as_they_were_given(self):
        self.ok("train", "--encoder", self.ENCODER, "--decoder", self.DECODER, "--data", "data.idx",
                "--epochs", "1", "--out", "run", "--no-report")
        text = self.ok("info", "run/model.safetensors")
        for part in ("conv 3 3x3 relu", "max_pool 2", "dense 5 tanh", "dense 12 relu",
                     "reshape 2x2x3", "upsample 2", "conv 1 3x3 sigmoid", "4x4x3"):
            self.assertIn(part, text)
        line, = self.json_lines(self.ok("info", "run/model.safetensors", "--json"))
        self.assertEqual(line["parameters"], sum(layer["parameters"] for layer in line["layers"]))
        metadata, tensors = read_safetensors(self.path("run/model.safetensors"))
        self.assertEqual(json.loads(metadata["model"])["encoder"], self.ENCODER.split(", "))
        self.assertEqual(tensors["encoder.0.weight"][0], [3, 1, 3, 3])

    def test_any_number_of_threads_gives_the_same_model(self):
        models = []
        for threads in ("1", "2", "5"):
            self.ok("train", "--encoder", self.ENCODER, "--decoder", self.DECODER, "--data",
                    "data.idx", "--batch-size", "33", "--noise", "gaussian", "--noise-amount", "0.2",
                    "--epochs", "2", "--out", "run", "--no-report", "--threads", threads)
            models.append(self.read("run/model.safetensors"))
        self.assertEqual(models[1], models[0])
        self.assertEqual(models[2], models[0])

    def test_what_is_wrong_is_said(self):
        for options, says in (
                (["--encoder", "dens 3"], ["'dens 3'", "dense UNITS"]),
                (["--encoder", "conv 3 3x3"], ["mirror", "decoder"]),
                (["--decoder", "dense 16"], ["--decoder goes with --encoder"]),
                (["--encoder", "dense 3", "--hidden", "3"], ["--hidden and --encoder"]),
                (["--encoder", "gaussian 3, dense 2"], ["'gaussian 3'", "last"]),
                (["--encoder", "dense 3", "--decoder", "dense 15"], ["15", "16"]),
                (["--encoder", "dense 3 tied"], ["'dense 3 tied relu'", "encoder"]),
                (["--encoder", "dense 3", "--decoder", "dense 3 tied, dense 16"],
                 ["decoder.0", "no partner"]),
                (["--encoder", "dense 3", "--decoder", "dense 16", "--tied"],
                 ["--tied", "write 'tied' in its layers"]),
                (["--encoder", "dense 3", "--decoder", "dense 16 relu"], ["sigmoid"]),
                (["--noise", "pink"], ["'pink'", "salt_and_pepper"]),
                (["--noise", "masking", "--noise-amount", "1.5"], ["1.5", "from 0 to 1"]),
                (["--noise-amount", "0.5"], ["--noise"]),
                (["--code-l1", "-1"], ["-1", "at least 0"]),
                (["--code-kl", "1"], ["sigmoid"]),
                (["--code-target", "1"], ["between 0 and 1"]),
                (["--code-l1", "1", "--encoder", "gaussian 3"], ["gaussian 3"]),
                (["--encoder", "dense 3, top_k 4"], ["top_k 4", "3"]),
                (["--beta", "-1"], ["beta"])):
            with self.subTest(options):
                self.fails(2, says, "train", "--data", "data.idx", "--epochs", "1", "--out", "run",
                           *options)
                self.assertFalse(os.path.exists(self.path("run")))


class Tied(ProgramTest):
    def train_tied(self, *arguments):
        self.ok("train", "--data", "data.idx", "--test-data", "test.idx", "--epochs", "2", "--out",
                "run", "--no-report", *arguments)
        metadata, tensors = read_safetensors(self.path("run/model.safetensors"))
        return json.loads(metadata["model"])["decoder"], tensors

    def test_mirrors_are_tied_by_flag_file_and_word(self):
        self.write("c.toml", b"hidden = [6, 3]\ntied = true\n")
        models = []
        for arguments in (("--hidden", "6,3", "--tied"), ("--config", "c.toml"),
                          ("--encoder", "dense 6, dense 3", "--tied"),
                          ("--encoder", "dense 6, dense 3", "--decoder", "dense 6 tied, dense 16 tied")):
            with self.subTest(arguments):
                decoder, tensors = self.train_tied(*arguments)
                self.assertEqual(decoder, ["dense 6 tied relu", "dense 16 tied sigmoid"])
                self.assertEqual(sorted(tensors), sorted(
                    ["encoder.0.weight", "encoder.0.bias", "encoder.1.weight", "encoder.1.bias",
                     "decoder.0.bias", "decoder.1.bias"]))
                models.append(tensors)
        for tensors in models[1:]:
            self.assertEqual(tensors, models[0])
        first = self.read("run/model.safetensors")
        self.ok("train", "--config", "run/config.toml", "--out", "again")
        self.assertEqual(self.read("again/model.safetensors"), first)

    def test_the_mirror_of_a_gaussian_is_not(self):
        decoder, tensors = self.train_tied("--encoder", "dense 6, gaussian 3", "--tied")
        self.assertEqual(decoder, ["dense 6 relu", "dense 16 tied sigmoid"])
        self.assertIn("decoder.0.weight", tensors)

    def test_the_model_is_of_use(self):
        self.train_tied("--hidden", "6,3", "--tied", "--ema", "0.9")
        model = "run/model.safetensors"
        text = self.ok("info", model)
        self.assertIn("dense 16 tied sigmoid", text)
        line, = self.json_lines(self.ok("info", model, "--json"))
        self.assertEqual(line["parameters"], 16 * 6 + 6 + 6 * 3 + 3 + 6 + 16)
        self.assertEqual([layer["parameters"] for layer in line["layers"]],
                         [16 * 6 + 6, 6 * 3 + 3, 6, 16])
        self.ok("evaluate", model, "--data", "test.idx")
        self.ok("encode", model, "--data", "test.idx", "--out", "codes.npy")
        self.ok("decode", model, "codes.npy", "--out", "decoded.npy")
        self.ok("reconstruct", model, "--data", "test.idx", "--count", "100", "--out", "all.npy")
        self.assertEqual(read_npy(self.path("decoded.npy")), read_npy(self.path("all.npy")))
        self.ok("bench", "--data", "data.idx", "--hidden", "4", "--tied", "--repeats", "2")


class Codes(ProgramTest):
    def train_on(self, *arguments, epochs=20):
        return self.ok("train", "--data", "data.idx", "--test-data", "test.idx", "--epochs",
                       str(epochs), "--no-report", "--out", "run", *arguments)

    def done(self, *arguments, epochs=20):
        return self.json_lines(self.train_on("--json", *arguments, epochs=epochs))[-1]

    def test_a_penalty_quietens_the_code(self):
        plain = self.done("--hidden", "6")
        sparse = self.done("--hidden", "6", "--code-l1", "0.1")
        self.assertLess(sparse["mean_activation"], 0.7 * plain["mean_activation"])

    def test_kl_brings_means_to_the_target(self):
        def distance(*arguments):
            done = self.done("--encoder", "dense 6 sigmoid", "--learning-rate", "0.05", *arguments,
                             epochs=40)
            return abs(done["mean_activation"] - 0.2)
        self.assertLess(distance("--code-kl", "1", "--code-target", "0.2"), 0.05)
        self.assertGreater(distance(), 0.1)

    def test_top_k_leaves_k(self):
        self.train_on("--encoder", "dense 6 tanh, top_k 2")
        self.ok("encode", "run/model.safetensors", "--data", "test.idx", "--out", "codes.npy")
        (_, width), codes = read_npy(self.path("codes.npy"))
        for row in range(100):
            self.assertEqual(sum(value != 0 for value in codes[row * width:(row + 1) * width]), 2)

    def test_a_variational_loss_is_the_sum_of_its_parts(self):
        arguments = ("--encoder", "dense 8 relu, gaussian 3", "--reduction", "sum", "--beta", "2")
        done = self.done(*arguments)
        self.assertAlmostEqual(done["test_loss"], done["test_reconstruction"] + 2 * done["test_kl"],
                               places=9)
        self.assertGreater(done["test_kl"], 0)
        line, = self.json_lines(self.ok("evaluate", "run/model.safetensors", "--data", "test.idx",
                                        "--json"))
        self.assertEqual((line["loss"], line["kl"]), (done["test_loss"], done["test_kl"]))
        text = self.train_on(*arguments)
        self.assertRegex(text, r"test loss .*cross-entropy \+ 2·KL, summed per sample")
        self.assertRegex(text, r"KL \d+\.\d+ nats a sample")
        self.assertIsNone(self.done("--hidden", "3")["test_kl"])

    def test_a_gaussian_decoder_counts_in_nats(self):
        self.train_on("--encoder", "dense 8 relu, gaussian 3", "--loss", "gaussian", "--reduction",
                      "sum", "--output-activation", "identity")
        def reconstruction(*arguments):
            line, = self.json_lines(self.ok("evaluate", "run/model.safetensors", "--data",
                                            "test.idx", "--json", *arguments))
            return line["reconstruction"]
        # -ln of 16 normal densities of variance 1.
        self.assertAlmostEqual(reconstruction(),
                               reconstruction("--loss", "mse") / 2 + 16 / 2 * math.log(2 * math.pi),
                               places=4)

    def test_the_balance_is_the_same_with_either_reduction(self):
        # Only the scale of loss and gradient differs, of which Adam knows nothing but for epsilon.
        results = [self.done("--encoder", "gaussian 3", "--reduction", reduction, "--epsilon", "1e-12")
                   for reduction in ("mean", "sum")]
        self.assertAlmostEqual(results[0]["test_kl"], results[1]["test_kl"], delta=0.01)
        self.assertAlmostEqual(16 * results[0]["test_loss"], results[1]["test_loss"], delta=0.01)

    def test_denoising_is_judged_on_noise_by_the_clean_rows(self):
        done = self.done("--noise", "masking", "--noise-amount", "0.5")
        model = "run/model.safetensors"
        noisy, = self.json_lines(self.ok("evaluate", model, "--data", "test.idx", "--json"))
        self.assertEqual((noisy["loss"], noisy["noise"], noisy["noise_amount"]),
                         (done["test_loss"], "masking", 0.5))
        clean, = self.json_lines(self.ok("evaluate", model, "--data", "test.idx", "--json", "--noise",
                                         "none", "--noise-amount", "0"))
        self.assertLess(clean["loss"], noisy["loss"])
        self.assertTrue(re.search("noise on the input: masking, 0.5",
                                  self.ok("evaluate", model, "--data", "test.idx")))


if __name__ == "__main__":
    unittest.main()
