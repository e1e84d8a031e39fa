#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the small models of this folder and, as results.json in each, what sentence-transformers and transformers compute with them.

usage: make_models.py    (needs torch, transformers 5.x and sentence-transformers 6.2.0)

Weights are random. Texts are encoded one at a time in float32 with eager attention."""
import json
import pathlib
import shutil
import string

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers import models as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (BertConfig, BertForMaskedLM, BertForSequenceClassification, BertForTokenClassification, BertModel,
                          PreTrainedTokenizerFast, RobertaConfig, RobertaForMaskedLM, RobertaForTokenClassification, pipeline)

HERE = pathlib.Path(__file__).resolve().parent
TEXTS = ["The cat sits on the mat.", "A feline is resting on a rug.", "", "a", "Stock markets fell sharply on Monday.",
         "Crème brûlée, naïve façade", "   spaces   around   ", "the " * 60]
QUERY = "Where is the cat?"
ENTITY_TEXTS = TEXTS[:7] + ["Zoë and \u2603 live in Łódź, near \u2603\u2603.", "tab\tand  two spaces, A-B (c)", "\u4eca\u65e5 the cat"]
TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]
WORDS = "the cat sits on mat a feline is resting rug stock markets fell sharply monday where spaces around query passage".split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def tokenizer(lowercase=True, **more):
    pieces = SPECIAL + list(string.ascii_letters + string.digits + ".,:?!") + ["##" + c for c in string.ascii_letters] + WORDS
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
                                   sep_token="[SEP]", mask_token="[MASK]", model_max_length=64, **more)


def config(vocab_size, **more):
    return BertConfig(vocab_size=vocab_size, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                      max_position_embeddings=64, pad_token_id=0, initializer_range=0.3, **more)


def transformer(folder, lowercase=True, **arguments):
    words = tokenizer(lowercase)
    BertModel(config(len(words))).save_pretrained(folder)
    words.save_pretrained(folder)
    return st.Transformer(str(folder), **arguments)


def write(folder, results):
    results["texts"] = TEXTS
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def encode(model, **arguments):
    return [model.encode(text, **arguments).tolist() for text in TEXTS]


def embedder(name, modules, texts=None, **arguments):
    """Saves, loads again and records."""
    folder, base = HERE / name, HERE / (name + ".base")
    shutil.rmtree(folder, ignore_errors=True)
    SentenceTransformer(modules=modules(base), device="cpu", **arguments).save(str(folder), create_model_card=False)
    shutil.rmtree(base)
    if texts:
        path = folder / "sentence_bert_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | texts) + "\n")
    return SentenceTransformer(str(folder), device="cpu", model_kwargs={"attn_implementation": "eager"}), folder


def make_mean():
    model, folder = embedder("mean", lambda base: [transformer(base), st.Pooling(16, "mean"), st.Normalize()],
                             prompts={"query": "query: ", "passage": "passage: "})
    write(folder, {
        "embeddings": encode(model),
        "query": encode(model, prompt_name="query"),
        "truncated": encode(model, truncate_dim=5),
        "truncated_normalized": encode(model, truncate_dim=5, normalize_embeddings=True),
        "similarity": model.similarity(torch.tensor(encode(model)), torch.tensor(encode(model))).tolist()})


def make_joined():
    """All modes at once, a dense layer, lower case by sentence-transformers, a default prompt, a limit of 20 tokens."""
    modes = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
    model, folder = embedder(
        "joined", lambda base: [transformer(base, lowercase=False), st.Pooling(16, modes), st.Dense(96, 12), st.Normalize(),
                                st.Dense(12, 6, bias=False, activation_function=torch.nn.Identity())],
        {"do_lower_case": True, "max_seq_length": 20},
        prompts={"query": "Query: ", "none": ""}, default_prompt_name="query", similarity_fn_name="dot")
    write(folder, {"embeddings": encode(model), "none": encode(model, prompt_name="none")})


def make_classifier(name, labels, inputs):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    words = tokenizer(model_input_names=inputs)
    names = dict(enumerate(labels))
    BertForSequenceClassification(config(len(words), id2label=names, label2id={v: k for k, v in names.items()})).save_pretrained(
        folder)
    words.save_pretrained(folder)
    return folder


def make_labels():
    folder = make_classifier("labels", ["negative", "neutral", "positive"], ["input_ids", "attention_mask"])
    scores = pipeline("text-classification", str(folder), top_k=None, device="cpu")
    write(folder, {"scores": [{s["label"]: s["score"] for s in scores([text], truncation=True)[0]} for text in TEXTS]})


def make_reranker():
    folder = make_classifier("reranker", ["relevance"], ["input_ids", "token_type_ids", "attention_mask"])
    model = CrossEncoder(str(folder), device="cpu")
    write(folder, {"query": QUERY, "scores": [float(model.predict([(QUERY, text)])[0]) for text in TEXTS]})


def byte_tokenizer():
    """Byte-level BPE with RoBERTa's special tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    made.train_from_iterator(TEXTS + ["Paris is the city of France."] * 3, trainers.BpeTrainer(
        vocab_size=340, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    made.post_processor = processors.RobertaProcessing(sep=("</s>", 2), cls=("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
                                   unk_token="<unk>", pad_token="<pad>", mask_token="<mask>", model_max_length=62,
                                   model_input_names=["input_ids", "attention_mask"])


def byte_config(vocab_size, **more):
    return RobertaConfig(vocab_size=vocab_size, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
                         max_position_embeddings=66, type_vocab_size=1, pad_token_id=1, initializer_range=0.3, **more)


def plain(results):
    """What the pipelines give, as JSON can hold it."""
    if isinstance(results, list):
        return [plain(entry) for entry in results]
    if isinstance(results, dict):
        return {key: plain(value) for key, value in results.items()}
    return float(results) if hasattr(results, "dtype") and not isinstance(results, str) else results


def make_entities(name, words, model, configure):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    names = dict(enumerate(TAGS))
    model(configure(len(words), id2label=names, label2id={v: k for k, v in names.items()})).save_pretrained(folder)
    words.save_pretrained(folder)
    results = {"entity_texts": ENTITY_TEXTS}
    for strategy in ("none", "simple"):
        tagger = pipeline("token-classification", str(folder), aggregation_strategy=strategy, device="cpu")
        results[strategy] = [plain(tagger(text)) for text in ENTITY_TEXTS]
    write(folder, results)


def make_masked(name, words, model, configure, texts):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model(configure(len(words))).save_pretrained(folder)
    words.save_pretrained(folder)
    filler = pipeline("fill-mask", str(folder), device="cpu")
    results = [filler(text, top_k=4) for text in texts]
    write(folder, {"masked_texts": texts, "fills": [fills if isinstance(fills[0], list) else [fills] for fills in results]})


def make_token_models():
    torch.manual_seed(11)
    make_entities("entities", tokenizer(model_input_names=["input_ids", "attention_mask"]), BertForTokenClassification, config)
    make_entities("entities_bytes", byte_tokenizer(), RobertaForTokenClassification, byte_config)
    make_masked("masked", tokenizer(model_input_names=["input_ids", "attention_mask"]), BertForMaskedLM, config,
                ["The cat sits on the [MASK].", "[MASK] is a [MASK] rug", "[MASK]"])
    make_masked("masked_bytes", byte_tokenizer(), RobertaForMaskedLM, byte_config,
                ["Paris is the<mask> of France.", "<mask> naïve <mask>"])


if __name__ == "__main__":
    torch.manual_seed(7)
    torch.set_num_threads(1)
    make_mean()
    make_joined()
    make_labels()
    make_reranker()
    make_token_models()
