#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Exports encoders with each pooling, with and without normalization, and compares the graph's output with recorded vectors.

usage: check_pooling.py --bin BIN --cases FOLDER --backend cpu|reference|onnxruntime [--case NAME]...

Each case folder is one of check_encoders.py; pool.<mode> and pool.<mode>.l2 of golden.safetensors are what must come out, for the
texts as recorded and padded to 16 tokens, where they fit. `avg` must be `mean`. Tolerance: 1e-4 absolute plus 1e-4 relative.
Standard library only, but for onnxruntime. Exit: 0 all match, 1 some do not, 77 there is nothing to run."""
import argparse
import os
import pathlib
import sys
import tempfile

from check_encoders import SHORT, Programs, shortened
from check_goldens import read_safetensors

MODES = {"mean": "mean", "avg": "mean", "cls": "cls", "max": "max", "last": "last"}


def worst_excess(expected, got):
    """How far the worst element is off, as a share of what is allowed; infinite if the sizes differ."""
    if len(expected) != len(got):
        return float("inf")
    shares = [abs(e - g) / (1e-4 + 1e-4 * abs(e)) for e, g in zip(expected, got)]
    return max(share if share == share else float("inf") for share in shares)


def check_case(args, env, folder, work):
    golden = read_safetensors(folder / "golden.safetensors")
    inputs = {name: golden[name] for name in ("input_ids", "attention_mask")}
    batch, width = inputs["input_ids"][0]
    zeros = ([batch, width], [0] * (batch * width))
    longest = max(sum(inputs["attention_mask"][1][row * width:(row + 1) * width]) for row in range(batch))
    failures = 0
    for mode, recorded in MODES.items():
        for suffix, options in (("", []), (".l2", ["--normalize"])):
            args.export_option = ["--pooling", mode, *options]
            place = work / (mode + suffix)
            place.mkdir()
            programs = Programs(args, env, place, folder, batch, None)
            for tokens in (width, SHORT) if longest <= SHORT else (width,):
                fed = {name: shortened(tensor, tokens) for name, tensor in inputs.items()}
                outputs = programs.outputs(fed, shortened(zeros, tokens))
                share = worst_excess(golden[f"pool.{recorded}{suffix}"][1], outputs["output"][1])
                fails = share > 1 or list(outputs) != ["output"]
                failures += fails
                print(f"{'FAILED' if fails else 'ok'}: {folder.name} {mode}{suffix}, {tokens} tokens: {share:.3g} of what is allowed")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--case", action="append", default=[])
    args = parser.parse_args()
    folders = [args.cases / name for name in args.case] if args.case else []
    if not folders or not all((folder / "golden.safetensors").exists() for folder in folders):
        print("SKIPPED: there are no recorded cases")
        return 77
    failures = 0
    for folder in folders:
        with tempfile.TemporaryDirectory() as work:
            failures += check_case(args, dict(os.environ, QEFF_HOME=str(pathlib.Path(work) / "home")), folder, pathlib.Path(work))
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
