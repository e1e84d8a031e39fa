#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs checkpoints with recorded results of the original implementations through the programs and compares.

usage: check_goldens.py --bin BIN --cases FOLDER --backend cpu|reference|aic100 [--case NAME]... [--config config.v4.json]
                        [--prefill 1,4,32] [--onnx external] [--export-option=--latent-cache]...
                        [--compile-option=--mos=2]... [--standins build/standins/sdk]

Each case folder holds a checkpoint and golden.safetensors: prompt_ids [P], prompt_logits [P, V], greedy_ids [N], step_logits
[N, V], batch<j>.prompt_ids, batch<j>.greedy_ids. Checked for every prefill length: the logits at every prompt position (each
prefix of the prompt as a prompt of its own), the greedy ids and the logits of every step (24 tokens), and three more prompts of
other lengths in one batch, and in fewer slots by continuous batching. Tolerance: 2e-4 * max(1, largest logit / 10), or ten times
the recorded float noise if that is more. aic100 is a simulated card: the stand-ins of the vendor's compiler and runtime.
Standard library only. Exit: 0 all match, 1 some do not, 77 there is nothing to run."""
import argparse
import array
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = array.array({"F32": "f", "I64": "q"}[entry["dtype"]])
        values.frombytes(data[8 + size + begin:8 + size + end])
        tensors[name] = (entry["shape"], values)
    return tensors


class Case:
    def __init__(self, folder, config):
        self.folder, self.name = folder, folder.name
        self.config = config
        self.golden = read_safetensors(folder / "golden.safetensors")
        self.facts = json.loads((folder / "golden.json").read_text())

    def ids(self, name):
        return list(self.golden[name][1])

    def row(self, name, index):
        shape, values = self.golden[name]
        return values[index * shape[1]:(index + 1) * shape[1]]

    def tolerance(self):
        largest = max(abs(v) for v in self.golden[self.logits_name("step_logits")][1])
        return max(2e-4 * max(1.0, largest / 10), 10 * float(self.facts.get("float_noise") or 0))

    def logits_name(self, name):
        # A cache keeps the keys of their step: the recorded results with a cache are the ones to meet where they differ.
        return "cached." + name if "cached." + name in self.golden else name


def run(command, env):
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def worst_difference(a, b):
    if len(a) != len(b):
        return float("inf")
    worst = 0.0
    for x, y in zip(a, b):
        d = abs(x - y)
        if not d <= worst:
            worst = d if d == d else float("inf")
    return worst


def generate(args, env, work, qpc, prompts, count):
    """Returns the generated ids and the logits [count, V] of each prompt."""
    dump = work / "logits.safetensors"
    command = [args.bin / "qeff-run", qpc, "--json", "-q", "--ignore-eos", "--temperature", "0", "--max-new-tokens", str(count), "--dump-logits", dump]
    for ids in prompts:
        command += ["--input-ids", ",".join(map(str, ids))]
    if args.backend == "aic100":
        command += ["--devices", "0", "--card-plugin", args.standins / "qeff/libqeff_aic_session.so"]
    result = json.loads(run(command, env))
    if result.get("simulated_card", False) != (args.backend == "aic100"):
        raise RuntimeError("the output does not say whether it is of a simulated card")
    outputs = result["outputs"]
    tensors = read_safetensors(dump)
    return [o["generated_ids"] for o in outputs], [tensors[f"logits.{i}"] for i in range(len(prompts))]


def rows_of(tensor):
    shape, values = tensor
    return [values[i * shape[1]:(i + 1) * shape[1]] for i in range(shape[0])]


def compile_command(args, onnx, output, prefill, context):
    card = ["--sdk", args.standins] if args.backend == "aic100" else []
    return [args.bin / "qeff-compile", onnx, "-o", output, "--backend", args.backend, "--prefill-seq-len", str(prefill),
            "--ctx-len", str(context), "--num-cores", "2", *card, *args.compile_option]


class Programs:
    """Compiled programs of one export, by prefill length, context and batch size."""

    def __init__(self, args, env, work, onnx):
        self.args, self.env, self.work, self.onnx, self.made = args, env, work, onnx, {}

    def get(self, prefill, context, batch=1):
        key = (min(prefill, context), context, batch)
        if key not in self.made:
            command = compile_command(self.args, self.onnx, self.work / "qpc-{}-{}-{}".format(*key), key[0], context)
            self.made[key] = run(command + ["--batch-size", str(batch)], self.env).strip()
        return self.made[key]

    def generate(self, qpc, prompts, count):
        return generate(self.args, self.env, self.work, qpc, prompts, count)

    def continue_prompt(self, prefill, context, switch, prompt, greedy):
        """Returns an id and a row of logits for each of `greedy`. A program with longrope has the frequencies of its context; those
        recorded follow the length of the sequence: steps up to `switch` tokens run with that context, later ones each with a
        program of the longer context and all tokens before as the prompt."""
        near = steps_before(switch, prompt, greedy)
        first_qpc = self.get(prefill, switch if near else context)
        first_ids, first_logits = self.generate(first_qpc, [prompt], near or len(greedy))
        ids, rows = first_ids[0], rows_of(first_logits[0])
        longer = [prompt + greedy[:k] for k in range(len(ids), len(greedy))]
        if longer:
            next_ids, next_logits = self.generate(self.get(prefill, context), longer, 1)
            ids = ids + [i[0] for i in next_ids]
            rows = rows + [rows_of(tensor)[0] for tensor in next_logits]
        return ids, rows


def longrope_switch(config, context):
    """The number of tokens from which on longrope has other frequencies, if that is inside the context."""
    rope = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if rope.get("rope_type", rope.get("type")) != "longrope":
        return None
    original = config.get("original_max_position_embeddings") or rope["original_max_position_embeddings"]
    return original if original < context else None


def steps_before(switch, prompt, greedy):
    """How many steps have at most `switch` tokens before them."""
    return min(max(switch - len(prompt) + 1, 0), len(greedy)) if switch else 0


def check_case(case, args, env, work):
    checkpoint = case.folder
    if case.config != "config.json":
        checkpoint = work / "checkpoint"
        shutil.copytree(case.folder, checkpoint, symlinks=False)
        for path in checkpoint.iterdir():
            path.chmod(0o644)
        shutil.copyfile(case.folder / case.config, checkpoint / "config.json")
    prompt, greedy = case.ids("prompt_ids"), case.ids(case.logits_name("greedy_ids"))
    others = [j for j in range(8) if f"batch{j}.prompt_ids" in case.golden]
    context = max(64, len(prompt) + len(greedy), *(len(case.ids(f"batch{j}.prompt_ids")) + len(case.ids(f"batch{j}.greedy_ids")) for j in others))
    onnx = run([args.bin / "qeff-export", checkpoint, "-o", work / "onnx", "--weights", args.onnx, "--max-positions", str(max(context, 256)),
                *args.export_option], env).strip()
    tolerance, problems, worst = case.tolerance(), [], 0.0
    dynamic = case.logits_name("greedy_ids") != "greedy_ids"
    switch = longrope_switch(json.loads((checkpoint / "config.json").read_text()), context)
    programs = Programs(args, env, work, onnx)
    for prefill in args.prefill:
        # Frequencies that follow the length of the call meet the recorded ones only when the prompt is one call.
        if dynamic and prefill < len(prompt):
            continue
        ids, logits = programs.continue_prompt(prefill, context, switch, prompt, greedy)
        if ids != greedy:
            at = next(i for i, (a, b) in enumerate(zip(ids + [None], greedy)) if a != b)
            problems.append(f"prefill {prefill}: greedy ids differ from step {at} on")
        for step, row in enumerate(logits):
            difference = worst_difference(row, case.row(case.logits_name("step_logits"), step))
            worst = max(worst, difference)
            if difference > tolerance and ids[:step] == greedy[:step]:
                problems.append(f"prefill {prefill}: logits of step {step} differ by {difference:.3g}, allowed {tolerance:.3g}")
                break
        if not dynamic:
            prefixes = [prompt[:p] for p in range(1, len(prompt) + 1)]
            short = switch is not None and len(prompt) <= switch
            _, logits = programs.generate(programs.get(prefill, switch if short else context), prefixes, 1)
            for position in range(len(prompt)):
                difference = worst_difference(logits[position][1], case.row("prompt_logits", position))
                worst = max(worst, difference)
                if difference > tolerance:
                    problems.append(f"prefill {prefill}: logits at prompt position {position} differ by {difference:.3g}, allowed {tolerance:.3g}")
                    break
    if others and not dynamic:
        prefill = args.prefill[-1] if len(args.prefill) == 1 else args.prefill[1]
        wanted = [case.ids(f"batch{j}.greedy_ids") for j in others]
        prompts = [case.ids(f"batch{j}.prompt_ids") for j in others]
        if switch:
            got = [programs.continue_prompt(prefill, context, switch, p, w)[0] for p, w in zip(prompts, wanted)]
        else:
            got, _ = programs.generate(programs.get(prefill, context, len(others)), prompts, len(wanted[0]))
        for j in others:
            if got[j] != wanted[j]:
                problems.append(f"batch: prompt {j} of {len(prompts[j])} tokens gives other ids than alone")
        # In one slot less than there are prompts: the last one starts where another has ended.
        if not switch:
            onnx = run([args.bin / "qeff-export", checkpoint, "-o", work / "onnx-slots", "--weights", args.onnx, "--max-positions",
                        str(max(context, 256)), "--continuous-batching", *args.export_option], env).strip()
            qpc = run(compile_command(args, onnx, work / "qpc-slots", prefill, context) + ["--full-batch-size", str(len(others) - 1)],
                      env).strip()
            got, _ = programs.generate(qpc, prompts, len(wanted[0]))
            for j in others:
                if got[j] != wanted[j]:
                    problems.append(f"continuous batching: prompt {j} of {len(prompts[j])} tokens gives other ids than alone")
    return problems, worst, tolerance


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--config", default="config.json")
    parser.add_argument("--prefill", default="1,4,32")
    parser.add_argument("--export-option", action="append", default=[])
    parser.add_argument("--compile-option", action="append", default=[])
    parser.add_argument("--standins", type=pathlib.Path)
    parser.add_argument("--onnx", default="external", choices=("external", "reference"))
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    args.prefill = [int(x) for x in args.prefill.split(",")]
    if not args.cases.is_dir():
        print(f"SKIPPED: {args.cases} is not there")
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
                problems, worst, tolerance = check_case(Case(folder, args.config), args, env, work)
            except RuntimeError as error:
                problems, worst, tolerance = [str(error)], float("nan"), float("nan")
        print(f"{'FAIL' if problems else 'ok  '} {folder.name:<24} {args.backend:<9} largest difference {worst:.3g} (allowed {tolerance:.3g})", flush=True)
        for problem in problems:
            print("     " + problem)
        failed |= bool(problems)
    return 1 if failed else 0 if ran else 77


if __name__ == "__main__":
    sys.exit(main())
