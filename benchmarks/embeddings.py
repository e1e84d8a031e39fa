#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Measures how many texts a second are embedded, by qeff-run and by other engines, in turns.

Usage: embeddings.py --bin build/bin --model FOLDER --work FOLDER [--rounds 3] [--engines qeff,onnxruntime,openvino]

Texts: 1,000 of 5 to 60 words and 200 that are cut to 256 tokens, seeded. Every figure includes reading the texts,
tokenization and pooling, not the start of the program (qeff-run says its own time; the others are timed in this
process after one warm-up). The other engines read our ONNX file, in batches of 32 texts sorted by length, padded to the
longest; two threads for all. Their Python needs onnxruntime, openvino, tokenizers, numpy.
"""
import argparse
import json
import random
import re
import statistics
import subprocess
import time
from pathlib import Path

WORDS = ("the a of to and in that is was he for it with as his on be at by had not are but from or have an they which one you "
         "were all her she there would their we him been has when who will no more if out so up said what its about than into "
         "them can only other time new some could these two may first then do any like my now over such our man me even most").split()
LENGTHS = "32,64,128,256"


def make_texts():
    random.seed(7)
    short = [" ".join(random.choices(WORDS, k=random.randint(5, 60))) for _ in range(1000)]
    return {"short": short, "long": [" ".join(random.choices(WORDS, k=300)) for _ in range(200)]}


def prepare(args, texts):
    args.work.mkdir(parents=True, exist_ok=True)
    onnx = args.work / "onnx"
    if not onnx.exists():
        subprocess.run([args.bin / "qeff-export", args.model, "-q", "-o", onnx], check=True, stdout=subprocess.DEVNULL)
    for name, lines in texts.items():
        (args.work / f"{name}.txt").write_text("\n".join(lines) + "\n")
    engines = []
    for weights, compute in [("f32", "f32"), ("bf16", "bf16"), ("int8", "bf16")]:
        qpc = args.work / f"qpc-{weights}"
        if not qpc.exists():
            subprocess.run([args.bin / "qeff-compile", onnx, "-q", "--seq-len", LENGTHS, "--batch-size", "16", "--num-cores", "2",
                            "--weights", weights, "--compute", compute, "-o", qpc], check=True, stdout=subprocess.DEVNULL)
        engines.append((f"qeff {weights}", lambda name, qpc=qpc: run_qeff(args, qpc, name)))
    return onnx, engines


def run_qeff(args, qpc, name):
    out = args.work / "out.npy"
    out.unlink(missing_ok=True)
    ran = subprocess.run([args.bin / "qeff-run", qpc, "--embed", "--input", args.work / f"{name}.txt", "--output", out],
                         check=True, capture_output=True, text=True)
    import numpy
    return float(re.search(r"([0-9.]+) texts/s", ran.stderr)[1]), numpy.load(out)


def peer(onnx, model, texts, infer):
    """Texts a second of `infer(feeds) -> vectors`."""
    import numpy
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()

    def embed(lines):
        order = sorted(range(len(lines)), key=lambda i: len(lines[i]))
        vectors = [None] * len(lines)
        for begin in range(0, len(order), 32):
            chosen = order[begin:begin + 32]
            encoded = tokenizer.encode_batch([lines[i] for i in chosen])
            ids = numpy.array([e.ids for e in encoded], numpy.int64)
            feeds = {"input_ids": ids, "attention_mask": numpy.array([e.attention_mask for e in encoded], numpy.int64),
                     "token_type_ids": 0 * ids}
            for i, vector in zip(chosen, infer(feeds)):
                vectors[i] = vector
        return numpy.stack(vectors)

    def run(name):
        start = time.monotonic()
        vectors = embed(texts[name])
        return len(texts[name]) / (time.monotonic() - start), vectors
    return run


def add_peers(args, onnx, texts, engines):
    path = str(onnx / "model.onnx")
    if "onnxruntime" in args.engines:
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        engines.append((f"onnxruntime {onnxruntime.__version__} f32",
                        peer(onnx, args.model, texts, lambda feeds: session.run(["output"], feeds)[0])))
    if "openvino" in args.engines:
        import openvino
        for precision in ["f32", "bf16"]:
            compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": precision,
                                                                   "PERFORMANCE_HINT": "LATENCY"})
            engines.append((f"openvino {openvino.__version__.split('-')[0]} {precision}",
                            peer(onnx, args.model, texts, lambda feeds, c=compiled: c(feeds)["output"])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["bin", "model", "work"]:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", default="qeff,onnxruntime,openvino")
    args = parser.parse_args()
    texts = make_texts()
    onnx, engines = prepare(args, texts)
    add_peers(args, onnx, texts, engines)
    figures, vectors = {}, {}
    for round_number in range(args.rounds + 1):  # the first warms up
        for name, run in engines:
            for kind in texts:
                speed, vectors[name, kind] = run(kind)
                if round_number > 0:
                    figures.setdefault((name, kind), []).append(speed)
    print("| engine | 1,000 short, texts/s | 200 x 256, texts/s | least cosine to f32 |\n|---|---|---|---|")
    for name, _ in engines:
        cells = [f"{statistics.median(f):.0f} ({min(f):.0f}-{max(f):.0f})" for f in (figures[name, k] for k in texts)]
        least = min(float((vectors[name, k] * vectors["qeff f32", k]).sum(-1).min()) for k in texts)
        print(f"| {name} | {cells[0]} | {cells[1]} | {least:.6f} |")
    (args.work / "figures.json").write_text(json.dumps([[*k, f] for k, f in figures.items()]))


if __name__ == "__main__":
    main()
