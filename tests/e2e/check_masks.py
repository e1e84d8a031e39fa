#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Gives masks that no tokenizer makes to exported encoders and compares what the backends compute with onnxruntime.

usage: check_masks.py --bin BIN --cases FOLDER --case NAME... [--pooling MODE]... [--refused]

Each case folder is a checkpoint. Its texts are padded on the right and on the left and have holes; one has its first token masked, one
has a single token, and one none at all, which is not compared. Without --pooling, the head that the checkpoint has. All of the output
is compared. Allowed: 2e-4 * max(1, largest value). With --refused, the first token is read where it is padding and sees padding alone:
the CPU, which computes no padding, must say so. Needs numpy, onnx and onnxruntime.
Exit: 0 all match, 1 some do not, 77 there is nothing to run."""
import argparse
import json
import os
import pathlib
import random
import sys
import tempfile

from check_encoders import Programs
from check_goldens import worst_difference

TOKENS = 12
MASKS = ["111111111111", "111110000000", "000011111111", "110111010110", "011111111111", "001001000001", "000000100000", "000000000000"]


def texts_of(checkpoint):
    """Random texts of MASKS, as (inputs, token types), with ids of the checkpoint's vocabulary."""
    config = json.loads((checkpoint / "config.json").read_text())
    draw = random.Random(5)
    shape = [len(MASKS), TOKENS]
    ids = [draw.randrange(5, config.get("text_config", config)["vocab_size"]) for _ in range(len(MASKS) * TOKENS)]
    inputs = {"input_ids": (shape, ids), "attention_mask": (shape, [int(bit) for mask in MASKS for bit in mask])}
    return inputs, (shape, [0] * len(ids))


def compare_backends(programs_of, texts, work):
    """Runs the texts on every backend, by programs_of(backend, folder). Returns the shape of the only output and what differs too much."""
    results = {}
    for backend in ("onnxruntime", "reference", "cpu"):
        place = work / backend
        place.mkdir()
        (results[backend],) = programs_of(backend, place).outputs(*texts).values()
    shape, expected = results.pop("onnxruntime")
    size = len(expected) // len(MASKS)
    problems = []
    for backend, (_, got) in results.items():
        if len(got) != len(expected):
            problems.append(f"on {backend}: {len(got)} values instead of {len(expected)}")
        for row, mask in enumerate(MASKS[:-1]):  # the last text has no tokens and no result
            part = slice(row * size, (row + 1) * size)
            allowed = 2e-4 * max(1.0, max(map(abs, expected[part])))
            difference = worst_difference(got[part], expected[part])
            if not difference <= allowed:
                problems.append(f"on {backend}, mask {mask}: differs by {difference:.3g}, allowed {allowed:.3g}")
    return shape, problems


def check_refusal(programs_of, texts, work):
    try:
        programs_of("cpu", work).outputs(*texts)
    except RuntimeError as error:
        return [] if "PackedAttention' (#" in str(error) and "is not in [0, " in str(error) else [str(error)]
    return ["it is not refused"]


def check_case(args, env, folder, pooling, work):
    def programs_of(backend, place):
        options = argparse.Namespace(bin=args.bin, backend=backend, export_option=["--pooling", pooling] if pooling else [])
        return Programs(options, env, place, folder, len(MASKS), None)

    if args.refused:
        shape, problems = "", check_refusal(programs_of, texts_of(folder), work)
    else:
        shape, problems = compare_backends(programs_of, texts_of(folder), work)
    name = f"{folder.name} {pooling or 'head'}"
    for problem in problems:
        print(f"FAILED: {name} {problem}")
    print(f"{name} {shape or 'refusal'}: {len(problems)} failures", flush=True)
    return len(problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--case", action="append", required=True)
    parser.add_argument("--pooling", action="append", default=[])
    parser.add_argument("--refused", action="store_true")
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    folders = [args.cases / name for name in args.case]
    if not all((folder / "config.json").exists() for folder in folders):
        print("SKIPPED: the checkpoints are not there")
        return 77
    try:
        import onnxruntime  # noqa: F401
    except ImportError as missing:
        print(f"SKIPPED: {missing}")
        return 77
    failures = 0
    for folder in folders:
        for pooling in args.pooling or [None]:
            with tempfile.TemporaryDirectory() as work:
                env = dict(os.environ, QEFF_HOME=str(pathlib.Path(work) / "home"))
                failures += check_case(args, env, folder, pooling, pathlib.Path(work))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
