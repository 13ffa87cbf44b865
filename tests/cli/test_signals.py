"""What signals do to ae train: the model is never lost, and the exit code names the signal."""

import gzip
import os
import random
import signal
import subprocess
import time
import unittest

from program import AE, ProgramTest, idx, read_safetensors

ENDLESS = ("--epochs", "1000000")


class SignalTest(ProgramTest):
    def start(self, *arguments, **options):
        return subprocess.Popen([AE, "train", "--out", "run", *arguments], cwd=self.folder,
                                env=self.environment(), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def start_small(self, *arguments, **options):
        return self.start("--data", "data.idx", "--test-data", "test.idx", "--hidden", "4",
                          *arguments, **options)

    def wait_for(self, process, name):
        """Until the run has written that file."""
        while not os.path.exists(self.path(name)):
            self.assertIsNone(process.poll(), "it ended before")
            time.sleep(0.005)

    def expect_model(self, interrupted=True):
        metadata, _ = read_safetensors(self.path("run/model.safetensors"))
        self.assertEqual('"interrupted":"true"' in metadata["training"].replace(" ", ""),
                         interrupted)


class AnyMoment(SignalTest):
    def test_is_the_right_one(self):
        """AE_SIGNAL_RUNS=200 tries more of them."""
        rng = random.Random()
        self.write("big.idx", idx(rng.randbytes(2000 * 784), (28, 28)))
        for number in range(int(os.environ.get("AE_SIGNAL_RUNS", "20"))):
            with self.subTest(number):
                out = f"run-{number}"
                process = self.start("--data", "big.idx", "--hidden", "128,64", "--no-report",
                                     "--quiet", *ENDLESS, "--out", out)
                self.wait_for(process, f"{out}/config.toml")
                time.sleep(rng.uniform(0, 0.2))
                process.send_signal(signal.SIGINT)
                self.assertEqual((*process.communicate(timeout=60), process.returncode),
                                 ("", "", 130))
                read_safetensors(self.path(f"{out}/model.safetensors"))


class Each(SignalTest):
    def test_saves_the_model_and_names_itself(self):
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(sent):
                process = self.start_small(*ENDLESS)
                while not process.stdout.readline().startswith("epoch"):
                    pass
                process.send_signal(sent)
                output, errors = process.communicate(timeout=60)
                self.assertEqual((process.returncode, errors), (128 + sent, ""))
                self.assertIn("interrupted after", output)
                self.expect_model()

    def test_ends_a_program_that_has_nothing_to_lose(self):
        # While it unpacks its data.
        self.write("big.gz", gzip.compress(bytes.fromhex("00000803000186a00000001c0000001c")
                                           + bytes(100000 * 784), 1))
        for sent in (signal.SIGINT, signal.SIGHUP):
            with self.subTest(sent):
                process = self.start("--data", "big.gz", "--hidden", "4")
                time.sleep(0.05)
                process.send_signal(sent)
                process.communicate(timeout=60)
                self.assertEqual(process.returncode, -sent)
                self.assertFalse(os.path.exists(self.path("run")))

    def test_stays_ignored_where_it_was(self):
        for sent in (signal.SIGINT, signal.SIGHUP):
            with self.subTest(sent):
                process = self.start_small(
                    "--epochs", "1000", "--no-report",
                    preexec_fn=lambda sent=sent: signal.signal(sent, signal.SIG_IGN))
                while not process.stdout.readline().startswith("epoch"):
                    pass
                process.send_signal(sent)
                output, errors = process.communicate(timeout=120)
                self.assertEqual((process.returncode, errors), (0, ""))
                self.assertIn("epoch 1000/1000", output)
                self.expect_model(interrupted=False)


class AfterTheTraining(SignalTest):
    """The emulated device takes seconds for these test rows."""

    def start_slow(self, *arguments):
        self.write("few.idx", idx(random.Random(1).randbytes(20 * 784), (28, 28)))
        self.write("many.idx", idx(random.Random(2).randbytes(2000 * 784), (28, 28)))
        return self.start("--data", "few.idx", "--test-data", "many.idx", "--hidden", "2",
                          "--device", "simt", *arguments)

    def test_a_signal_ends_what_is_left(self):
        process = self.start_slow("--epochs", "1")
        self.wait_for(process, "run/model.safetensors")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 143)
        self.assertIn("ae: note: interrupted, the model is saved: run/model.safetensors", errors)
        self.expect_model(interrupted=False)
        self.assertFalse(os.path.exists(self.path("run/report.html")))
        self.assertFalse(os.path.exists(self.path("run/.ae-lock")))

    def test_a_second_one_ends_what_follows_the_first(self):
        process = self.start_slow("--epochs", "1000")
        self.wait_for(process, "run/metrics.csv")
        process.send_signal(signal.SIGINT)
        self.wait_for(process, "run/model.safetensors")
        self.expect_model()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.expect_model()
        self.assertFalse(os.path.exists(self.path("run/report.html")))

    def test_two_before_the_model_is_saved_do_not_lose_it(self):
        process = self.start_slow("--epochs", "1000")
        self.wait_for(process, "run/metrics.csv")
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.expect_model()


if __name__ == "__main__":
    unittest.main()
