#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Compares what `qeff-compile --plan --backend cpu` prints with the peak memory that qeff-run then has.

usage: check_memory_plan.py --bin BIN --root PROJECT

The demo model in a short context and in a long one, with keys and values in each format, and a random checkpoint of 86 MB must have
their plans within 5 % of the peak and a huge page, by which the areas of a program may reach further than what they hold. Contexts are filled to the end, as memory counts when
it is used. Standard library only."""
import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

CHECKPOINT = ["--hidden", "512", "--layers", "8", "--heads", "8", "--kv-heads", "4", "--ffn", "1536", "--vocab", "32000", "--tied"]

HUGE_PAGE_BYTES = 2 << 20


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def peak_bytes(command):
    """The largest resident set of a program."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.execv(command[0], [str(word) for word in command])
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise RuntimeError(f"{command[0]} failed: {status}")
    return usage.ru_maxrss * 1024


def measure(arguments, work, name, checkpoint, context, batch, vocabulary, cache="f32"):
    """Returns the plan and the peak of a run that fills the context of every prompt."""
    onnx = work / f"{name}-onnx"
    run([arguments.bin / "qeff-export", checkpoint, "-o", onnx, "-q", "--max-positions", str(max(context, 256))])
    options = ["--backend", "cpu", "--num-cores", "2", "--prefill-seq-len", "128", "--ctx-len", str(context), "--batch-size", str(batch), "-q",
               "--kv-cache", cache]
    plan = json.loads(run([arguments.bin / "qeff-compile", onnx, "--plan", "--json", *options]))
    qpc = work / f"{name}-qpc"
    run([arguments.bin / "qeff-compile", onnx, "-o", qpc, *options])
    numbers = random.Random(7)
    command = [str(arguments.bin / "qeff-run"), qpc, "--json", "-q", "--ignore-eos", "--max-new-tokens", "8", "--temperature", "0"]
    for _ in range(batch):
        command += ["--input-ids", ",".join(str(numbers.randrange(vocabulary)) for _ in range(context - 8))]
    peak = peak_bytes(command)
    print(f"{name}: plan {plan['total_bytes'] / 1e6:.1f} MB (weights {plan['weight_bytes'] / 1e6:.1f}, state {plan['state_bytes'] / 1e6:.1f}, "
          f"arena {plan['arena_bytes'] / 1e6:.1f}), peak {peak / 1e6:.1f} MB")
    return plan["total_bytes"], peak


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.bin, arguments.root = arguments.bin.resolve(), arguments.root.resolve()
    demo = arguments.root / "configs/demo-model"
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        os.environ["QEFF_HOME"] = str(work / "cache")
        run([sys.executable, arguments.root / "scripts/make_checkpoint.py", work / "random", *CHECKPOINT])
        runs = [("demo", demo, 128, 1, 1000)]
        runs += [(f"demo-long-{cache}", demo, 2048, 4, 1000, cache) for cache in ("f32", "bf16", "f16", "mxint8")]
        for name, checkpoint, *rest in (*runs, ("random", work / "random", 256, 1, 32000)):
            plan, peak = measure(arguments, work, name, checkpoint, *rest)
            difference = plan - peak
            print(f"{name}: off by {difference / peak:+.2%} of the peak")
            if abs(difference) > 0.05 * peak + HUGE_PAGE_BYTES:
                print("FAILED: more than 5 % and a huge page")
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
