"""A system that is not as one expects: streams that are closed or broken, threads and files that are
refused. The model is saved all the same, or there is one clear line before the work."""

import os
import resource
import subprocess
import unittest

from program import AE, ProgramTest, read_npy, read_safetensors, without_sanitizers

NOBODY = 65534


class SystemTest(ProgramTest):
    def train_command(self, *arguments, out="run", epochs=3):
        return ["train", "--data", "data.idx", "--test-data", "test.idx", "--hidden", "4",
                "--epochs", str(epochs), "--out", out, *arguments]

    def shell(self, line, *arguments):
        """Runs ae with these arguments by a line of shell, in which it is "$@"."""
        return subprocess.run(["sh", "-c", line, "sh", AE, *arguments], cwd=self.folder,
                              env=self.environment(), capture_output=True, text=True, timeout=120)

    def expect_whole_run(self, out="run", epochs=3):
        with open(self.path(f"{out}/metrics.csv")) as file:
            lines = file.read().splitlines()
        self.assertEqual(len(lines), epochs + 1, lines)
        for line in lines:
            self.assertEqual(line.count(","), 8, line)
        read_safetensors(self.path(f"{out}/model.safetensors"))
        self.assertIn("epochs = ", self.read(f"{out}/config.toml").decode())

    def expect_complaint(self, done, *says):
        """One line, that the model is safe."""
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"^ae: error: [^\n]+; the model is saved: [^\n]+\n$")
        for text in says:
            self.assertIn(text, done.stderr)


class ClosedStreams(SystemTest):
    def test_what_is_printed_goes_into_no_file(self):
        for voice in ((), ("--json",)):
            with self.subTest(voice):
                done = self.shell('"$@" >&-', *self.train_command(*voice))
                self.expect_complaint(done, "output cannot be written", "run/model.safetensors")
                self.expect_whole_run()

    def test_nor_are_the_others_missed(self):
        for closed in ("<&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"):
            with self.subTest(closed):
                done = self.shell(f'"$@" {closed}', *self.train_command("--quiet"))
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                self.expect_whole_run()

    def test_nor_do_errors_go_into_a_file(self):
        self.write("few.npy", b"not NumPy")
        done = self.shell('"$@" 2>&-', *self.train_command("--data", "few.npy"))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(self.read("few.npy"), b"not NumPy")

    def test_codes_are_codes(self):
        self.train()
        done = self.shell('"$@" >&-', "encode", "run/model.safetensors", "--data", "test.idx",
                          "--json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("output cannot be written", done.stderr)
        self.assertEqual(read_npy(self.path("codes.npy"))[0], (100, 4))


class BrokenStreams(SystemTest):
    def test_a_reader_that_leaves(self):
        line = '{ "$@"; echo $? >code; } | head -1'
        done = self.shell(line, *self.train_command("--json", epochs=200))
        self.assertIn('"epoch":1,', done.stdout)
        done.returncode = int(self.read("code"))
        self.expect_complaint(done, "Broken pipe", "run/model.safetensors")
        self.expect_whole_run(epochs=200)

    def test_a_full_stdout(self):
        for voice in ((), ("--json",)):
            with self.subTest(voice):
                done = self.shell('"$@" >/dev/full', *self.train_command(*voice))
                self.expect_complaint(done, "No space left", "run/model.safetensors")
                self.expect_whole_run()

    def test_a_full_stderr(self):
        done = self.shell('"$@" 2>/dev/full', *self.train_command("--threads", "100000"))
        self.assertEqual(done.returncode, 0)
        self.expect_whole_run()


class Refusals(SystemTest):
    def model_of(self, *arguments, out, note=None, **options):
        done = self.run_ae(*self.train_command("--quiet", *arguments, out=out), **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        if note is None:
            self.assertEqual(done.stderr, "")
        else:
            self.assertRegex(done.stderr, "^ae: note: [^\n]*" + note + "[^\n]*\n$")
        return self.read(f"{out}/model.safetensors")

    def test_more_threads_than_are_of_use(self):
        due = self.model_of("--threads", "1", out="one")
        for threads in ("10000", "100000", "2147483647"):
            self.assertEqual(self.model_of("--threads", threads, out=threads,
                                           note=f"{threads} threads are of no use"), due)

    @without_sanitizers
    def test_threads_that_the_system_does_not_start(self):
        due = self.model_of("--threads", "1", out="one")
        os.chmod(self.folder, 0o777)

        def allow_two():
            if os.geteuid() == 0:
                os.setuid(NOBODY)  # no limit holds for root
            resource.setrlimit(resource.RLIMIT_NPROC, (2, 2))

        try:
            subprocess.run([AE, "--version"], check=True, capture_output=True, preexec_fn=allow_two)
        except (OSError, subprocess.SubprocessError):
            self.skipTest("another user may not run the program where it is")
        self.assertEqual(self.model_of("--threads", "4", out="few", preexec_fn=allow_two,
                                       note="the system starts [12] of 4 threads"), due)

    @without_sanitizers
    def test_too_few_files_are_told_before_the_work(self):
        for limit in range(4, 12):
            with self.subTest(limit):
                out = f"run-{limit}"
                done = self.run_ae(*self.train_command(out=out), preexec_fn=lambda: (
                    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))))
                if done.returncode == 0:
                    self.assertEqual(done.stderr, "")
                    self.expect_whole_run(out)
                elif done.returncode == 1:
                    self.assertRegex(done.stderr, "^ae: error: [^\n]+\n$")
                    self.assertIn("ulimit -n", done.stderr)
                    self.assertNotRegex(done.stdout, "(?m)^epoch")
                else:  # the loader, which needs one for each library
                    self.assertIn("error while loading shared libraries", done.stderr)

    def test_a_disk_that_fills_up_costs_no_model(self):
        """The history outgrows what a file may have; the model does not."""
        done = self.run_ae(*self.train_command("--quiet", "--no-report", epochs=200),
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                 (4000, 4000)))
        self.expect_complaint(done, "run/metrics.csv cannot be written")
        _, tensors = read_safetensors(self.path("run/model.safetensors"))
        self.ok(*self.train_command("--quiet", "--no-report", epochs=200, out="whole"))
        self.assertEqual(read_safetensors(self.path("whole/model.safetensors"))[1], tensors)


if __name__ == "__main__":
    unittest.main()
