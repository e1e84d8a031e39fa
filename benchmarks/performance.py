#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Measures the table of docs/performance.md with qeff-bench, and writes table and pictures.

    benchmarks/performance.py --work DIR --peers HOME_OF_PEERS           # the defaults below, about 12 minutes of measuring
    benchmarks/performance.py --work DIR --models smollm2 --weights bf16,int8 --cells decode
    benchmarks/performance.py --work DIR --only-write                    # table and pictures again from DIR/results.json

Results are added to DIR/results.json, so that several calls make one table: docs/performance.md has them.
Checkpoints with random weights and QPCs are made under DIR when they are missing, which takes minutes the first time and does
not count; --only-prepare does nothing else, peers' models included. Peers are measured where benchmarks/peers has installed
them. Cells that the time did not suffice for are named at the end. Needs only Python 3.9.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import pictures

ROOT = Path(__file__).resolve().parent.parent
MODELS = {"smollm2": "smollm2-135m", "tinyllama": "tinyllama-1.1b", "qwen3": "qwen3-0.6b"}
# Our weights: options of qeff-compile, and the weights of the peers that are of the same class. Where weights are rounded,
# attention is computed in bf16, which is OpenVINO's default where there are tiles, too.
WEIGHTS = {
    "f32": (["--weights", "f32"], {"llama_cpp": "f32", "onnxruntime_genai": "f32", "ctranslate2": "f32"}),
    "bf16": (["--weights", "bf16", "--compute", "bf16"], {"llama_cpp": "bf16", "openvino": "bf16"}),
    "int8": (["--weights", "int8", "--compute", "bf16"], {"llama_cpp": "q8_0", "openvino": "int8", "ctranslate2": "int8"}),
    "int4": (["--weights", "int4", "--compute", "bf16"], {"llama_cpp": "q4_0", "openvino": "int4", "onnxruntime_genai": "int4"}),
}
# Cell: how its program is compiled, the options of qeff-bench, and what it is.
CELLS = {
    "prefill": (["--prefill-seq-len", "512", "--ctx-len", "1024"], ["-p", "512", "-n", "0"], "512 tokens at once"),
    "prefill128": (["--prefill-seq-len", "128", "--ctx-len", "512"], ["-p", "128", "-n", "0"], "128 tokens at once"),
    "decode": (["--prefill-seq-len", "512", "--ctx-len", "1024"], ["-p", "0", "-n", "64"], "1 text, token by token"),
    "batch4": (["--prefill-seq-len", "16", "--ctx-len", "256", "--batch-size", "4"], ["-p", "0", "-n", "32"],
               "4 texts, token by token"),
    "batch16": (["--prefill-seq-len", "16", "--ctx-len", "256", "--batch-size", "16"], ["-p", "0", "-n", "24"],
                "16 texts, token by token"),
    "long": (["--prefill-seq-len", "512", "--ctx-len", "8320"], ["-p", "0", "-n", "32", "-d", "8192"],
             "1 text, token by token after 8,192"),
}
BEGIN, END = "<!-- table: written by benchmarks/performance.py -->\n", "<!-- end of table -->\n"


def run(command):
    command = [str(part) for part in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)}: ended with {done.returncode}")
    return done.stdout


def accepts_weights(options, weights):
    """False for formats that this build of qeff-compile does not know."""
    probe = subprocess.run([options.bin / "qeff-compile", "nowhere", *WEIGHTS[weights][0]], capture_output=True)
    return probe.returncode != 2  # 2: the command line; 3: there is no such folder


def onnx_of(options, model):
    checkpoint = options.work / "models" / model
    if not (checkpoint / "model.safetensors").exists():
        run([sys.executable, ROOT / "scripts" / "make_checkpoint.py", checkpoint, "--preset", MODELS[model],
             "--tokenizer", ROOT / "configs" / "demo-model"])
    onnx = options.work / "onnx" / model
    # Position tables long enough for every cell: the models' own end earlier.
    run([options.bin / "qeff-export", checkpoint, "-q", "--weights", "reference", "--max-positions", "8320", "-o", onnx])
    return checkpoint, onnx


def program_of(options, onnx, model, weights, cell):
    shape = "-".join(part for part in CELLS[cell][0] if part.isdigit())
    program = options.work / "qpc" / f"{model}-{weights}-{shape}"
    run([options.bin / "qeff-compile", onnx, "-q", "--num-cores", max(options.threads), *CELLS[cell][0],
         *WEIGHTS[weights][0], "-o", program])
    return program


def peers_of(options, checkpoint, weights):
    """Prepares the model for the engines that are installed and have these weights, and returns their commands."""
    if options.peers is None:
        return []
    commands = []
    for engine, name in WEIGHTS[weights][1].items():
        if engine not in options.engines:
            continue
        script = ROOT / "benchmarks" / "peers" / f"{engine}.sh"
        prepare = [script, options.peers, "prepare", checkpoint, name]
        if subprocess.run(prepare, stdout=subprocess.DEVNULL).returncode != 0:
            print(f"warning: {engine} is left out: it cannot prepare {checkpoint.name} in {name}", file=sys.stderr)
            continue
        commands.append(f"{script} {options.peers} run {checkpoint} {name}")
    return commands


def measure(options, results):
    """Goes over models and weights; every cell is an own call of qeff-bench, with the peers of its class in turn."""
    spent, left = 0.0, []
    for model in options.models:
        checkpoint, onnx = onnx_of(options, model)
        for weights in options.weights:
            if not accepts_weights(options, weights):
                left.append(f"{model} {weights}: not in this build")
                continue
            commands = peers_of(options, checkpoint, weights)
            for cell in options.cells:
                program = program_of(options, onnx, model, weights, cell)
                if options.only_prepare:
                    continue
                if spent > 60 * options.minutes:
                    left.append(f"{model} {weights} {cell}: no time")
                    continue
                command = [options.bin / "qeff-bench", program, "-q", "--format", "json", "-r", options.repetitions,
                           "-t", ",".join(map(str, options.threads)), *CELLS[cell][1]]
                for peer in commands:
                    command += ["--against", peer]
                begin = time.monotonic()
                report = json.loads(run(command))
                spent += time.monotonic() - begin
                results["environment"] = report["environment"]
                for row in report["rows"]:
                    row.update(model=model, weights=weights, cell=cell)
                    row["peers"] = [peer for peer in row["peers"] if "error" not in peer]
                    key = ("model", "weights", "cell", "threads")
                    results["rows"] = [r for r in results["rows"] if any(r[k] != row[k] for k in key)] + [row]
                save(options, results)
    if not options.only_prepare:
        results["limits"] = json.loads(run([options.bin / "qeff-bench", "--limits", "--format", "json"]))["limits"]
        save(options, results)
    return left


def save(options, results):
    (options.work / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def spread(value, digits=0):
    return f"{value['median']:.{digits}f} ({value['min']:.{digits}f}-{value['max']:.{digits}f})"


def table_of(results):
    """The environment, the limits, and a line for each row with the best peer and its ratio."""
    lines = [f"{name}: {value}  " for name, value in results["environment"].items()] + [""]
    lines += ["| limit | threads | rate |", "|---|---|---|"]
    for limit in results["limits"]:
        rate = f"{limit['op_s'] / 1e9:.0f} GOP/s" if "op_s" in limit else f"{limit['bytes_s'] / 1e9:.1f} GB/s"
        lines.append(f"| {limit['name']} | {limit['threads']} | {rate} |")
    lines += ["", "| model | weights | threads | cell | tok/s (median, range) | bound | of the limit | best peer | its tok/s | ours over it |",
              "|---|---|---|---|---|---|---|---|---|---|"]
    for row in results["rows"]:
        best = pictures.best_peer(row)
        share = {k: 100 * v for k, v in row["share_of_limit"].items()}
        cells = [row["model"], row["weights"], row["threads"], row["cell"], spread(row["tok_s"], 1), row["bound"],
                 spread(share) + " %"]
        cells += [best["engine"], spread(best["tok_s"], 1), spread(best["ratio"], 2)] if best else ["-", "-", "-"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    count = {row["repetitions"] for row in results["rows"]}
    lines += ["", f"Samples of each cell after a warm-up: {', '.join(map(str, sorted(count)))}. Peers are measured in turn with "
              "ours, sample by sample; ratios are those of neighbouring samples.",
              "", "![Share of the limit that each cell and its best peer reach](shares.svg)",
              "", "![Operations per byte against operations per second, ours and the best peers', below the limits](roofline.svg)"]
    return "\n".join(lines) + "\n"


def write(options, results):
    if not results["rows"]:
        sys.exit("error: no results to write")
    order = {name: i for i, name in enumerate([*MODELS, *WEIGHTS, *CELLS])}
    results["rows"].sort(key=lambda r: [order[r["model"]], order[r["weights"]], order[r["cell"]], r["threads"]])
    page = ROOT / "docs" / "performance.md"
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(before + BEGIN + table_of(results) + END + after, encoding="utf-8")
    meanings = {cell: meaning for cell, (_, _, meaning) in CELLS.items()}
    for name, picture in (("roofline", pictures.roofline(results)), ("shares", pictures.shares(results, meanings))):
        (ROOT / "docs" / f"{name}.svg").write_text(picture, encoding="utf-8")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints, programs and results")
    parser.add_argument("--bin", type=Path, default=ROOT / "build" / "bin", help="folder of the programs")
    parser.add_argument("--peers", type=Path, help="folder of the engines; without it none is measured")
    for name, known, default in (("models", MODELS, "smollm2,tinyllama"), ("weights", WEIGHTS, ",".join(WEIGHTS)),
                                 ("cells", CELLS, "prefill,decode,batch16"),
                                 ("engines", ["llama_cpp", "openvino", "onnxruntime_genai", "ctranslate2"],
                                  "llama_cpp,openvino,onnxruntime_genai,ctranslate2")):
        parser.add_argument(f"--{name}", default=default, help=f"of {', '.join(known)} (default: {default})")
        parser.set_defaults(**{f"known_{name}": list(known)})
    parser.add_argument("--threads", default="2", help="e.g. 1,2")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=12, help="no cell starts after so long a time of measuring")
    parser.add_argument("--only-prepare", action="store_true")
    parser.add_argument("--only-write", action="store_true")
    options = parser.parse_args()
    for name in ("models", "weights", "cells", "engines"):
        values = getattr(options, name).split(",")
        for value in values:
            if value not in getattr(options, f"known_{name}"):
                sys.exit(f"error: --{name}: unknown '{value}', expected {', '.join(getattr(options, f'known_{name}'))}")
        setattr(options, name, values)
    options.threads = [int(count) for count in options.threads.split(",")]
    options.work = options.work.resolve()
    return options


def main():
    options = parse_options()
    options.work.mkdir(parents=True, exist_ok=True)
    file = options.work / "results.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"rows": [], "limits": []}
    left = [] if options.only_write else measure(options, results)
    if not options.only_prepare:
        write(options, results)
    for cell in left:
        print(f"not measured: {cell}")


if __name__ == "__main__":
    main()
