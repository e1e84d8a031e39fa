#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Remakes tests/data/tokenizer/component_cases.json: what Hugging Face's tokenizers gives for each
component of tokenizer.json alone.

Needs `pip install tokenizers==0.22.1` (0.23 decodes normalized added tokens in their normalized
form, and no longer skips them as special tokens). Usage: make_component_cases.py [--random N]
writes to stdout; --random adds N generated texts to each case, for a run that is not committed.
"""
import json
import random
import sys

from tokenizers import Tokenizer

TEXTS = [
    "", " ", "Hello, world!", "  two  blanks \n\n\t end  ", "it's WE'LL 12345 x9y_z-w",
    "Caf\u00e9 cafe\u0301 \u0130\u1e9e \u03a3\u03c2 \u00bd\u00b2 \ufb01 \u212b", "\u4f60\u597d, \u4e16\u754c\u3002a\u4e2db \u3042\u30a2",
    "\u2581meta\u2581 space \u2581", "a\u00a0b\u3000c\u200bd\u180ee\ufefff\u0085g\u00adh\u0000i\u0007\ufffd", "<s>x</s> <S> [M] word[M]word [M]",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \u0e01\u0e33 \u0915\u094d\u0937\u093f \u1100\u1161\u11a8", "a--b.c...d|e|f ((g)) $5 \u20ac7 \u201cq\u201d",
    "\r\n\r\nx\r\ny", "x\u0661\u0662\u216b\u0967", "Abc ABC abC 1a2b3c",
    # Characters whose classes and forms have changed between versions of Unicode.
    "a\u1734b \u1885\u1886 a\u1cf2 \u32ff\ua7f2 a\ue000b \ua9bda\U000111c9 a\U00011938",
]
RANDOM_PARTS = list("abcXYZ019 .,-_'\"<>[]|\n\t\r") + [
    "  ", "\u00e9", "e\u0301", "\u0130", "\u00df", "\u4f60", "\u2581", "\u00a0", "\u3000", "\u200d", "\u0915\u094d", "\U0001f44d", "\u212b", "\u00bd",
    "<s>", "[M]", "\u0661", "\u180e", "\u0085", "\r\n", "\ufb01", "\u1100", "\u1161", "'s", "\u0430", "\ufe0f"]


def byte_symbols():
    visible = [b for b in range(256) if 0x20 < b < 0x7F or (b > 0xA0 and b != 0xAD)]
    hidden = [b for b in range(256) if b not in visible]
    return [chr(b) for b in visible] + [chr(256 + i) for i in range(len(hidden))]


def character_model():
    """Each character is a token, and another one at the end of a word: shows the words' borders."""
    characters = set(byte_symbols()) | set("".join(TEXTS)) | set("".join(RANDOM_PARTS)) | set("#")
    vocab = {"<unk>": 0}
    for character in sorted(characters):
        vocab[character] = len(vocab)
        vocab[character + "</w>"] = len(vocab)
    return {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": "</w>", "fuse_unk": False, "byte_fallback": False,
            "ignore_merges": False, "vocab": vocab, "merges": []}


def bpe(vocab, merges, **options):
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
             "ignore_merges": False, "vocab": {t: i for i, t in enumerate(vocab)}, "merges": merges}
    model.update(options)
    return model


BYTES = [f"<0x{b:02X}>" for b in range(256)]
WORDS = ["<unk>", "a", "b", "c", "ab", "bc", "abc", "##a", "##b", "##c", "##bc", "x", "Hello", ",", "world",
         "!", "<s>", "</s>", "\u2581", "\u2581a", "\u4f60", "."]
MODELS = {
    "characters": character_model(),
    "merges": bpe(["<unk>", "a", "b", "c", "ab", "bc", "abc", "aa", "aaaa", "x"],
                  ["b c", "a b", "ab c", "a bc", "a a", "aa aa"], unk_token="<unk>"),
    "merges_fused_unknown": bpe(["<unk>", "a", "b", "ab"], [["a", "b"]], unk_token="<unk>", fuse_unk=True),
    "merges_without_unknown": bpe(["a", "b", "ab"], [["a", "b"]]),
    "merges_bytes": bpe(["<unk>"] + BYTES[:200] + ["a", "b", "ab"], ["a b"], unk_token="<unk>",
                        fuse_unk=True, byte_fallback=True),
    "merges_affixes": bpe(["<unk>", "a", "b", "c", "##b", "##a", "##b</w>", "a</w>", "ab", "ab</w>", "##ab</w>"],
                          ["a ##b", "a ##b</w>", "##a ##b</w>"], unk_token="<unk>",
                          continuing_subword_prefix="##", end_of_word_suffix="</w>"),
    "merges_ignored": bpe(["a", "b", "c", "ab", "abc"], ["a b"], ignore_merges=True),
    "word_piece": {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 8, "vocab": {t: i for i, t in enumerate(WORDS)}},
    "word_level": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {t: i for i, t in enumerate(WORDS)}},
    "unigram": {"type": "Unigram", "unk_id": 0, "byte_fallback": False,
                "vocab": [[t, 0.0 if t == "<unk>" else -1.0 - 0.25 * i + 0.9 * len(t)] for i, t in enumerate(WORDS)]},
    "unigram_bytes": {"type": "Unigram", "unk_id": 0, "byte_fallback": True,
                      "vocab": [["<unk>", 0.0]] + [[t, -9.0] for t in BYTES] + [["a", -2.0], ["ab", -2.5], ["b", -2.25], ["\u4f60\u597d", -3.0]]},
}
MODEL_TEXTS = ["a", "abc", "aabbcc", "abcabcabcx", "aaaaaaaaaaa", "xyz", "aq\u4f60qa", "Hello", "ab\u4f60\u597dba", "\u00e9\u00e9a\U0001f44d",
               "bca", "cab" * 20, "a" * 70, "abcq" * 15]


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def added(content, identifier, **flags):
    token = {"id": identifier, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": False}
    token.update(flags)
    return token


def cases():
    behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    for name in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel"]:
        yield f"normalizer {name}", {"normalizer": {"type": name}}
    for left in (True, False):
        for right in (True, False):
            yield f"normalizer Strip {left} {right}", {"normalizer": {"type": "Strip", "strip_left": left, "strip_right": right}}
    yield "normalizer Prepend", {"normalizer": {"type": "Prepend", "prepend": "\u2581x"}}
    for pattern in ({"String": "a"}, {"String": " "}, {"Regex": r"\s+"}, {"Regex": r"[^\w\s]"}, {"Regex": "^|b"}, {"String": ""}):
        yield f"normalizer Replace {pattern}", {"normalizer": {"type": "Replace", "pattern": pattern, "content": "\u2581$1"}}
    for flags in (0, 1, 2, 4, 8, 11, 15):
        yield f"normalizer Bert {flags}", {"normalizer": {
            "type": "BertNormalizer", "clean_text": bool(flags & 1), "handle_chinese_chars": bool(flags & 2),
            "strip_accents": None if flags & 4 else bool(flags & 1), "lowercase": bool(flags & 8)}}
    yield "normalizer Sequence", {"normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Strip", "strip_left": True, "strip_right": False}, {"type": "NFKC"}, {"type": "Lowercase"}]}}
    for pattern in ({"String": "-"}, {"Regex": r"[\s.]"}):
        for behavior in behaviors:
            for invert in (False, True):
                yield f"split {pattern} {behavior} {invert}", {"pre_tokenizer": split(pattern, behavior, invert)}
    yield "split empty", {"pre_tokenizer": split({"String": ""}, "Isolated", True)}
    for expression in (
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"\p{N}{1,3}+", r"\w+", r"\W", r"\d+|\D", r"\h+", r"[\h\s]+", r"[^\S\r\n]+", r"[a-z&&[^b]]+", r"[a[b-d]]+",
            r"[\p{L}&&[^\p{Han}]]+|\p{Han}", r"(?m:a.)", r"^.", r".$", r"\u0061|[\u0062-\u0064]", r"a{,2}", r"x{", r"[[:punct:]]+",
            r"[[:alpha:]]+", r"[[:space:]]", r"(?<=l)o|(?!b)\p{Ll}", r"\p{Lu}++|\p{Ll}?+a", r"[^]a]", r"(?>a|b)+", r"\R|\t", r"[\u4e00-\u9fa5\u3040-\u30ff]+", r"[\p{Han}]+|\p{^Han}", r"\P{Hiragana}+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"):
        yield f"expression {expression}", {"pre_tokenizer": split({"Regex": expression}, "Isolated")}
    for scheme in ("always", "first", "never"):
        for splits in (True, False):
            yield f"Metaspace {scheme} {splits}", {
                "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": scheme, "split": splits},
                "added_tokens": [added("<s>", 1000, special=True)]}
    yield "Metaspace first after Strip", {
        "normalizer": {"type": "Strip", "strip_left": True, "strip_right": True},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first", "split": True}}
    yield "Metaspace of old files", {"pre_tokenizer": {"type": "Metaspace", "replacement": "_", "str_rep": "_", "add_prefix_space": True}}
    for prefix in (True, False):
        for regex in (True, False):
            yield f"ByteLevel {prefix} {regex}", {
                "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}}
    for name in ("Whitespace", "WhitespaceSplit", "BertPreTokenizer"):
        yield name, {"pre_tokenizer": {"type": name}}
    for individual in (True, False):
        yield f"Digits {individual}", {"pre_tokenizer": {"type": "Digits", "individual_digits": individual}}
    for behavior in behaviors:
        yield f"Punctuation {behavior}", {"pre_tokenizer": {"type": "Punctuation", "behavior": behavior}}
    yield "CharDelimiterSplit", {"pre_tokenizer": {"type": "CharDelimiterSplit", "delimiter": "\u2581"}}
    yield "UnicodeScripts", {"pre_tokenizer": {"type": "UnicodeScripts"}}
    yield "FixedLength", {"pre_tokenizer": {"type": "FixedLength", "length": 3}}
    yield "pre-tokenizer Sequence", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "WhitespaceSplit"}, {"type": "Punctuation", "behavior": "Isolated"}, {"type": "Digits", "individual_digits": True}]}}
    for name in ("lstrip", "rstrip", "single_word", "normalized", "special"):
        for normalizer in (None, {"type": "Lowercase"}, {"type": "Prepend", "prepend": "\u2581"}):
            yield f"added {name} {normalizer and normalizer['type']}", {
                "normalizer": normalizer, "added_tokens": [added("<s>", 1000, **{name: True}), added("[M]", 1001, **{name: True})]}
    yield "added longest", {"added_tokens": [added("el", 1000), added("ello", 1001), added("wor", 1002, single_word=True), added("orl", 1003)]}
    special = {"[A]": {"id": "[A]", "ids": [1000, 1001], "tokens": ["[A]", "[B]"]}, "[B]": {"id": "[B]", "ids": [1001], "tokens": ["[B]"]}}
    template = {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "[A]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[B]", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": special}
    tokens = [added("[A]", 1000, special=True), added("[B]", 1001, special=True)]
    roberta = {"type": "RobertaProcessing", "sep": ["[B]", 1001], "cls": ["[A]", 1000], "trim_offsets": True, "add_prefix_space": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    yield "template", {"post_processor": template, "added_tokens": tokens}
    yield "roberta", {"post_processor": roberta, "added_tokens": tokens}
    yield "bert", {"post_processor": {"type": "BertProcessing", "sep": ["[B]", 1001], "cls": ["[A]", 1000]}, "added_tokens": tokens}
    yield "post-processor Sequence", {"post_processor": {"type": "Sequence", "processors": [byte_level, template, byte_level]}, "added_tokens": tokens}
    for name in MODELS:
        if name != "characters":
            yield f"model {name}", {"model": name}
    for name in ("word_piece", "word_level", "unigram"):
        yield f"model {name} of words", {"model": name, "pre_tokenizer": {"type": "Whitespace"}, "texts": TEXTS}


def pair_files():
    """Files for pairs of texts: one for each post-processor, with words as tokens."""
    special = {"[A]": {"id": "[A]", "ids": [10, 11], "tokens": ["[A]", "[B]"]}, "[B]": {"id": "[B]", "ids": [11], "tokens": ["[B]"]}}

    def token(name, type_id):
        return {"SpecialToken": {"id": name, "type_id": type_id}}

    def text(name, type_id):
        return {"Sequence": {"id": name, "type_id": type_id}}

    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    frame = {"sep": ["[B]", 11], "cls": ["[A]", 10]}
    template = {"type": "TemplateProcessing", "single": [token("[A]", 0), text("A", 0), token("[B]", 3)],
                "pair": [token("[A]", 0), text("B", 5), token("[B]", 2), text("A", 7), token("[B]", 1)], "special_tokens": special}
    for post_processor in (None, byte_level, {"type": "BertProcessing", **frame},
                           {"type": "RobertaProcessing", **frame, "trim_offsets": True, "add_prefix_space": True},
                           template, {"type": "Sequence", "processors": [byte_level, template]}):
        yield {"added_tokens": [added("[A]", 10, special=True), added("[B]", 11, special=True)],
               "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": post_processor,
               "model": {"type": "WordLevel", "unk_token": "a",
                         "vocab": {**{c: i for i, c in enumerate("abcdefghij")}, "[A]": 10, "[B]": 11}}}


PAIR_BATCHES = [[["b c d"]], [["b c d e"], ["f"], [""]], [["b c d", "e f g h i"]], [["b c", "d e f"], ["b c d e f g", "h"], ["", "b"]]]


def pair_cases(file, with_truncation):
    """What the sections "truncation" and "padding" make of each batch; null where they fail."""
    truncations = [None] + [
        {"direction": direction, "max_length": length, "strategy": strategy, "stride": 0}
        for direction in ("Right", "Left") for strategy in ("LongestFirst", "OnlyFirst", "OnlySecond")
        for length in (4, 5, 7, 20) if with_truncation]
    paddings = [None] + [
        {"strategy": strategy, "direction": direction, "pad_to_multiple_of": multiple, "pad_id": 9, "pad_type_id": 4, "pad_token": "j"}
        for strategy, direction, multiple in (("BatchLongest", "Right", None), ("BatchLongest", "Left", 8), ({"Fixed": 6}, "Right", 0), ({"Fixed": 9}, "Left", 4))]
    for truncation in truncations:
        for padding in paddings if truncation is None else paddings[1:2]:
            whole = {"version": "1.0", "normalizer": None, "decoder": None, **file, "truncation": truncation, "padding": padding}
            tokenizer = Tokenizer.from_str(json.dumps(whole))
            for batch in PAIR_BATCHES:
                for with_special in (True, False):
                    try:
                        encodings = tokenizer.encode_batch([tuple(t) if len(t) == 2 else t[0] for t in batch], add_special_tokens=with_special)
                        results = [[e.ids, e.type_ids, e.special_tokens_mask, e.attention_mask] for e in encodings]
                    except Exception:
                        results = None
                    yield [truncation, padding, batch, with_special, results]


DECODER_TOKENS = ["<unk>", "a", "b</w>", "c", "</w>", "##a", "##", " .", " do not", "n't", "'s", "\u2581", "\u2581a", "\u2581\u2581b", " ", "  x  ", "xx", "|", "<pad>",
                  "<0x41>", "<0xC3>", "<0xa9>", "<0xF0>", "<0x9F>", "<0x91>", "<0x8D>", "<0xZZ>", "<0xE2>", "\u00e9", "\u4f60", "\u0120", "\u0120Hi", "\u00c3", "\u00a9", "\u010a", "\u0100",
                  "\u00f0\u0141", "\u0133", "Hello", ","]


def decoders():
    meta = [{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": s, "split": True} for s in ("always", "first", "never")]
    yield None
    yield from meta
    yield {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    yield {"type": "ByteFallback"}
    yield {"type": "Fuse"}
    for start, stop in ((1, 0), (0, 1), (2, 2), (0, 0)):
        yield {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "x" if stop == 2 else " ", "start": start, "stop": stop}]}
    yield {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    yield {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}
    yield {"type": "Replace", "pattern": {"Regex": "[ab]+"}, "content": "<$0>"}
    yield {"type": "BPEDecoder", "suffix": "</w>"}
    for cleanup in (True, False):
        yield {"type": "WordPiece", "prefix": "##", "cleanup": cleanup}
        yield {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": cleanup}
    yield {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "}, {"type": "ByteFallback"},
                                            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    yield {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "BPEDecoder", "suffix": "</w>"}, {"type": "Fuse"},
                                            {"type": "Replace", "pattern": {"String": "a"}, "content": "o"}]}


def build(config):
    file = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None}
    file.update({k: v for k, v in config.items() if k != "texts"})
    file["model"] = MODELS[config.get("model", "characters")]
    largest = len(file["model"]["vocab"])
    # tokenizers numbers added tokens itself, from the end of the vocabulary on.
    text = json.dumps(file)
    for i in range(4):
        text = text.replace(str(1000 + i), str(largest + i))
    file = json.loads(text)
    config.update({k: file[k] for k in config if k not in ("texts", "model")})
    return Tokenizer.from_str(json.dumps(file))


def main():
    extra = int(sys.argv[2]) if sys.argv[1:2] == ["--random"] else 0
    generator = random.Random(5)
    encode = []
    for name, config in cases():
        texts = config.get("texts", MODEL_TEXTS if name.startswith("model") else TEXTS)
        texts = texts + ["".join(generator.choices(RANDOM_PARTS, k=generator.randrange(1, 25))) for _ in range(extra)]
        tokenizer = build(config)
        results = []
        for special in (True, False) if "added_tokens" in config else (False,):
            tokenizer.encode_special_tokens = not special
            for text in texts:
                try:
                    ids = tokenizer.encode(text, add_special_tokens="post_processor" in config).ids
                except Exception:  # a panic inside the library
                    continue
                if special and "post_processor" in config and text.startswith("["):
                    continue  # we do not double the first token
                results.append([int(special), text, ids])
        config.pop("texts", None)
        encode.append({"name": name, "config": config, "cases": results})
    pairs = []
    for i, file in enumerate(pair_files()):
        pairs.append({"config": file, "cases": list(pair_cases(file, i == 4))})
    decode = []
    vocabulary = {t: i for i, t in enumerate(DECODER_TOKENS)}
    for decoder in decoders():
        tokenizer = Tokenizer.from_str(json.dumps({
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": decoder, "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"}}))
        results = []
        for i in range(16 + extra * 10):
            ids = [generator.randrange(len(DECODER_TOKENS)) for _ in range(generator.randrange(0, 12))]
            if i % 4 == 3:  # runs of bytes
                ids = [generator.choice([19, 20, 21, 22, 23, 24, 25, 27, 32, 33, 35]) for _ in range(8)]
            try:
                results.append([ids, tokenizer.decode(ids, skip_special_tokens=False)])
            except BaseException:  # a panic inside the library
                continue
        decode.append({"decoder": decoder, "cases": results})
    lines = ["{\"models\": {"]
    lines += [",\n".join(f"{json.dumps(k)}: {compact(v)}" for k, v in MODELS.items()), "}, \"encode\": ["]
    lines += [",\n".join(compact(case) for case in encode), "], \"pairs\": ["]
    lines += [",\n".join(compact(case) for case in pairs), "], \"decoder_tokens\": " + json.dumps(DECODER_TOKENS) + ", \"decode\": ["]
    lines += [",\n".join(compact(case) for case in decode), "]}"]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
