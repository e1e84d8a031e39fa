# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO beside qeff-bench: a stateful model on the core API, with the logits of the last position only."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import openvino
from openvino import opset13

import serve

# Weight format of optimum-intel and the precision of the arithmetic.
FORMATS = {"f32": ("fp32", "f32"), "bf16": ("fp16", "bf16"), "int8": ("int8", None), "int4": ("int4", None)}
LARGE_MODEL_BYTES = 1_000_000_000 * 2


def export(checkpoint, weights, folder):
    command = [sys.executable, "-m", "optimum.commands.optimum_cli", "export", "openvino", "--model", str(checkpoint),
               "--task", "text-generation-with-past", "--weight-format", FORMATS[weights][0]]
    if weights == "int4":
        command += ["--sym", "--group-size", "64", "--ratio", "1.0"]
    if weights == "int8":
        command += ["--sym"]
    done = subprocess.run(command + [str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        raise serve.Unable(f"optimum-cli ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def prepare(home, checkpoint, weights):
    if weights not in FORMATS:
        raise serve.Unable(f"expected weights {', '.join(FORMATS)}, got {weights}")
    return serve.prepared(home, "openvino", checkpoint, weights,
                          lambda source, folder: export(source, weights, folder))


def keep_last_position(model):
    """Puts a slice in front of the head, as the engine's own pipeline for generation does."""
    node = model.output("logits").get_node().input_value(0).get_node()
    while node.get_type_name() != "MatMul":
        node = node.input_value(0).get_node()
    last = opset13.slice(node.input_value(0), np.array([-1]), np.array([2**31 - 1]), np.array([1]), np.array([1]))
    node.input(0).replace_source_output(last.output(0))
    model.validate_nodes_and_infer_types()


class Engine:
    def __init__(self, folder, checkpoint, weights):
        self.vocab = serve.config_of(checkpoint)["vocab_size"]
        self.folder, self.weights = folder, weights
        self.is_large = (Path(checkpoint) / "model.safetensors").stat().st_size > LARGE_MODEL_BYTES
        self.threads = 0

    def open(self, threads):
        if self.threads == threads:
            return
        options = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(threads)}
        precision = FORMATS[self.weights][1]
        if precision:
            options["INFERENCE_PRECISION_HINT"] = precision
        else:
            options["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "128" if self.is_large else "64"
        core = openvino.Core()
        model = core.read_model(self.folder / "openvino_model.xml")
        keep_last_position(model)
        self.request = core.compile_model(model, "CPU", options).create_infer_request()
        self.inputs = {name for port in model.inputs for name in port.get_names()}
        self.threads = threads

    def run(self, ids, position, batch):
        """Tokens `ids` of every row from `position` on."""
        count = len(ids)
        given = {"input_ids": np.tile(np.array(ids, np.int64), (batch, 1)),
                 "attention_mask": np.ones((batch, position + count), np.int64),
                 "position_ids": np.tile(np.arange(position, position + count, dtype=np.int64), (batch, 1)),
                 "beam_idx": np.arange(batch, dtype=np.int32)}
        self.request.infer({name: value for name, value in given.items() if name in self.inputs})

    def measure(self, request):
        self.open(request["threads"])
        tokens, depth, batch = request["tokens"], request["depth"], request["batch"]
        ids = serve.any_ids(max(tokens, depth), self.vocab)
        self.request.reset_state()
        if depth:
            self.run(ids[:depth], 0, batch)
        start = time.perf_counter()
        if request["test"] == "prefill":
            self.run(ids[:tokens], depth, batch)
        else:
            for i in range(tokens):
                self.run([ids[i]], depth + i, batch)
        return tokens * batch / (time.perf_counter() - start)


def open_engine(folder, checkpoint, weights, _home):
    return f"OpenVINO {openvino.__version__.split('-')[0]} {weights}", Engine(folder, checkpoint, weights).measure


if __name__ == "__main__":
    serve.main(prepare, open_engine)
