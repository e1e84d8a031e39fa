#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes small random checkpoints with many settings of config.json, and compares what the programs compute with transformers.

usage: compare_with_transformers.py --bin BIN [--family NAME]... [--variation NAME]... [--backend cpu|reference] [--prefill 1,5,32]
                                    [--export-option=--subfunctions]... [--random COUNT [--seed SEED]]

variations/<family>.json: {"base": values of the config, what all variations have, "variations": {name: {
    "config": values instead of base's,        "model_type": another one than the file's name,
    "file": values set in the saved config.json, "absent": keys removed from it: transformers loads what is then there,
    "prefix": put before the names of all tensors once transformers has computed what to expect,
    "dtype": the weights are saved in it (default float32),
    "names": "in memory": tensors are named and fused as the library holds them, instead of as it saves them,
    "buffers": {name: shape}: tensors of bytes put beside the weights, which transformers ignores,
    "prompt_tokens": length of the prompt (default 17),
    "class": the class of transformers if it is not *ForCausalLM, or several to compare one after the other, whose outputs for padded
        texts are then compared (encoder_cases.py),
    "saved_class": the class that writes the checkpoint, if it is another,
    "tokens": width of those texts (default 24), "texts": their number, "left_padding": one is padded on the left,
    "refused": the model must be refused with this text in the error}}}
All entries of a variation may be left out. "random" beside "variations" is one whose config has a list of values for each key: for
--random, COUNT variations are drawn from it (a value for about half of the keys, one of the classes, the length of the texts, the
dtype of the weights) and compared instead; the same SEED draws the same.

Every tensor is drawn at random, norms around what they start with. Computed by transformers in float32 with eager attention and no
cache: logits at the last 17 positions of the prompt, and 8 greedy steps. Allowed: 2e-4 * max(1, largest logit / 10), or ten times what
a relative error of 1e-7 in the weights does to transformers' own logits if that is more (normalized states of gated delta nets can be
near 0). Needs torch and transformers (checked with 5.5.4). Exit: 0 all match, 1 some do not, 77 torch or transformers is missing."""
import argparse
import json
import os
import pathlib
import random
import sys
import tempfile
import zlib

try:
    import safetensors.torch
    import torch
    import transformers
    from safetensors.torch import save_file
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_encoders  # noqa: E402
from check_goldens import generate, rows_of, run, worst_difference  # noqa: E402
from encoder_cases import make_case  # noqa: E402

POSITIONS, STEPS = 17, 8


def draw(model, generator):
    """Matrices scaled so that activations stay near 1, vectors around what the class starts with."""
    with torch.no_grad():
        for module in model.modules():
            for tensor in module.parameters(recurse=False):
                noise = torch.randn(tensor.shape, generator=generator)
                if isinstance(module, torch.nn.Embedding):
                    tensor.copy_(noise)
                elif tensor.dim() >= 2:
                    tensor.copy_(noise * 1.5 / tensor.shape[-1] ** 0.5)
                else:
                    tensor.add_(noise * 0.3)


def make_checkpoint(family, base, variation, folder, generator):
    # Ids within the small vocabulary: the defaults of some classes are beyond it.
    values = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, **base, **variation.get("config", {})}
    config = transformers.AutoConfig.for_model(variation.get("model_type", family), **values)
    kind = variation.get("saved_class", variation.get("class"))
    model = getattr(transformers, kind)(config) if kind else transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model.float()
    draw(model, generator)
    model.tie_weights()
    model.to(getattr(torch, variation.get("dtype", "float32"))).save_pretrained(folder)
    if variation.get("names") == "in memory":
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
    path = folder / "config.json"
    if "buffers" in variation:
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        weights.update((name, torch.ones(shape, dtype=torch.uint8)) for name, shape in variation["buffers"].items())
        safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    saved = {**json.loads(path.read_text()), **variation.get("file", {})}
    for key in variation.get("absent", []):
        saved.pop(key, None)
    path.write_text(json.dumps(saved))


def add_prefix(path, prefix):
    weights = safetensors.torch.load_file(path)
    save_file({prefix + name: tensor for name, tensor in weights.items()}, path, metadata={"format": "pt"})


def expected_logits(folder, prompt_tokens, generator):
    """The prompt, logits [P, V] at its last positions, greedy ids and logits [N, V] that chose them."""
    model, loading = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    wrong = {name: keys for name, keys in loading.items() if keys and name != "unexpected_keys"}
    if wrong:
        raise RuntimeError(f"transformers does not load its own checkpoint: {wrong}")
    model.eval()
    prompt = torch.randint(3, model.config.get_text_config().vocab_size, (prompt_tokens,), generator=generator).tolist()
    ids, steps = list(prompt), []
    with torch.no_grad():
        prompt_logits = model(torch.tensor([prompt]), use_cache=False).logits[0, -POSITIONS:]
        for _ in range(STEPS):
            steps.append(model(torch.tensor([ids]), use_cache=False).logits[0, -1])
            ids.append(int(steps[-1].argmax()))
        noise = float_noise(model, ids)
    return prompt, prompt_logits.tolist(), ids[len(prompt):], [row.tolist() for row in steps], noise


def float_noise(model, ids):
    """The largest change of a logit by relative errors of 1e-7 in the weights, in three draws. The weights are changed for good."""
    before = model(torch.tensor([ids]), use_cache=False).logits
    original = [p.detach().clone() for p in model.parameters()]
    generator, largest = torch.Generator().manual_seed(1), 0.0
    for _ in range(3):
        for parameter, value in zip(model.parameters(), original):
            parameter.copy_(value * (1 + 1e-7 * torch.randn(value.shape, generator=generator)))
        largest = max(largest, float((model(torch.tensor([ids]), use_cache=False).logits - before).abs().max()))
    return largest


def compare(args, env, folder, work, prompt_tokens, generator):
    """Returns problems, the largest difference and what is allowed."""
    prompt, prompt_logits, greedy, step_logits, noise = expected_logits(folder, prompt_tokens, generator)
    first = len(prompt) - len(prompt_logits)
    tolerance = max(2e-4 * max(1.0, max(abs(x) for row in prompt_logits for x in row) / 10), 10 * noise)
    problems, worst = [], 0.0
    context = len(prompt) + 15
    onnx = run([args.bin / "qeff-export", folder, "-o", work / "onnx", "-q", *args.export_option], env).strip()
    for prefill in args.prefill:
        qpc = run([args.bin / "qeff-compile", onnx, "-o", work / f"qpc{prefill}", "--backend", args.backend, "--prefill-seq-len", str(prefill),
                   "--ctx-len", str(context), "--num-cores", "2", "-q"], env).strip()
        _, logits = generate(args, env, work, qpc, [prompt[:p] for p in range(first + 1, len(prompt) + 1)], 1)
        got = [rows_of(tensor)[0] for tensor in logits]
        ids, logits = generate(args, env, work, qpc, [prompt], STEPS)
        got += rows_of(logits[0])
        # After the first other id (two logits nearly equal), the steps compute something else.
        agreed = next((i + 1 for i, (a, b) in enumerate(zip(ids[0], greedy)) if a != b), STEPS)
        for i, (row, want) in enumerate(zip(got, prompt_logits + step_logits[:agreed])):
            difference = worst_difference(row, want)
            worst = max(worst, difference)
            if not difference <= tolerance:
                place = f"position {first + i}" if i < len(prompt_logits) else f"step {i - len(prompt_logits)}"
                problems.append(f"prefill {prefill}: logits of {place} differ by {difference:.3g}, allowed {tolerance:.3g}")
                break
    return problems, worst, tolerance


def check(args, family, name, base, variation):
    generator = torch.Generator().manual_seed(zlib.crc32(f"{family} {name}".encode()))
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        folder = work / "checkpoint"
        env = {**os.environ, "QEFF_HOME": str(work / "cache")}
        make_checkpoint(family, base, variation, folder, generator)
        refused = variation.get("refused")
        if refused is None and "class" in variation:
            make_case(variation["class"], folder, variation, work / "case", generator)
            if "prefix" in variation:
                add_prefix(work / "case" / "model.safetensors", variation["prefix"])
            problems, worst, _ = check_encoders.check_case(work / "case", args, env, work)
            return problems, worst, 2e-4
        if refused is None:
            return compare(args, env, folder, work, variation.get("prompt_tokens", POSITIONS), generator)
        try:
            run([args.bin / "qeff-export", folder, "-o", work / "onnx"], env)
        except RuntimeError as error:
            return ([] if refused in str(error) else [f"the error does not say '{refused}': {error}"]), 0.0, 0.0
        return [f"was not refused (expected an error with '{refused}')"], 0.0, 0.0


def one_class_each(name, variation):
    """Yields (name, variation) for each of its classes; what is refused is refused whatever the class."""
    classes = variation.get("class")
    if not isinstance(classes, list):
        yield name, variation
        return
    for kind in classes[:1] if "refused" in variation else classes:
        yield f"{name}, {kind}", {**variation, "class": kind}


def drawn(family, table, seed, count):
    """Yields `count` random variations; their names say what was drawn."""
    for i in range(count):
        source = random.Random(f"{family} {seed} {i}")
        variation = {**table["random"], "dtype": source.choice(["float32", "bfloat16", "float16"]), "tokens": source.choice([24, 11, 1])}
        variation["class"] = source.choice(variation.get("class", table.get("class")))
        variation["config"] = {key: source.choice(values) for key, values in variation["config"].items() if source.random() < 0.5}
        yield f"{seed}.{i} {json.dumps(variation)}", variation


def variations_of(family, table, args):
    """Yields (name, variation), with what stands at the top of the table."""
    shared = {key: value for key, value in table.items() if key not in ("base", "variations", "random")}
    if args.random is not None:
        named = drawn(family, table, args.seed, args.random) if "random" in table else ()
    else:
        named = table["variations"].items()
    for name, variation in named:
        if not args.variation or name in args.variation:
            yield from one_class_each(name, {**shared, **variation})


def main():
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--family", action="append", default=[])
    parser.add_argument("--variation", action="append", default=[])
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--prefill", default="1,5,32")
    parser.add_argument("--export-option", action="append", default=[])
    parser.add_argument("--random", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.bin, args.config = args.bin.resolve(), "config.json"
    args.prefill = [int(x) for x in args.prefill.split(",")]
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    failed = count = 0
    for family in args.family or sorted(path.stem for path in (here / "variations").glob("*.json")):
        table = json.loads((here / "variations" / f"{family}.json").read_text())
        for name, variation in variations_of(family, table, args):
            count += 1
            try:
                problems, worst, tolerance = check(args, family, name, table["base"], variation)
            except RuntimeError as error:
                problems, worst, tolerance = [str(error)], float("nan"), float("nan")
            result = "refused as it must be" if variation.get("refused") else f"largest difference {worst:.3g} (allowed {tolerance:.3g})"
            print(f"{'FAIL' if problems else 'ok  '} {family}: {name:<40} {'' if problems else result}", flush=True)
            for problem in problems:
                print("     " + problem)
            failed += bool(problems)
    print(f"{count - failed} passed, {failed} failed")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
