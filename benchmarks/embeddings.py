#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Measures how many texts a second are embedded, and how long one text takes, by qeff and by other engines, in turns.

Usage: embeddings.py --bin build/bin --model FOLDER --work FOLDER [--rounds 3] [--engines qeff,onnxruntime,...]

Texts: 1,000 of 5 to 60 words and 200 that are cut to 256 tokens, seeded (--short, --long: fewer of them). Every figure
includes reading the texts, tokenization and pooling, not the start of the program (qeff-run says its own time; the
others are timed in this process after one warm-up). "One text": median of 200 calls with one of the short texts each, in
a process that runs already; ours by tests/benchmarks/embedding_bench, if it has been built, with a program for one text. Two threads for all. The
other engines get batches of 32 texts sorted by length, padded to the longest; those that read ONNX read our file.

OpenVINO int8 is nncf.quantize, calibrated on 64 other texts made of the same words; its weights alone in int8
(nncf.compress_weights) is "int8 weights". CTranslate2 converts the checkpoint, and its int8 quantises activations, too.
The Python that runs this needs what --engines names: onnxruntime, openvino (and nncf), ctranslate2 (and transformers,
torch), sentence_transformers; and tokenizers, numpy.
"""
import argparse
import json
import os
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
MOST_TOKENS = 256
THREADS = 2
BATCH = 32
SINGLE_CALLS, WARM_UP_CALLS = 200, 20


def make_texts(args):
    random.seed(7)
    short = [" ".join(random.choices(WORDS, k=random.randint(5, 60))) for _ in range(1000)]
    long = [" ".join(random.choices(WORDS, k=300)) for _ in range(200)]
    return {"short": short[:args.short], "long": long[:args.long], "one": short[:SINGLE_CALLS]}


def calibration_texts():
    generator = random.Random(8)
    return [" ".join(generator.choices(WORDS, k=generator.randint(5, 60))) for _ in range(64)]


class Qeff:
    """Our programs: qeff-run for many texts, embedding_bench for one, with a program for one."""

    def __init__(self, args, qpc, qpc_of_one):
        self.args, self.qpc, self.qpc_of_one = args, qpc, qpc_of_one

    def embed(self, name):
        import numpy
        out = self.args.work / "out.npy"
        out.unlink(missing_ok=True)
        ran = subprocess.run([self.args.bin / "qeff-run", self.qpc, "--embed", "--input", self.args.work / f"{name}.txt",
                              "--output", out], check=True, capture_output=True, text=True)
        return float(re.search(r"([0-9.]+) texts/s", ran.stderr)[1]), numpy.load(out)

    def one_text_ms(self):
        bench = self.args.bin.parent / "tests/benchmarks/embedding_bench"
        if not bench.exists():
            return None
        ran = subprocess.run([bench, self.args.work / "one.txt", self.qpc_of_one], check=True, capture_output=True, text=True)
        return float(re.search(r"median ([0-9.]+) ms", ran.stdout)[1])


class Peer:
    """An engine in this process. `encode(lines) -> vectors` gets texts of like lengths."""

    def __init__(self, texts, encode):
        self.texts, self.encode = texts, encode

    def embed(self, name):
        import numpy
        lines = self.texts[name]
        start = time.monotonic()
        order = sorted(range(len(lines)), key=lambda i: len(lines[i]))
        vectors = [None] * len(lines)
        for begin in range(0, len(order), BATCH):
            chosen = order[begin:begin + BATCH]
            for i, vector in zip(chosen, self.encode([lines[i] for i in chosen])):
                vectors[i] = vector
        return len(lines) / (time.monotonic() - start), numpy.stack(vectors)

    def one_text_ms(self):
        times = []
        lines = self.texts["one"]
        for i in range(WARM_UP_CALLS + SINGLE_CALLS):
            start = time.monotonic()
            self.encode([lines[i % len(lines)]])
            times.append(time.monotonic() - start)
        return 1000 * statistics.median(times[WARM_UP_CALLS:])


def make_tokenize(model):
    """lines -> the inputs of our ONNX file."""
    import numpy
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.enable_padding()

    def tokenize(lines):
        encoded = tokenizer.encode_batch(lines)
        ids = numpy.array([e.ids for e in encoded], numpy.int64)
        return {"input_ids": ids, "attention_mask": numpy.array([e.attention_mask for e in encoded], numpy.int64),
                "token_type_ids": 0 * ids}
    return tokenize


def prepare(args, texts):
    args.work.mkdir(parents=True, exist_ok=True)
    onnx = args.work / "onnx"
    if not onnx.exists():
        subprocess.run([args.bin / "qeff-export", args.model, "-q", "-o", onnx], check=True, stdout=subprocess.DEVNULL)
    for name, lines in texts.items():
        (args.work / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return onnx


def add_qeff(args, onnx, texts, engines):
    for weights, compute in [("f32", "f32"), ("bf16", "bf16"), ("int8", "bf16")]:
        programs = [args.work / f"qpc-{weights}-{batch}" for batch in (BATCH, 1)]
        for qpc, batch in zip(programs, (BATCH, 1)):  # one that is up to date stays as it is
            subprocess.run([args.bin / "qeff-compile", onnx, "-q", "--seq-len", LENGTHS, "--batch-size", str(batch),
                            "--num-cores", str(THREADS), "--weights", weights, "--compute", compute, "-o", qpc],
                           check=True, stdout=subprocess.DEVNULL)
        engines.append((f"qeff {weights}", Qeff(args, *programs)))


def add_onnxruntime(args, onnx, texts, engines):
    import onnxruntime
    tokenize = make_tokenize(args.model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(str(onnx / "model.onnx"), options, providers=["CPUExecutionProvider"])
    engines.append((f"onnxruntime {onnxruntime.__version__} f32",
                    Peer(texts, lambda lines: session.run(["output"], tokenize(lines))[0])))


def add_openvino(args, onnx, texts, engines):
    import nncf
    import openvino
    tokenize = make_tokenize(args.model)
    core = openvino.Core()
    path = onnx / "model.onnx"
    nncf.set_log_level("ERROR")

    def kept(name, make):
        """Making them takes a minute."""
        file = args.work / f"openvino-{name}.xml"
        if not file.exists():
            openvino.save_model(make(core.read_model(path)), file, compress_to_fp16=False)
        return file
    compressed = kept("weights", lambda model: nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_ASYM))
    dataset = nncf.Dataset([tokenize([text]) for text in calibration_texts()])
    quantised = kept("int8", lambda model: nncf.quantize(model, dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=64))
    for name, model, precision in [("f32", path, "f32"), ("bf16", path, "bf16"), ("int8 weights", compressed, "bf16"),
                                   ("int8", quantised, "bf16")]:
        compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY",
                                                     "INFERENCE_PRECISION_HINT": precision})
        engines.append((f"openvino {openvino.__version__.split('-')[0]} {name}",
                        Peer(texts, lambda lines, c=compiled: c(tokenize(lines))["output"])))


def add_ctranslate2(args, onnx, texts, engines):
    import ctranslate2
    import numpy
    from tokenizers import Tokenizer
    folder = args.work / "ctranslate2"
    if not folder.exists():
        ctranslate2.converters.TransformersConverter(str(args.model)).convert(str(folder))
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    tokenizer.enable_truncation(MOST_TOKENS)
    tokenizer.no_padding()

    def make_encode(encoder):
        def encode(lines):
            ids = [e.ids for e in tokenizer.encode_batch(lines)]
            states = encoder.forward_batch(ids).last_hidden_state
            states = numpy.array(states.to(ctranslate2.DataType.float32))
            vectors = numpy.stack([states[i, :len(ids[i])].mean(0) for i in range(len(ids))])
            return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
        return encode
    for name, compute_type in [("f32", "float32"), ("bf16", "bfloat16"), ("int8", "int8")]:
        if compute_type not in ctranslate2.get_supported_compute_types("cpu"):
            continue
        encoder = ctranslate2.Encoder(str(folder), device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=THREADS)
        engines.append((f"ctranslate2 {ctranslate2.__version__} {name}", Peer(texts, make_encode(encoder))))


def add_sentence_transformers(args, onnx, texts, engines):
    import sentence_transformers
    import torch
    torch.set_num_threads(THREADS)
    for name, dtype in [("f32", torch.float32), ("bf16", torch.bfloat16)]:
        model = sentence_transformers.SentenceTransformer(str(args.model), device="cpu").to(dtype)
        model.max_seq_length = MOST_TOKENS
        engines.append((f"sentence-transformers {sentence_transformers.__version__} {name}",
                        Peer(texts, lambda lines, m=model: m.encode(lines, batch_size=BATCH, convert_to_tensor=True).float().numpy())))


ADD = {"qeff": add_qeff, "onnxruntime": add_onnxruntime, "openvino": add_openvino, "ctranslate2": add_ctranslate2,
       "sentence_transformers": add_sentence_transformers}


def summary(figures, digits):
    if not figures:
        return "-"
    return f"{statistics.median(figures):.{digits}f} ({min(figures):.{digits}f}-{max(figures):.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["bin", "model", "work"]:
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", type=int, default=1000)
    parser.add_argument("--long", type=int, default=200)
    parser.add_argument("--engines", default=",".join(ADD))
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    texts = make_texts(args)
    onnx = prepare(args, texts)
    engines = []
    for name in args.engines.split(","):
        ADD[name](args, onnx, texts, engines)
    figures, vectors = {}, {}
    for round_number in range(args.rounds + 1):  # the first warms up
        for name, engine in engines:
            for kind in ["short", "long"]:
                speed, vectors[name, kind] = engine.embed(kind)
                if round_number > 0:
                    figures.setdefault((name, kind), []).append(speed)
            one = engine.one_text_ms()
            if round_number > 0 and one is not None:
                figures.setdefault((name, "one"), []).append(one)
    print(f"| engine | {args.short} short, texts/s | {args.long} x 256, texts/s | one text, ms | least cosine to f32 |\n|---|---|---|---|---|")
    reference = engines[0][0]
    for name, _ in engines:
        cells = [summary(figures.get((name, kind), []), digits) for kind, digits in [("short", 0), ("long", 0), ("one", 2)]]
        least = min(float((vectors[name, k] * vectors[reference, k]).sum(-1).min()) for k in ["short", "long"])
        print(f"| {name} | {' | '.join(cells)} | {least:.6f} |")
    (args.work / "figures.json").write_text(json.dumps([[*k, f] for k, f in figures.items()]))


if __name__ == "__main__":
    main()
