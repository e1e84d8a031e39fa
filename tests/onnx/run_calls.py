#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Replays recorded calls of exported graphs in onnxruntime and compares the outputs.

usage: run_calls.py CASE [--model GRAPH=FILE ...] [--tolerance X]

CASE   folder with calls.json and io.safetensors
--model  the file that stands in for the graph that calls.json names GRAPH (default: CASE/GRAPH)

Each file must also pass onnx's full check (checker and strict shape inference). Cache positions outside of the buffer
write nothing and read zeros, as on the accelerator: the functions com.qualcomm.cloud.Ctx* are wrapped so, around
the bodies that the file has. Outputs that are caches are not compared, as unused slots may hold anything.
exit: 0 all outputs agree; 1 some do not.
"""
import argparse
import copy
import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime
from onnx import parser
from safetensors.numpy import load_file

CLOUD = "com.qualcomm.cloud"
# One more row at the end of the cache takes what is written outside and, zero, gives what is read outside.
WRAPPER = """<domain: "com.qualcomm.cloud", opset_import: ["" : 17, "com.qualcomm.cloud" : 1]>
{name} ({inputs}) => (result)
{{
  axis = Constant <value_ints = [{axis}]> ()
  zero = Constant <value_ints = [0]> ()
  one = Constant <value_ints = [1]> ()
  slots = Shape <start = {axis}, end = {end}> (data)
  row = Slice (data, zero, one, axis)
  row_shape = Shape (row)
  zeros = ConstantOfShape (row_shape)
  zero_row = CastLike (zeros, data)
  padded = Concat <axis = {axis}> (data, zero_row)
  wide = Cast <to = 7> ({index})
  below = Less (wide, zero)
  above = GreaterOrEqual (wide, slots)
  outside = Or (below, above)
  inside = Where (outside, slots, wide)
  checked = CastLike (inside, {index})
  whole = com.qualcomm.cloud.Plain{name} ({arguments})
  result = {result}
}}"""


def wrap_cache_functions(model):
    for function in list(model.functions):
        if function.domain != CLOUD or not function.name.startswith("Ctx"):
            continue
        is_scatter = "Scatter" in function.name
        index = "position_ids" if is_scatter else "ctx_indices"
        axis = 1 if "3D" in function.name else 2
        inputs = list(function.input)
        arguments = ["padded" if i == "data" else "checked" if i == index else i for i in inputs]
        text = WRAPPER.format(
            name=function.name, inputs=", ".join(inputs), arguments=", ".join(arguments), index=index, axis=axis,
            end=axis + 1, result="Slice (whole, zero, slots, axis)" if is_scatter else "Identity (whole)")
        wrapper = parser.parse_function(text)
        plain = copy.deepcopy(function)
        plain.name = "Plain" + function.name
        function.CopyFrom(wrapper)
        model.functions.append(plain)


def open_session(path):
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    wrap_cache_functions(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def shape_of(text):
    return [int(size) for size in text.split("x")]


def make_input(source, name, state, tensors):
    if source == "state":
        return state[name]
    if source.startswith("zeros:"):
        return numpy.zeros(shape_of(source[6:]), numpy.float32)
    if source.startswith("pattern:"):
        shape = shape_of(source[8:])
        index = numpy.arange(numpy.prod(shape), dtype=numpy.int64)
        return (((index * 7919) % 257 - 128) / 128).astype(numpy.float32).reshape(shape)
    return tensors[source]


def main():
    arguments = argparse.ArgumentParser(usage=__doc__)
    arguments.add_argument("case", type=pathlib.Path)
    arguments.add_argument("--model", action="append", default=[])
    arguments.add_argument("--tolerance", type=float, default=1e-4)
    options = arguments.parse_args()
    recorded = json.loads((options.case / "calls.json").read_text())
    tensors = load_file(options.case / "io.safetensors")
    files = dict(item.split("=", 1) for item in options.model)
    sessions, states, compared, worst = {}, {}, 0, 0.0
    for number, call in enumerate(recorded["calls"]):
        graph = call["graph"]
        if graph not in sessions:
            sessions[graph] = open_session(files.get(graph, options.case / graph))
            shapes = recorded["state_shapes"].get(graph, {})
            states[graph] = {name: numpy.zeros(shape, numpy.float32) for name, shape in shapes.items()}
        session, state = sessions[graph], states[graph]
        feeds = {name: make_input(source, name, state, tensors) for name, source in call["inputs"].items()}
        names = [output.name for output in session.get_outputs()]
        results = dict(zip(names, session.run(names, feeds)))
        for name, key in call["outputs"].items():
            if name.endswith("_RetainedState"):
                continue
            want, got = tensors[key].astype(numpy.float64), results[name].astype(numpy.float64)
            if want.shape != got.shape:
                print(f"call {number} ({call['note']}): {name}: expected shape {want.shape}, got {got.shape}")
                return 1
            error = float(numpy.abs(want - got).max() / max(numpy.abs(want).max(), 1e-30))
            compared, worst = compared + 1, max(worst, error)
            if not error <= options.tolerance:
                print(f"call {number} ({call['note']}): {name}: relative error {error:.3g} > {options.tolerance:.3g}")
                return 1
        for name in state:
            if name + "_RetainedState" in results:
                state[name] = results[name + "_RetainedState"]
    print(f"{compared} outputs agree, largest relative error {worst:.3g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
