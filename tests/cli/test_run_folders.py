"""A run folder is one run's: claimed while it is at work, and never with parts of two in it."""

import os
import resource
import signal
import subprocess
import unittest

from program import AE, ProgramTest, read_safetensors

FILES = ["config.toml", "metrics.csv", "model.safetensors", "reconstructions.png", "report.html"]


class FolderTest(ProgramTest):
    def command(self, *arguments, epochs=1000000):
        return [AE, "train", "--data", "data.idx", "--test-data", "test.idx", "--hidden", "4",
                "--epochs", str(epochs), *arguments]

    def start(self, *arguments, **options):
        process = subprocess.Popen(self.command(*arguments, **options), cwd=self.folder,
                                   env=self.environment(), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def start_training(self, *arguments, **options):
        """And waits for its first epoch."""
        process = self.start(*arguments, **options)
        for line in process.stdout:
            if line.startswith("epoch"):
                return process
        self.fail(process.stderr.read())

    def interrupt(self, process):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)

    def contents(self, folder="run"):
        return {name: self.read(f"{folder}/{name}") for name in os.listdir(self.path(folder))
                if name not in ("unfinished", ".ae-lock") and not name.endswith(".part")}


class TwoAtOnce(FolderTest):
    def test_have_folders_of_their_own(self):
        first = self.start_training()
        second = self.start_training()
        self.assertEqual(sorted(os.listdir(self.path("runs"))), ["data-4", "data-4-2"])
        for process in (first, second):
            self.interrupt(process)
        for name in ("data-4", "data-4-2"):
            self.assertEqual(sorted(os.listdir(self.path(f"runs/{name}"))), FILES)

    def test_that_start_together_do_too(self):
        runs = [self.start("--no-report", "--seed", str(seed), epochs=1) for seed in range(5)]
        for run in runs:
            self.assertEqual((run.communicate(timeout=60)[1], run.returncode), ("", 0))
        seeds = [read_safetensors(self.path(f"runs/{name}/model.safetensors"))[0]["training"]
                 for name in os.listdir(self.path("runs"))]
        self.assertEqual(len(set(seeds)), 5)

    def test_do_not_share_one_that_was_asked_for(self):
        first = self.start_training("--out", "run")
        self.fails(1, ["another ae train is at work in the run folder run", "--out"],
                   *self.command("--out", "run", epochs=1)[1:])
        self.assertIn("epochs = 1000000", self.read("run/config.toml").decode())
        self.interrupt(first)
        self.ok(*self.command("--out", "run", epochs=1)[1:])

    def test_a_killed_run_claims_nothing(self):
        first = self.start_training("--out", "run")
        first.kill()
        first.wait()
        self.ok(*self.command("--out", "run", epochs=1)[1:])
        self.assertEqual(sorted(os.listdir(self.path("run"))), FILES)


class AnEarlierRun(FolderTest):
    def setUp(self):
        super().setUp()
        self.ok(*self.command("--out", "run", epochs=2)[1:])
        self.earlier = self.contents()
        self.assertEqual(sorted(self.earlier), FILES)

    def test_stays_whole_when_the_next_is_killed(self):
        process = self.start_training("--out", "run", "--seed", "2")
        self.assertEqual(self.contents(), self.earlier)
        # The new one's history is there to be followed.
        self.assertIn("epoch,train_loss", self.read("run/unfinished/metrics.csv").decode())
        process.kill()
        process.wait()
        self.assertEqual(self.contents(), self.earlier)
        self.ok(*self.command("--out", "run", "--no-report", "--seed", "3", epochs=3)[1:])
        # Nothing is left of either.
        self.assertEqual(sorted(os.listdir(self.path("run"))),
                         [name for name in FILES if name != "report.html"])
        self.assertIn("seed = 3", self.read("run/config.toml").decode())
        self.assertEqual(len(self.read("run/metrics.csv").splitlines()), 4)
        self.assertIn('"seed":"3"', read_safetensors(self.path("run/model.safetensors"))[0]
                      ["training"].replace(" ", ""))

    def test_stays_whole_when_the_next_fails(self):
        for arguments in (("--loss", "mse", "--output-activation", "identity", "--learning-rate",
                           "1e30"),):
            self.fails(1, "diverged", *self.command("--out", "run", *arguments, epochs=3)[1:])
            self.assertEqual(self.contents(), self.earlier)

    def test_stays_whole_on_a_full_disk(self):
        self.fails(1, "run/model.safetensors cannot be written",
                   *self.command("--out", "run", "--hidden", "40", epochs=3)[1:],
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)))
        self.assertEqual(self.contents(), self.earlier)

    def test_gives_way_to_a_run_that_is_interrupted(self):
        self.interrupt(self.start_training("--out", "run", "--seed", "2"))
        self.assertEqual(sorted(os.listdir(self.path("run"))), FILES)
        for name in FILES:
            self.assertNotEqual(self.read(f"run/{name}"), self.earlier[name], name)

    def test_keeps_links_links(self):
        os.mkdir(self.path("elsewhere"))
        os.rename(self.path("run/model.safetensors"), self.path("elsewhere/model"))
        os.symlink("../elsewhere/model", self.path("run/model.safetensors"))
        self.ok(*self.command("--out", "run", "--seed", "2", epochs=1)[1:])
        self.assertTrue(os.path.islink(self.path("run/model.safetensors")))
        self.assertNotEqual(self.read("elsewhere/model"), self.earlier["model.safetensors"])


class Leftovers(FolderTest):
    def test_of_killed_runs_are_removed(self):
        os.mkdir(self.path("run"))
        for name in (".ae-1-0.part", ".ae-3999999-12.part", ".ae-lock"):
            self.write(f"run/{name}", b"half a model")
        self.ok(*self.command("--out", "run", epochs=1)[1:])
        self.assertEqual(sorted(os.listdir(self.path("run"))), FILES)

    def test_of_a_run_that_has_no_model_are_replaced(self):
        os.mkdir(self.path("run"))
        for name in ("config.toml", "metrics.csv", "reconstructions.png", "report.html"):
            self.write(f"run/{name}", b"of a run that died")
        self.ok(*self.command("--out", "run", "--no-report", epochs=1)[1:])
        self.assertFalse(os.path.exists(self.path("run/report.html")))
        self.assertNotIn(b"of a run that died", b"".join(self.contents().values()))

    def test_elsewhere_are_removed_too(self):
        self.ok(*self.command("--out", "run", "--no-report", epochs=1)[1:])
        self.write(".ae-1-0.part", b"half a file of codes")
        self.ok("encode", "run/model.safetensors", "--data", "test.idx")
        self.assertFalse(os.path.exists(self.path(".ae-1-0.part")))


class UnwritableFiles(FolderTest):
    def test_are_told_before_the_training(self):
        for name in FILES:
            with self.subTest(name):
                out = f"run-{name}"
                os.makedirs(self.path(f"{out}/{name}"))
                self.fails(1, f"{out}/{name} cannot be written",
                           *self.command("--out", out, epochs=1000)[1:])
                self.assertFalse(os.path.isfile(self.path(f"{out}/metrics.csv")))

    def test_of_other_commands_are_told_before_the_work(self):
        self.ok(*self.command("--out", "run", "--no-report", epochs=1)[1:])
        for command in (("encode", "--out"), ("reconstruct", "--out"), ("evaluate", "--per-row")):
            line = self.fails(1, "nowhere/out.npy cannot be written", command[0],
                              "run/model.safetensors", "--data", "missing.idx", command[1],
                              "nowhere/out.npy")
            self.assertNotIn("missing.idx", line)


if __name__ == "__main__":
    unittest.main()
