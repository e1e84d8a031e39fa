#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Exports models with the configs of recorded QEfficient exports and compares what the AI 100 compiler and its users see.

usage: check_contract.py --bin BIN [--records FILE] [--family NAME]
       check_contract.py --check-docs FILE | --write-docs FILE
       check_contract.py --write-records FOLDER [--records FILE]

--bin            folder with qeff-export
--records        the recorded exports, in compact form (default: tests/data/contract/records.json)
--family         only the records of this family, such as llama or mistral_window
--check-docs     compares FILE with the table of differences
--write-docs     writes that table as Markdown to FILE
--write-records  makes the compact form from the recorded graphs/*.json in FOLDER (needs torch and transformers, for the weights)

Compared: IR version, graph name, producer, opsets, metadata, inputs and outputs (order, names, dtypes, dimensions), functions with their
bodies, counts of calls to the compiler's ops, names and dtypes of weights. What is compared must be equal, except for what
decoder_differences.py says: there it must be exactly what the table's function makes of the record. Weights are zeros: only the graph
counts. Needs the onnx package. Exit: 0 all equal, 1 some not, 77 there is nothing to run with.
"""
import argparse
import copy
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import encoder_differences
from decoder_differences import DIFFERENCES, WITH_WEIGHTS

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDS = ROOT / "tests/data/contract/records.json"
FAMILIES = WITH_WEIGHTS + (
    "codegen", "falcon_40b", "falcon_7b", "falcon_sequential", "gemma4_text", "gpt2", "gpt_bigcode", "gpt_bigcode_mha", "gpt_oss",
    "gptj", "llama4_text_wide_chunk_llama3_rope", "mpt", "qwen3_moe_raw_topk")
# Compared with --strict-contract, too.
STRICT = ("falcon_40b", "gpt_oss")
# Options of qeff-export for each recorded mode.
MODES = {
    "default": [],
    "cb": ["--continuous-batching"],
    "ccl": ["--ccl"],
    "tlm": ["--speculative-target"],
    "ccl_cb": ["--ccl", "--continuous-batching"],
    "tlm_cb": ["--speculative-target", "--continuous-batching"],
    "subfunctions": ["--subfunctions"],
    "cb_subfunctions": ["--continuous-batching", "--subfunctions"],
    "fp16": ["--dtype", "f16"],
}
CONTRACT_DOMAINS = ("com.qualcomm.cloud", "com.qti.aisw.onnx")


def weight_shapes(config):
    """Names and shapes of a checkpoint with this config, as transformers saves it."""
    import safetensors
    import transformers
    values = {key: value for key, value in config.items() if key != "architectures"}
    model_type = values.pop("model_type")
    model = transformers.AutoModelForCausalLM.from_config(transformers.AutoConfig.for_model(model_type, **values))
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safetensors.safe_open(pathlib.Path(folder) / "model.safetensors", "np") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}


def write_checkpoint(folder, case):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(case["config"]))
    header, at = {}, 0
    for name, shape in case["weights"].items():
        size = 4
        for dimension in shape:
            size *= dimension
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(at))


# --- what is compared, in the form of the records


def interface(values, names):
    result = []
    for value in values:
        tensor = value.type.tensor_type
        dims = [d.dim_param if d.HasField("dim_param") else d.dim_value for d in tensor.shape.dim]
        result.append({"name": value.name, "dtype": names[tensor.elem_type], "dims": dims})
    return result


def attribute(onnx, value, names):
    if value.ref_attr_name:
        return "@" + value.ref_attr_name
    content = onnx.helper.get_attribute_value(value)
    if value.type == onnx.AttributeProto.TENSOR:
        array = onnx.numpy_helper.to_array(content)
        return {"dtype": names[content.data_type], "shape": list(content.dims), "value": array.tolist()}
    if isinstance(content, bytes):
        return content.decode()
    return list(content) if value.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS) else content


def operator(node):
    return f"{node.domain}::{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def opsets(imports):
    return {entry.domain or "ai.onnx": entry.version for entry in imports}


def retained(outputs):
    return [name for name in outputs if name.endswith("RetainedState")]


def layer_weights(parameters):
    """Parameters of a layer function that go by the name of a weight of the checkpoint."""
    return [name for name in parameters if name.startswith("model.layers.") and name.endswith((".weight", ".bias"))]


def describe_function(onnx, function, names):
    result = {
        "domain": function.domain,
        "name": function.name,
        "attributes": list(function.attribute),
        "attributes_with_default": {a.name: attribute(onnx, a, names) for a in function.attribute_proto},
        "opset_import": opsets(function.opset_import),
    }
    if function.domain not in CONTRACT_DOMAINS:
        return result | {"states": retained(function.output), "weights": layer_weights(function.input)}
    return result | {
        "inputs": list(function.input),
        "outputs": list(function.output),
        "nodes": [operator(n) for n in function.node],
        "node_attributes": [{a.name: attribute(onnx, a, names) for a in n.attribute} for n in function.node],
    }


def describe(onnx, model):
    names = {number: name.lower() for name, number in onnx.TensorProto.DataType.items()}
    graph = model.graph
    calls, makers, layer_results, first_norm_input = {}, {}, set(), None
    for node in graph.node:
        if node.op_type.split(".")[0].endswith("DecoderLayer"):
            layer_results.update(node.output)
        makers.update({output: node.op_type for output in node.output})
        if node.domain not in ("", "ai.onnx"):
            calls[operator(node)] = calls.get(operator(node), 0) + 1
        if node.op_type == "CustomRMSNorm" and first_norm_input is None:
            first_norm_input = "layer" if node.input[0] in layer_results else makers[node.input[0]]
    # Shapes, axes and factors: the records have them as Constant nodes.
    weights = [t for t in graph.initializer if len(t.dims) > 1 or t.name.startswith(("model.", "lm_head."))]
    dtypes = [names[t.data_type] for t in weights]
    return {
        "ir_version": model.ir_version,
        "producer": model.producer_name,
        "graph_name": graph.name,
        "opset_import": opsets(model.opset_import),
        "metadata": {p.key: p.value for p in model.metadata_props},
        "inputs": interface(graph.input, names),
        "outputs": interface(graph.output, names),
        "functions": [describe_function(onnx, f, names) for f in model.functions],
        "calls": calls,
        "first_norm_input": first_norm_input,
        "weight_dtypes": {dtype: dtypes.count(dtype) for dtype in set(dtypes)},
        "weight_names": sorted(t.name for t in weights),
    }


def documentation():
    lines = [
        "# Where qeff's ONNX files differ from QEfficient's",
        "",
        "Written by `tests/contract/check_contract.py --write-docs`; do not edit. That test exports the models of",
        "recorded QEfficient exports (" + ", ".join(FAMILIES) + ";",
        "modes " + ", ".join(MODES) + ") and requires equality",
        "of inputs, outputs, opsets, functions with their bodies, calls of the compiler's ops and, for " + ", ".join(WITH_WEIGHTS) + ",",
        "weights, except for the rows below. `check_encoder_contract.py` does the same with encoders ("
        + ", ".join(encoder_differences.CASES) + "): their interface and files. `--strict-contract` of `qeff-transform` and `qeff-export` switches off the rows that say so.",
        "",
        "| where | what | why |",
        "|---|---|---|",
    ]
    rows = DIFFERENCES + encoder_differences.DIFFERENCES
    lines += [f"| {where} | {what} | {reason} |" for where, what, reason, _ in rows]
    lines += [
        "",
        "Not compared: nodes between the compiler's ops (qeff writes fewer shape computations), bodies of layer",
        "functions, names of inner values.",
        "",
        "Pooling has `attention_mask` alone to tell tokens apart, as in QEfficient. What needs a second mask is refused: a prompt",
        "that sentence-transformers would leave out of pooling (`include_prompt: false`).",
    ]
    return "\n".join(lines) + "\n"


# --- records


def compact(original):
    """The part of a recorded export that is compared."""
    graph = original["graph"]
    functions = []
    for function in graph["functions"]:
        entry = {key: function[key] for key in
                 ("domain", "name", "attributes", "attributes_with_default", "opset_import")}
        if function["domain"] in CONTRACT_DOMAINS:
            entry |= {key: function[key] for key in ("inputs", "outputs", "nodes", "node_attributes")}
        else:
            entry |= {"states": retained(function["outputs"]), "weights": layer_weights(function["inputs"])}
        functions.append(entry)
    norms = [call for call in graph["first_calls"] if call["op"].endswith("CustomRMSNorm")]
    norm_input = norms[0]["inputs"][0].rsplit("/", 1)[-1].split("_")[0] if norms else None
    named = {key: graph[key] for key in
             ("ir_version", "graph_name", "opset_import", "metadata", "inputs", "outputs")}
    return named | {
        "producer": graph["producer"].split()[0],
        "functions": functions,
        "calls": graph["custom_calls"],
        "first_norm_input": "layer" if "DecoderLayer" in (norm_input or "") else norm_input,
        "weight_dtypes": graph["initializers"]["dtypes"],
        "weight_names": sorted(graph["initializers"]["names"]),
    }


def write_records(folder, path):
    functions, cases = [], []
    for family in FAMILIES:
        for mode in MODES:
            file = folder / f"{family}.{mode}.json"
            if not file.exists():
                continue
            original = json.loads(file.read_text())
            record = compact(original)
            for function in record["functions"]:
                if function not in functions:
                    functions.append(function)
            record["functions"] = [functions.index(function) for function in record["functions"]]
            weights = weight_shapes(original["config"])
            cases.append({"family": family, "mode": mode, "config": original["config"], "weights": weights, "record": record})
    lines = ['{"functions": [']
    lines += [",\n".join(json.dumps(function) for function in functions), '], "cases": [']
    lines += [",\n".join(json.dumps(case) for case in cases), "]}"]
    path.write_text("\n".join(lines) + "\n")


def read_records(path):
    content = json.loads(path.read_text())
    for case in content["cases"]:
        case["record"]["functions"] = [content["functions"][i] for i in case["record"]["functions"]]
    return content["cases"]


# --- the comparison


def export(onnx, binaries, case, options, folder):
    folder.mkdir()
    write_checkpoint(folder / "checkpoint", case)
    command = [str(binaries / "qeff-export"), str(folder / "checkpoint"), "-o", str(folder / "onnx"), "-q"]
    result = subprocess.run(command + options, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"qeff-export returned {result.returncode}: {result.stderr.strip()}")
    got = describe(onnx, onnx.load(folder / "onnx/model.onnx", load_external_data=False))
    # The features as asked for; then the lowerings that the family needs.
    passes = got["metadata"]["qeff_transforms"].split(",")
    got["metadata"]["qeff_transforms"] = [name for name in passes if name.startswith(("add-", "select-", "keep-", "convert-"))]
    return got


def without_weights(record):
    """The part of a record that is compared for families that form their weights and layers in another way: interface, functions of
    the contract and their calls."""
    kept = {key: value for key, value in record.items() if key not in ("weight_names", "weight_dtypes", "first_norm_input")}
    kept["functions"] = sorted((f for f in record["functions"] if f["domain"] in CONTRACT_DOMAINS), key=lambda f: f["name"])
    kept["opset_import"] = {key: value for key, value in record["opset_import"].items() if not is_layer_domain(key)}
    kept["calls"] = {key: value for key, value in record["calls"].items() if not is_layer_domain(key)}
    return kept


def is_layer_domain(name):
    return name.startswith(("QEfficient.", "qeff.layers"))


def expected(case, options):
    record = copy.deepcopy(case["record"])
    for *_, change in DIFFERENCES:
        change(record, case, options)
    return record


def differences(name, want, got):
    """Lines "name: expected ..., got ..." for every part that differs; lists of unequal length are one part."""
    if isinstance(want, dict) and isinstance(got, dict):
        return [line for key in sorted(want.keys() | got.keys())
                for line in differences(f"{name}.{key}", want.get(key), got.get(key))]
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return [line for i, pair in enumerate(zip(want, got)) for line in differences(f"{name}[{i}]", *pair)]
    return [] if want == got else [f"{name}: expected {json.dumps(want)}, got {json.dumps(got)}"]


def main():
    parser = argparse.ArgumentParser(description="compares exports with records of QEfficient")
    parser.add_argument("--bin", type=pathlib.Path)
    parser.add_argument("--records", type=pathlib.Path, default=RECORDS)
    parser.add_argument("--family", choices=FAMILIES)
    parser.add_argument("--check-docs", type=pathlib.Path)
    parser.add_argument("--write-docs", type=pathlib.Path)
    parser.add_argument("--write-records", type=pathlib.Path)
    options = parser.parse_args()
    if options.write_docs:
        options.write_docs.write_text(documentation())
        return 0
    if options.check_docs:
        if options.check_docs.read_text() != documentation():
            print(f"{options.check_docs} is not what the table says: run with --write-docs {options.check_docs}")
            return 1
        return 0
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
    cases = [c for c in read_records(options.records) if options.family in (None, c["family"])]
    runs = [(case, False) for case in cases] + [(case, True) for case in cases if case["family"] in STRICT]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="qeff-contract-") as folder:
        for case, strict in runs:
            name = f"{case['family']}.{case['mode']}" + (" strict" if strict else "")
            flags = MODES[case["mode"]] + ["--strict-contract"] * strict
            try:
                got = export(onnx, options.bin, case, flags, pathlib.Path(folder) / name)
                want = expected(case, flags)
                if case["family"] not in WITH_WEIGHTS:
                    want, got = without_weights(want), without_weights(got)
                problems = differences(name, want, got)
            except RuntimeError as error:
                problems = [f"{name}: {error}"]
            print("\n".join(problems) if problems else f"{name}: equal")
            failed += bool(problems)
    print(f"{len(runs) - failed} equal, {failed} not")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
