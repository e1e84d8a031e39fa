# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""CTranslate2 beside qeff-bench: models by its converter, one call for each request."""

import os
import subprocess
import sys
import time
from pathlib import Path

# The wheel chooses AVX2 on processors that are not Intel's; these are read when the library is loaded.
os.environ.setdefault("CT2_FORCE_CPU_ISA", "AVX512")
os.environ.setdefault("CT2_USE_EXPERIMENTAL_PACKED_GEMM", "1")
import ctranslate2  # noqa: E402

import serve  # noqa: E402

TYPES = {"f32": "float32", "int8": "int8"}


def convert(checkpoint, weights, folder):
    command = [str(Path(sys.executable).parent / "ct2-transformers-converter"), "--model", str(checkpoint),
               "--output_dir", str(folder), "--force", "--quantization", TYPES[weights]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise serve.Unable(f"the converter ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def prepare(home, checkpoint, weights):
    if weights not in TYPES:
        raise serve.Unable(f"expected weights {', '.join(TYPES)}, got {weights}")
    return serve.prepared(home, "ctranslate2", checkpoint, weights,
                          lambda source, folder: convert(source, weights, folder))


class Engine:
    def __init__(self, folder, weights):
        self.folder, self.weights, self.threads = folder, weights, 0

    def open(self, threads):
        if self.threads == threads:
            return
        self.generator = ctranslate2.Generator(str(self.folder), device="cpu", inter_threads=1, intra_threads=threads,
                                               compute_type=TYPES[self.weights])
        self.threads = threads

    def generate(self, prompt_tokens, new_tokens, batch):
        """Returns seconds. Names of tokens, not ids: so the library's interface has it."""
        start = time.perf_counter()
        self.generator.generate_batch([["<s>"] + ["a"] * (prompt_tokens - 1)] * batch, max_length=new_tokens,
                                      min_length=new_tokens, include_prompt_in_result=False, end_token=[])
        return time.perf_counter() - start

    def measure(self, request):
        self.open(request["threads"])
        tokens, depth, batch = request["tokens"], request["depth"], request["batch"]
        if request["test"] == "prefill":
            if depth:
                raise serve.Unable("the adapter measures prefill at depth 0 only")
            return tokens * batch / self.generate(tokens, 1, batch)
        prompt = max(depth, 1)
        seconds = self.generate(prompt, tokens + 1, batch) - self.generate(prompt, 1, batch)
        return tokens * batch / max(seconds, 1e-9)


def open_engine(folder, _checkpoint, weights, _home):
    return f"CTranslate2 {ctranslate2.__version__} {weights}", Engine(folder, weights).measure


if __name__ == "__main__":
    serve.main(prepare, open_engine)
