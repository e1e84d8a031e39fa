#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Exports encoders with the configs of recorded QEfficient exports and compares what the AI 100 compiler and its users see.

usage: check_encoder_contract.py --bin BIN [--records FILE]
       check_encoder_contract.py --write-records FOLDER [--records FILE]

--bin            folder with qeff-export
--records        the recorded exports, in compact form (default: tests/data/contract/encoder_records.json)
--write-records  makes the compact form from the recorded graphs/*.json in FOLDER (needs torch and transformers, for the weights)

Compared, plain and with --strict-contract: IR version, graph name, producer, opsets, metadata, functions, inputs and outputs (order,
names, dtypes, dimensions), names of the files, what becomes of a weight beyond the range of f16, how many nodes there are of the
operators that compute (not those that only change shapes), the names of the tables that nodes look rows up in, the number of other
matrices. What is compared must be equal, except for what encoder_differences.py says: there it must be exactly what its functions
make of the record. All other weights are zeros. Needs the onnx package. Exit: 0 all equal, 1 some not, 77 there is nothing to run with.
"""
import argparse
import copy
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import check_contract
import encoder_differences

RECORDS = check_contract.ROOT / "tests/data/contract/encoder_records.json"
# Operators that compute; the others bring shapes and masks in order, where qeff needs fewer.
COMPUTING = ("CumSum", "Erf", "Gemm", "LayerNormalization", "MatMul", "ReduceMax", "ReduceSum", "Softmax", "Tanh")
INTERFACE = ("ir_version", "producer", "graph_name", "opset_import", "metadata", "inputs", "outputs", "functions", "calls")


def tensors_of(architecture, config):
    """Names and shapes of a checkpoint with this config, as transformers saves it."""
    import safetensors
    import transformers
    values = {key: value for key, value in config.items() if value is not None}
    model = getattr(transformers, architecture)(transformers.AutoConfig.for_model(values.pop("model_type"), **values))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safetensors.safe_open(pathlib.Path(folder) / "model.safetensors", "np") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}


def architecture_of(original, file):
    """The class that was exported: pooled models have the wrapper's name instead."""
    if not file.startswith("PooledModel"):
        return file.removesuffix(".onnx")
    return {"bert": "BertModel", "mpnet": "MPNetModel", "xlm-roberta": "XLMRobertaModel"}[original["config"]["model_type"]]


def is_table(name):
    return name.endswith(("embeddings.weight", "attention_bias.weight", "token_type_embeddings.0"))


def recorded_weights(initializers):
    """Of matrices that torch has transposed, only the number is known: they have no names."""
    names = [name.removeprefix("base_model.") for name in initializers["names"] if ".LayerNorm." not in name]
    matrices = [name for name in names if name.startswith("onnx::") or name.endswith(".weight") and not is_table(name)]
    return {"tables": sorted(filter(is_table, names)), "matrices": len(matrices)}


def weights_of(onnx, model):
    floats = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT]
    matrices = [tensor for tensor in floats if len(tensor.dims) == 2 and not is_table(tensor.name)]
    return {"tables": sorted(tensor.name for tensor in floats if is_table(tensor.name)), "matrices": len(matrices)}


def write_records(folder, path):
    cases = []
    for name in encoder_differences.CASES:
        original = json.loads((folder / f"{name}.json").read_text())
        (file, content), = original["graphs"].items()
        architecture = architecture_of(original, file)
        compact = check_contract.compact(content)
        record = {key: compact[key] for key in INTERFACE}
        record["files"] = [file for file in content["files"] if ".onnx" in file]
        histogram = content["graph"]["node_histogram"]
        record["computing"] = {op: histogram[op] for op in COMPUTING if op in histogram}
        record["weights"] = recorded_weights(content["graph"]["initializers"])
        config = original["config"] | {"architectures": [architecture]}
        cases.append({"name": name, "architecture": architecture, "config": config,
                      "weights": tensors_of(architecture, original["config"]), "record": record})
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def put_large_weight(path):
    """Makes the first number of the table of words a large one."""
    content = bytearray(path.read_bytes())
    size, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + size])
    table, = (entry for name, entry in header.items() if name.endswith("word_embeddings.weight"))
    struct.pack_into("<f", content, 8 + size + table["data_offsets"][0], encoder_differences.LARGE_WEIGHT)
    path.write_bytes(content)


def largest_weight(onnx, model):
    return max(float(onnx.numpy_helper.to_array(tensor).max()) for tensor in model.graph.initializer
               if tensor.data_type == onnx.TensorProto.FLOAT)


def export(onnx, binaries, case, options, folder):
    folder.mkdir()
    check_contract.write_checkpoint(folder / "checkpoint", case)
    put_large_weight(folder / "checkpoint/model.safetensors")
    command = [str(binaries / "qeff-export"), str(folder / "checkpoint"), "-o", str(folder / "onnx"), "-q", *options]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"qeff-export returned {result.returncode}: {result.stderr.strip()}")
    model = onnx.load(folder / "onnx/model.onnx")
    described = check_contract.describe(onnx, model)
    got = {key: described[key] for key in INTERFACE} | {"largest_weight": largest_weight(onnx, model)}
    # Poolings as asked for; then the lowerings that the family needs.
    passes = got["metadata"]["qeff_transforms"].split(",")
    got["metadata"]["qeff_transforms"] = [name for name in passes if name.startswith("pool-")]
    operators = [node.op_type for node in model.graph.node]
    got["computing"] = {op: operators.count(op) for op in COMPUTING if op in operators}
    got["weights"] = weights_of(onnx, model)
    got["files"] = sorted(path.name for path in (folder / "onnx").glob("*.onnx*"))
    return got


def expected(case, flag):
    record, is_strict = copy.deepcopy(case["record"]), flag == "--strict-contract"
    clips = "FP16ClipTransform" in record["metadata"]["qeff_transforms"] and flag != "--no-clip-to-f16"
    record["largest_weight"] = 65504.0 if clips else encoder_differences.LARGE_WEIGHT
    for *_, change in encoder_differences.DIFFERENCES:
        change(record, case, is_strict)
    return record


def main():
    parser = argparse.ArgumentParser(description="compares exports of encoders with records of QEfficient")
    parser.add_argument("--bin", type=pathlib.Path)
    parser.add_argument("--records", type=pathlib.Path, default=RECORDS)
    parser.add_argument("--write-records", type=pathlib.Path)
    options = parser.parse_args()
    if options.write_records:
        write_records(options.write_records, options.records)
        return 0
    if options.bin is None:
        parser.error("--bin is needed")
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError:
        print("SKIPPED: Python cannot import onnx")
        return 77
    cases = json.loads(options.records.read_text())
    runs = [(case, flag) for case in cases for flag in ("", "--strict-contract")] + [(cases[0], "--no-clip-to-f16")]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="qeff-contract-") as folder:
        for case, flag in runs:
            name = f"{case['name']} {flag}".strip()
            case["options"] = encoder_differences.CASES[case["name"]]
            flags = case["options"] + [flag] * bool(flag)
            try:
                got = export(onnx, options.bin, case, flags, pathlib.Path(folder) / name)
                problems = check_contract.differences(name, expected(case, flag), got)
            except RuntimeError as error:
                problems = [f"{name}: {error}"]
            print("\n".join(problems) if problems else f"{name}: equal")
            failed += bool(problems)
    print(f"{len(runs) - failed} equal, {failed} not")
    return 1 if failed or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
