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

TOKENS = 12
MASKS = ["111111111111", "111110000000", "000011111111", "110111010110", "011111111111", "001001000001", "000000100000", "000000000000"]


def check_refusal(args, env, folder, inputs, types, work):
    args.backend = "cpu"
    try:
        Programs(args, env, work, folder, len(MASKS), None).outputs(inputs, types)
    except RuntimeError as error:
        if "PackedAttention' (#" in str(error) and "is not in [0, " in str(error):
            return 0
        print(error)
    print(f"FAILED: {folder.name} {' '.join(args.export_option)} is not refused")
    return 1


def check_case(args, env, folder, pooling, work):
    config = json.loads((folder / "config.json").read_text())
    config = config.get("text_config", config)
    draw = random.Random(5)
    count = len(MASKS) * TOKENS
    inputs = {"input_ids": ([len(MASKS), TOKENS], [draw.randrange(5, config["vocab_size"]) for _ in range(count)]),
              "attention_mask": ([len(MASKS), TOKENS], [int(bit) for mask in MASKS for bit in mask])}
    types = ([len(MASKS), TOKENS], [0] * count)
    args.export_option = ["--pooling", pooling] if pooling else []
    results = {}
    if args.refused:
        return check_refusal(args, env, folder, inputs, types, work)
    for args.backend in ("onnxruntime", "reference", "cpu"):
        place = work / args.backend
        place.mkdir()
        outputs = Programs(args, env, place, folder, len(MASKS), None).outputs(inputs, types)
        (results[args.backend],) = outputs.values()
    shape, expected = results["onnxruntime"]
    size = len(expected) // len(MASKS)
    failures = 0
    for backend in ("reference", "cpu"):
        for row, mask in enumerate(MASKS[:-1]):
            part = slice(row * size, (row + 1) * size)
            allowed = 2e-4 * max(1.0, max(map(abs, expected[part])))
            difference = max(abs(e - g) for e, g in zip(expected[part], results[backend][1][part], strict=True))
            if not difference <= allowed:
                failures += 1
                print(f"FAILED: {folder.name} {pooling or 'head'} on {backend}, mask {mask}: differs by {difference:.3g}, allowed {allowed:.3g}")
    print(f"{folder.name} {pooling or 'head'} {shape}: {failures} failures", flush=True)
    return failures


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
