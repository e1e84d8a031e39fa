// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Folders without tokenizer.json, against what transformers makes of them (make_legacy_cases.py
// writes the file), and what is said about bad ones.
#include <catch2/catch.hpp>
#include <random>

#include "lib/tokenizer/base64.h"
#include "lib/tokenizer/legacy_files.h"
#include "tests/unit/lib/tokenizer/tokenizer_testing.h"

namespace qeff {
namespace {

void CheckEncode(const Tokenizer& tokenizer, const Json& cases) {
  for (const Json& one : cases) {
    INFO(one.dump());
    const std::string text = one[0];
    CHECK(Ids(tokenizer, text, {.parse_special = true}) ==
          WithoutDoubledStart(tokenizer, one[1].get<TokenIds>()));
    const TokenIds plain = one[2];
    CHECK(Ids(tokenizer, text, {.add_special_tokens = false, .parse_special = true}) == plain);
    CHECK(Text(tokenizer, plain, false) == one[3].get<std::string>());
  }
}

void CheckPairs(const Tokenizer& tokenizer, const Json& cases) {
  for (const Json& one : cases) {
    INFO(one.dump());
    const TextPair pair{.first = one[0].get_ref<const std::string&>(),
                        .second = one[1].get_ref<const std::string&>()};
    const auto batch = tokenizer.EncodeBatch(std::span(&pair, 1), {});
    REQUIRE(batch.ok());
    CHECK(batch->front().ids == one[2].get<TokenIds>());
    CHECK(batch->front().type_ids == one[3].get<TokenIds>());
  }
}

/// The error of a folder with these files.
std::string ErrorOf(const std::vector<std::pair<const char*, std::string>>& files) {
  TestFolder folder;
  for (const auto& [name, content] : files) folder.Add(name, content);
  const auto tokenizer = Tokenizer::Load(folder.path());
  REQUIRE_FALSE(tokenizer.ok());
  std::string text = tokenizer.diagnostic().ToString();
  const std::string prefix = folder.path().string();
  for (size_t at; (at = text.find(prefix)) != std::string::npos;)
    text.replace(at, prefix.size(), "DIR");
  return text;
}

/// A field of a protocol buffer with bytes in it.
std::string Field(int number, const std::string& bytes) {
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} + bytes;
}

std::string PieceOf(const std::string& text, char type) {
  return Field(1, Field(1, text) + std::string{3 << 3, type});
}

}  // namespace

TEST_CASE("older tokenizers give what transformers makes of them") {
  const Json recorded = ReadTestJson("tests/data/tokenizer/legacy_cases.json");
  for (const Json& entry : recorded["folders"]) {
    INFO(entry["name"].get<std::string>());
    TestFolder folder;
    for (const auto& file : entry["files"].items()) {
      const Json& content = file.value();
      folder.Add(
          file.key(),
          content.is_object()
              ? content.dump()
              : DecodeBase64(
                    recorded["contents"][content.get<std::string>()].get_ref<const std::string&>())
                    .value());
    }
    folder.Add("tokenizer_config.json", [&] {
      Json config = entry["files"]["tokenizer_config.json"];
      config["clean_up_tokenization_spaces"] = false;  // as it was recorded
      return config.dump();
    }());
    const Tokenizer tokenizer = TokenizerIn(folder.path());
    CheckEncode(tokenizer, entry["encode"]);
    CheckPairs(tokenizer, entry["pairs"]);
  }
}

TEST_CASE("bad_class") {
  const std::string error =
      ErrorOf({{"tokenizer.model", "x"},
               {"tokenizer_config.json", R"({"tokenizer_class": "MarianTokenizer"})"}});
  CHECK(
      error.starts_with("DIR/tokenizer_config.json: error: there is no tokenizer.json, and the "
                        "rules of class 'MarianTokenizer' are not implemented\nnote: implemented: "
                        "Albert, Bart, "));
  CHECK(error.ends_with("AutoTokenizer.from_pretrained('DIR').save_pretrained('DIR')"));
}

TEST_CASE("bad_vocabulary_files") {
  const std::string vocabulary = R"({"a": 0, "b": 1, "ab": 2})";
  const auto merges = [&](const char* text) {
    return ErrorOf({{"vocab.json", vocabulary}, {"merges.txt", text}});
  };
  CHECK(merges("#version: 0.2\na b\nab c\n") ==
        "DIR/merges.txt:3:1: error: merge 'ab c' needs the token 'c', which vocab.json does not "
        "have");
  CHECK(merges("a b\nab\n") ==
        "DIR/merges.txt:2:1: error: expected two tokens with a blank between them, got 'ab'");
  CHECK(merges("a \xff\n") == "DIR/merges.txt: byte 2: error: expected UTF-8");
  CHECK(ErrorOf({{"vocab.json", R"({"a": -1})"}, {"merges.txt", ""}}) ==
        "DIR/vocab.json: error: 'a': expected an id from 0 to 2147483647, got -1");
  CHECK(ErrorOf({{"vocab.json", "[]"}, {"merges.txt", ""}}) ==
        "DIR/vocab.json: error: expected an object of tokens and ids");
  CHECK(ErrorOf({{"vocab.txt", "a\nb\n"}}) ==
        "DIR: error: the class of the tokenizer puts the token '[CLS]' around texts, but the "
        "vocabulary has none");
  CHECK(ErrorOf(
            {{"vocab.json", vocabulary},
             {"merges.txt", "a b\n"},
             {"tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "c"}}})"}}) ==
        "DIR/tokenizer_config.json: error: 'added_tokens_decoder.x': expected an id and "
        "{\"content\": ...}");
}

TEST_CASE("bad_tiktoken") {
  CHECK(ErrorOf({{"cl100k_base.tiktoken", "YQ== 0\nYg== one\n"}}) ==
        "DIR/cl100k_base.tiktoken:2:1: error: expected a token in base64, a blank and its rank, "
        "got 'Yg== one'");
  CHECK(ErrorOf({{"cl100k_base.tiktoken", "YQ== 0\nYg== 0\n"}})
            .starts_with("DIR/cl100k_base.tiktoken: error: 'model.vocab': expected one token for "
                         "each id"));
  CHECK(
      ErrorOf({{"own.tiktoken", "YQ== 0\n"}})
          .starts_with("DIR/own.tiktoken: error: a tiktoken file does not say how it splits words, "
                       "and this name is not known\nnote: known: "));
  CHECK(ErrorOf({{"a.tiktoken", ""}, {"b.tiktoken", ""}}) ==
        "DIR: error: expected one .tiktoken file, got several");
}

TEST_CASE("bad_sentencepiece_model") {
  const auto error = [](const std::string& content) {
    return ErrorOf({{"tokenizer.model", content}});
  };
  const std::string unknown = PieceOf("<unk>", 2);
  CHECK(error(unknown + "\x0a\x7f") ==
        "DIR/tokenizer.model: byte 13: error: a field needs 127 bytes, 0 are left\n"
        "note: the file is cut short or damaged: fetch or make it again");
  CHECK(error(unknown + "\x0b")
            .starts_with("DIR/tokenizer.model: byte 11: error: expected a field "
                         "of a SentencePiece model, got other bytes"));
  CHECK(error(unknown + PieceOf("\xff", 1)) ==
        "DIR/tokenizer.model: byte 15: error: expected UTF-8");
  CHECK(error(unknown + PieceOf("a", 9)) ==
        "DIR/tokenizer.model: byte 13: error: expected a type of piece from 1 to 6, got 9");
  CHECK(error(PieceOf("a", 1)) ==
        "DIR/tokenizer.model: error: expected a SentencePiece model with pieces and an unknown one "
        "among them");
  CHECK(error(unknown + PieceOf("a", 1) + PieceOf("a", 1)) ==
        "DIR/tokenizer.model: error: expected pieces without repetition, got 'a' twice");
  CHECK(
      error(unknown + Field(2, {3 << 3, 3})) ==
      "DIR/tokenizer.model: error: SentencePiece models of words or characters are not supported");
}

TEST_CASE("bad_older_files in any way give an error or a tokenizer, never a crash") {
  const Json recorded = ReadTestJson("tests/data/tokenizer/legacy_cases.json");
  std::mt19937 generator(3);
  int refused = 0;
  for (const Json& entry : recorded["folders"]) {
    for (int round = 0; round < 12; ++round) {
      TestFolder folder;
      for (const auto& file : entry["files"].items()) {
        const Json& value = file.value();
        std::string content =
            value.is_object()
                ? value.dump()
                : DecodeBase64(
                      recorded["contents"][value.get<std::string>()].get_ref<const std::string&>())
                      .value();
        if (round % 3 == 0) content.resize(generator() % (content.size() + 1));
        for (int i = 0; i < round && !content.empty(); ++i) {
          content[generator() % content.size()] = static_cast<char>(generator());
        }
        folder.Add(file.key(), content);
      }
      const auto tokenizer = Tokenizer::Load(folder.path());
      if (!tokenizer.ok()) {
        CHECK_FALSE(tokenizer.diagnostic().where.ToString().empty());
        ++refused;
        continue;
      }
      const auto ids = tokenizer->Encode("Once upon a time <s>\u00e9 1,234", {});
      if (ids.ok()) CHECK(tokenizer->Decode(*ids, {}).ok());
    }
  }
  CHECK(refused > 100);
}

}  // namespace qeff
