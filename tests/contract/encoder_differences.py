# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Deliberate differences between our exports of encoders and QEfficient's, for check_encoder_contract.py and the documentation."""

# Recorded graphs, with the options of qeff-export that ask for the same.
CASES = {
    "bert_hidden": ["--pooling", "none"],
    "bert_mean": ["--pooling", "mean"],
    "bert_avg": ["--pooling", "avg"],
    "bert_cls": ["--pooling", "cls"],
    "bert_max": ["--pooling", "max"],
    "bert_classify": [],
    "mpnet_mean": ["--pooling", "mean"],
    "xlm_roberta_mean": ["--pooling", "mean"],
    "xlm_roberta_classify": [],
    "deberta_v2_classify": [],
}

# Stands in the checkpoints of the comparison, beyond the range of f16.
LARGE_WEIGHT = 1e6


def is_pooled(case):
    return case["options"] and "none" not in case["options"]


def max_seq_len(config):
    """The tokens that the table of positions has rows for, if there is one; in RoBERTa and MPNet they begin after the row of padding."""
    if not config.get("position_biased_input", True):
        return None
    first = config["pad_token_id"] + 1 if config["model_type"] in ("xlm-roberta", "mpnet") else 0
    return config["max_position_embeddings"] - first


def expect_producer(record, case, is_strict):
    record["producer"] = "qeff"


def expect_metadata(record, case, is_strict):
    record["metadata"] = {
        "qeff_architecture": case["architecture"],
        "qeff_task": "sequence-classification" if case["architecture"].endswith("Classification") else "embedding",
        "qeff_transforms": ["pool-embeddings"] if is_pooled(case) else [],
    }
    if max_seq_len(case["config"]):
        record["metadata"]["qeff_max_seq_len"] = str(max_seq_len(case["config"]))


def expect_token_types(record, case, is_strict):
    if not is_strict and case["config"].get("type_vocab_size", 0) > 1:
        record["inputs"].append({"name": "token_type_ids", "dtype": "int64", "dims": ["batch_size", "seq_len"]})


def expect_known_sizes(record, case, is_strict):
    for output in record["outputs"]:
        output["dims"] = [case["config"]["hidden_size"] if dim == "Divoutput_dim_1" else dim for dim in output["dims"]]


def expect_pooler_name(record, case, is_strict):
    for output in record["outputs"]:
        if output["name"].isdecimal():
            output["name"] = "pooler_output"


def expect_mean_of_rows(record, case, is_strict):
    if "avg" in case["options"]:
        record["outputs"][0]["dims"][0] = "Divoutput_dim_0"


def expect_files(record, case, is_strict):
    number = [file.rsplit("_", 1)[1] for file in record["files"] if file.endswith(".data")]
    record["files"] = ["model.onnx", f"model_{number[0]}" if number else "model.onnx.data"]


def expect_products(record, case, is_strict):
    record["computing"]["MatMul"] += record["computing"].pop("Gemm", 0)


def expect_one_kind(record, case, is_strict):
    """All tokens are of the first kind: one row of the table is left."""
    has_input = not is_strict and case["config"].get("type_vocab_size", 0) > 1
    if not has_input:
        record["weights"]["tables"] = [name.replace("token_type_embeddings.weight", "token_type_embeddings.0")
                                       for name in record["weights"]["tables"]]


# (where, what, reason, how the record changes)
DIFFERENCES = [
    ("producer of encoders", "`producer_name` is `qeff`, not `pytorch`", "the file says who wrote it", expect_producer),
    ("metadata of encoders", "`qeff_transforms` lists qeff's passes; `qeff_architecture`, `qeff_task` and `qeff_max_seq_len` are there "
     "as well", "compile names programs by the task and refuses texts that are longer than the table of positions", expect_metadata),
    ("encoders that tell kinds of segments apart; off with `--strict-contract`", "there is a third input `token_type_ids`; QEfficient "
     "takes 0 for all tokens", "pairs of texts, as rerankers read them, give Hugging Face's numbers", expect_token_types),
    ("pooled vectors", "the size of a vector is a number; QEfficient's mean has the name `Divoutput_dim_1`",
     "hosts see the size in the file", expect_known_sizes),
    ("hidden states", "what the pooler makes of them is `pooler_output`; QEfficient names it with a number",
     "a name that survives changes of the graph", expect_pooler_name),
    ("`--pooling avg`", "is the mean of each text; QEfficient's reads only the first one of a batch",
     "a batch gives what its texts give alone", expect_mean_of_rows),
    ("files of encoders", "the model is `model.onnx`: base models have `model_<n>.onnx.data` of at most 10 GiB, as QEfficient splits "
     "`<Model>_<n>.onnx.data`; those of classifiers, which QEfficient keeps in the graph, lie in `model.onnx.data`",
     "one name for all models; a graph of 2 GiB cannot be written", expect_files),
    ("linear layers of encoders", "all are `MatMul` and `Add`; QEfficient has `Gemm` for those on one token", "one form for the compiler",
     expect_products),
    ("encoders where all tokens are of one kind", "the first row of the table of kinds is the constant `<table>.0`; QEfficient keeps the "
     "table and looks the row up for each token", "the sum is the same", expect_one_kind),
]
