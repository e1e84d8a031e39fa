// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <fstream>

#include "tests/unit/lib/tokenizer/tokenizer_testing.h"

namespace qeff {
namespace {

std::string ErrorOfText(std::string_view json) {
  const auto tokenizer = Tokenizer::FromJson(json, "tokenizer.json");
  return tokenizer.ok() ? "no error" : tokenizer.diagnostic().ToString();
}

/// The error for the small file with other parts.
std::string ErrorOf(const Json& parts) { return ErrorOfText(TokenizerFile(parts).dump()); }

Json Bpe(const Json& vocab, const Json& merges) {
  return {{"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
}

std::string Prefixed(std::string_view message) {
  return "tokenizer.json: error: " + std::string(message);
}

}  // namespace

TEST_CASE("bad_json") {
  CHECK(ErrorOfText("").starts_with("tokenizer.json:1:1: error: not valid JSON"));
  CHECK(ErrorOfText("[]") == Prefixed("expected an object, got an array"));
  CHECK(ErrorOfText("{}") == Prefixed("'model': expected an object with a type, got nothing"));
  CHECK(ErrorOfText(std::string(1'000'000, '[')).find("nested deeper than") != std::string::npos);
  const std::string whole = TokenizerFile({}).dump();
  for (size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(ErrorOfText(whole.substr(0, size)) != "no error");
  }
}

TEST_CASE("bad_types at every place of a real file") {
  // Each member of the file in turn becomes a value of another type: no crash, and nothing but a
  // clean error or a tokenizer.
  const Json whole = ReadTestJson("configs/demo-model/tokenizer.json");
  const Json flat = whole.flatten();
  int refused = 0;
  int count = 0;
  for (const auto& item : flat.items()) {
    const bool is_vocabulary =
        item.key().starts_with("/model/vocab/") || item.key().starts_with("/model/merges/");
    if (is_vocabulary && ++count % 200 != 0) continue;
    for (const Json& value : {Json(-1), Json("?"), Json::array({1}), Json(1e300), Json::object()}) {
      Json damaged = whole;
      damaged[Json::json_pointer(item.key())] = value;
      const auto tokenizer = Tokenizer::FromJson(damaged.dump(), "tokenizer.json");
      if (!tokenizer.ok()) {
        ++refused;
        CHECK(tokenizer.diagnostic().where.file == "tokenizer.json");
      } else {
        CHECK((tokenizer->Encode("some text <|bos|>", {}).ok() || true));
      }
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("bad_component types name their place") {
  CHECK(ErrorOf({{"normalizer", {{"type", "Magic"}}}})
            .starts_with(Prefixed("'normalizer': normalizer 'Magic' is not supported\n"
                                  "note: supported: BertNormalizer, ByteLevel, ")));
  const Json steps = {{{"type", "Whitespace"}}, {{"type", "Magic"}}};
  CHECK(ErrorOf({{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}}})
            .starts_with(Prefixed("'pre_tokenizer.pretokenizers[1]': pre-tokenizer 'Magic' is not "
                                  "supported")));
  CHECK(ErrorOf({{"decoder", {{"type", "Magic"}}}})
            .starts_with(Prefixed("'decoder': decoder 'Magic' is not supported")));
  CHECK(ErrorOf({{"post_processor", {{"type", "Magic"}}}})
            .starts_with(Prefixed("'post_processor': post-processor 'Magic' is not supported")));
  CHECK(ErrorOf({{"model", {{"type", "Magic"}}}})
            .starts_with(Prefixed("'model': model 'Magic' is not supported")));
  const auto result =
      Tokenizer::FromJson(TokenizerFile({{"model", {{"type", "Magic"}}}}).dump(), "tokenizer.json");
  CHECK(result.diagnostic().code == ErrorCode::kUnsupported);
}

TEST_CASE("bad_merges") {
  const Json vocab = {{"a", 0}, {"b", 1}, {"ab", 2}};
  CHECK(ErrorOf(Bpe(vocab, {"a b", "ab c"})) ==
        Prefixed("'model.merges': merge 1 'ab c' needs tokens that are not in the vocabulary: "
                 "expected both parts and the two joined"));
  CHECK(ErrorOf(Bpe(vocab, Json::array({Json::array({"b", "a"})})))
            .starts_with(Prefixed("'model.merges': merge 0 'b a' needs tokens")));
  CHECK(ErrorOf(Bpe(vocab, {"ab"})) ==
        Prefixed("'model.merges[0]': expected a merge \"left right\" or [\"left\", \"right\"], got "
                 "'ab'"));
  CHECK(ErrorOf(Bpe(vocab, {7})).starts_with(Prefixed("'model.merges[0]': expected a merge")));
}

TEST_CASE("bad_ids") {
  CHECK(ErrorOf(Bpe({{"a", 0}, {"b", 0}}, Json::array())) ==
        Prefixed("'model.vocab': expected one token for each id, got 'a' and 'b' with id 0"));
  CHECK(ErrorOf(Bpe({{"a", -1}}, Json::array())) ==
        Prefixed("'model.vocab.a': expected an id from 0 to 2147483647, got -1"));
  CHECK(ErrorOf(Bpe({{"a", 1e18}}, Json::array()))
            .starts_with(Prefixed("'model.vocab.a': expected an id from 0 to 2147483647, got 1")));
  const auto added = [](const Json& tokens) { return ErrorOf({{"added_tokens", tokens}}); };
  CHECK(added(Json::array({AddedToken(3, "<s>", true)})) ==
        Prefixed("'added_tokens[0].id': expected an id for '<s>' that is not the one of 'ab', got "
                 "3"));
  CHECK(added(Json::array({AddedToken(9, "ab", true)})) ==
        Prefixed("'added_tokens[0].id': expected 3, the id of 'ab' in the vocabulary, got 9"));
  CHECK(added({AddedToken(9, "<s>", true), AddedToken(9, "<t>", true)}) ==
        Prefixed("'added_tokens[1].id': expected an id for '<t>' of its own: '<s>' has id 9, got "
                 "9"));
  CHECK(added({AddedToken(9, "<s>", true), AddedToken(10, "<s>", true)}) ==
        Prefixed("'added_tokens[1].id': expected an id for '<s>' of its own: '<s>' has id 9, got "
                 "10"));
  CHECK(added(Json::array({AddedToken(4294967296, "<s>", true)})) ==
        Prefixed("'added_tokens[0].id': expected an integer from 0 to 2147483647, got 4294967296"));
}

TEST_CASE("bad_template") {
  const auto error = [](const Json& single, const Json& tokens) {
    return ErrorOf(
        {{"post_processor",
          {{"type", "TemplateProcessing"}, {"single", single}, {"special_tokens", tokens}}}});
  };
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json other = {{"Sequence", {{"id", "B"}, {"type_id", 0}}}};
  const Json start = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  CHECK(error({start, text}, Json::object()) ==
        Prefixed("'post_processor.single[0].SpecialToken.id': expected a name of 'special_tokens', "
                 "got '<s>'"));
  CHECK(error({start, text}, {{"<s>", {{"ids", {77}}}}}) ==
        Prefixed("'post_processor.special_tokens.<s>.ids[0]': expected the id of a token, got 77"));
  CHECK(error(Json::array({start}), {{"<s>", {{"ids", {1}}}}}) ==
        Prefixed("'post_processor.single': expected one sequence, with id 'A', got an array"));
  CHECK(error({text, other}, Json::object()) ==
        Prefixed("'post_processor.single': expected one sequence, with id 'A', got an array"));
  Json third = text;
  third["Sequence"]["id"] = "C";
  CHECK(error({text, third}, Json::object()) ==
        Prefixed("'post_processor.single[1].Sequence.id': expected A or B, got 'C'"));
  const Json frame = {{"type", "BertProcessing"}, {"cls", {"a", 0}}, {"sep", {"b", 1}}};
  CHECK(ErrorOf({{"post_processor", {{"type", "Sequence"}, {"processors", {frame, frame}}}}}) ==
        Prefixed("'post_processor.processors[1]': a second post-processor that adds tokens is not "
                 "supported"));
}

TEST_CASE("bad_pair") {
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const auto file = [&](const Json& pair) {
    return TokenizerFile({{"post_processor",
                           {{"type", "TemplateProcessing"},
                            {"single", Json::array({text})},
                            {"pair", pair},
                            {"special_tokens", Json::object()}}}});
  };
  CHECK(ErrorOf({{"post_processor", file(Json::array({text}))["post_processor"]}}) ==
        Prefixed("'post_processor.pair': expected two sequences, with ids 'A' and 'B', got an "
                 "array"));
  const std::vector<TextPair> pairs = {{.first = "a", .second = "b"}};
  CHECK(TokenizerFrom(file(Json::array())).EncodeBatch(pairs, {}).diagnostic().ToString() ==
        Prefixed("'post_processor.pair': the template has no place for a pair of texts"));
}

TEST_CASE("bad_truncation") {
  const auto section = [](const Json& value) { return ErrorOf({{"truncation", value}}); };
  CHECK(section({{"direction", "Right"}}) ==
        Prefixed("'truncation.max_length': expected an integer from 0 to 9223372036854775807, got "
                 "nothing"));
  CHECK(section({{"max_length", 3}, {"strategy", "None"}}) ==
        Prefixed("'truncation.strategy': expected LongestFirst, OnlyFirst or OnlySecond, got "
                 "'None'"));
  const Tokenizer tokenizer = TokenizerFrom(TokenizerFile(
      {{"post_processor", {{"type", "BertProcessing"}, {"cls", {"a", 0}}, {"sep", {"b", 1}}}}}));
  const auto error = [&](const TextPair& text, const Truncation& truncation) {
    const auto batch = tokenizer.EncodeBatch(std::span(&text, 1), {.truncation = truncation});
    return batch.diagnostic().ToString();
  };
  CHECK(error({.first = "abc"}, {.max_tokens = 1}) ==
        "error: expected a maximum of at least 2 tokens, as many as the special ones, got 1");
  CHECK(error({.first = "aabc"}, {.max_tokens = 3, .strategy = TruncationStrategy::kOnlySecond})
            .ends_with("truncation of only the second text of a pair, but there is only one text"));
  CHECK(error({.first = "aab", .second = "cc"},
              {.max_tokens = 4, .strategy = TruncationStrategy::kOnlyFirst})
            .find("cannot take 3 tokens from the first text, which has 2") != std::string::npos);
}

TEST_CASE("bad_padding") {
  const auto section = [](const Json& value) { return ErrorOf({{"padding", value}}); };
  CHECK(section({{"strategy", {{"Fixed", 1e12}}}})
            .starts_with(Prefixed("'padding.strategy.Fixed': expected an integer from 0 to ")));
  CHECK(section({{"strategy", "Longest"}}) ==
        Prefixed("'padding.strategy': expected BatchLongest or {\"Fixed\": ...}, got 'Longest'"));
  CHECK(section({{"direction", "Up"}}) ==
        Prefixed("'padding.direction': expected Left or Right, got 'Up'"));
}

TEST_CASE("bad_precompiled_map") {
  const auto error = [](const char* map) {
    return ErrorOf({{"normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", map}}}});
  };
  const std::string damaged = "'normalizer.precompiled_charsmap': the map is damaged: ";
  CHECK(error("?") ==
        Prefixed("'normalizer.precompiled_charsmap': expected base64, got other characters"));
  CHECK(error("AAA=") == Prefixed(damaged + "expected an array of units inside 2 bytes"));
  CHECK(error("/////w==") == Prefixed(damaged + "expected an array of units inside 4 bytes"));
  CHECK(error("AwAAAAAAAAA=") == Prefixed(damaged + "expected an array of units inside 8 bytes"));
  CHECK(error("AAAAAP8=") == Prefixed(damaged + "text 0 is not UTF-8"));
  // Units that point anywhere: found out when a text is read.
  const Json map = {{"type", "Precompiled"}, {"precompiled_charsmap", "CAAAAP////////9/YQA="}};
  const Tokenizer tokenizer = TokenizerFrom(TokenizerFile({{"normalizer", map}}));
  CHECK(Ids(tokenizer, "abc", {}) == TokenIds{4});
}

TEST_CASE("bad_models") {
  const auto error = [](const Json& model) { return ErrorOf({{"model", model}}); };
  CHECK(error({{"type", "Unigram"}, {"vocab", Json::array()}}) ==
        Prefixed("'model.vocab': expected at least one token, got an array"));
  CHECK(error({{"type", "Unigram"},
               {"vocab", Json::array({Json::array({"a", 0.5})})},
               {"unk_id", 1}}) ==
        Prefixed("'model.unk_id': expected an integer from 0 to 0, got 1"));
  CHECK(error({{"type", "Unigram"}, {"vocab", Json::array({Json::array({"a", "b"})})}})
            .starts_with(Prefixed("'model.vocab")));
  Json unknown = Bpe({{"a", 0}}, Json::array())["model"];
  unknown["unk_token"] = "<unk>";
  CHECK(error(unknown) ==
        Prefixed("'model.unk_token': expected a token of the vocabulary, got '<unk>'"));
  const Tokenizer tokenizer =
      TokenizerFrom(TokenizerFile({{"model", {{"type", "WordLevel"}, {"vocab", {{"a", 0}}}}}}));
  CHECK(tokenizer.Encode("b", {}).diagnostic().ToString() ==
        Prefixed("'model.unk_token': the vocabulary has neither 'b' nor an unknown token"));
}

TEST_CASE("bad_options") {
  const auto split = [](const Json& parts) {
    Json node = {{"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "Isolated"}};
    node.update(parts);
    return ErrorOf({{"pre_tokenizer", node}});
  };
  CHECK(split({{"behavior", "Sideways"}}) ==
        Prefixed("'pre_tokenizer.behavior': expected Removed, Isolated, MergedWithPrevious, "
                 "MergedWithNext or Contiguous, got 'Sideways'"));
  CHECK(split({{"pattern", "a"}}) ==
        Prefixed("'pre_tokenizer.pattern': expected {\"String\": ...} or {\"Regex\": ...}, got "
                 "'a'"));
  CHECK(split({{"invert", 1}}) ==
        Prefixed("'pre_tokenizer.invert': expected true or false, got 1"));
  CHECK(ErrorOf({{"pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "ab"}}}}) ==
        Prefixed("'pre_tokenizer.replacement': expected one character, got 'ab'"));
  CHECK(ErrorOf({{"pre_tokenizer", {{"type", "Metaspace"}, {"prepend_scheme", "often"}}}}) ==
        Prefixed("'pre_tokenizer.prepend_scheme': expected always, first or never, got 'often'"));
  CHECK(ErrorOf({{"pre_tokenizer", {{"type", "FixedLength"}, {"length", 0}}}}) ==
        Prefixed("'pre_tokenizer.length': expected an integer from 1 to 2147483647, got 0"));
}

TEST_CASE("bad_growth of a text by replacements") {
  const Json step = {
      {"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(1000, 'a')}};
  const Json steps(12, step);  // would make 10^36 characters
  const Tokenizer tokenizer = TokenizerFrom(
      TokenizerFile({{"normalizer", {{"type", "Sequence"}, {"normalizers", steps}}}}));
  CHECK(tokenizer.Encode("a", {}).diagnostic().ToString() ==
        Prefixed("'normalizer.normalizers[2]': expected a text of at most 268435456 bytes after "
                 "the replacement, got 1000000000"));
}

TEST_CASE("bad_growth of a text by repeated steps") {
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  const Json steps(40, byte_level);  // each one doubles what is not ASCII
  const std::string error = Prefixed("expected steps that keep a text below 268435456 bytes, got ");
  const Tokenizer normalizing = TokenizerFrom(
      TokenizerFile({{"normalizer", {{"type", "Sequence"}, {"normalizers", steps}}}}));
  CHECK(normalizing.Encode("\u00e9", {}).diagnostic().ToString().starts_with(error));
  const Tokenizer splitting = TokenizerFrom(
      TokenizerFile({{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}}}));
  CHECK(splitting.Encode("\u00e9", {}).diagnostic().ToString().starts_with(error));
}

TEST_CASE("bad_text") {
  const Tokenizer tokenizer = TokenizerFrom(TokenizerFile({}));
  CHECK(tokenizer.Encode("ab\xff", {}).diagnostic().ToString() ==
        "byte 2: error: the text is not UTF-8\nnote: convert the text to UTF-8");
  CHECK(tokenizer.Encode("a\xe2\x82", {}).diagnostic().where.byte_offset == 1);
  CHECK(tokenizer.Encode("\xed\xa0\x80", {}).diagnostic().where.byte_offset == 0);  // a surrogate
  // A character that is no token, without an unknown token: left out, as by the reference.
  CHECK(Ids(tokenizer, std::string_view("a\0b", 3), {}) == TokenIds{3});
}

TEST_CASE("bad_ids to decode") {
  const Tokenizer tokenizer = TokenizerFrom(TokenizerFile({}));
  for (const int64_t id : {int64_t{-1}, int64_t{5}, INT64_MAX, INT64_MIN}) {
    const std::string expected =
        Prefixed(fmt::format("no token has id {}; the largest id is 4\n"
                             "note: the ids may come from another model's vocabulary",
                             id));
    CHECK(tokenizer.Decode(TokenIds{0, id}, {}).diagnostic().ToString() == expected);
    IncrementalDecoder decoder(tokenizer, {});
    CHECK(decoder.Push(id).diagnostic().ToString() == expected);
  }
}

TEST_CASE("bad_folder") {
  TestFolder folder;
  const std::string path = folder.path().string();
  const auto missing = Tokenizer::Load(folder.path());
  CHECK(missing.diagnostic().code == ErrorCode::kIo);
  CHECK(missing.diagnostic().ToString() ==
        path +
            "/tokenizer.json: error: there is no such file\n"
            "note: nor are there files of an older tokenizer of the class of this model: "
            "tokenizer.model, vocab.json with merges.txt, vocab.txt or *.tiktoken");
  folder.Add("tokenizer.json", TokenizerFile({}).dump());
  folder.Add("tokenizer_config.json", R"({"bos_token": 5})");
  CHECK(Tokenizer::Load(folder.path()).diagnostic().ToString() ==
        path + "/tokenizer_config.json: error: 'bos_token': expected a string, got 5");
}

}  // namespace qeff
