# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Deliberate differences between our exports of decoders and QEfficient's, for check_contract.py and the documentation."""

# Of these the weights are compared, too; the others split, fuse or fold theirs in another way.
WITH_WEIGHTS = ("llama", "mistral", "mistral_window", "qwen2", "qwen3", "mixtral", "qwen3_moe", "granitemoe", "glm4_moe",
                "gemma", "gemma2", "phi3", "phi", "phi_qk_norm", "starcoder2")


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


def layer_function_name(config):
    return config["architectures"][0].removesuffix("ForCausalLM") + "DecoderLayer"


# --- each function changes the record to what we write


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
