"""tools/kernel_resources.py reads what the compiler recorded, and counts occupancy as CUDA does.

The files it reads here are written by hand; where there is an nvcc (AE_NVCC), it is also held
against what ptxas prints while it compiles.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import kernel_resources  # noqa: E402

OPTIMIZER = "_ZN2ae4cuda16optimizer_kernelILi4EEEvv"
GEMM = "_ZN2ae4cuda11gemm_kernelEv"


class Kernel:
    """A function of an ELF file to be written."""

    def __init__(self, name, registers=32, frame=0, stack=None, shared=0, threads=(256, 1, 1),
                 entry=True):
        self.name = name
        self.registers = registers
        self.frame = frame
        self.stack = frame if stack is None else stack
        self.shared = shared
        self.threads = threads
        self.entry = entry


def sized(attribute, *words):
    return struct.pack(f"<BBH{len(words)}I", 4, attribute, 4 * len(words), *words)


def elf(kernels):
    """An ELF file as ptxas writes it, with the sections that tell of resources."""
    names = b"\0"
    symbols = bytes(24)
    info = b""
    contents = []
    for number, kernel in enumerate(kernels, start=1):
        symbols += struct.pack("<IBBHQQ", len(names), 0x12, 0x10 if kernel.entry else 0, 1, 0, 0)
        names += kernel.name.encode() + b"\0"
        info += sized(0x2F, number, kernel.registers) + sized(0x11, number, kernel.frame)
        info += sized(0x12, number, kernel.stack)
        bounds = sized(0x05, *kernel.threads) if kernel.threads else b""
        # An attribute without words, as others stand there.
        contents.append((".nv.info." + kernel.name, struct.pack("<BBH", 3, 0x50, 0) + bounds, None))
        if kernel.shared:
            contents.append((".nv.shared." + kernel.name, b"", kernel.shared))
    contents += [(".symtab", symbols, None), (".strtab", names, None), (".nv.info", info, None)]
    titles = b"\0" + b"".join(name.encode() + b"\0" for name, _, _ in contents) + b".shstrtab\0"
    contents.append((".shstrtab", titles, None))

    body = b""
    headers = bytes(64)
    for name, data, size in contents:
        title = titles.index(name.encode() + b"\0")
        headers += struct.pack("<IIQQQQIIQQ", title, 8 if size else 1, 0, 0, 64 + len(body),
                               size or len(data), 0, 0, 1, 0)
        body += data
    return struct.pack("<4s12xHHIQQQIHHHHHH", b"\x7fELF", 2, 190, 1, 0, 0, 64 + len(body), 0, 64, 0,
                       0, 64, len(contents) + 1, len(contents)) + body + headers


def fat_binary(*entries):
    """Of (kind, capability, contents): 2 is machine code, 1 is PTX."""
    body = b"".join(
        struct.pack("<HHIQIIHHI32x", kind, 0x101, 64, len(data), 0, 0, 8, 1, capability) + data
        for kind, capability, data in entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def code(capability, *kernels):
    return fat_binary((2, capability, elf(kernels)))


class Tool(unittest.TestCase):
    def run_tool(self, data, *arguments):
        """Its exit code, and what it printed on either stream."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = kernel_resources.main([*arguments, file.name])
        return status, said.getvalue()

    def rows(self, data):
        return json.loads(self.run_tool(data, "--json")[1])


class Report(Tool):
    def test_a_clean_kernel(self):
        row, = self.rows(code(90, Kernel(OPTIMIZER, registers=40, shared=1024 + 512)))
        self.assertEqual(row.pop("traffic"), "12 bytes a parameter, 8 of them read, and 4 "
                         "read and 4 written for each number it keeps")
        self.assertEqual(row, {"kernel": "optimizer<4>", "architecture": "sm_90", "threads": 256,
                               "registers": 40, "shared": 512, "local": 0, "occupancy": 75.0})

    def test_all_sides_of_a_block_count(self):
        row, = self.rows(code(90, Kernel(GEMM, threads=(32, 8, 2))))
        self.assertEqual(row["threads"], 512)

    def test_the_section_of_shared_memory_has_the_reserve_only_from_9_0_on(self):
        for capability, bytes_ in ((75, 2048), (80, 2048), (89, 2048), (90, 1024), (120, 1024)):
            row, = self.rows(code(capability, Kernel(OPTIMIZER, shared=2048)))
            self.assertEqual(row["shared"], bytes_, capability)

    def test_the_frames_of_callees_are_local_memory(self):
        row, = self.rows(code(90, Kernel(OPTIMIZER, frame=8, stack=48)))
        self.assertEqual(row["local"], 48)

    def test_a_function_that_is_called_is_no_kernel(self):
        rows = self.rows(code(90, Kernel("_Z6helperv", entry=False), Kernel(OPTIMIZER)))
        self.assertEqual([row["kernel"] for row in rows], ["optimizer<4>"])

    def test_several_binaries_in_one_file(self):
        library = b"!<arch>\n\0" + code(80, Kernel(OPTIMIZER)) + b"odd" + code(90, Kernel(OPTIMIZER))
        self.assertEqual([row["architecture"] for row in self.rows(library)], ["sm_80", "sm_90"])

    def test_compressed_kernels_are_refused(self):
        status, said = self.run_tool(fat_binary((2, 90, b"(\xb5/\xfd")))
        self.assertEqual(status, 1)
        self.assertIn("--compress-mode=none", said)


class Occupancy(unittest.TestCase):
    """By hand, from the programming guide's table."""

    def test_registers(self):
        # 64 Ki registers, of which a warp takes 32 times a thread's, in units of 256.
        self.assertEqual(kernel_resources.occupancy(90, 256, 32, 0), 100)
        self.assertEqual(kernel_resources.occupancy(90, 256, 33, 0), 75)  # 1280: 48 warps
        self.assertEqual(kernel_resources.occupancy(90, 256, 64, 0), 50)
        self.assertEqual(kernel_resources.occupancy(90, 256, 255, 0), 12.5)  # 8192: 8 warps
        self.assertEqual(kernel_resources.occupancy(75, 256, 64, 0), 100)  # 32 warps are all

    def test_registers_come_from_four_partitions(self):
        # 88 registers, 2816 a warp: 23 warps in all, but 5 in each quarter of 16 Ki.
        self.assertEqual(kernel_resources.occupancy(90, 32, 88, 0), 31.2)  # 20 of 64

    def test_shared_memory(self):
        # 228 KiB / (48 + 1) KiB: 4 blocks of 4 warps.
        self.assertEqual(kernel_resources.occupancy(90, 128, 16, 48 * 1024), 25)
        # Two blocks of 50 KiB would be the 100 KiB of 8.6, were it not for the reserve.
        self.assertEqual(kernel_resources.occupancy(86, 512, 16, 50 * 1024), 33.3)
        # 7.5 has none: two blocks of 32 KiB are its 64.
        self.assertEqual(kernel_resources.occupancy(75, 256, 16, 32 * 1024), 50)

    def test_blocks(self):
        self.assertEqual(kernel_resources.occupancy(86, 64, 16, 0), 66.7)  # 16 of 2 warps, of 48
        self.assertEqual(kernel_resources.occupancy(120, 32, 16, 0), 50)  # 24 of 1 warp, of 48
        self.assertEqual(kernel_resources.occupancy(80, 1000, 16, 0), 100)  # 2 of 32 warps

    def test_what_is_not_known_is_not_guessed(self):
        self.assertIsNone(kernel_resources.occupancy(130, 256, 32, 0))
        self.assertIsNone(kernel_resources.occupancy(90, None, 32, 0))


class Names(unittest.TestCase):
    def readable(self, name):
        return kernel_resources.readable(name, kernel_resources.enumerators())

    def test_template_arguments(self):
        for name, expected in (
                ("void ae::cuda::(anonymous namespace)::bias_activation_kernel<(ae::Activation)1, "
                 "4>(float const*, float*, long, long)", "bias_activation<relu, 4>"),
                ("void ae::cuda::(anonymous namespace)::row_losses_kernel<ae::math::SquaredError<"
                 "(ae::Activation)3>, 1>(float const*)", "row_losses<SquaredError<tanh>, 1>"),
                ("void ae::cuda::gather_kernel<unsigned char, 4>(unsigned char const*)",
                 "gather<unsigned char, 4>"),
                ("ae::cuda::gemm_kernel(ae::cuda::Operand)", "gemm")):
            self.assertEqual(self.readable(name), expected)

    def test_a_number_without_a_name_stays(self):
        self.assertEqual(self.readable("void f_kernel<(ae::Loss)99>()"), "f<(Loss)99>")
        self.assertEqual(self.readable("void f_kernel<(Other)1>()"), "f<(Other)1>")


class Output(Tool):
    def test_check_of_clean_kernels_says_so(self):
        both = code(80, Kernel(OPTIMIZER), Kernel(GEMM)) + code(90, Kernel(OPTIMIZER), Kernel(GEMM))
        self.assertEqual(self.run_tool(both, "--check"),
                         (0, "2 kernels x 2 architectures: no spills, no local memory\n"))

    def test_check_names_the_kernel_that_spills(self):
        status, said = self.run_tool(code(80, Kernel(OPTIMIZER)) + code(90, Kernel(OPTIMIZER, frame=8)),
                                     "--check")
        self.assertEqual(status, 1)
        self.assertEqual(said, "optimizer<4> on sm_90: 8 bytes of local memory a thread\n"
                               "1 kernels x 2 architectures: 1 with local memory\n")

    def test_check_wants_the_traffic_in_the_source(self):
        status, said = self.run_tool(code(90, Kernel("_Z14novelty_kernelv")), "--check")
        self.assertEqual(status, 1)
        self.assertIn("novelty: its source", said)

    def test_no_kernel_is_a_failure(self):
        for data in (b"", code(90), fat_binary((1, 90, b".version 9.0"))):
            for arguments in ([], ["--check"]):
                status, said = self.run_tool(data, *arguments)
                self.assertEqual(status, 1)
                self.assertIn("no kernel was found", said)

    def test_the_table_is_of_the_newest_of_data_centres(self):
        data = b"".join(code(capability, Kernel(OPTIMIZER)) for capability in (80, 90, 120))
        _, said = self.run_tool(data)
        self.assertEqual(re.findall(r"sm_\d+", said), ["sm_90"])
        self.assertIn("1 kernels x 3 architectures", said)
        _, said = self.run_tool(data, "--all")
        self.assertEqual(re.findall(r"sm_\d+", said), ["sm_80", "sm_90", "sm_120"])
        _, said = self.run_tool(data, "--architecture", "sm_120")
        self.assertEqual(re.findall(r"sm_\d+", said), ["sm_120"])
        status, said = self.run_tool(data, "--architecture", "sm_75")
        self.assertEqual(status, 1)
        self.assertIn("only for sm_80, sm_90, sm_120", said)

    def test_the_unknown_is_a_question_mark(self):
        _, said = self.run_tool(code(130, Kernel(OPTIMIZER)))
        self.assertRegex(said, r"optimizer<4> +sm_130 +256 +32 +0 +0 +\? ")


class AgainstTheCompiler(Tool):
    SOURCE = """
        __global__ void __launch_bounds__(128) clean_kernel(float* x) {
          __shared__ float all[128];
          all[threadIdx.x] = x[threadIdx.x];
          __syncthreads();
          x[threadIdx.x] = all[127 - threadIdx.x];
        }
        __global__ void __launch_bounds__(64) array_kernel(float* x, const int* order) {
          float own[48];
          for (int i = 0; i < 48; ++i) own[order[i]] = x[i];
          for (int i = 0; i < 48; ++i) x[i] = own[i] + own[order[i] / 2];
        }
    """

    def compiled(self, folder):
        """The object, and what ptxas printed."""
        nvcc = os.environ["AE_NVCC"]
        listed = subprocess.run([nvcc, "--list-gpu-code"], stdout=subprocess.PIPE, check=True,
                                encoding="utf-8").stdout.split()
        wanted = [name[3:] for name in listed if name in ("sm_75", "sm_80", "sm_90", "sm_100")]
        source = os.path.join(folder, "kernels.cu")
        target = os.path.join(folder, "kernels.o")
        with open(source, "w", encoding="utf-8") as file:
            file.write(self.SOURCE)
        done = subprocess.run(
            [nvcc, "-Xptxas", "-v", "-c", source, "-o", target] +
            [f"-gencode=arch=compute_{name},code=sm_{name}" for name in wanted],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, encoding="utf-8")
        with open(target, "rb") as file:
            return file.read(), done.stdout

    @unittest.skipUnless(os.environ.get("AE_NVCC"), "there is no CUDA compiler")
    def test_it_reads_what_ptxas_says(self):
        with tempfile.TemporaryDirectory() as folder:
            data, log = self.compiled(folder)
        said = {}
        for part in log.split("Compiling entry function")[1:]:
            name, architecture = re.match(r" '\w+?\d+(\w+)_kernel\w+' for '(\w+)'", part).groups()
            shared = re.search(r"(\d+) bytes smem", part)
            said[name, architecture] = (int(re.search(r"Used (\d+) registers", part)[1]),
                                        int(shared[1]) if shared else 0,
                                        int(re.search(r"(\d+) bytes stack frame", part)[1]))
        self.assertGreaterEqual(len(said), 4)
        rows = self.rows(data)
        self.assertEqual({(row["kernel"], row["architecture"]):
                          (row["registers"], row["shared"], row["local"]) for row in rows}, said)
        self.assertEqual({(row["kernel"], row["threads"], row["local"] > 0) for row in rows},
                         {("clean", 128, False), ("array", 64, True)})


if __name__ == "__main__":
    unittest.main()
