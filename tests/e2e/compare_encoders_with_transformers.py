#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes small random encoders with many settings of config.json, and compares what the programs compute with transformers.

usage: compare_encoders_with_transformers.py --bin BIN [--family NAME]... [--variation NAME]... [--backend cpu|reference]

encoder_variations/<family>.json: {"base": values of the config, "variations": {name: {"config": values instead of base's, "file":
values set in the saved config.json, "tokens": length of the texts (default 19), "dtype": the weights are saved in it (default
float32), "head": the only class to compare ("Model", "ForSequenceClassification", ...; default all that transformers has), "prefix":
put before the names of all tensors, "refused": the model must be refused with this text in the error}}}. All entries of a variation may
be left out; model_type and, if it differs from the file's name, "classes" (what the names of the classes begin with) stand at the top.
Every tensor is drawn at random, norms around what they start with. Compared: hidden states and pooler of the base model, logits of a
classifier of texts, of tokens and of masked tokens, for three texts of different lengths, right-padded, with both kinds of segments
where the model has them; float32, eager attention. Allowed: 2e-4 * max(1, largest value). Needs torch and transformers (checked with
5.5.4). Exit: 0 all match, 1 some do not, 77 torch or transformers is missing."""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import zlib

try:
    import safetensors.torch
    import torch
    import transformers
except ImportError as error:
    print(f"SKIPPED: {error}")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from check_goldens import read_safetensors, run  # noqa: E402
from compare_with_transformers import draw  # noqa: E402

HEADS = ("Model", "ForSequenceClassification", "ForTokenClassification", "ForMaskedLM")
TEXTS = 3


def make_checkpoint(model_class, table, variation, folder, generator):
    # With id2label, so that the number of labels stands in the file.
    values = {"id2label": {i: f"label {i}" for i in range(3)}, "label2id": {f"label {i}": i for i in range(3)},
              **table["base"], **variation.get("config", {})}
    model = model_class(transformers.AutoConfig.for_model(table["model_type"], **values, attn_implementation="eager"))
    draw(model, generator)
    model.tie_weights()
    model.to(getattr(torch, variation.get("dtype", "float32"))).save_pretrained(folder)
    if "prefix" in variation:
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        safetensors.torch.save_file({variation["prefix"] + name: tensor for name, tensor in weights.items()}, folder / "model.safetensors",
                                    metadata={"format": "pt"})
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **variation.get("file", {})}))
    return model.float().eval()


def inputs_for(model, tokens, generator):
    """Texts of `tokens`, about half and one third of them; padding has the tokenizer's id."""
    config = model.config
    pad = config.pad_token_id if config.pad_token_id is not None else 0
    ids = torch.randint(pad + 1, config.vocab_size, (TEXTS, tokens), generator=generator)
    mask = torch.ones_like(ids)
    for row, length in enumerate((tokens, tokens // 2 + 1, tokens // 3 + 1)):
        ids[row, length:], mask[row, length:] = pad, 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if getattr(config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = torch.randint(0, config.type_vocab_size, ids.shape, generator=generator)
    return inputs


def expected_outputs(model, inputs):
    """{name of our output: tensor}."""
    with torch.no_grad():
        results = model(**inputs)
    if "logits" in results:
        return {"logits": results.logits}
    pooler = results.get("pooler_output")
    return {"output": results.last_hidden_state, **({"pooler_output": pooler} if pooler is not None else {})}


def compare(args, env, folder, work, model, tokens, generator):
    """Returns problems and the largest difference."""
    inputs = inputs_for(model, tokens, generator)
    onnx = run([args.bin / "qeff-export", folder, "-o", work / "onnx", "-q", *args.export_option], env).strip()
    qpc = run([args.bin / "qeff-compile", onnx, "-o", work / "qpc", "-q", "--backend", args.backend, "--seq-len", str(tokens), "--batch-size",
               str(TEXTS), "--num-cores", "2"], env).strip()
    safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in inputs.items()}, work / "in.safetensors")
    run([args.bin / "qeff-run", qpc, "--input-tensors", work / "in.safetensors", "--output-tensors", work / "out.safetensors"], env)
    got, problems, worst = read_safetensors(work / "out.safetensors"), [], 0.0
    expected = expected_outputs(model, inputs)
    if set(got) != set(expected):
        return [f"outputs {sorted(got)}, expected {sorted(expected)}"], float("nan")
    for name, want in expected.items():
        have = torch.tensor(list(got[name][1])).reshape(got[name][0])
        if have.shape != want.shape:
            problems.append(f"{name} has shape {list(have.shape)}, expected {list(want.shape)}")
            continue
        if want.dim() == 3:  # rows of padding are not compared
            kept = inputs["attention_mask"].bool()
            have, want = have[kept], want[kept]
        difference = float((have - want).abs().max())
        allowed = 2e-4 * max(1.0, float(want.abs().max()))
        worst = max(worst, difference)
        if not difference <= allowed:
            problems.append(f"{name} differs by {difference:.3g}, allowed {allowed:.3g}")
    return problems, worst


def check(args, table, model_class, label, variation):
    generator = torch.Generator().manual_seed(zlib.crc32(label.encode()))
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        env = {**os.environ, "QEFF_HOME": str(work / "cache")}
        model = make_checkpoint(model_class, table, variation, work / "checkpoint", generator)
        refused = variation.get("refused")
        if refused is None:
            return compare(args, env, work / "checkpoint", work, model, variation.get("tokens", 19), generator)
        try:
            run([args.bin / "qeff-export", work / "checkpoint", "-o", work / "onnx"], env)
        except RuntimeError as error:
            return ([] if refused in str(error) else [f"the error does not say '{refused}': {error}"]), 0.0
        return [f"was not refused (expected an error with '{refused}')"], 0.0


def main():
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--family", action="append", default=[])
    parser.add_argument("--variation", action="append", default=[])
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--export-option", action="append", default=[])
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    failed = count = 0
    for family in args.family or sorted(path.stem for path in (here / "encoder_variations").glob("*.json")):
        table = json.loads((here / "encoder_variations" / f"{family}.json").read_text())
        for name, variation in table["variations"].items():
            if args.variation and name not in args.variation:
                continue
            for head in HEADS:
                model_class = getattr(transformers, table["classes"] + head, None)
                if model_class is None or head not in (variation.get("head", head),) or (variation.get("refused") and head != "Model"):
                    continue
                count += 1
                label = f"{family}: {name}, {head}"
                try:
                    problems, worst = check(args, table, model_class, label, variation)
                except RuntimeError as error:
                    problems, worst = [str(error)], float("nan")
                result = "refused as it must be" if variation.get("refused") else f"largest difference {worst:.3g}"
                print(f"{'FAIL' if problems else 'ok  '} {label:<70} {'' if problems else result}", flush=True)
                for problem in problems:
                    print("     " + problem)
                failed += bool(problems)
    print(f"{count - failed} passed, {failed} failed")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    sys.exit(main())
