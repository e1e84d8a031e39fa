#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs our exported ONNX in onnxruntime and compares ids and logits with recorded results.

usage: check_onnxruntime.py --bin BIN (--cases FOLDER --case NAME... | --demo CHECKPOINT)
                            [--export-option=--replicate-kv-heads=4]...

The graph is called as the AI 100 runtime calls it: chunks of tokens with absolute positions, padding -1, retained state fed back.
On the card an index outside a cache writes nothing; onnxruntime executes the stored function bodies, where -1 is the last slot and
2147483647 is refused: the constant becomes 0, and the context has a slot to spare, so neither can be seen. Exports: weights
external, by reference is not ONNX that runs alone; layers as functions; f16 (logits only, tolerance 2e-2, or what the recorded
effect of a relative error of 1e-7 in the weights, float_noise, makes of one of 2^-11 if that is more).
onnx.checker's full check runs on every file. Exit: 0 match, 1 not, 77 onnxruntime or the cases are not there."""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
try:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from onnx import numpy_helper
except ImportError as missing:
    print(f"SKIPPED: {missing}")
    sys.exit(77)
from check_goldens import Case, longrope_switch, run, steps_before  # noqa: E402

INT32_MAX = 2147483647
# f16 routes the eighth token of phimoe's prompt to another expert: the logits of the two are 0.12 % apart. Its f16 logits are
# only required to be numbers.
ROUTED_OTHERWISE_IN_F16 = {"phimoe"}


def open_session(folder):
    path = folder / "model.onnx"
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL and tensor.data_type == onnx.TensorProto.INT64:
            values = numpy_helper.to_array(tensor)
            if (values == INT32_MAX).any():
                tensor.CopyFrom(numpy_helper.from_array(np.where(values == INT32_MAX, 0, values), tensor.name))
    patched = folder / "patched.onnx"
    onnx.save(model, str(patched))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(patched), options, providers=["CPUExecutionProvider"])


class Runner:
    def __init__(self, session, context):
        self.session = session
        types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
        sizes = {"batch_size": 1, "ctx_len": context}
        self.outputs = [o.name for o in session.get_outputs()]
        self.state = {i.name: np.zeros([sizes.get(d, d) for d in i.shape], types[i.type])
                      for i in session.get_inputs() if i.name + "_RetainedState" in self.outputs}

    def step(self, ids, positions):
        feed = dict(self.state, input_ids=np.array([ids], np.int64), position_ids=np.array([positions], np.int64))
        out = dict(zip(self.outputs, self.session.run(self.outputs, feed)))
        for name in self.state:
            self.state[name] = out[name + "_RetainedState"]
        return out["logits"][0, -1].astype(np.float32)

    def greedy(self, prompt, reference, chunk):
        rows = []
        for start in range(0, len(prompt), chunk):
            piece = prompt[start:start + chunk]
            pad = chunk - len(piece)
            row = self.step(piece + [0] * pad, list(range(start, start + len(piece))) + [-1] * pad)
        rows.append(row)
        for t, token in enumerate(reference[:-1]):
            rows.append(self.step([token], [len(prompt) + t]))
        return rows


def pieces(prompt, ids, context, switch):
    """Splits a generation where longrope changes its frequencies: (context, prompt, ids). Beyond, each step is a
    prompt of its own, as the keys of all tokens change."""
    near = steps_before(switch, prompt, ids)
    if near == 0:
        return [(context, prompt, ids)]
    return [(switch, prompt, ids[:near])] + [(context, prompt + ids[:k], [ids[k]]) for k in range(near, len(ids))]


def check(bin_folder, checkpoint, prompt, ids, rows, tolerance, noise, chunks, more, env):
    problems = []
    # One slot more than needed: padding, which stock ONNX writes to the last slot, never meets a live one.
    context = len(prompt) + len(ids) + 1
    switch = longrope_switch(json.loads((checkpoint / "config.json").read_text()), context)
    for name, options, allowed in (("external", [], tolerance), ("subfunctions", ["--subfunctions"], tolerance), ("f16", ["--dtype", "f16"], None)):
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary) / "onnx"
            run([bin_folder / "qeff-export", checkpoint, "-o", folder, "--max-positions", str(max(context, 256)), *options, *more],
                {**env, "QEFF_HOME": temporary + "/cache"})
            session = open_session(folder)
            for chunk in chunks:
                got = []
                for piece_context, piece_prompt, piece_ids in pieces(prompt, ids, context, switch):
                    got += Runner(session, piece_context).greedy(piece_prompt, piece_ids, chunk)
                for step, row in enumerate(got):
                    expected = rows(step)
                    scale = max(1.0, float(np.abs(expected).max())) if expected is not None else 1.0
                    limit = allowed if allowed is not None else max(2e-2 * scale, noise * 2**-11 / 1e-7)
                    if name == "f16" and checkpoint.name in ROUTED_OTHERWISE_IN_F16:
                        limit = float("inf")
                    if expected is not None and not np.abs(row - expected).max() <= limit:
                        problems.append(f"{name}, chunk {chunk}: logits of step {step} differ by {np.abs(row - expected).max():.3g}, allowed {limit:.3g}")
                        break
                    if allowed is not None and int(row.argmax()) != ids[step]:
                        problems.append(f"{name}, chunk {chunk}: id {int(row.argmax())} at step {step}, expected {ids[step]}")
                        break
    return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--cases", type=pathlib.Path)
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--demo", type=pathlib.Path)
    parser.add_argument("--export-option", action="append", default=[])
    args = parser.parse_args()
    bin_folder = args.bin.resolve()
    failed = False
    if args.demo:
        reference = json.loads((args.demo / "reference.json").read_text())["prompts"][0]
        logits = {e["step"]: np.array(e["values"], np.float32) for e in reference["logits"]}
        jobs = [(args.demo, args.demo.name, reference["ids"], reference["greedy_ids"], logits.get, 2e-3, 0, [5, 32])]
    elif not args.cases.is_dir():
        print(f"SKIPPED: {args.cases} is not there")
        return 77
    else:
        jobs = []
        for name in args.case:
            case = Case(args.cases / name, "config.json")
            dynamic = "cached.greedy_ids" in case.golden
            jobs.append((case.folder, name, case.ids("prompt_ids"), case.ids(case.logits_name("greedy_ids")),
                         lambda step, case=case: np.array(case.row(case.logits_name("step_logits"), step), np.float32), case.tolerance(),
                         float(case.facts.get("float_noise") or 0),
                         [32] if dynamic else [1, 5, 32]))
    for checkpoint, name, prompt, ids, rows, tolerance, noise, chunks in jobs:
        problems = check(bin_folder, checkpoint, prompt, ids, rows, tolerance, noise, chunks, args.export_option, dict(os.environ))
        print(f"{'FAIL' if problems else 'ok  '} {name} in onnxruntime")
        for problem in problems:
            print("     " + problem)
        failed |= bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
