#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs embedding models, a classifier and a reranker through qeff-infer and compares with what sentence-transformers and
transformers computed.

usage: check_embeddings.py --bin BIN --backend cpu|reference --models tests/data/sentence_transformers
       check_embeddings.py --bin BIN --backend cpu --trained FOLDER --goldens FOLDER [--weights bf16] [--compute bf16] [--cosine 0.9995]

The first form takes the models of make_models.py: texts as arguments, lines and JSON lines, one length and several, batches,
prompts, modules and options in their place; no difference above 2e-5. The second takes trained models (folders of the names in
--goldens, each with golden.json and golden.safetensors) and wants the cosine of each embedding with the recorded one.
Standard library only. Exit: 0 all match, 1 some do not, 77 there is nothing to run."""
import argparse
import array
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

from check_goldens import read_safetensors

TOLERANCE = 2e-5
failures = 0


def check(name, worst, limit):
    global failures
    fails = not worst <= limit
    failures += fails
    print(f"{'FAILED' if fails else 'ok'}: {name}: worst {worst:.3g}, limit {limit:.3g}")


def difference(ours, theirs):
    """The largest of all elements; infinite if the shapes differ."""
    if isinstance(theirs, list):
        if not isinstance(ours, list) or len(ours) != len(theirs):
            return math.inf
        return max((difference(a, b) for a, b in zip(ours, theirs)), default=0.0)
    return abs(ours - theirs) if math.isfinite(ours) else math.inf


def read_npy(path):
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<H", data[8:10])[0]
    shape = eval(data[10:10 + size], {"__builtins__": {}})["shape"]  # our own file: a dictionary
    values = array.array("f")
    values.frombytes(data[10 + size:])
    assert len(values) == shape[0] * shape[1]
    return [list(values[i * shape[1]:(i + 1) * shape[1]]) for i in range(shape[0])]


class Runner:
    def __init__(self, arguments, home):
        self.tool = str(pathlib.Path(arguments.bin) / "qeff-infer")
        self.options = ["--backend", arguments.backend, "-q"]
        self.env = dict(os.environ, QEFF_HOME=str(home))
        self.home = home

    def __call__(self, model, *options, stdin=None):
        command = [self.tool, str(model), *self.options, *options]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, input=stdin)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def embed(self, model, texts, *options):
        arguments = [word for text in texts for word in ("--embed", text)]
        lines = self(model, *options, *arguments).splitlines()
        return [json.loads(line)["embedding"] for line in lines]


def check_mean(run, folder):
    results = json.loads((folder / "results.json").read_text())
    texts = results["texts"]
    check("mean: no flag", difference(run.embed(folder, texts), results["embeddings"]), TOLERANCE)
    for lengths, batch in (("8,16,64", "1"), ("64", "3"), ("4,64", "5")):
        ours = run.embed(folder, texts, "--seq-len", lengths, "--batch-size", batch)
        check(f"mean: lengths {lengths}, {batch} in a batch", difference(ours, results["embeddings"]), TOLERANCE)
    for name, options in (("query", ["--prompt-name", "query"]), ("truncated", ["--truncate-dim", "5"]),
                          ("truncated_normalized", ["--truncate-dim", "5", "--normalize"]),
                          ("embeddings", ["--pooling", "avg", "--normalize"])):
        check(f"mean: {' '.join(options)}", difference(run.embed(folder, texts, *options), results[name]), TOLERANCE)
    arguments = [word for text in texts for word in ("--embed", text)]
    matrix = [[float(x) for x in line.split()] for line in run(folder, "--similarity", *arguments).splitlines()]
    check("mean: similarity", difference(matrix, results["similarity"]), TOLERANCE)
    # Many lines in windows, lengths mixed, into a file; two texts of the list hold line ends in JSON only.
    lines = [texts[i * 7 % len(texts)] for i in range(1500)]
    expected = [results["embeddings"][i * 7 % len(texts)] for i in range(1500)]
    plain, members, matrix = (run.home / name for name in ("lines.txt", "lines.jsonl", "out.npy"))
    plain.write_text("".join(line + "\n" for line in lines))
    members.write_text("".join(json.dumps({"id": i, "body": line}) + "\n" for i, line in enumerate(lines)))
    for name, options in (("lines", ["--input", plain]), ("JSON lines", ["--input", members, "--field", "body"])):
        run(folder, "--embed", "--seq-len", "8,16,64", "--batch-size", "4", "--output", str(matrix), *map(str, options))
        check(f"mean: 1500 {name} to .npy", difference(read_npy(matrix), expected), TOLERANCE)
    found = json.loads(run(folder, "--embed", texts[1], "--search", str(matrix), "--top-k", "3", "--documents", str(plain)))
    rows = [neighbor["row"] for neighbor in found["neighbors"]]
    same = [i for i, line in enumerate(lines) if line == texts[1]][:3]
    check("mean: nearest rows", 0.0 if rows == same and found["neighbors"][0]["text"] == texts[1] else math.inf, 0)


def check_joined(run, folder):
    results = json.loads((folder / "results.json").read_text())
    check("joined: no flag", difference(run.embed(folder, results["texts"]), results["embeddings"]), TOLERANCE)
    ours = run.embed(folder, results["texts"], "--prompt-name", "none")
    check("joined: --prompt-name none", difference(ours, results["none"]), TOLERANCE)


def check_labels(run, folder):
    results = json.loads((folder / "results.json").read_text())
    arguments = [word for text in results["texts"] for word in ("--classify", text)]
    worst = 0.0
    for line, theirs in zip(run(folder, *arguments).splitlines(), results["scores"], strict=True):
        ours = json.loads(line)
        best = max(theirs, key=theirs.get)
        scores = [ours["scores"][label] - score for label, score in theirs.items()]
        worst = max(worst, difference(scores, [0.0] * len(theirs)),
                    0.0 if ours["label"] == best and ours["score"] == ours["scores"][best] else math.inf)
    check("labels: scores", worst, TOLERANCE)


def check_reranker(run, folder):
    results = json.loads((folder / "results.json").read_text())
    documents = run.home / "documents.txt"
    documents.write_text("".join(text + "\n" for text in results["texts"]))
    ours = [json.loads(line) for line in run(folder, "--rerank", results["query"], "--documents", str(documents)).splitlines()]
    scores = [entry["score"] for entry in ours]
    worst = max(abs(entry["score"] - results["scores"][entry["index"]]) for entry in ours)
    is_sorted = scores == sorted(scores, reverse=True) and len({entry["index"] for entry in ours}) == len(results["texts"])
    has_texts = all(entry["text"] == results["texts"][entry["index"]] for entry in ours)
    check("reranker: scores", worst if is_sorted and has_texts else math.inf, TOLERANCE)


def same_but_scores(name, ours, theirs):
    """Lists of results with the same keys and values, scores within the tolerance."""
    worst = 0.0 if len(ours) == len(theirs) else math.inf
    for one, other in zip(ours, theirs):
        worst = max(worst, abs(one["score"] - other["score"]))
        if {**one, "score": 0} != {**other, "score": 0}:
            print(f"{name}: expected {other}, got {one}")
            worst = math.inf
    return worst


def check_entities(run, folder):
    results = json.loads((folder / "results.json").read_text())
    arguments = [word for text in results["entity_texts"] for word in ("--classify", text)]
    for strategy in ("none", "simple"):
        lines = run(folder, "--aggregation", strategy, *arguments).splitlines()
        worst = max(same_but_scores(folder.name, json.loads(line)["entities"], theirs)
                    for line, theirs in zip(lines, results[strategy], strict=True))
        check(f"{folder.name}: aggregation {strategy}", worst, TOLERANCE)


def check_masked(run, folder):
    results = json.loads((folder / "results.json").read_text())
    arguments = [word for text in results["masked_texts"] for word in ("--fill-mask", text)]
    lines = run(folder, "--top-k", "4", *arguments).splitlines()
    worst = 0.0
    for line, theirs in zip(lines, results["fills"], strict=True):
        masks = json.loads(line)["masks"]
        worst = max([worst, 0.0 if len(masks) == len(theirs) else math.inf]
                    + [same_but_scores(folder.name, mask, other) for mask, other in zip(masks, theirs)])
    check(f"{folder.name}: fills", worst, TOLERANCE)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def check_trained(run, folder, golden, options, limit):
    cases = json.loads((golden / "golden.json").read_text())["cases"]
    shape, values = read_safetensors(golden / "golden.safetensors")["embeddings"]
    texts = run.home / "texts.jsonl"
    texts.write_text("".join(json.dumps({"text": case["text"]}) + "\n" for case in cases))
    lines = run(folder, "--embed", "--input", str(texts), "--field", "text", *options).splitlines()
    ours = [json.loads(line)["embedding"] for line in lines]
    if len(ours) != shape[0]:
        check(f"{folder.name}: number of rows", math.inf, 0)
        return
    distances = [1 - cosine(ours[i], values[i * shape[1]:(i + 1) * shape[1]]) for i in range(shape[0])]
    lengths = [abs(math.sqrt(sum(x * x for x in row)) - 1) for row in ours]
    check(f"{folder.name}: 1 - cosine over {shape[0]} texts", max(distances), 1 - limit)
    check(f"{folder.name}: length", max(lengths), 1e-3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--models", type=pathlib.Path)
    parser.add_argument("--trained", default="", help="empty: what the environment variable QEFF_TRAINED_MODELS says")
    parser.add_argument("--goldens", type=pathlib.Path)
    parser.add_argument("--weights", default="f32")
    parser.add_argument("--compute", default="f32")
    parser.add_argument("--cosine", type=float, default=0.99999)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        run = Runner(arguments, pathlib.Path(home))
        if arguments.models:
            for name, function in (("mean", check_mean), ("joined", check_joined), ("labels", check_labels), ("reranker", check_reranker),
                                   ("entities", check_entities), ("entities_bytes", check_entities), ("masked", check_masked),
                                   ("masked_bytes", check_masked)):
                function(run, arguments.models / name)
            return failures != 0
        trained = pathlib.Path(arguments.trained or os.environ.get("QEFF_TRAINED_MODELS", "no-models"))
        folders = sorted(arguments.goldens.glob("*")) if arguments.goldens else []
        names = [folder.name for folder in folders if (trained / folder.name / "modules.json").exists()]
        if not names:
            print("SKIPPED: there are no trained models")
            return 77
        for name in names:
            options = ["--weights", arguments.weights, "--compute", arguments.compute]
            check_trained(run, trained / name, arguments.goldens / name, options, arguments.cosine)
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
