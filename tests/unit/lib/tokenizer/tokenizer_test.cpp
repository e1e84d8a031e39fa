// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/tokenizer.h"

#include <catch2/catch.hpp>
#include <thread>

#include "tests/unit/lib/tokenizer/tokenizer_testing.h"

namespace qeff {
namespace {

constexpr EncodeOptions kPlain{.add_special_tokens = false};
constexpr EncodeOptions kParsed{.parse_special = true};

/// The small model with "<s>" (10) in front, "</s>" (11), and "<tool>" (12), which is not special.
Json FileWithStart() {
  const Json start = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json named = {{"<s>", {{"id", "<s>"}, {"ids", {10}}, {"tokens", {"<s>"}}}}};
  return TokenizerFile({{"added_tokens",
                         {AddedToken(10, "<s>", true), AddedToken(11, "</s>", true),
                          AddedToken(12, "<tool>", false)}},
                        {"post_processor",
                         {{"type", "TemplateProcessing"},
                          {"single", {start, text}},
                          {"pair", Json::array()},
                          {"special_tokens", named}}}});
}

}  // namespace

TEST_CASE("special tokens in a text are text unless asked for") {
  Json file = FileWithStart();
  const Json vocab = {{"a", 0}, {"<", 1}, {"s", 2}, {">", 3}};
  file["model"] = {{"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array()}};
  const Tokenizer tokenizer = TokenizerFrom(file);
  CHECK(Ids(tokenizer, "a<s>", kPlain) == TokenIds{0, 1, 2, 3});
  CHECK(Ids(tokenizer, "a<s>", {}) == TokenIds{10, 0, 1, 2, 3});
  CHECK(Ids(tokenizer, "a<s>", kParsed) == TokenIds{10, 0, 10});
  CHECK(Ids(tokenizer, "a<tool>a", kPlain) == TokenIds{0, 12, 0});
}

TEST_CASE("a start token is never doubled") {
  const Tokenizer tokenizer = TokenizerFrom(FileWithStart());
  CHECK(Ids(tokenizer, "abc", kParsed) == TokenIds{10, 4});
  CHECK(Ids(tokenizer, "<s>abc", kParsed) == TokenIds{10, 4});
  CHECK(Ids(tokenizer, "<s><s>abc", kParsed) == TokenIds{10, 10, 4});
  CHECK(Ids(tokenizer, "", kParsed) == TokenIds{10});
}

TEST_CASE("special tokens can be left out of the text") {
  const Tokenizer tokenizer = TokenizerFrom(FileWithStart());
  const TokenIds ids = {10, 4, 12, 0, 11};
  CHECK(Text(tokenizer, ids, false) == "<s>abc<tool>a</s>");
  CHECK(Text(tokenizer, ids, true) == "abc<tool>a");
  CHECK(tokenizer.IsSpecial(10));
  CHECK_FALSE(tokenizer.IsSpecial(12));
}

TEST_CASE("ids and tokens of the vocabulary and of added tokens") {
  const Tokenizer tokenizer = TokenizerFrom(FileWithStart());
  CHECK(tokenizer.vocab_size() == 13);
  CHECK(tokenizer.IdToToken(3) == "ab");
  CHECK(tokenizer.IdToToken(12) == "<tool>");
  CHECK(tokenizer.TokenToId("abc") == 4);
  CHECK(tokenizer.TokenToId("</s>") == 11);
  CHECK_FALSE(tokenizer.IdToToken(5).has_value());  // a gap
  CHECK_FALSE(tokenizer.IdToToken(-1).has_value());
  CHECK_FALSE(tokenizer.TokenToId("abcd").has_value());
}

TEST_CASE("ids with gaps take memory for the tokens only") {
  const Json vocab = {{"a", 2147483647}, {"b", 7}};
  const Tokenizer tokenizer = TokenizerFrom(
      TokenizerFile({{"model", {{"type", "WordLevel"}, {"vocab", vocab}, {"unk_token", "b"}}}}));
  CHECK(tokenizer.vocab_size() == int64_t{2147483648});
  CHECK(Ids(tokenizer, "a", kPlain) == TokenIds{2147483647});
  CHECK(tokenizer.unk_id() == 7);
}

TEST_CASE("roles come from the files beside tokenizer.json") {
  TestFolder folder;
  folder.Add("tokenizer.json", FileWithStart().dump());
  const Tokenizer bare = TokenizerIn(folder.path());
  CHECK_FALSE(bare.bos_id().has_value());
  CHECK_FALSE(bare.eos_id().has_value());
  CHECK(bare.eos_ids().empty());

  folder.Add("special_tokens_map.json", R"({"bos_token": "<tool>", "eos_token": {"content": "</s>"},
      "pad_token": null, "unk_token": "nowhere"})");
  const Tokenizer mapped = TokenizerIn(folder.path());
  CHECK(mapped.bos_id() == 12);
  CHECK(mapped.eos_ids() == TokenIds{11});
  CHECK_FALSE(mapped.pad_id().has_value());
  CHECK_FALSE(mapped.unk_id().has_value());

  folder.Add(
      "tokenizer_config.json",
      R"({"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "<tool>", "pad_token": "a"})");
  const Tokenizer both = TokenizerIn(folder.path());
  CHECK(both.bos_id() == 10);
  CHECK(both.eos_id() == 12);
  CHECK(both.eos_ids() == TokenIds{12, 11});
  CHECK(both.pad_id() == 0);
}

TEST_CASE("a decoder in pieces starts anew after Flush, and outlives the tokenizer") {
  auto tokenizer = std::make_optional(TokenizerFrom(
      TokenizerFile({{"decoder", {{"type", "Metaspace"}}},
                     {"model", {{"type", "WordLevel"}, {"vocab", {{"\u2581a", 0}}}}}})));
  IncrementalDecoder decoder(*tokenizer, {});
  tokenizer.reset();
  for (int round = 0; round < 2; ++round) {
    CHECK(decoder.Push(0).value() == "a");
    CHECK(decoder.Push(0).value() == " a");
    CHECK(decoder.Flush().value() == "");
  }
}

TEST_CASE("text is shown as soon as no later token can change it") {
  Json vocab = {{"\u2581Hi", 0}, {"!", 1}, {"<0xC3>", 2}, {"<0xA9>", 3}};
  const Json decoders = {
      {{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
      {{"type", "ByteFallback"}},
      {{"type", "Fuse"}},
      {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}};
  const Tokenizer tokenizer = TokenizerFrom(
      TokenizerFile({{"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
                     {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array()}}}}));
  IncrementalDecoder decoder(tokenizer, {});
  std::vector<std::string> pieces;
  for (const int64_t id : {0, 0, 1, 2, 3, 1}) pieces.push_back(decoder.Push(id).value());
  CHECK(pieces == std::vector<std::string>{"Hi", " Hi", "!", "", "", "\u00e9!"});
}

TEST_CASE("long words take no quadratic time") {
  // Quadratic merging would need about 10^12 steps.
  const std::string text(1'000'000, 'a');
  Json vocab = Json::object();
  Json merges = Json::array();
  std::string token = "a";
  for (int64_t id = 0; id < 8; ++id, token += token) {
    vocab[token] = id;
    if (id < 7) merges.push_back(token + " " + token);
  }
  const Json bpe = {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}};
  const Json word_piece = {{"type", "WordPiece"},
                           {"vocab", {{"a", 0}, {"##a", 1}, {"##aa", 2}}},
                           {"unk_token", "a"},
                           {"continuing_subword_prefix", "##"},
                           {"max_input_chars_per_word", 10'000'000}};
  const auto scored = [](const char* piece, double score) { return Json::array({piece, score}); };
  const Json unigram = {
      {"type", "Unigram"},
      {"unk_id", 0},
      {"vocab", Json::array({scored("<unk>", 0), scored("a", -1), scored("aaa", -2)})}};
  CHECK(Ids(TokenizerFrom(TokenizerFile({{"model", bpe}})), text, {}).size() == 7813);
  CHECK(Ids(TokenizerFrom(TokenizerFile({{"model", word_piece}})), text, {}).size() == 500'001);
  CHECK(Ids(TokenizerFrom(TokenizerFile({{"model", unigram}})), text, {}).size() == 333'334);
}

TEST_CASE("Unigram takes an unknown character only if nothing else covers it") {
  // "ab" and an unknown "c" would win without the penalty: -0.5 - 8 against -8 - 7.
  const auto scored = [](const char* piece, double score) { return Json::array({piece, score}); };
  const Json vocab =
      Json::array({scored("<unk>", 0), scored("ab", -0.5), scored("a", -8), scored("bc", -7)});
  const Tokenizer tokenizer = TokenizerFrom(
      TokenizerFile({{"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}}}}));
  CHECK(Ids(tokenizer, "abc", {}) == TokenIds{2, 3});
  CHECK(Ids(tokenizer, "abd", {}) == TokenIds{1, 0});
}

TEST_CASE("a long word merges as its parts would") {
  // Cutting where no merge reaches across must not change the ids of a text that is one word.
  const Tokenizer tokenizer = TokenizerFrom(TokenizerFile({}));
  uint32_t state = 7;
  for (int round = 0; round < 50; ++round) {
    std::string text;
    for (int i = 0; i < 200; ++i) {
      state = state * 1664525u + 1013904223u;
      text += static_cast<char>('a' + (state >> 16) % 3);
    }
    TokenIds plain;
    for (size_t at = 0; at < text.size();) {
      const bool has_ab = text.compare(at, 2, "ab") == 0;
      const bool has_abc = text.compare(at, 3, "abc") == 0;
      plain.push_back(has_abc ? 4 : has_ab ? 3 : text[at] - 'a');
      at += has_abc ? 3 : has_ab ? 2 : 1;
    }
    REQUIRE(Ids(tokenizer, text, {}) == plain);
  }
}

TEST_CASE("spaces before words have no place, tabs and line ends among bytes have one") {
  const auto tokenizer =
      Tokenizer::Load("tests/data/sentence_transformers/entities_bytes");  // trim_offsets is true
  REQUIRE(tokenizer.ok());
  const std::string text = "a\tb  c \n d";
  const auto spans = tokenizer->Spans(text, Ids(*tokenizer, text, {.add_special_tokens = false}));
  REQUIRE(spans.ok());
  std::vector<std::pair<int64_t, int64_t>> places;
  for (const TokenSpan& span : *spans) places.emplace_back(span.begin, span.end);
  // The offsets that tokenizers 0.22 gives.
  CHECK(places == std::vector<std::pair<int64_t, int64_t>>{
                      {0, 1}, {1, 2}, {2, 3}, {4, 4}, {5, 6}, {7, 7}, {7, 8}, {9, 9}, {9, 10}});
}

TEST_CASE("threads share a tokenizer") {
  const Json words = {
      {"type", "Split"}, {"pattern", {{"Regex", "\\s+|ab*"}}}, {"behavior", "Isolated"}};
  const Tokenizer tokenizer = TokenizerFrom(TokenizerFile({{"pre_tokenizer", words}}));
  const std::string text(3000, 'a');
  const TokenIds expected = Ids(tokenizer, text, {});
  std::vector<std::thread> threads;
  std::vector<int> equal(4);
  for (size_t i = 0; i < equal.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        const auto ids = tokenizer.Encode(text, {});
        equal[i] += ids.ok() && *ids == expected ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(equal == std::vector<int>(4, 20));
}

}  // namespace qeff
