#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Takes checkpoints with a reference.json through all five programs and compares text, ids and logits.

usage: check_reference.py --bin BIN [--backend cpu] CHECKPOINT...

reference.json is either that of configs/demo-model (a list "prompts" with greedy_ids, greedy_text, logits of some steps) or one
prompt at the top ("prompt", "prompt_ids", "ids", "logits_after_prompt", "text"). Compared are the ids that the tokenizer makes of
the prompt, all greedy ids, the text, and the recorded logits (2e-3 absolute or 1e-4 relative). Standard library only. Exit: 0
match, 1 not, 77 no checkpoint is there."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check_goldens import read_safetensors, rows_of, run  # noqa: E402


def prompts_of(reference):
    if "prompts" in reference:
        for p in reference["prompts"]:
            yield p.get("text"), p["ids"], p["greedy_ids"], p["greedy_text"], {e["step"]: e["values"] for e in p["logits"]}
    else:
        text = reference["text"][len(reference["prompt"]):] if "text" in reference else None
        yield reference["prompt"], reference["prompt_ids"], reference["ids"], text, {0: reference["logits_after_prompt"]}


def check(checkpoint, args, env, work):
    reference = json.loads((checkpoint / "reference.json").read_text())
    problems = []
    # The demo models' references show special tokens in their text.
    special = ["--show-special"] if "prompts" in reference else []
    folder = run([args.bin / "qeff-fetch", checkpoint], env).strip()
    graph = run([args.bin / "qeff-transform", folder, "-o", work / "graph"], env).strip()
    onnx = run([args.bin / "qeff-export", graph, "-o", work / "onnx"], env).strip()
    qpc = run([args.bin / "qeff-compile", onnx, "-o", work / "qpc", "--backend", args.backend, "--ctx-len", "256", "--num-cores", "2"], env).strip()
    for text, prompt_ids, ids, expected_text, logits in prompts_of(reference):
        dump = work / "logits.safetensors"
        # A chat prompt is recorded as ids: its template is not applied here.
        prompt = ["--prompt", text] if text is not None else ["--input-ids", ",".join(map(str, prompt_ids))]
        text = text or "chat"
        output = run([args.bin / "qeff-run", qpc, *prompt, "--json", "-q", "--ignore-eos", *special, "--temperature", "0",
                      "--max-new-tokens", str(len(ids)), "--dump-logits", dump], env)
        got = json.loads(output)["outputs"][0]
        if got["prompt_ids"] != prompt_ids:
            problems.append(f"'{text}': prompt ids {got['prompt_ids']}, expected {prompt_ids}")
        if got["generated_ids"] != ids:
            at = next((i for i, (a, b) in enumerate(zip(got["generated_ids"], ids)) if a != b), -1)
            problems.append(f"'{text}': generated ids differ from step {at} on")
        if expected_text is not None and got["text"].strip() != expected_text.strip():
            problems.append(f"'{text}': text {got['text']!r}, expected {expected_text!r}")
        rows = rows_of(read_safetensors(dump)["logits.0"])
        for step, values in logits.items():
            worst = max(abs(a - b) - 1e-4 * abs(b) for a, b in zip(rows[step], values))
            if len(rows[step]) != len(values) or not worst <= 2e-3:
                problems.append(f"'{text}': logits of step {step} differ by {worst:.3g}")
    return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("checkpoints", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    present = [c for c in args.checkpoints if (c / "reference.json").exists()]
    if not present:
        print("SKIPPED: no checkpoint with reference.json is there")
        return 77
    failed = False
    for checkpoint in present:
        with tempfile.TemporaryDirectory() as temporary:
            work = pathlib.Path(temporary)
            try:
                problems = check(checkpoint, args, {**os.environ, "QEFF_HOME": str(work / "cache")}, work)
            except RuntimeError as error:
                problems = [str(error)]
        print(f"{'FAIL' if problems else 'ok  '} {checkpoint.name} on {args.backend}")
        for problem in problems:
            print("     " + problem)
        failed |= bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
