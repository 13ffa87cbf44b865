"""Options: numbers and values as they are typed, configuration files there and back, help."""

import os
import tomllib
import unittest

from program import ProgramTest, idx, pixels, read_safetensors

COMMANDS = ("train", "evaluate", "encode", "decode", "reconstruct", "info", "bench")


class Numbers(ProgramTest):
    def refused(self, says, *arguments):
        self.fails(2, says, "train", "--data", "data.idx", "--out", "run", *arguments)
        self.assertFalse(os.path.exists(self.path("run")))

    def test_what_does_not_fit_is_refused_and_shown(self):
        range_ = "it must be a whole number from 0 to 18446744073709551615"
        for typed in ("-1", "18446744073709551616", "1e3", "1.0", "abc", "5x", " 5", "0x10"):
            with self.subTest(typed):
                self.refused(f"--seed is '{typed}', {range_}", "--seed", typed)

    def test_only_decimal(self):
        for option in ("--seed", "--epochs", "--threads", "--batch-size"):
            for typed in ("010", "+5", "00", "-01"):
                with self.subTest((option, typed)):
                    self.refused(f"{option} is '{typed}'", option, typed)
            for typed in ("0x10", "1_000", "1'000", "5.0", "1e1", "5 ", "0b1", "0o7"):
                with self.subTest((option, typed)):
                    self.refused(f"{option} is '{typed}'", f"{option}={typed}")

    def test_lists_and_layers_are_no_exception(self):
        for typed in ("010", "8,04", "+8", "0x8", "8,", "8;4", "8 4", "1e1"):
            with self.subTest(typed):
                self.refused(f"--hidden is '{typed}'", "--hidden", typed)
        for layer in ("dense 010", "conv 02 3x3", "dense +3"):
            with self.subTest(layer):
                self.refused(f"'{layer}'", "--encoder", layer)

    def test_numbers_with_a_point_are_finite(self):
        for option in ("--learning-rate", "--noise-amount", "--beta", "--clip-norm"):
            for typed in ("nan", "inf", "1e39", "0x1p-3", "+0.5", "0,5", "half", "1e-400"):
                with self.subTest((option, typed)):
                    self.refused(f"{option} is '{typed}', it must be a finite number", option, typed)

    def test_other_commands(self):
        self.train()
        model = "run/model.safetensors"
        for arguments in (("reconstruct", model, "--first", "010"),
                          ("reconstruct", model, "--columns", "1.5"),
                          ("evaluate", model, "--noise-amount", "inf"),
                          ("encode", model, "--limit", "1e3"),
                          ("bench", "--repeats", "02")):
            with self.subTest(arguments):
                self.fails(2, f"{arguments[-2]} is '{arguments[-1]}'", *arguments)
        self.fails(2, "--columns is -1", "reconstruct", model, "--columns", "-1")


class Values(ProgramTest):
    def test_an_empty_value_is_none(self):
        """Neither is what follows it."""
        for arguments in (("--out=", "--quiet"), ("--out", "--quiet"), ("--out=",), ("--out",),
                          ("--out", ""), ("--data=",), ("--seed=",), ("--recipe=",), ("--config=",)):
            with self.subTest(arguments):
                option = arguments[0].rstrip("=")
                self.fails(2, f"{option} needs a value", "train", "--data", "data.idx", *arguments)
                self.assertEqual(sorted(os.listdir(self.folder)), ["data.idx", "test.idx"])

    def test_a_value_may_begin_with_dashes_after_an_equals_sign(self):
        self.train("--no-report", out="plain")
        self.ok("train", "--config", "plain/config.toml", "--out=--odd")
        self.assertTrue(os.path.exists(self.path("--odd/model.safetensors")))
        self.ok("info", "--json", "--", "--odd/model.safetensors")

    def test_flags_are_true_or_false(self):
        self.fails(2, ["--json is 'maybe'", "true or false"], "info", "--json=maybe")
        self.assertTrue(self.ok("info", "--json=true").startswith("{"))
        self.assertFalse(self.ok("info", "--json=false").startswith("{"))

    def test_the_last_one_counts(self):
        self.train("--seed", "2", "--seed=3")
        with open(self.path("run/config.toml"), "rb") as file:
            self.assertEqual(tomllib.load(file)["seed"], 3)


class Files(ProgramTest):
    """What is written is read again."""

    def repeats(self, *arguments, data="data.idx", out="run"):
        """Trains, and again by the configuration that was written; both must give one model."""
        self.ok("train", "--data", data, "--hidden", "3", "--epochs", "1", "--no-report", "--quiet",
                "--out", out, *arguments)
        written = os.path.join(os.fsencode(self.folder), os.fsencode(out))
        with open(os.path.join(written, b"model.safetensors"), "rb") as file:
            first = file.read()
        with open(os.path.join(written, b"config.toml"), "rb") as file:
            config = tomllib.load(file)
        self.ok("train", "--config", os.path.join(written, b"config.toml"), "--quiet", "--out",
                "again")
        self.assertEqual(self.read("again/model.safetensors"), first)
        return config

    def test_large_seeds(self):
        for seed in (2**63 - 1, 2**63, 2**64 - 1):
            with self.subTest(seed):
                config = self.repeats("--seed", str(seed))
                self.assertEqual(int(config["seed"]), seed)
                training, _ = read_safetensors(self.path("run/model.safetensors"))
                self.assertIn(f'"seed":"{seed}"', training["training"])

    def test_any_path(self):
        for number, name in enumerate((b"b\xe9.idx", b"\xff\xfe\x80.idx", b"two\nlines.idx",
                                       b"quo\"te\\.idx", "gr\u00fcn \u5199\u771f.idx".encode(),
                                       b"\xf4\x8f\xbf\xa9.idx", b"a,b.idx", b"a=b # c.idx")):
            with self.subTest(name):
                with open(os.path.join(os.fsencode(self.folder), name), "wb") as file:
                    file.write(idx(pixels(60), (4, 4)))
                self.repeats(data=name, out=b"run-%d-" % number + name)

    def test_the_model_finds_data_of_any_name(self):
        name = b"b\xe9.idx"
        with open(os.path.join(os.fsencode(self.folder), name), "wb") as file:
            file.write(idx(pixels(60), (4, 4)))
        self.ok("train", "--data", name, "--hidden", "3", "--epochs", "1", "--quiet", "--out", "run")
        line, = self.json_lines(self.ok("evaluate", "run/model.safetensors", "--json"))
        self.assertEqual(line["rows"], 60)

    def test_numbers_of_every_size(self):
        config = self.repeats("--learning-rate", "3e-05", "--epsilon", "1e-30", "--weight-decay", "1",
                              "--optimizer", "adamw", "--clip-norm", "1e20")
        self.assertEqual(config["epsilon"], 1e-30)

    def test_a_file_obeys_the_same_rules(self):
        for content, says in (
                (b"seed = -1\n", ["c.toml, line 1", "--seed is '-1'", "from 0 to 18446744073709551615"]),
                (b"epochs = 3.0\n", ["c.toml, line 1", "--epochs is '3.0'"]),
                (b"epochs = '010'\n", ["c.toml, line 1", "--epochs is '010'"]),
                (b"\nlearning-rate = inf\n", ["c.toml, line 2", "--learning-rate is 'inf'"]),
                (b"hidden = [8, 4.5]\n", ["c.toml, line 1", "--hidden is '8,4.5'"]),
                (b"data = ['data.idx', 'test.idx']\n", ["line 1", "'data' takes one value", "list"]),
                (b"data = ''\n", ["line 1", "'data' is empty"]),
                (b"hidden = []\n", ["line 1", "'hidden' is empty"]),
                (b"config = 'd.toml'\n", ["line 1", "'config' goes on the command line"]),
                (b"help = true\n", ["line 1", "no option 'help'"])):
            with self.subTest(content):
                self.write("c.toml", content)
                line = self.fails(2, says, "train", "--data", "data.idx", "--config", "c.toml")
                self.assertNotIn("did you mean help", line)
        self.write("c.toml", b"hidden = [0x10, 8]\nseed = '7'\nlearning-rate = 1\n")  # TOML's own forms
        self.ok("train", "--data", "data.idx", "--config", "c.toml", "--epochs", "1", "--out", "run",
                "--no-report")

    def test_a_recipe_may_stand_in_it(self):
        self.write("c.toml", b"seed = 5\nrecipe = 'deep'\nepochs = 1\n")
        arguments = ("--data", "data.idx", "--no-report")
        self.ok("train", "--config", "c.toml", "--out", "file", *arguments)
        self.ok("train", "--recipe", "deep", "--seed", "5", "--epochs", "1", "--out", "flags", *arguments)
        self.assertEqual(self.read("file/model.safetensors"), self.read("flags/model.safetensors"))
        self.ok("train", "--config", "c.toml", "--recipe", "simple", "--out", "simple", *arguments)
        _, tensors = read_safetensors(self.path("simple/model.safetensors"))
        self.assertEqual(tensors["encoder.0.weight"][0], [32, 16])
        self.write("c.toml", b"recipe = 'dep'\n")
        self.fails(2, ["'dep'", "simple, deep"], "train", "--config", "c.toml")
        self.write("c.toml", b"recipe = true\n")
        self.fails(2, ["line 1", "'recipe' takes a value"], "train", "--config", "c.toml")
        self.write("c.toml", b"recipe = 'deep'\n")
        self.fails(2, ["line 1", "no option 'recipe'"], "evaluate", "m", "--config", "c.toml")


class Help(ProgramTest):
    def test_fits_a_terminal(self):
        texts = [self.ok(), self.ok("--version")] + [self.ok(command, "--help") for command in COMMANDS]
        for text in texts:
            for line in text.split("\n"):
                self.assertLessEqual(len(line), 80, line)


if __name__ == "__main__":
    unittest.main()
