#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a checkpoint of a given shape with random weights, for measurements and tests of size.

    scripts/make_checkpoint.py OUT --preset smollm2-135m --tokenizer configs/demo-model
    scripts/make_checkpoint.py OUT --preset llama-8b-sparse
    scripts/make_checkpoint.py OUT --family qwen3 --hidden 256 --layers 2 --heads 4 --kv-heads 2 --shards 3

Needs only Python 3.9. The same seed and shape give the same bytes, however many shards. Weights are written as they are
made, so memory does not grow with the model; --sparse writes none: the data is a hole of zeros that takes no disk space.
"""

import argparse
import json
import random
import shutil
import struct
import sys
from pathlib import Path

BLOCK_ELEMENTS = 1 << 20
ELEMENT_BYTES = {"bf16": 2, "f32": 4}
TORCH_NAMES = {"bf16": "bfloat16", "f32": "float32"}
TOKENIZER_FILES = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
                   "chat_template.*")
LLAMA3_ROPE = {"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
               "original_max_position_embeddings": 8192, "rope_theta": 500000.0, "rope_type": "llama3"}

DEFAULTS = dict(family="llama", hidden=256, layers=2, heads=4, kv_heads=2, head_dim=None, ffn=None, vocab=512,
                tied=False, dtype="bf16", shards=1, sparse=False, positions=2048, epsilon=1e-5, theta=10000.0)
PRESETS = {
    "smollm2-135m": dict(hidden=576, layers=30, heads=9, kv_heads=3, ffn=1536, vocab=49152, tied=True,
                         positions=8192, theta=100000.0),
    "tinyllama-1.1b": dict(hidden=2048, layers=22, heads=32, kv_heads=4, ffn=5632, vocab=32000),
    "qwen3-0.6b": dict(family="qwen3", hidden=1024, layers=28, heads=16, kv_heads=8, head_dim=128, ffn=3072,
                       vocab=151936, tied=True, positions=40960, epsilon=1e-6, theta=1000000.0),
    "llama-8b-sparse": dict(hidden=4096, layers=32, heads=32, kv_heads=8, ffn=14336, vocab=128256,
                            positions=131072, rope=LLAMA3_ROPE, shards=4, sparse=True),
}


def tensors(shape):
    """Yields (name, dims) in the order of the model."""
    hidden, head_dim = shape["hidden"], shape["head_dim"]
    yield "model.embed_tokens.weight", [shape["vocab"], hidden]
    for layer in range(shape["layers"]):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", [hidden]
        yield prefix + "self_attn.q_proj.weight", [shape["heads"] * head_dim, hidden]
        yield prefix + "self_attn.k_proj.weight", [shape["kv_heads"] * head_dim, hidden]
        yield prefix + "self_attn.v_proj.weight", [shape["kv_heads"] * head_dim, hidden]
        yield prefix + "self_attn.o_proj.weight", [hidden, shape["heads"] * head_dim]
        if shape["family"] == "qwen3":
            yield prefix + "self_attn.q_norm.weight", [head_dim]
            yield prefix + "self_attn.k_norm.weight", [head_dim]
        yield prefix + "post_attention_layernorm.weight", [hidden]
        yield prefix + "mlp.gate_proj.weight", [shape["ffn"], hidden]
        yield prefix + "mlp.up_proj.weight", [shape["ffn"], hidden]
        yield prefix + "mlp.down_proj.weight", [hidden, shape["ffn"]]
    yield "model.norm.weight", [hidden]
    if not shape["tied"]:
        yield "lm_head.weight", [shape["vocab"], hidden]


def element_count(dims):
    count = 1
    for extent in dims:
        count *= extent
    return count


# A bf16 number of random sign whose magnitude has the exponent of 2^-7 or 2^-6, that is +-0.008 to +-0.031: the low byte
# (last exponent bit and mantissa) is random, of the high byte only the sign is.
HIGH_BYTE = bytes(0x3C | (value & 0x80) for value in range(256))


def random_block(generator, count, dtype):
    width = ELEMENT_BYTES[dtype]
    block = bytearray(count * width)
    for byte in range(width - 1):
        block[byte::width] = generator.randbytes(count)
    block[width - 1::width] = generator.randbytes(count).translate(HIGH_BYTE)
    return block


def data_blocks(name, dims, dtype, seed):
    """Yields the bytes of a tensor. Norm weights are 1."""
    remaining = element_count(dims)
    if "norm" in name:
        one = struct.pack("<f", 1.0)[4 - ELEMENT_BYTES[dtype]:]
        yield one * remaining
        return
    generator = random.Random(f"{seed}/{name}")
    while remaining > 0:
        count = min(remaining, BLOCK_ELEMENTS)
        yield random_block(generator, count, dtype)
        remaining -= count


def write_safetensors(path, entries, shape, seed):
    width = ELEMENT_BYTES[shape["dtype"]]
    entries = sorted(entries)
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, dims in entries:
        end = offset + element_count(dims) * width
        header[name] = {"dtype": shape["dtype"].upper(), "shape": dims, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        if shape["sparse"]:
            file.truncate(8 + len(text) + offset)
            return
        for name, dims in entries:
            for block in data_blocks(name, dims, shape["dtype"], seed):
                file.write(block)


def split(entries, shape):
    """Returns the entries of each shard: as many shards as asked for, of about the same size."""
    total = sum(element_count(dims) for _, dims in entries)
    shards, done = [[] for _ in range(shape["shards"])], 0
    for name, dims in entries:
        middle = done + element_count(dims) / 2
        shards[min(int(middle * shape["shards"] / total), shape["shards"] - 1)].append((name, dims))
        done += element_count(dims)
    return [shard for shard in shards if shard]


def write_weights(folder, shape, seed):
    entries = list(tensors(shape))
    shards = split(entries, shape)
    if len(shards) == 1:
        write_safetensors(folder / "model.safetensors", shards[0], shape, seed)
        return
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_safetensors(folder / name, shard, shape, seed)
        weight_map.update({tensor: name for tensor, _ in shard})
    total = sum(element_count(dims) for _, dims in entries) * ELEMENT_BYTES[shape["dtype"]]
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))})


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def config_of(shape, ids):
    is_qwen = shape["family"] == "qwen3"
    rope = shape.get("rope") or {"rope_theta": shape["theta"], "rope_type": "default"}
    config = {
        "architectures": ["Qwen3ForCausalLM" if is_qwen else "LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "dtype": TORCH_NAMES[shape["dtype"]],
        "head_dim": shape["head_dim"],
        "hidden_act": "silu",
        "hidden_size": shape["hidden"],
        "initializer_range": 0.02,
        "intermediate_size": shape["ffn"],
        "max_position_embeddings": shape["positions"],
        "model_type": shape["family"],
        "num_attention_heads": shape["heads"],
        "num_hidden_layers": shape["layers"],
        "num_key_value_heads": shape["kv_heads"],
        "rms_norm_eps": shape["epsilon"],
        "rope_parameters": rope,
        "tie_word_embeddings": shape["tied"],
        "transformers_version": "5.5.4",
        "use_cache": True,
        "vocab_size": shape["vocab"],
    }
    if is_qwen:
        config.update(layer_types=["full_attention"] * shape["layers"], max_window_layers=shape["layers"],
                      sliding_window=None, use_sliding_window=False)
    else:
        config.update(mlp_bias=False, pretraining_tp=1)
    return dict(sorted({**config, **ids}.items()))


def token_ids(tokenizer, vocab):
    """Returns bos, eos and pad ids, from the tokenizer's folder if it says so; checks that its ids fit."""
    ids = {"bos_token_id": 1, "eos_token_id": 2}
    if tokenizer is None:
        return ids
    parsed = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    entries = parsed["model"]["vocab"]
    numbers = list(entries.values()) if isinstance(entries, dict) else list(range(len(entries)))
    largest = max(numbers + [token["id"] for token in parsed.get("added_tokens", [])])
    if largest >= vocab:
        sys.exit(f"error: {tokenizer}: the tokenizer has id {largest}, expected ids below --vocab {vocab}")
    for name in ("config.json", "generation_config.json"):
        if (tokenizer / name).exists():
            given = json.loads((tokenizer / name).read_text(encoding="utf-8"))
            ids.update({key: given[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id") if key in given})
    return ids


def complete_shape(options):
    shape = {**DEFAULTS, **PRESETS.get(options.preset, {})}
    shape.update({key: value for key, value in vars(options).items() if key in DEFAULTS and value is not None})
    shape["head_dim"] = shape["head_dim"] or shape["hidden"] // shape["heads"]
    shape["ffn"] = shape["ffn"] or shape["hidden"] * 3
    for key in ("hidden", "layers", "heads", "kv_heads", "head_dim", "ffn", "vocab", "shards", "positions"):
        if shape[key] < 1:
            sys.exit(f"error: --{key.replace('_', '-')}: expected at least 1, got {shape[key]}")
    if shape["heads"] % shape["kv_heads"] != 0:
        sys.exit(f"error: --kv-heads: expected a divisor of --heads {shape['heads']}, got {shape['kv_heads']}")
    if shape["head_dim"] % 2 != 0:
        sys.exit(f"error: --head-dim: expected an even number, got {shape['head_dim']}")
    return shape


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--preset", choices=sorted(PRESETS), help="shape to start from")
    parser.add_argument("--family", choices=["llama", "qwen3"])
    for name in ("hidden", "layers", "heads", "kv-heads", "head-dim", "ffn", "vocab", "shards", "positions"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--tied", action=argparse.BooleanOptionalAction, help="the head is the embedding")
    parser.add_argument("--sparse", action=argparse.BooleanOptionalAction, help="a hole instead of weights")
    parser.add_argument("--dtype", choices=sorted(ELEMENT_BYTES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="copy the tokenizer files of this folder")
    return parser.parse_args()


def main():
    options = parse_options()
    shape = complete_shape(options)
    if options.out.exists() and any(options.out.iterdir()):
        sys.exit(f"error: {options.out}: expected an empty or new folder")
    ids = token_ids(options.tokenizer, shape["vocab"])
    options.out.mkdir(parents=True, exist_ok=True)
    if options.tokenizer is not None:
        for pattern in TOKENIZER_FILES:
            for file in sorted(options.tokenizer.glob(pattern)):
                shutil.copyfile(file, options.out / file.name)
    write_json(options.out / "config.json", config_of(shape, ids))
    write_json(options.out / "generation_config.json", {**ids, "transformers_version": "5.5.4"})
    write_weights(options.out, shape, options.seed)
    print(options.out)


if __name__ == "__main__":
    main()
