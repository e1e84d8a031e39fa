#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Measures our exports in onnxruntime where QEfficient's were measured to be wrong or missing, and writes docs/exactness.md.

usage: exactness.py --bin BIN [--only TEXT] [--write docs/exactness.md]

For every row a small random checkpoint is made by transformers, whose logits (float32, eager, no cache) are the truth. Our ONNX
file runs in onnxruntime as the AI 100 runtime calls it: prompts of 13 tokens (45 where a row says so) in chunks of 1, 5 and 32 with
padding -1, then 24 steps that are fed the true tokens; with continuous batching four prompts of 3 to 17 tokens in shuffled slots,
12 steps together. Reported is the largest difference of any logit. Needs torch, transformers, onnx, onnxruntime; 77 without."""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import zlib

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
try:
    import numpy as np
    import onnx
    import onnxruntime as ort
    import torch
    import transformers
    from onnx import numpy_helper
except ImportError as missing:
    print(f"SKIPPED: {missing}")
    sys.exit(77)
from check_goldens import run  # noqa: E402
from compare_with_transformers import make_checkpoint  # noqa: E402

INT32_MAX = 2147483647
STEPS, BATCH_STEPS = 24, 12
torch.set_num_threads(1)
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.05, 1.1, 1.2, 1.3, 1.5],
            "long_factor": [1.0, 1.3, 1.9, 2.6, 3.7, 5.0]}
NOT_EXPORTED = "not exported"

# label, family, values of its config, what QEfficient gives, its error; further keys: prompt (tokens), features
ROWS = [
    ("gemma2, attention soft-cap 50, window not reached", "gemma2", {"attn_logit_softcapping": 50.0, "sliding_window": 64},
     "ids ok, logits off", "0.31 / 0.62"),
    ("gemma2, soft-cap 1", "gemma2", {"attn_logit_softcapping": 1.0}, "ids differ at step 0", "8.5"),
    ("gemma2, window 8", "gemma2", {"sliding_window": 8}, "ids differ at step 0", "9.9"),
    ("granite, logits_scaling 8", "granite", {"logits_scaling": 8.0}, "ids ok, probabilities wrong", "8.8"),
    ("granitemoe, multipliers, logits_scaling 8", "granitemoe",
     {"logits_scaling": 8.0, "embedding_multiplier": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.7},
     "ids ok, probabilities wrong", "8.6"),
    ("mistral, yarn", "mistral", {"rope_parameters": YARN, "max_position_embeddings": 128}, "ids differ at step 1", "3.3"),
    ("qwen3_moe, yarn", "qwen3_moe", {"rope_parameters": YARN, "max_position_embeddings": 128}, "ids differ at step 0", "2.3"),
    ("phi3, longrope", "phi3", {"original_max_position_embeddings": 8, "max_position_embeddings": 96, "rope_parameters": LONGROPE},
     "ids differ at step 1", "4.2", {"batch": (13, 10, 17, 9)}),
    ("phi3, partial_rotary_factor 0.5", "phi3",
     {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}}, "export fails", "-"),
    ("phi3, window 8", "phi3", {"sliding_window": 8}, "ids differ at step 1", "13"),
    ("qwen2, use_sliding_window", "qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0},
     "ids differ at step 1", "13"),
    ("qwen3, use_sliding_window", "qwen3", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0},
     "ids differ at step 0", "10"),
    ("falcon, alibi", "falcon", {"alibi": True}, "ids differ at step 0", "17"),
    ("mpt, clip_qkv", "mpt", {"attn_config": {"clip_qkv": 0.5}}, "ids differ at step 0", "18"),
    ("gpt2, scale_attn_by_inverse_layer_idx", "gpt2", {"scale_attn_by_inverse_layer_idx": True}, "ids differ at step 22", "1.2"),
    ("glm4_moe, n_group 4", "glm4_moe", {"n_routed_experts": 8, "n_group": 4, "topk_group": 2, "num_experts_per_tok": 2},
     "ids differ at step 1", "1.1"),
    ("gemma3_text, causal LM class", "gemma3_text", {"sliding_window": 8}, "ids differ at step 0; CB not exported", "-"),
    ("gpt_oss, text beyond the window", "gpt_oss", {"sliding_window": 8}, "ids differ (chunk 5: step 3; chunk 32: step 0)", "3.7 / 6.9"),
    ("gemma3, window 32, prompt 45", "gemma3_text", {"sliding_window": 32, "max_position_embeddings": 128},
     "ids differ (chunk 5: step 8; chunk 32: step 2)", "2.7 / 3.7", {"prompt": 45}),
    ("gemma4, window 32, prompt 45", "gemma4_text", {"sliding_window": 32, "max_position_embeddings": 128},
     "chunk 5: logits off; chunk 32: ids differ at step 6", "0.6 / 1.4", {"prompt": 45}),
    ("gpt_neox", "gpt_neox", {}, NOT_EXPORTED, "-"),
    ("stablelm", "stablelm", {"hidden_size": 64}, NOT_EXPORTED, "-"),
    ("cohere2", "cohere2", {"sliding_window": 8}, NOT_EXPORTED, "-"),
    ("smollm3", "smollm3", {}, NOT_EXPORTED, "-"),
    ("olmoe", "olmoe", {}, NOT_EXPORTED, "-"),
    ("qwen2_moe", "qwen2_moe", {}, NOT_EXPORTED, "-"),
    ("qwen3_next", "qwen3_next", {}, NOT_EXPORTED, "-"),
    ("opt", "opt", {}, NOT_EXPORTED, "-"),
    ("bloom", "bloom", {}, NOT_EXPORTED, "-"),
    ("deepseek_v3", "deepseek_v3", {}, NOT_EXPORTED, "-"),
    ("llama4 text, no rope scaling, chunks of 8", "llama4_text", {"attention_chunk_size": 8}, NOT_EXPORTED, "-"),
    ("qwen3_5 text", "qwen3_5_text", {}, NOT_EXPORTED, "-"),
    ("qwen3_5_moe text", "qwen3_5_moe_text", {}, NOT_EXPORTED, "-"),
    ("gemma4 text, continuous batching", "gemma4_text", {}, NOT_EXPORTED, "-"),
] + [
    (f"{family}, speculative target", family, {}, NOT_EXPORTED, "-", {"speculative": True})
    for family in ("gpt2", "falcon", "gemma", "gptj", "granite", "granitemoe", "mpt", "phi", "phi3", "mistral")
]

SMALL = {"vocab_size": 97, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 64}


class Truth:
    """Logits of transformers, without a cache."""

    def __init__(self, folder):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        self.vocab_size = self.model.config.get_text_config().vocab_size

    def logits(self, ids):
        with torch.no_grad():
            return self.model(torch.tensor([ids]), use_cache=False).logits[0].numpy()

    def greedy(self, prompt, steps):
        """The ids, and the logits that chose them."""
        ids, rows = list(prompt), []
        for _ in range(steps):
            rows.append(self.logits(ids)[-1])
            ids.append(int(rows[-1].argmax()))
        return ids[len(prompt):], rows


class Program:
    """Our ONNX file. On a card an index outside of a cache writes nothing; onnxruntime executes the stored bodies, where -1 is the
    last slot and INT32_MAX is refused: the constant becomes the last slot, and the context has one to spare."""

    def __init__(self, binaries, checkpoint, folder, context, rows, options):
        self.context, self.rows = context, rows
        run([binaries / "qeff-export", checkpoint, "-o", folder, "-q", *options], {**os.environ, "QEFF_HOME": str(folder) + ".cache"})
        model = onnx.load(str(folder / "model.onnx"), load_external_data=False)
        for tensor in model.graph.initializer:
            if tensor.data_location != onnx.TensorProto.EXTERNAL and tensor.data_type == onnx.TensorProto.INT64:
                values = numpy_helper.to_array(tensor)
                if (values == INT32_MAX).any():
                    tensor.CopyFrom(numpy_helper.from_array(np.where(values == INT32_MAX, context - 1, values), tensor.name))
        onnx.save(model, str(folder / "patched.onnx"))
        settings = ort.SessionOptions()
        settings.log_severity_level = 3
        settings.intra_op_num_threads = 1
        self.session = ort.InferenceSession(str(folder / "patched.onnx"), settings, providers=["CPUExecutionProvider"])
        self.outputs = [o.name for o in self.session.get_outputs()]
        self.clear()

    def clear(self):
        sizes = {"batch_size": self.rows, "full_batch_size": self.rows, "ctx_len": self.context}
        self.state = {i.name: np.zeros([sizes.get(d, d) for d in i.shape], np.float32) for i in self.session.get_inputs()
                      if i.name + "_RetainedState" in self.outputs}

    def call(self, ids, positions, **more):
        feed = {**self.state, "input_ids": np.array(ids, np.int64), "position_ids": np.array(positions, np.int64), **more}
        out = dict(zip(self.outputs, self.session.run(self.outputs, feed)))
        self.state = {name: out[name + "_RetainedState"] for name in self.state}
        return out["logits"]

    def prefill(self, prompt, chunk, **more):
        for start in range(0, len(prompt), chunk):
            piece = prompt[start:start + chunk]
            pad = chunk - len(piece)
            logits = self.call([piece + [0] * pad], [list(range(start, start + len(piece))) + [-1] * pad], **more)
        return logits


class Findings:
    def __init__(self):
        self.worst, self.other_ids = 0.0, []

    def see(self, row, want, where):
        difference = float(np.abs(row - want).max())
        self.worst = max(self.worst, difference if difference == difference else float("inf"))
        if int(row.argmax()) != int(want.argmax()):
            self.other_ids.append(where)


def measure_plain(binaries, checkpoint, work, truth, prompt, findings):
    ids, rows = truth.greedy(prompt, STEPS)
    program = Program(binaries, checkpoint, work / "plain", len(prompt) + STEPS + 1, 1, [])
    for chunk in (1, 5, 32):
        program.clear()
        findings.see(program.prefill(prompt, chunk)[0, -1], rows[0], f"chunk {chunk}, step 0")
        for step, token in enumerate(ids[:-1], start=1):
            logits = program.call([[token]], [[len(prompt) + step - 1]])
            findings.see(logits[0, -1], rows[step], f"chunk {chunk}, step {step}")


def measure_batch(binaries, checkpoint, work, truth, draw, lengths, findings):
    """With longrope all prompts must be on the same side of the switch: the program has one table."""
    prompts = [draw(length) for length in lengths]
    truths = [truth.greedy(prompt, BATCH_STEPS) for prompt in prompts]
    slots = [2, 0, 3, 1]
    program = Program(binaries, checkpoint, work / "batch", 17 + BATCH_STEPS + 1, 4, ["--continuous-batching"])
    for row, prompt in enumerate(prompts):
        logits = program.prefill(prompt, 5, batch_index=np.array([[slots[row]]], np.int64))
        findings.see(logits[0, -1], truths[row][1][0], f"slot {slots[row]}, step 0")
    for step in range(1, BATCH_STEPS):
        logits = program.call([[ids[step - 1]] for ids, _ in truths], [[len(p) + step - 1] for p in prompts],
                              batch_index=np.array(slots, np.int64)[:, None])
        for row, (_, rows) in enumerate(truths):
            findings.see(logits[row, -1], rows[step], f"slot {slots[row]}, step {step}")


def measure_speculative(binaries, checkpoint, work, truth, prompt, findings):
    """The target checks guesses: the logits of the last 4 tokens of the prompt, then of 4 more."""
    ids, _ = truth.greedy(prompt, 4)
    want = truth.logits(prompt + ids)
    program = Program(binaries, checkpoint, work / "target", len(prompt) + 8, 1, ["--speculative-target"])
    last = np.zeros([4, 1], np.int64)
    for tokens, first in ((prompt, 0), (ids, len(prompt))):
        logits = program.call([tokens], [list(range(first, first + len(tokens)))], num_logits_to_keep=last)
        for i in range(4):
            place = first + len(tokens) - 4 + i
            findings.see(logits[0, i], want[place], f"position {place}")


def measure(binaries, label, family, values, more):
    path = HERE / "variations" / f"{family}.json"
    content = json.loads(path.read_text()) if path.exists() else {"base": SMALL}
    generator = torch.Generator().manual_seed(zlib.crc32(label.encode()))
    with tempfile.TemporaryDirectory(prefix="qeff-exact-") as temporary:
        work = pathlib.Path(temporary)
        checkpoint = work / "checkpoint"
        make_checkpoint(family, {**content["base"], "max_position_embeddings": 96, **more.get("base", {})}, {"config": values}, checkpoint, generator)
        truth = Truth(checkpoint)

        def draw(length):
            return torch.randint(3, truth.vocab_size, (length,), generator=generator).tolist()

        plain, batch = Findings(), Findings()
        if more.get("speculative"):
            measure_speculative(binaries, checkpoint, work, truth, draw(13), plain)
            return plain, None
        measure_plain(binaries, checkpoint, work, truth, draw(more.get("prompt", 13)), plain)
        measure_batch(binaries, checkpoint, work, truth, draw, more.get("batch", (13, 3, 17, 9)), batch)
    return plain, batch


def describe(findings):
    if findings is None:
        return "-"
    ids = "ids equal" if not findings.other_ids else f"{len(findings.other_ids)} ids differ, first at {findings.other_ids[0]}"
    return f"{ids}, {findings.worst:.1e}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--write", type=pathlib.Path)
    args = parser.parse_args()
    binaries = args.bin.resolve()
    lines = [
        "# What is exact here and is not in QEfficient's exports",
        "",
        "Written by `tests/e2e/exactness.py --write`; do not edit. QEfficient's columns were measured on its own exports (commit `ebf55e8`,",
        f"transformers 5.5.4); ours by that script against transformers {transformers.__version__} in onnxruntime {ort.__version__}: small random",
        "checkpoints, prompts in chunks of 1, 5 and 32 tokens with padding, 24 steps; with continuous batching four prompts in shuffled slots.",
        "The number is the largest difference of any logit from transformers' in float32.",
        "",
        "| case | QEfficient | its error | qeff | qeff, continuous batching |",
        "|---|---|---|---|---|",
    ]
    bad = 0
    for label, family, values, theirs, error, *more in ROWS:
        if args.only not in label:
            continue
        try:
            plain, batch = measure(binaries, label, family, values, more[0] if more else {})
            cells = describe(plain), describe(batch)
            wrong = any(f is not None and (f.other_ids or not f.worst < 1e-3) for f in (plain, batch))
        except Exception as problem:  # the others are still measured
            cells, wrong = (f"failed: {str(problem).strip().splitlines()[-1]}", "-"), True
        bad += wrong
        print(f"{'BAD ' if wrong else 'ok  '} {label}: {cells[0]} | {cells[1]}", flush=True)
        lines.append(f"| {label} | {theirs} | {error} | {cells[0]} | {cells[1]} |")
    if args.write:
        args.write.write_text("\n".join(lines) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
