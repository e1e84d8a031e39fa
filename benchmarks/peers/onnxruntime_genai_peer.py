# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""onnxruntime-genai beside qeff-bench: models by its builder, one generator for each request."""

import json
import subprocess
import sys
import time

import numpy as np
import onnxruntime_genai

import serve

PRECISIONS = {"f32": "fp32", "int8": "int8", "int4": "int4"}


def build(checkpoint, weights, folder):
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(checkpoint), "-o", str(folder),
               "-p", PRECISIONS[weights], "-e", "cpu", "-c", str(folder / "cache"), "--extra_options",
               "prune_lm_head=true"]
    if weights != "f32":
        command += ["accuracy_level=4", "block_size=32"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise serve.Unable(f"the builder ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def prepare(home, checkpoint, weights):
    if weights not in PRECISIONS:
        raise serve.Unable(f"expected weights {', '.join(PRECISIONS)}, got {weights}")
    return serve.prepared(home, "onnxruntime_genai", checkpoint, weights,
                          lambda source, folder: build(source, weights, folder))


class Engine:
    def __init__(self, folder, checkpoint):
        self.folder, self.vocab, self.threads = folder, serve.config_of(checkpoint)["vocab_size"], 0

    def open(self, threads):
        if self.threads == threads:
            return
        config = onnxruntime_genai.Config(str(self.folder))
        config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
        self.model, self.threads = onnxruntime_genai.Model(config), threads

    def measure(self, request):
        self.open(request["threads"])
        tokens, depth, batch = request["tokens"], request["depth"], request["batch"]
        is_prefill = request["test"] == "prefill"
        if is_prefill and depth:
            raise serve.Unable("the adapter measures prefill at depth 0 only")
        given = tokens if is_prefill else max(depth, 1)
        params = onnxruntime_genai.GeneratorParams(self.model)
        params.set_search_options(do_sample=False, batch_size=batch, max_length=given + tokens + 1,
                                  min_length=given + tokens + 1)
        generator = onnxruntime_genai.Generator(self.model, params)
        ids = np.tile(np.array(serve.any_ids(given, self.vocab), np.int32), (batch, 1))
        start = time.perf_counter()
        generator.append_tokens(ids)
        if not is_prefill:
            generator.generate_next_token()  # the token that the prompt's run has chosen
            start = time.perf_counter()
            for _ in range(tokens):
                generator.generate_next_token()
        return tokens * batch / (time.perf_counter() - start)


def open_engine(folder, checkpoint, weights, _home):
    return f"onnxruntime-genai {onnxruntime_genai.__version__} {weights}", Engine(folder, checkpoint).measure


if __name__ == "__main__":
    serve.main(prepare, open_engine)
