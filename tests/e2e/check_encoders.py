#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs encoders with recorded results of the original implementations through the programs and compares.

usage: check_encoders.py --bin BIN --cases FOLDER --backend cpu|reference|onnxruntime [--case NAME]... [--config config.v4.json]

Each case folder holds a checkpoint and golden.safetensors: input_ids and attention_mask [B, T], perhaps token_type_ids [B, T],
and results: last_hidden_state [B, T, D], compared where the mask is 1, pooler_output [B, D], pool.mean, .cls, .max and .last of the
hidden states (also divided by their L2 norm: .l2), or logits, those of tokens compared where the mask is 1. Results that begin with
s16. are those of the first 16 tokens of each row, results that begin with tt. those with token_type_ids; all others are of type 0.
Allowed: 2e-4 * max(1, largest value of the result). onnxruntime runs the exported file, and onnx's full check, with weights external;
it needs onnx, onnxruntime and numpy.
Exit: 0 all match, 1 some do not, 77 there is nothing to run."""
import argparse
import json
import math
import os
import pathlib
import shutil
import struct
import sys
import tempfile

from check_goldens import read_safetensors, run, worst_difference

SHORT = 16  # tokens of the results that begin with "s16."


def write_safetensors(path, tensors):
    """tensors: {name: (shape, array of int64)}."""
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        header[name] = {"dtype": "I64", "shape": shape, "data_offsets": [len(data), len(data) + 8 * len(values)]}
        data += struct.pack(f"<{len(values)}q", *values)
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def shortened(tensor, tokens):
    shape, values = tensor
    return [shape[0], tokens], [v for row in range(shape[0]) for v in values[row * shape[1]:row * shape[1] + tokens]]


def pooled(kind, hidden, mask):
    """The pooled vectors, one after the other, of hidden [B, T, D] where mask is 1."""
    (batch, tokens, size), values = hidden
    result = []
    for b in range(batch):
        rows = [values[(b * tokens + t) * size:(b * tokens + t + 1) * size] for t in range(tokens) if mask[1][b * tokens + t]]
        first, last = rows[0], rows[-1]
        row = {"mean": [sum(c) / len(rows) for c in zip(*rows)], "max": [max(c) for c in zip(*rows)], "cls": first, "last": last}
        vector = list(row[kind.split(".")[0]])
        if kind.endswith(".l2"):
            norm = math.sqrt(sum(v * v for v in vector))
            vector = [v / norm for v in vector]
        result += vector
    return result


def unmasked(tensor, mask):
    (batch, tokens, size), values = tensor
    return [values[(i * size) + k] for i in range(batch * tokens) if mask[1][i] for k in range(size)]


class Programs:
    """What runs a checkpoint: our programs by length of the text, or onnxruntime."""

    def __init__(self, args, env, work, checkpoint, batch, task):
        self.args, self.env, self.work, self.batch, self.made = args, env, work, batch, {}
        self.onnx = pathlib.Path(run([args.bin / "qeff-export", checkpoint, "-o", work / "onnx", "-q", *(["--task", task] if task else []),
                                      *args.export_option], env).strip())
        if args.backend == "onnxruntime":
            self.open_onnxruntime()

    def open_onnxruntime(self):
        import onnx
        import onnxruntime
        onnx.checker.check_model(str(self.onnx / "model.onnx"), full_check=True)
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        self.session = onnxruntime.InferenceSession(str(self.onnx / "model.onnx"), options, providers=["CPUExecutionProvider"])

    def outputs(self, inputs, token_types):
        """{name: (shape, values)} of the graph's outputs. Types are left out where the graph has no input for them."""
        if self.args.backend == "onnxruntime":
            return self.with_onnxruntime(inputs, token_types)
        tokens = inputs["input_ids"][0][1]
        if tokens not in self.made:
            self.made[tokens] = run([self.args.bin / "qeff-compile", self.onnx, "-o", self.work / f"qpc-{tokens}", "-q", "--backend", self.args.backend,
                                     "--seq-len", str(tokens), "--batch-size", str(self.batch), "--num-cores", "2"], self.env).strip()
        names = {entry["name"] for entry in json.loads(run([self.args.bin / "qeff-inspect", self.onnx, "--json"], self.env))["inputs"]}
        fed = dict(inputs, **({"token_type_ids": token_types} if "token_type_ids" in names else {}))
        write_safetensors(self.work / "in.safetensors", fed)
        run([self.args.bin / "qeff-run", self.made[tokens], "--input-tensors", self.work / "in.safetensors", "--output-tensors",
             self.work / "out.safetensors"], self.env)
        return read_safetensors(self.work / "out.safetensors")

    def with_onnxruntime(self, inputs, token_types):
        import numpy
        fed = {name: numpy.array(values, numpy.int64).reshape(shape) for name, (shape, values) in
               dict(inputs, token_type_ids=token_types).items() if name in {i.name for i in self.session.get_inputs()}}
        names = [o.name for o in self.session.get_outputs()]
        return {name: (list(value.shape), value.astype(numpy.float32).ravel().tolist()) for name, value in zip(names, self.session.run(names, fed))}


def expected_and_got(name, golden, outputs, mask):
    """The recorded and the computed values for a result, without its prefix; nothing if it is not compared."""
    if name == "last_hidden_state":
        return unmasked(golden, mask), unmasked(outputs["output"], mask)
    if name.startswith("pool.") and "avg_row0" not in name:
        return golden[1], pooled(name[5:], outputs["output"], mask)
    if name == "logits" and len(golden[0]) == 3:
        return unmasked(golden, mask), unmasked(outputs[name], mask)
    if name in ("pooler_output", "logits"):
        return golden[1], outputs[name][1]
    return None


def check_case(folder, args, env, work):
    golden = read_safetensors(folder / "golden.safetensors")
    checkpoint = folder
    if args.config != "config.json":
        checkpoint = work / "checkpoint"
        shutil.copytree(folder, checkpoint)
        for path in checkpoint.iterdir():
            path.chmod(0o644)
        shutil.copyfile(folder / args.config, checkpoint / "config.json")
    task = None if "logits" in golden else "embedding"
    programs = Programs(args, env, work, checkpoint, golden["input_ids"][0][0], task)
    problems, worst, compared = [], 0.0, 0
    for prefix in ("", "s16.", "tt."):
        names = [n for n in golden if n.startswith(prefix) and (prefix or not n.startswith(("s16.", "tt.")))]
        if prefix and not names:
            continue
        inputs = {name: golden[name] for name in ("input_ids", "attention_mask")}
        if prefix == "s16.":
            inputs = {name: shortened(tensor, SHORT) for name, tensor in inputs.items()}
        shape = inputs["input_ids"][0]
        types = golden["token_type_ids"] if prefix == "tt." else (shape, [0] * (shape[0] * shape[1]))
        outputs = programs.outputs(inputs, types)
        for name in names:
            pair = expected_and_got(name[len(prefix):], golden[name], outputs, inputs["attention_mask"])
            if pair is None:
                continue
            compared += 1
            allowed = 2e-4 * max(1.0, max(abs(v) for v in pair[0]))
            difference = worst_difference(pair[1], pair[0])
            worst = max(worst, difference)
            if not difference <= allowed:
                problems.append(f"{name} differs by {difference:.3g}, allowed {allowed:.3g}")
    if compared == 0:
        problems.append("nothing was compared")
    return problems, worst, compared


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--backend", default="cpu", choices=("cpu", "reference", "onnxruntime"))
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--config", default="config.json")
    parser.add_argument("--export-option", action="append", default=[])
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    if not args.cases.is_dir():
        print(f"SKIPPED: {args.cases} is not there")
        return 77
    if args.backend == "onnxruntime":
        try:
            import onnx  # noqa: F401
            import onnxruntime  # noqa: F401
        except ImportError as missing:
            print(f"SKIPPED: {missing}")
            return 77
    failed = ran = False
    folders = [args.cases / name for name in args.case] if args.case else sorted(p.parent for p in args.cases.glob("*/golden.safetensors"))
    for folder in folders:
        if not (folder / args.config).exists():
            print(f"{folder.name}: has no {args.config}")
            continue
        ran = True
        with tempfile.TemporaryDirectory() as temporary:
            work = pathlib.Path(temporary)
            env = {**os.environ, "QEFF_HOME": str(work / "cache")}
            try:
                problems, worst, compared = check_case(folder, args, env, work)
            except RuntimeError as error:
                problems, worst, compared = [str(error)], float("nan"), 0
        print(f"{'FAIL' if problems else 'ok  '} {folder.name:<24} {args.backend:<11} largest difference {worst:.3g} in {compared} results", flush=True)
        for problem in problems:
            print("     " + problem)
        failed |= bool(problems)
    return 1 if failed else 0 if ran else 77


if __name__ == "__main__":
    sys.exit(main())
