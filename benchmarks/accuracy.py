#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Measures what weight and cache formats change, and prints a table of it.

    benchmarks/accuracy.py --work DIR                                     # the demo model
    benchmarks/accuracy.py --work DIR --model CHECKPOINT --model CHECKPOINT
    benchmarks/accuracy.py --work DIR --isa avx512_vnni --write           # the demo model's lines of docs/accuracy.md

Every format gets the same tokens: texts that the f32 program has written itself at temperature 1. For every position the
logits of the format and of f32 give the Kullback-Leibler divergence KL(f32 || format), whether the likeliest token is the
same, and the probability of the token that comes next (perplexity). Needs only Python 3.9.
"""

import argparse
import array
import json
import math
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FORMATS = {
    "f32": ["--weights", "f32"],
    "bf16": ["--weights", "bf16"],
    "f16": ["--weights", "f16"],
    "bf16, computed in bf16": ["--weights", "bf16", "--compute", "bf16"],
    "int8": ["--weights", "int8"],
    "int4": ["--weights", "int4"],
    "mxfp6": ["--weights", "mxfp6"],
    "cache bf16": ["--weights", "f32", "--kv-cache", "bf16"],
    "cache f16": ["--weights", "f32", "--kv-cache", "f16"],
    "cache mxint8": ["--weights", "f32", "--kv-cache", "mxint8"],
}
PROMPT_TOKENS = 1  # the first token of a text, which no position predicts
HEAD = [["model", "format", "positions", "KL(f32 \\|\\| format), mean", "largest", "same likeliest token", "perplexity"],
        ["---"] * 7]
BEGIN, END = "<!-- table: written by benchmarks/accuracy.py -->\n", "<!-- end of table -->\n"


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {command[0]} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def read_logits(path):
    """Returns the first row of each tensor logits.<n>, in order."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        rows = []
        for index in range(sum(name.startswith("logits.") for name in header)):
            entry = header[f"logits.{index}"]
            file.seek(8 + length + entry["data_offsets"][0])
            row = array.array("f")
            row.frombytes(file.read(4 * entry["shape"][1]))
            rows.append(row)
    return rows


def log_softmax(row):
    highest = max(row)
    total = math.log(math.fsum(math.exp(value - highest) for value in row)) + highest
    return [value - total for value in row]


def predictions(options, program, text):
    """Log-probabilities after each prefix of `text`: every prefix is a prompt of its own, and one token is asked for."""
    file = options.work / "logits.safetensors"
    command = [options.bin / "qeff-run", program, "-q", "--max-new-tokens", "1", "--ignore-eos", "--temperature", "0",
               "--dump-logits", file, "--json", *options.run]
    for end in range(PROMPT_TOKENS, len(text)):
        command += ["--input-ids", ",".join(map(str, text[:end]))]
    run(command)
    return [log_softmax(row) for row in read_logits(file)]


def write_texts(options, program, first_id):
    """Texts that the program makes itself, one for each seed."""
    texts = []
    for seed in range(options.texts):
        output = json.loads(run([options.bin / "qeff-run", program, "-q", "--input-ids", first_id, "--ignore-eos",
                                 "--temperature", "1", "--seed", seed, "--max-new-tokens", options.tokens, "--json"]))
        texts.append([first_id] + output["outputs"][0]["generated_ids"])
    return texts


def compile_format(options, onnx, name, model):
    """Returns the program, or None if this build of qeff-compile does not know the format."""
    program = options.work / "qpc" / f"{model}-{'-'.join(FORMATS[name]).replace('--', '')}"
    command = [options.bin / "qeff-compile", onnx, "-q", "--ctx-len", options.tokens + 32, "--num-cores", "1",
               *FORMATS[name], "-o", program]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode == 2:
        return None
    if done.returncode != 0:
        sys.exit(f"error: qeff-compile ended with {done.returncode}: {done.stderr.strip()}")
    return program


def compare(reference, other, text):
    """Sums over positions: KL, its largest, equal choices, -log p of the next token."""
    result = {"positions": 0, "kl": 0.0, "worst": 0.0, "same": 0, "nats": 0.0}
    for index, (p, q) in enumerate(zip(reference, other)):
        divergence = max(0.0, math.fsum(math.exp(a) * (a - b) for a, b in zip(p, q)))
        result["positions"] += 1
        result["kl"] += divergence
        result["worst"] = max(result["worst"], divergence)
        result["same"] += p.index(max(p)) == q.index(max(q))
        result["nats"] -= q[text[index + PROMPT_TOKENS]]
    return result


def measure(options, checkpoint):
    """Yields for each format its line of the table, a list of cells: the first two are model and format."""
    model = checkpoint.resolve().name
    onnx = options.work / "onnx" / model
    run([options.bin / "qeff-export", checkpoint, "-q", "-o", onnx])
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    programs = {name: compile_format(options, onnx, name, model) for name in FORMATS}
    texts = write_texts(options, programs["f32"], config.get("bos_token_id", 1))
    references = [predictions(options, programs["f32"], text) for text in texts]
    for name, program in programs.items():
        if program is None:
            print(f"not measured: {model} {name}: not in this build")
            continue
        sums = [compare(reference, predictions(options, program, text), text)
                for reference, text in zip(references, texts)]
        count = sum(part["positions"] for part in sums)
        yield [model, name, str(count), f"{sum(part['kl'] for part in sums) / count:.2e}",
               f"{max(part['worst'] for part in sums):.2e}", f"{100 * sum(part['same'] for part in sums) / count:.1f} %",
               f"{math.exp(sum(part['nats'] for part in sums) / count):.4f}"]


def table_of(lines):
    return "".join(f"| {' | '.join(cells)} |\n" for cells in HEAD + lines)


def write(lines):
    """Puts lines into the page: in the place of those of the same model and format, or after the model's. Others stay."""
    page = ROOT / "docs" / "accuracy.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    table, after = rest.split(END)
    known = [line[2:-2].split(" | ") for line in table.splitlines()][len(HEAD):]
    merged = {(cells[0], cells[1]): cells for cells in known + lines}  # a second one takes the place of the first
    models = [model for model, _ in merged]
    page.write_text(before + BEGIN + table_of(sorted(merged.values(), key=lambda cells: models.index(cells[0]))) + END + after,
                    encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for programs")
    parser.add_argument("--bin", type=Path, default=ROOT / "build" / "bin", help="folder of the programs")
    parser.add_argument("--model", type=Path, action="append", help="checkpoint (default: the demo model)")
    parser.add_argument("--texts", type=int, default=6)
    parser.add_argument("--tokens", type=int, default=120, help="of each text")
    parser.add_argument("--isa", help="instruction set of the kernels: those with matrix tiles keep many rows in bf16")
    parser.add_argument("--write", action="store_true", help="put the lines into docs/accuracy.md, too; others stay there")
    options = parser.parse_args()
    options.run = ["--isa", options.isa] if options.isa else []
    options.work = options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    lines = [line for checkpoint in options.model or [ROOT / "configs" / "demo-model"] for line in measure(options, checkpoint)]
    print(table_of(lines), end="")
    if options.write:
        write(lines)


if __name__ == "__main__":
    main()
