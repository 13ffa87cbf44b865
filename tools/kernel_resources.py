#!/usr/bin/env python3
"""Prints what each CUDA kernel takes of a multiprocessor, as the compiler recorded it.

Usage: kernel_resources.py [--all | --architecture sm_90] [--check | --json] [FILE…]

  FILE            objects, libraries or programs with machine code of kernels; without, libae.a of
                  the build folder `cuda` or `release`
  --architecture  only that one; by default the newest of data centres that is there
  --all           every kernel and architecture
  --check         only what is wrong: local memory, which is where spills go, and kernels without a
                  `// Traffic:` line in their source. Exits with 1 if there is any, or no kernel
  --json          the rows as one JSON array, for every architecture unless one is chosen

Needs c++filt (binutils), and neither a GPU nor a tool of CUDA's: the report is read out of the
kernels' ELF files, where cuobjdump --dump-resource-usage finds it as well.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import re
import struct
import subprocess
import sys
import typing

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEFAULT_FILES = ("build/cuda/src/libae.a", "build/release/src/libae.a")
DATA_CENTRE = (80, 90, 100, 103)


@dataclasses.dataclass
class Row:
    """A kernel on an architecture."""
    kernel: str
    architecture: str
    threads: typing.Optional[int]  # a block; None without launch bounds
    registers: int
    shared: int
    local: int
    occupancy: typing.Optional[float]  # percent of the multiprocessor's warps
    traffic: typing.Optional[str]


class Unreadable(Exception):
    """Why there is nothing to report, in one line."""


# ── Occupancy ──────────────────────────────────────────────────────────────────────────────────

# A multiprocessor's most resident warps and blocks, and its shared memory in KiB: CUDA Programming
# Guide, "Compute Capabilities", the table of technical specifications.
Limits = collections.namedtuple("Limits", "warps blocks shared_kib")
LIMITS = {
    75: Limits(32, 16, 64),
    80: Limits(64, 32, 164),
    86: Limits(48, 16, 100),
    87: Limits(48, 16, 164),
    89: Limits(48, 24, 100),
    90: Limits(64, 32, 228),
    100: Limits(64, 32, 228),
    103: Limits(64, 32, 228),
    120: Limits(48, 24, 100),
}
# The same for all of them. Warps get their registers in units, from one of four partitions.
REGISTERS = 65536
REGISTER_UNIT = 256
PARTITIONS = 4


def round_up(value, unit):
    return (value + unit - 1) // unit * unit


def occupancy(capability, threads, registers, shared):
    """Resident warps in percent of the most, as cuda_occupancy.h counts them; None if unknown."""
    limits = LIMITS.get(capability)
    if limits is None or threads is None:
        return None
    warps = round_up(threads, 32) // 32
    of_warp = round_up(max(registers, 1) * 32, REGISTER_UNIT)
    by_registers = REGISTERS // PARTITIONS // of_warp * PARTITIONS // warps
    # From 8.0 on the system keeps 1 KiB a block.
    kept, unit = (1024, 128) if capability >= 80 else (0, 256)
    of_block = round_up(shared + kept, unit)
    by_shared = limits.shared_kib * 1024 // of_block if of_block else limits.blocks
    blocks = min(limits.warps // warps, limits.blocks, by_registers, by_shared)
    return round(100 * blocks * warps / limits.warps, 1)


# ── The compiler's report ──────────────────────────────────────────────────────────────────────

FATBIN_MAGIC = struct.pack("<IH", 0xBA55ED50, 1)
KIND_ELF = 2

FUNCTION = 2  # type of a symbol
KERNEL = 0x10  # in st_other

# Attributes of .nv.info, by the names that cuobjdump -elf prints (EIATTR_…).
MAX_THREADS = 0x05
FRAME_SIZE = 0x11
MIN_STACK_SIZE = 0x12  # the frames of what it calls included
REGCOUNT = 0x2F
SIZED = 4  # format of an attribute that is longer than its four bytes of header


def elf_images(data, path):
    """(capability, ELF file) for the machine code of each fat binary within `data`."""
    start = data.find(FATBIN_MAGIC)
    while start >= 0:
        header, size = struct.unpack_from("<HQ", data, start + 6)
        at, end = start + header, start + header + size
        while at < end:
            kind, _, header, size, _, _, _, _, capability = struct.unpack_from(
                "<HHIQIIHHI", data, at)
            elf = data[at + header:at + header + size]
            if kind == KIND_ELF:
                if not elf.startswith(b"\x7fELF"):
                    raise Unreadable(f"{path}: its kernels are compressed; build them with nvcc's "
                                     "--compress-mode=none")
                yield capability, elf
            at += header + size
        start = data.find(FATBIN_MAGIC, end)


def text_at(data, at):
    return data[at:data.index(b"\0", at)].decode()


def sections(elf):
    """name → (size, contents)"""
    table, = struct.unpack_from("<Q", elf, 0x28)
    entry, count, names = struct.unpack_from("<HHH", elf, 0x3A)
    headers = [struct.unpack_from("<IIQQQQII", elf, table + i * entry) for i in range(count)]
    names_at = headers[names][4]
    return {
        text_at(elf, names_at + name): (size, elf[offset:offset + size])
        for name, _, _, _, offset, size, _, _ in headers
    }


def functions(found):
    """symbol number → (name, whether it is a kernel)"""
    _, symbols = found[".symtab"]
    _, names = found[".strtab"]
    result = {}
    for number in range(len(symbols) // 24):
        name, info, other = struct.unpack_from("<IBB", symbols, number * 24)
        if info & 0xF == FUNCTION:
            result[number] = (text_at(names, name), bool(other & KERNEL))
    return result


def attributes(info):
    """(attribute, its words) of a section .nv.info"""
    at = 0
    while at + 4 <= len(info):
        kind, attribute, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if kind == SIZED:
            yield attribute, struct.unpack_from(f"<{size // 4}I", info, at)
            at += size


def kernels(elf, capability):
    """(mangled name, {threads, registers, shared, local}) of each kernel in an ELF file."""
    found = collections.defaultdict(lambda: (0, b""), sections(elf))
    of_symbol = collections.defaultdict(dict)
    for attribute, words in attributes(found[".nv.info"][1]):
        if attribute in (REGCOUNT, FRAME_SIZE, MIN_STACK_SIZE):
            of_symbol[words[0]][attribute] = words[1]
    for symbol, (name, is_kernel) in functions(found).items():
        if not is_kernel:
            continue
        recorded = of_symbol[symbol]
        bounds = dict(attributes(found[".nv.info." + name][1])).get(MAX_THREADS)
        shared, _ = found[".nv.shared." + name]
        # From 9.0 on the section begins with what the system keeps.
        reserved = 1024 if shared and capability >= 90 else 0
        yield name, {
            "threads": bounds[0] * bounds[1] * bounds[2] if bounds else None,
            "registers": recorded[REGCOUNT],
            "shared": shared - reserved,
            "local": max(recorded.get(FRAME_SIZE, 0), recorded.get(MIN_STACK_SIZE, 0)),
        }


# ── Names and sources ──────────────────────────────────────────────────────────────────────────

def enumerators(root=ROOT):
    """'ae::Activation' → its names, of the enums whose values count from zero."""
    result = {}
    for header in sorted((root / "include/ae").glob("*.hpp")):
        text = header.read_text(encoding="utf-8")
        for name, body in re.findall(r"enum class (\w+)[^{;]*{([\w\s,]*)}", text):
            result["ae::" + name] = re.findall(r"\w+", body)
    return result


def demangle(names):
    if not names:
        return []
    try:
        result = subprocess.run(["c++filt"], input="\n".join(names), stdout=subprocess.PIPE,
                                check=True, encoding="utf-8")
    except FileNotFoundError:
        raise Unreadable("there is no c++filt: install binutils") from None
    return result.stdout.splitlines()


def readable(demangled, enums):
    """bias_activation<relu, 4> for void ae::cuda::(anonymous namespace)::bias_activation_kernel<
    (ae::Activation)1, 4>(float const*, …)"""
    def enumerator(match):
        names = enums.get(match[1], [])
        return names[int(match[2])] if int(match[2]) < len(names) else match[0]

    text = demangled.replace("(anonymous namespace)::", "")
    text = re.sub(r"\(([\w:]+)\)(\d+)", enumerator, text)
    text = re.sub(r"^void |(\w+::)+", "", text)
    return re.sub(r"^(\w+?)(?:_kernel)?(<.*>)?\(.*", lambda match: match[1] + (match[2] or ""), text)


def traffic_of_kernels(root=ROOT):
    """A kernel's name without `_kernel` → what its source says of the bytes it moves, or None."""
    result = {}
    for source in sorted((root / "kernels").glob("*/*.cu")):
        text = source.read_text(encoding="utf-8")
        said = re.search(r"^// Traffic: (.+)\.$", text, re.MULTILINE)
        for name in re.findall(r"__global__[^;{]*?(\w+)_kernel\s*\(", text):
            result[name] = said[1] if said else None
    return result


def read_rows(files):
    traffic = traffic_of_kernels()
    enums = enumerators()
    found = {}
    for file in files:
        for capability, elf in elf_images(pathlib.Path(file).read_bytes(), file):
            for name, resources in kernels(elf, capability):
                found[name, capability] = resources
    rows = []
    for ((_, capability), resources), name in zip(
            found.items(), demangle([name for name, _ in found])):
        kernel = readable(name, enums)
        resident = occupancy(capability, resources["threads"], resources["registers"],
                             resources["shared"])
        rows.append((kernel, capability, Row(
            kernel=kernel, architecture=f"sm_{capability}", occupancy=resident,
            traffic=traffic.get(kernel.split("<")[0]), **resources)))
    return [row for _, _, row in sorted(rows, key=lambda row: row[:2])]


# ── What is printed ────────────────────────────────────────────────────────────────────────────

def known(value):
    return "?" if value is None else str(value)


def table(rows):
    """Lines."""
    lines = [("kernel", "architecture", "threads", "registers", "shared", "local", "occupancy",
              "traffic")]
    for row in rows:
        percent = "?" if row.occupancy is None else f"{row.occupancy:g} %"
        lines.append((row.kernel, row.architecture, known(row.threads), str(row.registers),
                      str(row.shared), str(row.local), percent, known(row.traffic)))
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        numbers = "  ".join(text.rjust(width) for text, width in zip(line[2:7], widths[2:7]))
        yield f"{line[0]:{widths[0]}}  {line[1]:{widths[1]}}  {numbers}  {line[7]}"
    yield ""
    yield "threads and bytes of shared memory are a block's, registers and bytes of local memory a"
    yield "thread's; occupancy: the part of a multiprocessor's warps that there is room for;"
    yield "traffic: counted from the source, whose head says what is left out, not measured"


def faults(rows):
    """Lines, one for each thing that is wrong."""
    for row in rows:
        if row.local:
            yield f"{row.kernel} on {row.architecture}: {row.local} bytes of local memory a thread"
    for kernel in sorted({row.kernel.split("<")[0] for row in rows if row.traffic is None}):
        yield f"{kernel}: its source in kernels/ has no line `// Traffic: ….`"


def summary(rows):
    count = f"{len({row.kernel for row in rows})} kernels x " \
            f"{len({row.architecture for row in rows})} architectures: "
    spilled = sum(row.local > 0 for row in rows)
    return count + (f"{spilled} with local memory" if spilled else "no spills, no local memory")


def newest_architecture(rows):
    present = {int(row.architecture[3:]) for row in rows}
    return "sm_" + str(max(present.intersection(DATA_CENTRE) or present))


def read_files(files):
    """The rows of `files`, or else of the first build that has kernels."""
    if files:
        rows = read_rows(files)
        if not rows:
            raise Unreadable("no kernel was found: there is no machine code in these files")
        return rows
    for file in DEFAULT_FILES:
        rows = read_rows([ROOT / file]) if (ROOT / file).exists() else []
        if rows:
            return rows
    raise Unreadable("no kernel was found: build them with cmake --preset cuda && cmake --build "
                     "--preset cuda, or name their objects")


def of_architecture(rows, architecture):
    chosen = [row for row in rows if row.architecture == architecture]
    if not chosen:
        present = dict.fromkeys(row.architecture for row in rows)
        raise Unreadable(f"no kernel is for {architecture}, only for " + ", ".join(present))
    return chosen


def report(options):
    """Prints what is asked for; the exit code."""
    rows = read_files(options.files)
    if options.architecture:
        rows = of_architecture(rows, options.architecture)
    if options.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
        return 0
    if options.check:
        wrong = list(faults(rows))
        print("\n".join(wrong + [summary(rows)]))
        return 1 if wrong else 0
    shown = rows if options.all else of_architecture(rows, newest_architecture(rows))
    print("\n".join(table(shown)))
    print(summary(rows))
    return 0


def main(arguments):
    parser = argparse.ArgumentParser(
        description="Prints what each CUDA kernel takes of a multiprocessor, as the compiler "
                    "recorded it.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--architecture", help="only that one, as sm_90")
    which.add_argument("--all", action="store_true", help="every kernel and architecture")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="only what is wrong; exits with 1 if any")
    how.add_argument("--json", action="store_true", help="the rows as one JSON array")
    parser.add_argument("files", nargs="*", metavar="FILE",
                        help="with machine code of kernels (default: a build's libae.a)")
    try:
        return report(parser.parse_args(arguments))
    except OSError as error:
        print(f"kernel_resources: {error.filename}: {error.strerror}", file=sys.stderr)
    except Unreadable as error:
        print(f"kernel_resources: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
