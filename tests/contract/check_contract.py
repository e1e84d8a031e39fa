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
--write-records  makes the compact form from the recorded graphs/*.json in FOLDER

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

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDS = ROOT / "tests/data/contract/records.json"
FAMILIES = ("llama", "mistral", "mistral_window", "qwen2", "qwen3", "mixtral", "qwen3_moe", "granitemoe", "glm4_moe",
            "gemma", "gemma2", "phi3", "phi", "phi_qk_norm", "starcoder2")
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


def expert_shapes(config, scope):
    """The same of a block of routed experts."""
    width, count, kind = config["hidden_size"], experts_of(config), config["model_type"]
    ffn = config.get("moe_intermediate_size") or config["intermediate_size"]
    if kind == "granitemoe":
        scope += "block_sparse_moe."
        return {scope + "router.layer.weight": [count, width], scope + "input_linear.weight": [count, 2 * ffn, width],
                scope + "output_linear.weight": [count, width, ffn]}
    scope += "block_sparse_moe." if kind == "mixtral" else "mlp."
    names = ("w1", "w3", "w2") if kind == "mixtral" else ("gate_proj", "up_proj", "down_proj")
    matrices = dict(zip(names, ([ffn, width], [ffn, width], [width, ffn])))
    shapes = {scope + "gate.weight": [count, width]}
    for name, shape in matrices.items():
        shapes |= {f"{scope}experts.{expert}.{name}.weight": shape for expert in range(count)}
    if kind == "glm4_moe":
        shapes[scope + "gate.e_score_correction_bias"] = [count]
        shapes |= {f"{scope}shared_experts.{name}.weight": shape for name, shape in matrices.items()}
    return shapes


def with_biases(shapes):
    """A bias for each matrix but the embedding, and for each vector: those of linear layers and layer norms."""
    biased = {name: shape for name, shape in shapes.items() if "embed_tokens" not in name}
    return shapes | {name.removesuffix("weight") + "bias": shape[:1] for name, shape in biased.items()}


def ungated_shapes(config):
    """Names and shapes of the families with layer norms, no gate and biases everywhere."""
    width, ffn, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    head = width // config["num_attention_heads"]
    is_phi = config["model_type"] == "phi"
    output, up, down = ("dense", "fc1", "fc2") if is_phi else ("o_proj", "c_fc", "c_proj")
    norms = ["input_layernorm"] + ["post_attention_layernorm"] * (not is_phi)
    shapes = {"model.embed_tokens.weight": [vocabulary, width],
              f"model.{'final_layernorm' if is_phi else 'norm'}.weight": [width]}
    if is_phi:
        shapes["lm_head.weight"] = [vocabulary, width]
    for layer in range(config["num_hidden_layers"]):
        scope = f"model.layers.{layer}."
        shapes |= {f"{scope}{name}.weight": [width] for name in norms}
        for name in ("q_proj", "k_proj", "v_proj", output):
            kv_rows = config["num_key_value_heads"] * head
            shapes[f"{scope}self_attn.{name}.weight"] = [kv_rows if name[0] in "kv" else width, width]
        if config.get("qk_layernorm"):
            shapes |= {f"{scope}self_attn.{name}_layernorm.weight": [head] for name in "qk"}
        shapes[f"{scope}mlp.{up}.weight"] = [ffn, width]
        shapes[f"{scope}mlp.{down}.weight"] = [width, ffn]
    return with_biases(shapes)


def weight_shapes(config):
    """Names and shapes of a checkpoint as the hub has them."""
    if config["model_type"] in ("phi", "starcoder2"):
        return ungated_shapes(config)
    width, ffn, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head = config.get("head_dim") or width // heads
    has_qkv_bias = config["model_type"] == "qwen2" or config.get("attention_bias", False)
    shapes = {"model.embed_tokens.weight": [vocabulary, width], "model.norm.weight": [width]}
    if not config.get("tie_word_embeddings", False):
        shapes["lm_head.weight"] = [vocabulary, width]
    for layer in range(config["num_hidden_layers"]):
        scope = f"model.layers.{layer}."
        shapes[scope + "input_layernorm.weight"] = [width]
        shapes[scope + "post_attention_layernorm.weight"] = [width]
        if config["model_type"] == "phi3":
            shapes[scope + "self_attn.qkv_proj.weight"] = [(heads + 2 * kv_heads) * head, width]
            shapes[scope + "self_attn.o_proj.weight"] = [width, heads * head]
            shapes[scope + "mlp.gate_up_proj.weight"] = [2 * ffn, width]
            shapes[scope + "mlp.down_proj.weight"] = [width, ffn]
            continue
        if config["model_type"] == "gemma2":
            shapes[scope + "pre_feedforward_layernorm.weight"] = [width]
            shapes[scope + "post_feedforward_layernorm.weight"] = [width]
        for name, rows in (("q", heads * head), ("k", kv_heads * head), ("v", kv_heads * head)):
            shapes[f"{scope}self_attn.{name}_proj.weight"] = [rows, width]
            if has_qkv_bias:
                shapes[f"{scope}self_attn.{name}_proj.bias"] = [rows]
        shapes[scope + "self_attn.o_proj.weight"] = [width, heads * head]
        if config["model_type"] in ("qwen3", "qwen3_moe"):
            shapes[scope + "self_attn.q_norm.weight"] = [head]
            shapes[scope + "self_attn.k_norm.weight"] = [head]
        if layer in expert_layers(config):
            shapes |= expert_shapes(config, scope)
            continue
        shapes[scope + "mlp.gate_proj.weight"] = [ffn, width]
        shapes[scope + "mlp.up_proj.weight"] = [ffn, width]
        shapes[scope + "mlp.down_proj.weight"] = [width, ffn]
    return shapes


def write_checkpoint(folder, config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    header, at = {}, 0
    for name, shape in weight_shapes(config).items():
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


def expect_producer(record, config, options):
    record["producer"] = "qeff"


def expect_metadata(record, config, options):
    features = ["add-kv-cache"]
    if "--ccl" in options:
        features.append("add-compute-context-length")
    if "--continuous-batching" in options:
        features.append("add-continuous-batching")
    features.append("keep-speculative-logits" if "--speculative-target" in options else "select-last-logits")
    if "f16" in options:
        features.append("convert-float-dtype")
    has_experts = len(expert_layers(config)) > 0
    has_dense = any(name.endswith((".gate_proj.weight", ".gate_up_proj.weight")) and ".experts." not in name
                    for name in weight_shapes(config))
    lowering = (["selection"] + ["gated-mlp"] * has_dense + ["experts"] * has_experts +
                ["activation", "rope", "attention"] + ["rms-norm"] * (record["first_norm_input"] is not None) + ["linear"])
    passes = features + ["lower-" + name for name in lowering] + ["fold-reshapes", "set-contract-shapes"]
    if "--subfunctions" in options:
        passes.append("outline-layers")
    record["metadata"]["qeff_transforms"] = ",".join(passes)


def expect_architecture(record, config, options):
    record["metadata"]["qeff_architecture"] = config["architectures"][0]


def expect_expert_stacks(record, config, options):
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


def expect_no_unit_factors(record, config, options):
    if config.get("embedding_multiplier") == 1 and "--subfunctions" not in options:
        record["first_norm_input"] = "Gather"


def expect_tied_head(record, config, options):
    if not config.get("tie_word_embeddings", False):
        return
    anonymous = [name for name in record["weight_names"] if name.startswith("onnx::MatMul_")]
    record["weight_names"].remove(max(anonymous, key=lambda name: int(name.removeprefix("onnx::MatMul_"))))
    record["weight_dtypes"]["float16" if "f16" in options else "float"] -= 1


FUSED = {"qkv_proj.weight": ["q", "k", "v"], "gate_up_proj.weight": ["0", "1"]}


def expect_parts_of_fused(record, config, options):
    names = []
    for name in record["weight_names"]:
        parts = next((p for fused, p in FUSED.items() if name.endswith(fused + ".transposed")), None)
        stem = name.removesuffix(".transposed")
        names += [f"{stem}.{part}.transposed" for part in parts] if parts else [name]
    record["weight_dtypes"]["float16" if "f16" in options else "float"] += len(names) - len(record["weight_names"])
    record["weight_names"] = sorted(names)


def expect_rotary_tables(record, config, options):
    tables = {"model.cos_cached", "model.sin_cached"}.difference(record["weight_names"])
    if tables:
        record["weight_dtypes"]["float"] += len(tables)
    record["weight_names"] = sorted([*record["weight_names"], *tables])


def expect_batch_index_last(record, config, options):
    names = [value["name"] for value in record["inputs"]]
    if "batch_index" in names and names.index("batch_index") < names.index("past_key.0"):
        record["inputs"].append(record["inputs"].pop(names.index("batch_index")))


def expect_linear_names(record, config, options):
    linear = [name for name, shape in weight_shapes(config).items()
              if len(shape) == 2 and name != "model.embed_tokens.weight" and ".experts." not in name]
    anonymous = [name for name in record["weight_names"] if name.startswith("onnx::MatMul_")]
    if len(anonymous) == len(linear):
        named = [name for name in record["weight_names"] if name not in anonymous]
        record["weight_names"] = sorted(named + [name + ".transposed" for name in linear])


def expect_layer_domain(record, config, options):
    if "--subfunctions" not in options:
        return
    name = layer_function_name(config)
    for function in record["functions"]:
        if function["domain"].startswith("QEfficient."):
            suffix = function["name"].split("DecoderLayer", 1)[1]
            function["domain"], function["name"] = "qeff.layers", name + suffix

    def rename(key):
        return "qeff.layers" + key[key.index("::"):].replace("::QEff", "::").replace("::Qeff", "::") if "::" in key else "qeff.layers"

    for part in ("opset_import", "calls"):
        record[part] = {rename(k) if k.startswith("QEfficient.") else k: v for k, v in record[part].items()}


def expect_one_layer_function(record, config, options):
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


def expect_first_layer(record, config, options):
    if has_unequal_layers(config):
        return
    for function in record["functions"]:
        for part in ("states", "weights"):
            if part in function:
                function[part] = [name.replace(".1", ".0", 1) for name in function[part]]


def expect_tables_in_f32(record, config, options):
    if "f16" in options:
        record["weight_dtypes"]["float16"] -= 2
        record["weight_dtypes"]["float"] = 2


def expect_norm_in_f32(record, config, options):
    if "f16" in options:
        record["first_norm_input"] = "Cast"


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
    ("`--continuous-batching`", "`batch_index` comes after the cache in all families; in QEfficient's phi3 before it",
     "one rule for all models; inputs are found by name", expect_batch_index_last),
    ("`--subfunctions`", "layer functions are `<Model>DecoderLayer` in domain `qeff.layers`, not "
     "`QEff<Model>DecoderLayer` in a domain named after a Python module",
     "there is no Python module to name it after", expect_layer_domain),
    ("`--subfunctions` with `--continuous-batching`", "equal layers share one function; QEfficient writes the "
     "second layer as a function `.1` of its own, since the first one also casts `position_ids`",
     "the compiler sees each layer once, which is what the option is for; functions of unequal layers are numbered in "
     "the order of the layers", expect_one_layer_function),
    ("`--subfunctions`", "parameters and results of a layer function are named after the first layer that it stands "
     "for; QEfficient names some after the last one", "one rule for all models", expect_first_layer),
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
        "of inputs, outputs, opsets, functions with their bodies, calls of the compiler's ops and weights, except for:",
        "",
        "| where | what | why |",
        "|---|---|---|",
    ]
    lines += [f"| {where} | {what} | {reason} |" for where, what, reason, _ in DIFFERENCES]
    lines += [
        "",
        "Not compared: nodes between the compiler's ops (qeff writes fewer shape computations), bodies of layer",
        "functions, names of inner values.",
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
            cases.append({"family": family, "mode": mode, "config": original["config"], "record": record})
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


def export(onnx, binaries, case, folder):
    folder.mkdir()
    write_checkpoint(folder / "checkpoint", case["config"])
    command = [str(binaries / "qeff-export"), str(folder / "checkpoint"), "-o", str(folder / "onnx"), "-q"]
    result = subprocess.run(command + MODES[case["mode"]], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"qeff-export returned {result.returncode}: {result.stderr.strip()}")
    return describe(onnx, onnx.load(folder / "onnx/model.onnx", load_external_data=False))


def expected(case):
    record = copy.deepcopy(case["record"])
    for *_, change in DIFFERENCES:
        change(record, case["config"], MODES[case["mode"]])
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
    failed = 0
    with tempfile.TemporaryDirectory(prefix="qeff-contract-") as folder:
        for case in cases:
            name = f"{case['family']}.{case['mode']}"
            try:
                got = export(onnx, options.bin, case, pathlib.Path(folder) / name)
                problems = differences(name, expected(case), got)
            except RuntimeError as error:
                problems = [f"{name}: {error}"]
            print("\n".join(problems) if problems else f"{name}: equal")
            failed += bool(problems)
    print(f"{len(cases) - failed} equal, {failed} not")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
