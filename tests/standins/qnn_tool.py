#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Stands in for qairt-converter and qnn-context-binary-generator, by the name it is called with: takes the documented arguments only,
reads the files that they name, and writes files that say what they are."""
import json
import os
import pathlib
import sys

NAME = pathlib.Path(sys.argv[0]).name
VALUES = {"qairt-converter": {"--input_network", "--output_path", "--config", "--float_bias_bitwidth", "--float_bitwidth", "--target_backend"},
          "qnn-context-binary-generator": {"--binary_file", "--backend_binary", "--output_dir", "--backend", "--dlc_path", "--config_file",
                                           "--data_format_config", "--log_level"}}
FLAGS = {"qairt-converter": {"--preserve_io_datatype", "--onnx_skip_simplification", "--onnx_defer_loading"},
         "qnn-context-binary-generator": set()}
OPTIONAL = {"--data_format_config", "--log_level"}
TYPES = {"float16", "float32", "int64", "int32", "bool"}


def fail(text):
    print(f"[ERROR] {text}", file=sys.stderr)
    sys.exit(1)


def arguments():
    given, rest = {}, sys.argv[1:]
    while rest:
        name = rest.pop(0)
        if name in FLAGS[NAME]:
            continue
        if name not in VALUES[NAME] or not rest or name in given:
            fail(f"unrecognized arguments: {name}")
        given[name] = rest.pop(0)
    missing = VALUES[NAME] - OPTIONAL - set(given)
    if missing:
        fail(f"the following arguments are required: {', '.join(sorted(missing))}")
    return given


def shape_sets(config):
    """Largest number of shapes of an input; checks the file on the way."""
    most, section = 1, ""
    for line in pathlib.Path(config).read_text().splitlines():
        key, _, value = line.strip().partition(": ")
        if line.endswith("Configuration:"):
            section = line
        elif key == "DataType" and value not in TYPES:
            fail(f"data type {value} is not supported")
        elif key == "Shape":
            if not section.startswith("Input"):
                fail("a shape of an output")
            most = max(most, value.count("("))
    return most


def convert(given):
    if not pathlib.Path(given["--input_network"]).is_file():
        fail(f"{given['--input_network']} not found")
    dlc = {"made by": "a stand-in of qairt-converter", "graphs": shape_sets(given["--config"])}
    pathlib.Path(given["--output_path"]).write_text(json.dumps(dlc))


def generate(given):
    extensions = json.loads(pathlib.Path(given["--config_file"]).read_text())["backend_extensions"]
    if not extensions["shared_library_path"].endswith("/libQnnAicNetRunExtensions.so") or not given["--backend"].endswith("/libQnnAic.so"):
        fail("not the libraries of the AIC backend")
    settings = json.loads(pathlib.Path(extensions["config_file_path"]).read_text())
    graphs = json.loads(pathlib.Path(given["--dlc_path"]).read_text())["graphs"]
    if len(settings["graph_names"]) < graphs:
        fail(f"{graphs} graphs, names {settings['graph_names']}")
    if partition := settings.get("compiler_mdp_load_partition_config"):
        json.loads(pathlib.Path(partition).read_text())
    if formats := given.get("--data_format_config"):
        for graph in json.loads(pathlib.Path(formats).read_text())["graphs"]:
            if graph["graph_name"] not in settings["graph_names"] or not graph["tensors"]:
                fail(f"data format of {graph['graph_name']}")
    out = pathlib.Path(given["--output_dir"])
    for name in (given["--backend_binary"], given["--binary_file"] + ".bin"):
        if os.environ.get("QEFF_STANDIN_QNN") != "no_output":
            (out / name).write_text("made by a stand-in of qnn-context-binary-generator: runs on no card\n")


print(f"SIMULATED {NAME}: a stand-in", flush=True)
if os.environ.get("QEFF_STANDIN_QNN") == NAME:
    fail("an error on demand")
{"qairt-converter": convert, "qnn-context-binary-generator": generate}[NAME](arguments())
