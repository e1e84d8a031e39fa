#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Remakes tests/data/tokenizer/legacy_cases.json: what transformers makes of folders that have the
files of older tokenizers only. The files are trained here, small, from the texts of this script.

Needs `pip install transformers==4.57.1 tokenizers==0.22.1 sentencepiece protobuf`. Training is not
the same on every machine, so the files are part of the result. Writes to stdout.
"""
import base64
import io
import json
import logging
import os
import sys
import tempfile

import sentencepiece
import tokenizers
import transformers

SENTENCES = [
    "Once upon a time there was a fox who lived at the edge of the forest.",
    "He said: it's a fine day, isn't it? We'll see what they've done by 1999.",
    "Numbers like 1,234 and 56.78 stand in this text, 2024 too!",
    "The quick brown fox jumps over the lazy dog; the dog sleeps on.",
    "Caf\u00e9 and na\u00efve are words with accents. \u00dcber alles \u00e4ndert sich.",
    "\u4f60\u597d\u4e16\u754c means hello world, and so does \u3053\u3093\u306b\u3061\u306f\u4e16\u754c.",
] * 20
TEXTS = [
    "", " ", "a", "Hello, world!", "  two  blanks \n\n\t end  ", "it's WE'LL 12345 x9y_z-w 1,234", "Caf\u00e9 na\u00efve \u00dcBER",
    "\u4f60\u597d, \u4e16\u754c\u3002", "\u2581meta\u2581", "the fox\u00a0jumps\u3000over", "\U0001f44d", "<s>fox</s> <mask> [MASK] <unk>", "``quoted'' text", "aaaaaaaaaa aaaaaaa",
    "Once upon a time there was a fox.", "a<extra_id_0>b", "one [SEP] two", "<|endoftext|>x", "!!! ... ???",
]
PAIRS = [["the fox", "the dog"], ["", "a"], ["Hello", " "]]


def sentencepiece_model(kind, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, model_type=kind, vocab_size=options.pop("vocab_size", 220),
        normalization_rule_name="identity", hard_vocab_limit=False, num_threads=1, minloglevel=2, **options)
    return model.getvalue()


def byte_level_files(suffix=""):
    """vocab.json and merges.txt."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(end_of_word_suffix=suffix))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(SENTENCES, tokenizers.trainers.BpeTrainer(
        vocab_size=560 if suffix else 400, initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False, **({"end_of_word_suffix": suffix} if suffix else {})))
    model = json.loads(tokenizer.to_str())["model"]
    merges = "#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in model["merges"])
    return model["vocab"], merges


def word_piece_file():
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(SENTENCES + [s.lower() for s in SENTENCES], tokenizers.trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    vocab = tokenizer.get_vocab()
    return "".join(token + "\n" for token in sorted(vocab, key=vocab.get))


def with_tokens(vocab, tokens, at_start=False):
    """Adds tokens to a vocabulary, behind it or in front."""
    names = tokens + sorted(vocab, key=vocab.get) if at_start else sorted(vocab, key=vocab.get) + tokens
    return json.dumps({name: i for i, name in enumerate(names)}, ensure_ascii=False)


def folders():
    """(name, {file: content}); tokenizer_config.json as a dict."""
    llama = sentencepiece_model("bpe", byte_fallback=True, split_digits=True, vocab_size=520, add_dummy_prefix=True,
                                remove_extra_whitespaces=False, user_defined_symbols=["<tool>"])
    for config in ({}, {"legacy": False}, {"add_eos_token": True, "add_bos_token": False}, {"add_prefix_space": False},
                   {"legacy": False, "add_prefix_space": False}):
        yield f"llama {config}", {"tokenizer.model": llama, "tokenizer_config.json": {"tokenizer_class": "LlamaTokenizer", **config}}
    yield "llama with added tokens", {"tokenizer.model": llama, "tokenizer_config.json": {
        "tokenizer_class": "LlamaTokenizer", "pad_token": "<pad>", "additional_special_tokens": ["[MASK]"],
        "added_tokens_decoder": {"520": {"content": "fox", "lstrip": True, "rstrip": False, "normalized": False, "single_word": True, "special": False}}}}
    yield "gemma", {"tokenizer.model": sentencepiece_model(
        "bpe", byte_fallback=True, vocab_size=520, add_dummy_prefix=False, remove_extra_whitespaces=False, pad_id=0, eos_id=1, bos_id=2, unk_id=3, eos_piece="<eos>", bos_piece="<bos>",
        user_defined_symbols=["<start_of_turn>", "\n\n"]), "tokenizer_config.json": {"tokenizer_class": "GemmaTokenizer"}}
    t5 = sentencepiece_model("unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    yield "t5", {"spiece.model": t5, "tokenizer_config.json": {"tokenizer_class": "T5Tokenizer"}}
    yield "t5 not legacy", {"spiece.model": t5, "tokenizer_config.json": {"tokenizer_class": "T5Tokenizer", "legacy": False}}
    yield "xlm-roberta", {"sentencepiece.bpe.model": sentencepiece_model("unigram", unk_id=0, bos_id=1, eos_id=2),
                          "tokenizer_config.json": {"tokenizer_class": "XLMRobertaTokenizer"}}
    albert = sentencepiece_model("unigram", pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols=["[CLS]", "[SEP]", "[MASK]"])
    yield "albert", {"spiece.model": albert, "tokenizer_config.json": {"tokenizer_class": "AlbertTokenizer"}}
    yield "albert cased", {"spiece.model": albert, "tokenizer_config.json": {
        "tokenizer_class": "AlbertTokenizer", "do_lower_case": False, "keep_accents": True}}
    deberta = sentencepiece_model("unigram", pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]",
                                  eos_piece="[SEP]", unk_piece="[UNK]")
    for config in ({}, {"do_lower_case": True, "split_by_punct": True}):
        yield f"deberta-v2 {config}", {"spm.model": deberta, "tokenizer_config.json": {"tokenizer_class": "DebertaV2Tokenizer", **config}}
    vocab, merges = byte_level_files()
    end = ["<|endoftext|>"]
    frame = ["<s>", "<pad>", "</s>", "<unk>"]
    for name, config, vocabulary in (
            ("gpt2", {"tokenizer_class": "GPT2Tokenizer"}, with_tokens(vocab, end)),
            ("gpt2 with start", {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "add_prefix_space": True}, with_tokens(vocab, end)),
            ("qwen2", {"tokenizer_class": "Qwen2Tokenizer", "additional_special_tokens": ["<unk>", "[SEP]"]}, with_tokens(vocab, end)),
            ("roberta", {"tokenizer_class": "RobertaTokenizer"}, with_tokens(with_tokens_dict(vocab, frame), ["<mask>"])),
            ("bart", {"tokenizer_class": "BartTokenizer", "add_prefix_space": True}, with_tokens(with_tokens_dict(vocab, frame), ["<mask>"])),
            ("whisper", {"tokenizer_class": "WhisperTokenizer", "additional_special_tokens": ["<|startoftranscript|>", "<|notimestamps|>"]},
             with_tokens(vocab, end + ["<|startoftranscript|>", "<|notimestamps|>"]))):
        yield name, {"vocab.json": vocabulary, "merges.txt": merges, "tokenizer_config.json": config}
    vocab, merges = byte_level_files("</w>")
    for token in sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()):
        vocab.setdefault(token + "</w>", len(vocab))
    yield "clip", {"vocab.json": with_tokens(vocab, ["<|startoftext|>", "<|endoftext|>"]), "merges.txt": merges,
                   "tokenizer_config.json": {"tokenizer_class": "CLIPTokenizer"}}
    words = word_piece_file()
    for config in ({}, {"do_lower_case": False}, {"strip_accents": False, "tokenize_chinese_chars": False}):
        yield f"bert {config}", {"vocab.txt": words, "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", **config}}


def with_tokens_dict(vocab, tokens):
    return json.loads(with_tokens(vocab, tokens, at_start=True))


def record(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if isinstance(content, dict):
                content = json.dumps(content)
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, clean_up_tokenization_spaces=False)
        assert tokenizer.is_fast
        encode = []
        for text in TEXTS:
            ids = tokenizer(text)["input_ids"]
            plain = tokenizer(text, add_special_tokens=False)["input_ids"]
            encode.append([text, ids, plain, tokenizer.decode(plain)])
        pairs = []
        for first, second in PAIRS:
            result = tokenizer(first, second, return_token_type_ids=True)
            pairs.append([first, second, result["input_ids"], result.get("token_type_ids")])
        return {"encode": encode, "pairs": pairs}


def main():
    logging.disable(logging.WARNING)
    lines = []
    contents = {}
    for name, files in folders():
        results = record(files)
        stored = {}
        for file, content in files.items():
            if isinstance(content, dict):
                stored[file] = content
                continue
            data = base64.b64encode(content if isinstance(content, bytes) else content.encode()).decode()
            stored[file] = contents.setdefault(data, f"content {len(contents)}")
        lines.append(json.dumps({"name": name, "files": stored, **results}, separators=(",", ":")))
    named = ",\n".join(f'"{name}": "{data}"' for data, name in contents.items())
    print('{"contents": {' + named + '}, "folders": [\n' + ",\n".join(lines) + "\n]}")


if __name__ == "__main__":
    sys.exit(main())
