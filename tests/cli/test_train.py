"""ae train: the run folder, its repetition, progress, interruption."""

import csv
import json
import math
import os
import random
import re
import signal
import subprocess
import time
import unittest

from program import AE, ProgramTest, idx, pixels, read_safetensors


class RunFolder(ProgramTest):
    def test_holds_all_that_is_promised(self):
        self.train()
        self.assertEqual(sorted(os.listdir(self.path("run"))),
                         ["config.toml", "metrics.csv", "model.safetensors", "reconstructions.png",
                          "report.html"])
        self.assertTrue(self.read("run/reconstructions.png").startswith(b"\x89PNG\r\n"))
        report = self.read("run/report.html").decode()
        self.assertIn("data:image/png;base64,", report)
        self.assertNotRegex(report, r"(src|href)=\"?https?:")

    def test_metrics_have_a_line_an_epoch(self):
        self.train(epochs=3)
        with open(self.path("run/metrics.csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["epoch"] for row in rows], ["1", "2", "3"])
        self.assertEqual(set(rows[0]), {"epoch", "train_loss", "val_loss", "seconds",
                                        "samples_per_second", "learning_rate",
                                        "train_kl", "val_kl", "penalty"})
        self.assertEqual({row["learning_rate"] for row in rows}, {"0.001"})
        losses = [float(row["train_loss"]) for row in rows]
        self.assertLess(losses[2], losses[0])

    def test_model_is_safetensors_with_pytorch_shapes(self):
        self.train("--hidden", "6,3")
        metadata, tensors = read_safetensors(self.path("run/model.safetensors"))
        self.assertEqual({name: shape for name, (shape, _) in tensors.items()},
                         {"encoder.0.weight": [6, 16], "encoder.0.bias": [6],
                          "encoder.1.weight": [3, 6], "encoder.1.bias": [3],
                          "decoder.0.weight": [6, 3], "decoder.0.bias": [6],
                          "decoder.1.weight": [16, 6], "decoder.1.bias": [16]})
        self.assertEqual(json.loads(metadata["model"])["input_shape"], [4, 4])
        self.assertEqual(json.loads(metadata["training"])["seed"], "1")

    def test_default_folder_is_never_an_earlier_run(self):
        arguments = ["train", "--data", "data.idx", "--hidden", "4", "--epochs", "1", "--no-report"]
        self.ok(*arguments)
        first = self.read("runs/data-4/model.safetensors")
        self.ok(*arguments, "--seed", "2")
        self.assertEqual(self.read("runs/data-4/model.safetensors"), first)
        self.assertNotEqual(self.read("runs/data-4-2/model.safetensors"), first)

    def test_no_report(self):
        self.train("--no-report")
        self.assertFalse(os.path.exists(self.path("run/report.html")))

    def test_zero_epochs_save_the_initial_model(self):
        self.train(epochs=0)
        _, tensors = read_safetensors(self.path("run/model.safetensors"))
        weights = tensors["encoder.0.weight"][1]
        limit = (6 / (16 + 4)) ** 0.5
        self.assertLessEqual(max(map(abs, weights)), limit)
        self.assertGreater(max(map(abs, weights)), 0.8 * limit)
        self.assertEqual(set(tensors["decoder.0.bias"][1]), {0.0})


class SameBits(ProgramTest):
    def model(self, *arguments):
        self.train("--no-report", *arguments, out="same")
        return self.read("same/model.safetensors")

    def test_again_and_with_any_number_of_threads(self):
        first = self.model("--threads", "1")
        self.assertEqual(self.model("--threads", "1"), first)
        self.assertEqual(self.model("--threads", "2"), first)
        self.assertEqual(self.model("--threads", "4"), first)

    def test_another_seed_is_another_model(self):
        self.assertNotEqual(self.model("--seed", "2"), self.model("--seed", "1"))

    def test_the_written_configuration_repeats_the_run(self):
        self.train("--seed", "5", "--learning-rate", "0.0123456789", "--hidden", "5,3", "--loss",
                   "mse", "--reduction", "sum", "--activation", "tanh")
        first = self.read("run/model.safetensors")
        self.ok("train", "--config", "run/config.toml", "--out", "again")
        self.assertEqual(self.read("again/model.safetensors"), first)
        self.ok("train", "--config", "run/config.toml")
        self.assertEqual(self.read("run/model.safetensors"), first)


class LearningRate(ProgramTest):
    def rates(self, *arguments, epochs=4):
        lines = self.json_lines(self.train("--json", "--no-report", "--learning-rate", "0.01",
                                           *arguments, epochs=epochs))
        with open(self.path("run/metrics.csv"), newline="") as file:
            written = [float(row["learning_rate"]) for row in csv.DictReader(file)]
        shown = [line["learning_rate"] for line in lines[:-1]]
        self.assertEqual(written, shown)
        return shown

    def test_schedules(self):
        self.assertEqual(self.rates(), [0.01] * 4)
        self.assertEqual(self.rates("--schedule", "step", "--schedule-epochs", "2",
                                    "--schedule-factor", "0.5"), [0.01, 0.01, 0.005, 0.005])
        self.assertEqual(self.rates("--warm-up", "2"), [0.005, 0.01, 0.01, 0.01])
        # 500 rows in batches of 64: eight steps, of which the last has an eighth to go.
        for rate, done in zip(self.rates("--schedule", "cosine", "--schedule-floor", "0.001"),
                              [7 / 32, 15 / 32, 23 / 32, 31 / 32]):
            self.assertAlmostEqual(rate, 0.0055 + 0.0045 * math.cos(math.pi * done), places=8)
        # So slow that there is no progress after the first.
        for rate, due in zip(self.rates("--schedule", "plateau", "--schedule-patience", "1",
                                        "--learning-rate", "1e-6"), [1, 1, 0.1, 0.01]):
            self.assertAlmostEqual(rate / 1e-6, due, places=6)

    def test_epochs_tell_a_rate_that_moves(self):
        self.assertNotIn("learning rate", self.train())
        self.assertIn("  learning rate 0.0005  ", self.train("--warm-up", "2"))

    def test_what_does_not_go(self):
        self.fails(2, ["schedule 'linear'", "constant, step, cosine, plateau"], "train",
                   "--schedule", "linear")
        self.fails(2, ["the warm-up is 3", "epochs, 2"], "train", "--epochs", "2", "--warm-up", "3")
        self.fails(2, ["floor is 0.5", "learning rate, 0.001"], "train", "--schedule-floor", "0.5")
        self.fails(2, ["factor is 1,"], "train", "--schedule-factor", "1")
        self.fails(2, ["patience is 0"], "train", "--schedule-patience", "0")
        self.fails(2, ["clip to is -1"], "train", "--clip-norm", "-1")
        self.fails(2, ["decay of the average is 1,"], "train", "--ema", "1")

    def test_all_of_it_is_repeated_and_recorded(self):
        options = ["--schedule", "cosine", "--warm-up", "0.5", "--schedule-floor", "1e-05",
                   "--clip-norm", "0.02", "--ema", "0.9"]
        self.train(*options)
        first = self.read("run/model.safetensors")
        self.ok("train", "--config", "run/config.toml", "--out", "again")
        self.assertEqual(self.read("again/model.safetensors"), first)
        training = json.loads(read_safetensors(self.path("run/model.safetensors"))[0]["training"])
        self.assertEqual({name: training[name] for name in
                          ("schedule", "warm_up", "schedule_floor", "clip_norm", "ema")},
                         {"schedule": "cosine", "warm_up": "0.5", "schedule_floor": "1e-05",
                          "clip_norm": "0.02", "ema": "0.9"})
        report = self.read("run/report.html").decode()
        self.assertIn("cosine to 1e-05, 0.5 epochs of warm-up", report)
        self.assertIn("clipped to the norm 0.02", report)
        self.assertIn("moving average, decay 0.9", report)
        self.train()
        self.assertNotEqual(self.read("run/model.safetensors"), first)

    def test_the_average_is_what_is_judged_and_saved(self):
        last = self.json_lines(self.train("--json", "--ema", "0.8", epochs=3))[-1]
        line, = self.json_lines(self.ok("evaluate", "run/model.safetensors", "--data", "test.idx",
                                        "--json"))
        self.assertAlmostEqual(last["test_loss"], line["loss"], places=9)


class Configuration(ProgramTest):
    def test_flags_win_over_the_file(self):
        self.write("c.toml", b"data = 'data.idx'\nhidden = [5, 3]\nepochs = 7\nno-report = true\n")
        lines = self.json_lines(self.ok("train", "--epochs", "1", "--config", "c.toml", "--json",
                                        "--out", "run"))
        self.assertEqual(lines[-1]["epochs"], 1)
        _, tensors = read_safetensors(self.path("run/model.safetensors"))
        self.assertEqual(tensors["encoder.1.weight"][0], [3, 5])
        self.assertFalse(os.path.exists(self.path("run/report.html")))

    def test_what_is_wrong_in_the_file(self):
        cases = {
            b"epochs = 1\nepoch = 2\n": ["c.toml, line 2", "'epoch'", "did you mean epochs"],
            b"epochs = \n": ["c.toml, line 1", "not TOML"],
            b"epochs = true\n": ["line 1", "'epochs'"],
            b"json = 3\n": ["line 1", "'json'"],
            b"[train]\nepochs = 1\n": ["c.toml", "line 1", "tables"],
            b"epochs = 'many'\n": ["--epochs"],
        }
        for content, says in cases.items():
            with self.subTest(content):
                self.write("c.toml", content)
                self.fails(2, says, "train", "--config", "c.toml")
        self.fails(1, ["missing.toml", "no such file"], "train", "--config", "missing.toml")


class Progress(ProgramTest):
    def test_json_lines_and_nothing_else(self):
        lines = self.json_lines(self.train("--json"))
        self.assertEqual([line["event"] for line in lines], ["epoch", "epoch", "done"])
        self.assertEqual(set(lines[0]), {"event", "epoch", "train_loss", "val_loss", "seconds",
                                         "samples_per_second", "learning_rate",
                                        "train_kl", "val_kl", "penalty"})
        self.assertEqual(lines[0]["learning_rate"], 0.001)
        done = lines[-1]
        self.assertLessEqual({"event", "device", "epochs", "train_loss", "test_loss", "seconds",
                              "parameters", "model"}, set(done))
        self.assertEqual(done["device"], "cpu")
        self.assertEqual(done["parameters"], 16 * 4 + 4 + 4 * 16 + 16)
        self.assertTrue(os.path.exists(os.path.join(self.folder, done["model"])))
        self.assertEqual(done["test_loss"], lines[1]["val_loss"])

    def test_json_without_test_data_says_null(self):
        lines = self.json_lines(self.ok("train", "--data", "data.idx", "--hidden", "4", "--epochs",
                                        "1", "--json", "--out", "run"))
        self.assertIsNone(lines[0]["val_loss"])
        self.assertIsNone(lines[-1]["test_loss"])

    def test_a_pipe_gets_plain_lines(self):
        text = self.train()
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\r", text)
        self.assertEqual(len(re.findall(r"^epoch \d/2  train loss", text, re.MULTILINE)), 2)

    def test_quiet_is_quiet(self):
        self.assertEqual(self.train("--quiet"), "")

    def test_a_terminal_gets_a_live_line(self):
        # Enough work for an epoch to outlast the first update.
        self.write("big.idx", idx(pixels(500) * 1000, (4, 4)))
        text = self.on_terminal("train", "--data", "big.idx", "--hidden", "64,32", "--batch-size", "8",
                                "--epochs", "1", "--out", "run", "--no-report")
        self.assertIn("\r\x1b[K", text)
        self.assertRegex(text, r"samples/s  \d+s left  loss 0\.\d+")
        self.assertRegex(text, r"epoch 1/1  train loss 0\.\d+")

    def test_long_work_after_the_last_epoch_is_named(self):
        # The emulated device takes seconds for these test rows.
        self.write("few.idx", idx(random.Random(1).randbytes(20 * 784), (28, 28)))
        self.write("many.idx", idx(random.Random(2).randbytes(3000 * 784), (28, 28)))
        arguments = ["train", "--data", "few.idx", "--test-data", "many.idx", "--hidden", "2",
                     "--epochs", "1", "--device", "simt"]
        text = self.on_terminal(*arguments, "--out", "on-terminal")
        self.assertRegex(text, r"computing the squared error of the test rows, \d s\r\x1b\[K")
        text = self.ok(*arguments, "--out", "in-pipe")
        self.assertIn("computing the squared error of the test rows\n", text)
        self.assertNotIn("\x1b", text)
        self.assertNotIn("computing", self.ok(*arguments, "--json", "--out", "as-json"))


class Interruption(ProgramTest):
    def interrupt(self, sent):
        process = subprocess.Popen(
            [AE, "train", "--data", "data.idx", "--test-data", "test.idx", "--hidden", "4",
             "--epochs", "1000000", "--out", "run"],
            cwd=self.folder, env=self.environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        while not process.stdout.readline().startswith("epoch"):
            pass
        time.sleep(0.05)
        process.send_signal(sent)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def test_writes_everything_and_says_so(self):
        for sent in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(sent):
                code, output, errors = self.interrupt(sent)
                self.assertEqual((code, errors), (128 + sent, ""))
                self.assertIn("interrupted after", output)
                read_safetensors(self.path("run/model.safetensors"))
                self.ok("evaluate", "run/model.safetensors", "--data", "test.idx")
                self.assertIn("interrupted", self.read("run/report.html").decode())


if __name__ == "__main__":
    unittest.main()
