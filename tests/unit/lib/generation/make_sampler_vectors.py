#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes sampler_vectors.json: logits, settings, and the scores that transformers' own list of processors makes of them.

The list is the one that generate() builds for a generation config, so the order of the processors is theirs, not ours.
Needs torch and transformers; run it in this folder to remake the file.
"""

import json

import torch
import transformers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

VOCAB = 24


def draws(seed):
    """A small linear congruential generator, so that the logits do not depend on a library's version."""
    state = seed
    while True:
        state = (state * 1103515245 + 12345) % 2**31
        yield state / 2**31


def logits(seed, scale, step=None):
    source = draws(seed)
    values = [scale * (next(source) + next(source) + next(source) - 1.5) for _ in range(VOCAB)]
    if step is not None:  # many equal values
        values = [round(value / step) * step for value in values]
    return values


def main():
    config = LlamaConfig(vocab_size=VOCAB, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    model = LlamaForCausalLM(config)
    off = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0, "repetition_penalty": 1.0}
    history = [3, 3, 7, 0, 11, 23, 19]
    settings = [
        {"do_sample": False, "repetition_penalty": 1.3},
        {"do_sample": False, "repetition_penalty": 0.6},
        {"temperature": 0.7},
        {"temperature": 1.9},
        {"top_k": 1},
        {"top_k": 5},
        {"top_k": 100},
        {"top_p": 0.0},
        {"top_p": 0.35},
        {"top_p": 0.9},
        {"top_p": 0.999},
        {"min_p": 0.05},
        {"min_p": 0.3},
        {"min_p": 1.0},
        {"temperature": 0.5, "top_k": 8, "top_p": 0.8, "min_p": 0.02, "repetition_penalty": 1.2},
        {"temperature": 1.5, "top_k": 12, "top_p": 0.6, "min_p": 0.1, "repetition_penalty": 1.05},
    ]
    cases = []
    for index, setting in enumerate(settings):
        for step in (None, 0.5):
            values = logits(17 * index + 1, 4.0, step)
            options = {"do_sample": True, **off, **setting}
            row = torch.tensor([values], dtype=torch.float32)
            processors = model._get_logits_processor(
                generation_config=GenerationConfig(**options), input_ids_seq_length=len(history))
            scores = processors(torch.tensor([history]), row)[0].tolist()
            cases.append({
                "options": options,
                "history": history,
                "logits": row[0].tolist(),
                "scores": [None if score == float("-inf") else score for score in scores],
                "argmax": int(torch.argmax(torch.tensor(scores))),
            })
    with open("sampler_vectors.json", "w", encoding="utf-8") as file:
        file.write('{"transformers": "%s", "cases": [\n' % transformers.__version__)
        file.write(",\n".join(json.dumps(case) for case in cases))
        file.write("\n]}\n")


if __name__ == "__main__":
    main()
