#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Measures how fast a model is compiled, compared with a plain copy of its weights, and how fast a program starts.

    benchmarks/start_and_compile.py --work DIR --model tinyllama

Prints a line for each figure: the median and the range of --repetitions. Copies and compilations are written to DIR, timed until
they have ended and until their file has been flushed to the disk, too, and deleted. Weights and program are in the page cache. Before each of them memory of four times their size is touched and
given back: a virtual machine may have to ask its host for memory that was free for some seconds, at a tenth of the speed, and who
gets how much of that is chance. Needs only Python 3.9, and Linux 5.14.
"""

import argparse
import json
import mmap
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import performance

BLOCK_BYTES = 2 << 20
MADV_POPULATE_WRITE = 23  # linux/mman.h


def run(command, stdout=subprocess.PIPE):
    """Returns seconds, the largest resident size in bytes, and standard output."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=stdout, text=True)
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"error: {command[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024, output


def touch_memory(size):
    process = os.fork()  # a child started later would inherit our largest resident size
    if process == 0:
        try:
            memory = mmap.mmap(-1, size)
            memory.madvise(mmap.MADV_HUGEPAGE)
            memory.madvise(MADV_POPULATE_WRITE)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(process, 0)[1] != 0:
        sys.exit(f"error: cannot touch {size >> 20} MiB of memory")


def timed(work, size):
    """Seconds of work(), which writes size bytes, without and with bringing the file that it returns to the disk."""
    touch_memory(4 * size)
    start = time.perf_counter()
    path = work()
    written = time.perf_counter()
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return written - start, time.perf_counter() - start


def show(name, values, unit, scale=1.0):
    values = [value * scale for value in values]
    print(f"{name}: {statistics.median(values):.3f} {unit} ({min(values):.3f}-{max(values):.3f}, {len(values)} runs)")


def copy_in_blocks(source, target):
    """As qeff-compile writes: the page cache then keeps the file in large pages, which makes running faster."""
    with open(source, "rb", buffering=0) as reader, open(target, "wb", buffering=0) as writer:
        while block := reader.read(BLOCK_BYTES):
            writer.write(block)
    return target


def measure_compile(options, checkpoint, onnx):
    weights = checkpoint / "model.safetensors"
    size = weights.stat().st_size
    copy, program = options.work / "copy.bin", options.work / "compiled"
    copies, block_copies, compiles, resident = [], [], [], []
    run(["cat", weights], subprocess.DEVNULL)  # into the page cache, not into this process
    for _ in range(options.repetitions):
        copies.append(timed(lambda: shutil.copyfile(weights, copy), size))
        copy.unlink()
        block_copies.append(timed(lambda: copy_in_blocks(weights, copy), size))
        copy.unlink()

        def compile_once():
            resident.append(run([options.bin / "qeff-compile", onnx, "-q", "--num-cores", "2", "-o", program])[1])
            return program / "programqpc.bin"
        compiles.append(timed(compile_once, size))
        shutil.rmtree(program)
    for i, end in enumerate(("", ", flushed to the disk")):
        show(f"plain copy{end}", [size / seconds[i] for seconds in copies], "GB/s", 1e-9)
        show(f"copy in blocks of 2 MiB{end}", [size / seconds[i] for seconds in block_copies], "GB/s", 1e-9)
        show(f"compilation{end}", [size / seconds[i] for seconds in compiles], "GB/s", 1e-9)
        show(f"compilation over plain copy{end}", [a[i] / b[i] for a, b in zip(copies, compiles)], "times as fast")
        show(f"compilation over copy in blocks{end}", [a[i] / b[i] for a, b in zip(block_copies, compiles)], "times as fast")
    show("largest resident size", resident, "MiB", 2**-20)


def measure_start(options, onnx):
    program = options.work / "qpc" / f"{options.model}-start"
    run([options.bin / "qeff-compile", onnx, "-q", "--num-cores", "2", "--prefill-seq-len", "16", "-o", program])
    ids = ",".join(str(3 + i) for i in range(16))
    starts, prefills = [], []
    for _ in range(options.repetitions + 1):
        seconds, _, output = run([options.bin / "qeff-run", program, "-q", "--input-ids", ids, "--max-new-tokens", "1",
                                  "--ignore-eos", "--json"])
        metrics = json.loads(output)["metrics"]
        starts.append(seconds)
        prefills.append(metrics["prefill_s"])
    show("whole process to the first token of 16", starts[1:], "s")
    show("of that in prefill", prefills[1:], "s")
    show("start without prefill", [a - b for a, b in zip(starts[1:], prefills[1:])], "s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints, programs and copies")
    parser.add_argument("--bin", type=Path, default=performance.ROOT / "build" / "bin")
    parser.add_argument("--model", choices=list(performance.MODELS), default="tinyllama")
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    options.work = options.work.resolve()
    checkpoint, onnx = performance.onnx_of(options, options.model)
    measure_compile(options, checkpoint, onnx)
    measure_start(options, onnx)


if __name__ == "__main__":
    main()
