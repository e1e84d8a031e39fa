# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes rope_cases.json: inverse frequencies and attention factors as transformers computes them.

Needs transformers 5.5.4 and torch. Each case is a config.json in the style of transformers 5 and, where the older
style can say the same, of transformers 4 ("config_v4"); the table comes from the model's own rotary class.

    python3 make_rope_cases.py > rope_cases.json
"""

import copy
import json
import sys

import torch
from transformers import LlamaConfig, Phi3Config, PhiConfig, Qwen3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.phi.modeling_phi import PhiRotaryEmbedding


def floats(tensor):
    # Nine digits give back the same float32.
    return [float(f"{value:.9g}") for value in tensor.to(torch.float32).tolist()]


def attributes(head_dim, max_positions, rope, **more):
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_hidden_layers": 1,
        "num_key_value_heads": 2,
        "intermediate_size": 96,
        "vocab_size": 32,
        "head_dim": head_dim,
        "max_position_embeddings": max_positions,
        "rope_parameters": rope,
    }
    return {**config, **more}


def to_v4(config):
    old = copy.deepcopy(config)
    rope = old.pop("rope_parameters")
    old["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        old["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    old["rope_scaling"] = None if rope == {"rope_type": "default"} else rope
    return old


def case(name, config, config_class=LlamaConfig, table_class=LlamaRotaryEmbedding, lengths=()):
    made = config_class(**copy.deepcopy(config))
    table = table_class(made)
    result = {
        "name": name,
        "head_dim": config["head_dim"],
        "max_position_embeddings": config["max_position_embeddings"],
        "config": config,
        "config_v4": to_v4(config),
        "inv_freq": floats(table.inv_freq),
        "attention_scaling": float(f"{float(table.attention_scaling):.9g}"),
        "at_length": {},
    }
    kind = made.rope_parameters["rope_type"]
    for length in lengths:
        # The running model passes the length as a tensor.
        tokens = torch.tensor(length) if kind == "dynamic" else length
        inv_freq, _ = ROPE_INIT_FUNCTIONS[kind](made, None, seq_len=tokens)
        result["at_length"][str(length)] = floats(inv_freq)
    return result


def cases():
    yield case("default", attributes(64, 2048, {"rope_type": "default", "rope_theta": 10000.0}))
    yield case("default_theta_1e6", attributes(128, 40960, {"rope_type": "default", "rope_theta": 1000000.0}))
    # The default type of LlamaConfig has no partial rotation, that of PhiConfig has.
    partial = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.4}
    yield case("default_partial", attributes(80, 2048, partial, hidden_size=320), config_class=PhiConfig,
               table_class=PhiRotaryEmbedding)
    yield case("linear", attributes(64, 4096, {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5}))
    yield case("dynamic", attributes(64, 16, {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}),
               lengths=(16, 17, 20, 33, 4096))
    yield case("dynamic_fraction", attributes(24, 100, {"rope_type": "dynamic", "rope_theta": 50000.0, "factor": 3.3}),
               lengths=(101, 1000))
    llama3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
              "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    yield case("llama3", attributes(128, 131072, llama3))
    yield case("llama3_factor_32", attributes(64, 131072, {**llama3, "factor": 32.0}))
    yield case("llama3_short", attributes(32, 256, {**llama3, "original_max_position_embeddings": 64,
                                                    "rope_theta": 10000.0}))
    yarn = {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "original_max_position_embeddings": 32768}
    yield case("yarn", attributes(128, 131072, yarn))
    yield case("yarn_without_original", attributes(64, 4096, {"rope_type": "yarn", "rope_theta": 10000.0,
                                                              "factor": 4.0}))
    yield case("yarn_null_factor", attributes(64, 8192, {**yarn, "factor": None,
                                                         "original_max_position_embeddings": 1024}))
    yield case("yarn_attention_factor", attributes(64, 16384, {**yarn, "attention_factor": 0.8, "beta_fast": 24.0,
                                                               "beta_slow": 1.5,
                                                               "original_max_position_embeddings": 4096}))
    yield case("yarn_mscale", attributes(64, 163840, {**yarn, "rope_theta": 10000.0, "factor": 40.0, "mscale": 0.707,
                                                      "mscale_all_dim": 1.2,
                                                      "original_max_position_embeddings": 4096}))
    yield case("yarn_mscale_zero", attributes(64, 163840, {**yarn, "factor": 40.0, "mscale": 1.0, "mscale_all_dim": 0.0,
                                                           "original_max_position_embeddings": 4096}))
    yield case("yarn_equal_betas", attributes(64, 131072, {**yarn, "rope_theta": 50000.0, "beta_fast": 1.0,
                                                           "beta_slow": 1.0,
                                                           "original_max_position_embeddings": 4096}))
    yield case("yarn_not_truncated", attributes(64, 131072, {**yarn, "rope_theta": 150000.0, "factor": 32.0,
                                                             "truncate": False,
                                                             "original_max_position_embeddings": 4096}))
    yield case("yarn_partial", attributes(128, 131072, {**yarn, "partial_rotary_factor": 0.5}))
    short = [1.0 + 0.03 * i for i in range(16)]
    long = [1.0 + 1.7 * i for i in range(16)]
    longrope = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": short, "long_factor": long,
                "original_max_position_embeddings": 4096}
    yield case("longrope", attributes(32, 131072, longrope), lengths=(4096, 4097))
    yield case("longrope_factor", attributes(32, 131072, {**longrope, "factor": 16.0}), lengths=(4097,))
    yield case("longrope_factor_below_one", attributes(32, 4096, {**longrope, "factor": 1.0}))
    yield case("longrope_attention_factor", attributes(32, 131072, {**longrope, "attention_factor": 1.19}))
    yield case("longrope_beside", attributes(32, 131072, {**longrope, "original_max_position_embeddings": 4096},
                                             original_max_position_embeddings=8192, pad_token_id=0,
                                             hidden_size=128),
               config_class=Phi3Config, lengths=(8192, 8193))
    yield case("qwen3", attributes(128, 40960, {"rope_type": "default", "rope_theta": 1000000}, model_type="qwen3"),
               config_class=Qwen3Config)


def main():
    json.dump({"generator": "make_rope_cases.py, transformers 5.5.4", "cases": list(cases())}, sys.stdout,
              separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
