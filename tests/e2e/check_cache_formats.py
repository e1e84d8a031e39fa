#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs recorded cases with keys and values in another format than f32 and compares.

usage: check_cache_formats.py --bin BIN --cases FOLDER --format bf16|f16|mxint8 --case NAME[:EXPORT_OPTION]...

Logits after every prefix of the recorded text (the prompt in chunks of 4 tokens, then greedy tokens) must be as near to those recorded as
the format promises: BOUNDS, of the root mean square of all differences over that of the recorded logits, and not nearer than a hundredth of
it, for then the format is not in use. Cases with an export option, whose caches are shaped otherwise than when they were recorded, are
compared with the same program in f32 instead. Prompts in one batch, and in fewer slots by continuous batching, must give the
ids that they give alone. Standard library only. Exit: 0 all match, 1 some do not, 77 there is nothing to run."""
import argparse
import math
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check_goldens import Case, Programs, compile_command, generate, rows_of, run  # noqa: E402

BOUNDS = {"f16": 1e-3, "bf16": 8e-3, "mxint8": 4e-2}
PREFILL = 4


def text_logits(programs, context, prompt, greedy):
    """Logits after every prefix of the prompt, and after every prefix of `greedy` beyond it."""
    texts = [prompt[:p] for p in range(1, len(prompt) + 1)] + [prompt + greedy[:s] for s in range(1, len(greedy))]
    _, logits = programs.generate(programs.get(PREFILL, context), texts, 1)
    return [rows_of(tensor)[0] for tensor in logits]


def relative_difference(rows, expected):
    difference = math.fsum((a - b) ** 2 for row, want in zip(rows, expected) for a, b in zip(row, want))
    return math.sqrt(difference / math.fsum(b * b for want in expected for b in want))


def check_batches(case, args, env, work, export_options, programs, context, onnx_options):
    """Three prompts: alone, in one batch, in two slots."""
    prompts = [case.ids(f"batch{j}.prompt_ids") for j in range(3)]
    alone = [programs.generate(programs.get(PREFILL, context), [prompt], 8)[0][0] for prompt in prompts]
    problems = []
    if programs.generate(programs.get(PREFILL, context, 3), prompts, 8)[0] != alone:
        problems.append("a batch gives other ids than its prompts alone")
    onnx = run([args.bin / "qeff-export", case.folder, "-o", work / "onnx-slots", "--continuous-batching", *onnx_options, *export_options], env).strip()
    qpc = run(compile_command(args, onnx, work / "qpc-slots", PREFILL, context) + ["--full-batch-size", "2"], env).strip()
    if generate(args, env, work, qpc, prompts, 8)[0] != alone:
        problems.append("continuous batching gives other ids than its prompts alone")
    return problems


def check_case(case, export_options, args, env, work):
    prompt, greedy = case.ids("prompt_ids"), case.ids(case.logits_name("greedy_ids"))
    context = max(64, len(prompt) + len(greedy))
    onnx_options = ["--weights", "reference", "--max-positions", str(max(context, 256))]
    onnx = run([args.bin / "qeff-export", case.folder, "-o", work / "onnx", *onnx_options, *export_options], env).strip()
    programs = Programs(args, env, work, onnx)
    rows = text_logits(programs, context, prompt, greedy)
    if export_options:
        args.compile_option = []
        (work / "exact").mkdir()
        expected = text_logits(Programs(args, env, work / "exact", onnx), context, prompt, greedy)
        args.compile_option = ["--kv-cache", args.format]
    else:
        expected = [case.row("prompt_logits", p) for p in range(len(prompt))]
        expected += [case.row(case.logits_name("step_logits"), s) for s in range(1, len(greedy))]
    difference = relative_difference(rows, expected)
    problems = []
    if not BOUNDS[args.format] / 100 < difference < BOUNDS[args.format]:
        problems.append(f"relative difference {difference:.3g}, expected less than {BOUNDS[args.format]:.3g} and a hundredth of it")
    if not export_options and args.batches:
        problems += check_batches(case, args, env, work, export_options, programs, context, onnx_options)
    return problems, difference


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--format", choices=BOUNDS, required=True)
    parser.add_argument("--case", action="append", required=True)
    parser.add_argument("--batches", action="store_true", help="also in batches")
    args = parser.parse_args()
    args.bin, args.backend, args.compile_option = args.bin.resolve(), "cpu", ["--kv-cache", args.format]
    if not args.cases.is_dir():
        print(f"SKIPPED: {args.cases} is not there")
        return 77
    failed = False
    for name in args.case:
        name, _, option = name.partition(":")
        with tempfile.TemporaryDirectory() as temporary:
            work = pathlib.Path(temporary)
            env = {**os.environ, "QEFF_HOME": str(work / "cache")}
            try:
                problems, difference = check_case(Case(args.cases / name, "config.json"), [option] if option else [], args, env, work)
            except RuntimeError as error:
                problems, difference = [str(error)], math.nan
        print(f"{'FAIL' if problems else 'ok  '} {name + option:<32} {args.format:<7} relative difference {difference:.2e}", flush=True)
        for problem in problems:
            print("     " + problem)
        failed |= bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
