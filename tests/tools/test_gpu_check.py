"""tools/gpu_check.sh on a machine made of small fake programs: what it reports when there is no GPU,
when all goes well, when something fails, and when a tool is missing. The script itself runs whole."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CARD = "Imaginary GPU 9000"

SECTIONS = ["machine", "build", "MNIST", "tests", "tests on the GPU alone", "memcheck", "racecheck",
            "initcheck", "synccheck", "memory leaks", "kernel resources", "seed training",
            "same bits again", "bench, fp32", "bench, tf32", "convolutions, cuDNN beside our own",
            "GPU beside CPU, operation by operation", "PyTorch"]

NVIDIA_SMI = f"""
case "$*" in
  -L) echo "GPU 0: {CARD} (UUID: GPU-0)" ;;
  *query-compute-apps*) ;;
  *query-gpu=name*) echo "{CARD}" ;;
  *query-gpu=driver_version*) echo "999.1" ;;
  *query-gpu=compute_cap*) echo "9.0" ;;
  *) echo "[N/A]" ;;
esac
"""

CTEST = """
[ "$AE_REQUIRE_GPU" = 1 ] || exit 3
while [ $# -gt 0 ]; do [ "$1" = --output-junit ] && result=$2; shift; done
echo '<testsuite><testcase name="One" status="run"/></testsuite>' > "$result"
"""

CTEST_FAILING = CTEST.replace('"run"', '"fail"') + "exit 8\n"

COMPUTE_SANITIZER = """
case "$*" in *"--error-exitcode 9"*) ;; *) exit 3 ;; esac
echo "========= $2"
echo "========= ERROR SUMMARY: 0 errors"
"""

AE_TESTS = """
[ "$AE_REQUIRE_GPU" = 1 ] || exit 3
echo "[==========] 29 tests from 4 test suites ran. (5 ms total)"
echo "[  PASSED  ] 29 tests."
"""

AE = """
command=$1
epochs=0
while [ $# -gt 0 ]; do
  case $1 in --out) out=$2 ;; --epochs) epochs=$2 ;; --json) json=yes ;; esac
  shift
done
case $command in
  info) echo "ae 0"; [ -z "$json" ] || echo '{"libraries":{"cuDNN":"9.0.0"}}' ;;
  bench)
    echo "an epoch, run as training runs it: 0.0100 s (median)"
    echo "an epoch with --convolution cudnn: 0.0100 s; with --convolution own: 0.0200 s" ;;
  train)
    mkdir -p "$out"
    echo weights > "$out/model.safetensors"
    [ -z "$json" ] || for epoch in $(seq "$epochs"); do
      echo '{"event":"epoch","epoch":'$epoch',"seconds":0.0'$((epoch % 9 + 1))'}'
    done
    echo '{"event":"done","test_loss":0.09168}' ;;
esac
"""

# The interpreter, with a PyTorch that sees the GPU, and a comparison of which nothing is run.
PYTHON_WITH_TORCH = f"""
case "$*" in
  *"import sys, torch"*) exit 0 ;;
  *compare.py*)
    case "$*" in *"--device cuda"*) ;; *) exit 3 ;; esac
    echo "an epoch in PyTorch, eager, takes 9.00 times as long as in ae (median)"
    echo "an epoch in PyTorch, with CUDA graphs, takes 1.50 times as long as in ae (median)" ;;
  *) exec "{sys.executable}" "$@" ;;
esac
"""

PYTHON_WITHOUT_TORCH = f"""
case "$*" in *torch*) exit 1 ;; *) exec "{sys.executable}" "$@" ;; esac
"""


class GpuCheck(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ae-gpu-check-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.tree = self.root / "tree"
        for name in ("gpu_check.sh", "build.sh", "summarize_tests.py"):
            (self.tree / "tools").mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "tools" / name, self.tree / "tools" / name)
        self.program("tree/tools/install_dependencies.sh", "")
        self.program("tree/tools/fetch_mnist.sh", "")
        self.program("tree/build/cuda/src/ae", AE)
        self.program("tree/build/cuda/tests/ae_tests", AE_TESTS)
        self.program("tree/build/cuda/tests/ae_cuda_test", AE_TESTS.replace("29", "9"))
        (self.tree / "tools/kernel_resources.py").write_text("print('40 registers')\n")
        self.program("bin/nvidia-smi", NVIDIA_SMI)
        self.program("bin/cmake", 'echo "cmake version 3.25.1"; echo "$*" >> cmake.log')
        self.program("bin/ctest", CTEST)
        self.program("bin/compute-sanitizer", COMPUTE_SANITIZER)
        self.program("bin/python3", PYTHON_WITH_TORCH)
        self.program("bin/nvcc", 'echo "Cuda compilation tools, release 13.0"')
        self.program("bin/git", "exit 1")

    def program(self, name, script):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)

    def check(self, *arguments):
        """Runs the script; returns how it ended and its report, if there is one."""
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("AE_", "CUDA"))}
        # Nothing of CUDA that this machine may have.
        environment.update(PATH=f"{self.root}/bin:/usr/bin:/bin", CUDA_HOME=str(self.root))
        done = subprocess.run(["tree/tools/gpu_check.sh", *arguments], env=environment,
                              cwd=self.root, capture_output=True, text=True, timeout=120)
        report = self.tree / "gpu-report.md"
        return done, report.read_text(encoding="utf-8") if report.exists() else None

    def assert_section(self, report, title, result):
        self.assertRegex(report, rf"(?m)^\| {title} \| {result} \|")
        self.assertRegex(report, rf"(?m)^## {title}\n\n{result}")

    def test_no_gpu(self):
        for script in ("exit 9\n", 'echo "No devices found."\n'):
            self.program("bin/nvidia-smi", script)
            done, report = self.check()
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout, "")
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn("no NVIDIA GPU", done.stderr)
            self.assertIsNone(report)

    def test_all_is_well(self):
        done, report = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout.splitlines()[-1],
                         f"gpu_check: {len(SECTIONS)} passed, 0 failed, 0 skipped; report: gpu-report.md")
        self.assertTrue(report.startswith(f"# ae on {CARD}\n"))
        for title in SECTIONS:
            self.assert_section(report, title, "passed")
        self.assertEqual(report.count("\n## "), len(SECTIONS))
        for text in (f"| test loss (BCE) after 50 epochs | 0.09168 | {CARD} |",
                     f"| test cases passed on the GPU | 38 | {CARD} |",
                     f"| an epoch in ae bench, tf32 | 0.0100 s (median) | {CARD} |",
                     "on our kernels | 0.0100 s; with --convolution own: 0.0200 s |",
                     "--convolution own: two trainings gave the same model file",
                     "1.50 times as long as in ae", "999.1", "40 registers", "release 13.0",
                     "1 passed, 0 failed, 0 skipped"):
            self.assertIn(text, report)
        # A line as each section starts and one as it ends.
        self.assertEqual(len(done.stdout.splitlines()), 2 * len(SECTIONS) + 1, done.stdout)
        self.assertIn("-DAE_CUDA_ARCHITECTURES=native", (self.tree / "cmake.log").read_text())
        self.assertEqual(list(self.tree.glob("*.partial")), [])

    def test_quick(self):
        done, report = self.check("--quick", "--out", "other/name.md")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIsNone(report)
        report = (self.tree / "other/name.md").read_text(encoding="utf-8")
        self.assert_section(report, "memcheck", "passed")
        self.assert_section(report, "racecheck", "skipped")
        self.assertIn("racecheck: --quick was given", done.stdout.splitlines()[-1])
        self.assertIn("after 2 epochs", report)

    def test_failing_tests(self):
        self.program("bin/ctest", CTEST_FAILING)
        done, report = self.check()
        self.assertEqual(done.returncode, 1)
        self.assertIn("1 failed, 0 skipped; failed: tests;", done.stdout.splitlines()[-1])
        self.assert_section(report, "tests", "failed")
        self.assertIn("failed: One", report)
        for title in SECTIONS[4:]:
            self.assert_section(report, title, "passed")

    def test_a_crash_on_the_gpu(self):
        self.program("tree/build/cuda/tests/ae_tests", "exit 139\n")
        done, report = self.check()
        self.assertEqual(done.returncode, 1)
        self.assert_section(report, "tests on the GPU alone", "failed")
        self.assertIn(f"| test cases passed on the GPU | 9 | {CARD} |", report)

    def test_a_finding_of_a_sanitizer(self):
        self.program("bin/compute-sanitizer", 'case "$*" in *racecheck*) echo hazard; exit 9 ;; esac')
        done, report = self.check()
        self.assertEqual(done.returncode, 1)
        self.assert_section(report, "racecheck", "failed")
        self.assertIn("| exit code 9 |", report)
        self.assert_section(report, "synccheck", "passed")
        self.assertIn("hazard", report)

    def test_no_sanitizer(self):
        (self.root / "bin/compute-sanitizer").unlink()
        done, report = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for title in ("memcheck", "racecheck", "initcheck", "synccheck", "memory leaks"):
            self.assert_section(report, title, "skipped")
        self.assertIn("memcheck: compute-sanitizer is not installed", done.stdout.splitlines()[-1])
        self.assert_section(report, "seed training", "passed")

    def test_no_pytorch(self):
        self.program("bin/python3", PYTHON_WITHOUT_TORCH)
        (self.tree / "tools/kernel_resources.py").unlink()
        _, report = self.check()
        self.assert_section(report, "kernel resources", "skipped")
        # The system's Python may have one, and nothing here to compare.
        self.assertRegex(report, r"(?m)^\| PyTorch \| (skipped|failed) \|")

    def test_a_failing_build(self):
        self.program("bin/cmake", 'echo "cmake version 3.22.1"; echo "$*" >> cmake.log; '
                     'case "$*" in *--preset*) echo "error: broken"; exit 1 ;; esac')
        done, report = self.check()
        self.assertEqual(done.returncode, 1)
        self.assert_section(report, "build", "failed")
        self.assertIn("error: broken", report)
        # An older program may lie there: it must not be taken for this one.
        for title in ("tests", "memcheck", "seed training", "bench, fp32"):
            self.assert_section(report, title, "skipped")
            self.assertIn(f"{title}: the program was not built", done.stdout.splitlines()[-1])
        # This CMake does not know "native".
        self.assertIn("-DAE_CUDA_ARCHITECTURES=90-real", (self.tree / "cmake.log").read_text())

    def test_a_worse_loss(self):
        self.program("tree/build/cuda/src/ae", AE.replace("0.09168", "0.09176"))
        done, report = self.check()
        self.assertEqual(done.returncode, 1)
        self.assert_section(report, "seed training", "failed")
        self.assert_section(report, "same bits again", "passed")

    def test_other_bits(self):
        self.program("tree/build/cuda/src/ae", AE.replace("echo weights", 'echo "weights $out"'))
        done, report = self.check()
        self.assertEqual(done.returncode, 1)
        self.assert_section(report, "same bits again", "failed")
        self.assert_section(report, "convolutions, cuDNN beside our own", "failed")

    def test_no_cudnn(self):
        self.program("tree/build/cuda/src/ae", AE.replace('"cuDNN":"9.0.0"', ""))
        done, report = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assert_section(report, "convolutions, cuDNN beside our own", "skipped")
        self.assert_section(report, "GPU beside CPU, operation by operation", "passed")

    def test_a_wrong_option(self):
        done, report = self.check("--fast")
        self.assertEqual(done.returncode, 2)
        self.assertIn("there is no option --fast", done.stderr)
        self.assertIsNone(report)


if __name__ == "__main__":
    unittest.main()
