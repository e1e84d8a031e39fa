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
--check-docs     compares FILE with the table of differences below
--write-docs     writes that table as Markdown to FILE
--write-records  makes the compact form from the recorded graphs/*.json in FOLDER (needs torch and transformers, for the weights)

Compared: IR version, graph name, producer, opsets, metadata, inputs and outputs (order, names, dtypes, dimensions), functions with their
bodies, counts of calls to the compiler's ops, names and dtypes of weights. What is compared must be equal, except for what
DIFFERENCES says: there it must be exactly what the table's function makes of the record. Weights are zeros: only the graph counts.
Needs the onnx package. Exit: 0 all equal, 1 some not, 77 there is nothing to run with.
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDS = ROOT / "tests/data/contract/records.json"
# Of these the weights are compared, too; the others split, fuse or fold theirs in another way.
WITH_WEIGHTS = ("llama", "mistral", "mistral_window", "qwen2", "qwen3", "mixtral", "qwen3_moe", "granitemoe", "glm4_moe",
                "gemma", "gemma2", "phi3", "phi", "phi_qk_norm", "starcoder2")
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


def expert_layers(config):
    """The layers that have routed experts."""
    layers = range(config["num_hidden_layers"])
    if config["model_type"] == "glm4_moe":
        return layers[config["first_k_dense_replace"]:]
    return layers if experts_of(config) else []


def has_unequal_layers(config):
    return 0 < len(expert_layers(config)) < config["num_hidden_layers"]


def experts_of(config):
    return config.get("num_local_experts") or config.get("num_experts") or config.get("n_routed_experts")


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


# --- deliberate differences: each function changes the record to what we write


def layer_function_name(config):
    return config["architectures"][0].removesuffix("ForCausalLM") + "DecoderLayer"


def expect_producer(record, case, options):
    record["producer"] = "qeff"


def expect_metadata(record, case, options):
    features = ["add-kv-cache"]
    if "--ccl" in options:
        features.append("add-compute-context-length")
    if "--continuous-batching" in options:
        features.append("add-continuous-batching")
    features.append("keep-speculative-logits" if "--speculative-target" in options else "select-last-logits")
    if "f16" in options:
        features.append("convert-float-dtype")
    record["metadata"]["qeff_transforms"] = features


def expect_architecture(record, case, options):
    record["metadata"]["qeff_architecture"] = case["config"]["architectures"][0]


def expect_expert_stacks(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    config = case["config"]
    if not expert_layers(config):
        return
    stacks = []
    for layer in expert_layers(config):
        block = "mlp" if config["model_type"] in ("qwen3_moe", "glm4_moe") else "block_sparse_moe"
        scope = f"model.layers.{layer}.{block}."
        stacks += [f"{scope}experts.{name}_proj.transposed" for name in ("gate", "up", "down")]
    names = record["weight_names"]
    kept = [name for name in names if ".mlp.experts." not in name and ".mlp.all_" not in name]
    if config["model_type"] == "granitemoe":  # two matrices for each expert
        anonymous = [name for name in kept if name.startswith("onnx::MatMul_")]
        kept = [name for name in kept if name not in anonymous[:2 * len(expert_layers(config)) * experts_of(config)]]
    if config["model_type"] == "glm4_moe":
        corrections = [f"model.layers.{layer}.mlp.gate.e_score_correction_bias" for layer in expert_layers(config)]
        kept = [name for name in kept if not name.startswith("onnx::Add_")] + corrections
    record["weight_dtypes"]["float"] += len(kept + stacks) - len(names)
    record["weight_names"] = sorted(kept + stacks)


def expect_no_unit_factors(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    config = case["config"]
    if config.get("embedding_multiplier") == 1 and "--subfunctions" not in options:
        record["first_norm_input"] = "Gather"


def expect_tied_head(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    config = case["config"]
    if not config.get("tie_word_embeddings", False):
        return
    anonymous = [name for name in record["weight_names"] if name.startswith("onnx::MatMul_")]
    record["weight_names"].remove(max(anonymous, key=lambda name: int(name.removeprefix("onnx::MatMul_"))))
    record["weight_dtypes"]["float16" if "f16" in options else "float"] -= 1


FUSED = {"qkv_proj.weight": ["q", "k", "v"], "gate_up_proj.weight": ["0", "1"]}


def expect_parts_of_fused(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    names = []
    for name in record["weight_names"]:
        parts = next((p for fused, p in FUSED.items() if name.endswith(fused + ".transposed")), None)
        stem = name.removesuffix(".transposed")
        names += [f"{stem}.{part}.transposed" for part in parts] if parts else [name]
    record["weight_dtypes"]["float16" if "f16" in options else "float"] += len(names) - len(record["weight_names"])
    record["weight_names"] = sorted(names)


def expect_rotary_tables(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    tables = {"model.cos_cached", "model.sin_cached"}.difference(record["weight_names"])
    if tables:
        record["weight_dtypes"]["float"] += len(tables)
    record["weight_names"] = sorted([*record["weight_names"], *tables])


def expect_linear_names(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    linear = [name for name, shape in case["weights"].items()
              if len(shape) == 2 and name != "model.embed_tokens.weight" and ".experts." not in name]
    anonymous = [name for name in record["weight_names"] if name.startswith("onnx::MatMul_")]
    if len(anonymous) == len(linear):
        named = [name for name in record["weight_names"] if name not in anonymous]
        record["weight_names"] = sorted(named + [name + ".transposed" for name in linear])


def expect_layer_domain(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    if "--subfunctions" not in options:
        return
    name = layer_function_name(case["config"])
    for function in record["functions"]:
        if function["domain"].startswith("QEfficient."):
            suffix = function["name"].split("DecoderLayer", 1)[1]
            function["domain"], function["name"] = "qeff.layers", name + suffix

    def rename(key):
        return "qeff.layers" + key[key.index("::"):].replace("::QEff", "::").replace("::Qeff", "::") if "::" in key else "qeff.layers"

    for part in ("opset_import", "calls"):
        record[part] = {rename(k) if k.startswith("QEfficient.") else k: v for k, v in record[part].items()}


def expect_one_layer_function(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    config = case["config"]
    layers = [f for f in record["functions"] if f["domain"] == "qeff.layers"]
    others = [f for f in record["functions"] if f not in layers]
    if has_unequal_layers(config):
        names = sorted(function["name"] for function in layers)
        layers.sort(key=lambda function: function["weights"])
        for function, name in zip(layers, names):
            function["name"] = name
        record["functions"] = layers + others
        return
    if len(layers) < 2:
        return
    first = next(f for f in layers if "." not in f["name"])
    record["functions"] = [first] + others
    calls = [key for key in record["calls"] if key.startswith("qeff.layers::")]
    total = sum(record["calls"].pop(key) for key in calls)
    record["calls"]["qeff.layers::" + first["name"]] = total


def expect_first_layer(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    config = case["config"]
    if has_unequal_layers(config):
        return
    for function in record["functions"]:
        for part in ("states", "weights"):
            if part in function:
                function[part] = [name.replace(".1", ".0", 1) for name in function[part]]


def expect_tables_in_f32(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    if "f16" in options:
        record["weight_dtypes"]["float16"] -= 2
        record["weight_dtypes"]["float"] = 2


def expect_norm_in_f32(record, case, options):
    if case["family"] not in WITH_WEIGHTS:
        return
    if "f16" in options:
        record["first_norm_input"] = "Cast"


def expect_own_kv_heads(record, case, options):
    if "--strict-contract" not in options and case["config"]["model_type"] == "falcon" and case["config"].get("new_decoder_architecture"):
        for value in record["inputs"] + record["outputs"]:
            if value["name"].startswith("past_"):
                value["dims"][1] = case["config"]["num_kv_heads"]


def expect_whole_context(record, case, options):
    if "--strict-contract" not in options and case["config"]["model_type"] == "gpt_oss":
        for value in record["inputs"] + record["outputs"]:
            value["dims"] = ["ctx_len" if dim == "sliding_window" else dim for dim in value["dims"]]


def expect_weightless_norms(record, case, options):
    if case["config"]["model_type"] == "llama4_text" and "--subfunctions" not in options:
        rotated = sum(case["config"]["no_rope_layers"])
        record["calls"]["com.qti.aisw.onnx::CustomRMSNorm"] += 2 * rotated


def expect_compute_lengths(record, case, options):
    names = [value["name"] for value in record["inputs"]]
    if "--ccl" in options and "comp_ctx_lengths" not in names:
        record["inputs"].append({"name": "comp_ctx_lengths", "dtype": "int64", "dims": ["comp_ctx_lengths"]})


# (where, what, reason, how the record changes)
DIFFERENCES = [
    ("producer", "`producer_name` is `qeff`, not `pytorch`", "the file says who wrote it", expect_producer),
    ("metadata", "`qeff_transforms` lists the passes of qeff that changed the graph, not QEfficient's Python classes",
     "it says what was done to this graph; nothing reads the names", expect_metadata),
    ("metadata", "`qeff_architecture` is there as well",
     "export from a graph folder names layer functions by it", expect_architecture),
    ("weights", "the experts of a layer are three stacks `<block>.experts.<gate, up or down>_proj.transposed` in all families; "
     "QEfficient has one stack for gate and up in mixtral, `down_proj_t` in qwen3_moe, `all_<name>` in glm4_moe, and matrices "
     "for each expert in granitemoe", "one form for the compiler, whatever the checkpoint has: gathered stacks, as "
     "QEfficient's newer families have them", expect_expert_stacks),
    ("embeddings", "a factor of 1 is not multiplied", "the numbers are the same", expect_no_unit_factors),
    ("weights", "a head that is tied to the embedding reads its matrix through a Transpose; QEfficient stores a transposed copy",
     "the largest matrix of small models is in the file once", expect_tied_head),
    ("weights", "matrices of linear layers are named `<checkpoint name>.transposed`, not `onnx::MatMul_<number>`",
     "a name that says which weight it is survives changes of the graph", expect_linear_names),
    ("weights", "a matrix that a checkpoint fuses (`qkv_proj`, `gate_up_proj`) is written in its parts, named `<checkpoint "
     "name>.q`, `.k`, `.v` and `.0`, `.1`", "all families get the same graph after the projections", expect_parts_of_fused),
    ("weights", "all families look sines and cosines up in tables; QEfficient's phi and starcoder2 compute them in the graph",
     "the numbers are the same, and the compiler sees one pattern", expect_rotary_tables),
    ("`--subfunctions`", "layer functions are `<Model>DecoderLayer` in domain `qeff.layers`, not "
     "`QEff<Model>DecoderLayer` in a domain named after a Python module",
     "there is no Python module to name it after", expect_layer_domain),
    ("`--subfunctions` with `--continuous-batching`", "equal layers share one function; QEfficient writes the "
     "second layer as a function `.1` of its own, since the first one also casts `position_ids`",
     "the compiler sees each layer once, which is what the option is for; functions of unequal layers are numbered in "
     "the order of the layers", expect_one_layer_function),
    ("`--subfunctions`", "parameters and results of a layer function are named after the first layer that it stands "
     "for; QEfficient names some after the last one", "one rule for all models", expect_first_layer),
    ("caches of falcon's newer decoder; off with `--strict-contract`", "hold the key-value heads of the checkpoint; QEfficient repeats them for all query heads first",
     "the cache is that much smaller, the numbers are the same; hosts read the shape from the file", expect_own_kv_heads),
    ("caches of gpt_oss; off with `--strict-contract`", "sliding layers keep the whole context (`ctx_len`); QEfficient's are rings of `sliding_window` slots",
     "a ring loses keys that the first tokens of a prompt chunk must see (docs/exactness.md)", expect_whole_context),
    ("`--ccl` with gemma4", "the graph has the input `comp_ctx_lengths`; QEfficient's has not: the option does nothing there",
     "an option that does nothing misleads", expect_compute_lengths),
    ("norms of llama4", "norms of query and key that have no weight are `CustomRMSNorm`, too; QEfficient writes them out",
     "the compiler sees one pattern", expect_weightless_norms),
    ("`--dtype f16`", "`model.cos_cached` and `model.sin_cached` stay f32 and are cast after the lookup",
     "the numbers are the same, and the tables do not depend on the type of the computation", expect_tables_in_f32),
    ("`--dtype f16`", "`CustomRMSNorm` stands between casts to f32 and back",
     "its body multiplies f32 by `weight`: with f16 inputs it is not valid ONNX, and runtimes that execute the "
     "body refuse it", expect_norm_in_f32),
]


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
