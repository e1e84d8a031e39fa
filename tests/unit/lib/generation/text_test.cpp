// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The text side of generation, with a byte-level tokenizer whose ids below 256 are bytes.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "lib/generation/generate.h"
#include "lib/generation/generation_config.h"
#include "lib/support/json.h"
#include "lib/tokenizer/tokenizer.h"
#include "tests/unit/lib/generation/fake_session.h"

namespace qeff {
namespace {

constexpr int64_t kEos = 256;
constexpr int64_t kSpecial = 257;
constexpr int64_t kAbc = 259;
constexpr int64_t kVocabSize = 300;  // of the model: ids from 260 have no text

/// Returns the printable character that byte-level vocabularies use for a byte: itself if it is
/// printable Latin-1, else the next free one from U+0100.
std::string SymbolOfByte(int byte) {
  const auto is_kept = [](int b) { return (b > 32 && b < 127) || (b > 160 && b != 173); };
  int code = byte;
  if (!is_kept(byte)) {
    code = 256;
    for (int b = 0; b < byte; ++b) code += is_kept(b) ? 0 : 1;
  }
  if (code < 128) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
}

std::string TokenizerJson() {
  Json vocab;
  for (int byte = 0; byte < 256; ++byte) vocab[SymbolOfByte(byte)] = byte;
  vocab["ab"] = 258;
  vocab["abc"] = kAbc;
  const auto special = [](int64_t id, const char* text) {
    return Json{{"id", id},        {"content", text},     {"single_word", false}, {"lstrip", false},
                {"rstrip", false}, {"normalized", false}, {"special", true}};
  };
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", false}};
  const Json file = {{"version", "1.0"},
                     {"added_tokens", {special(kEos, "<eos>"), special(kSpecial, "<tool>")}},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", byte_level},
                     {"post_processor", nullptr},
                     {"decoder", byte_level},
                     {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"a b", "ab c"}}}}};
  return file.dump();
}

Tokenizer ByteTokenizer() {
  auto tokenizer = Tokenizer::FromJson(TokenizerJson(), "tokenizer.json");
  if (!tokenizer.ok()) FAIL(tokenizer.diagnostic().ToString());
  return std::move(tokenizer).value();
}

TokenIds Bytes(std::string_view text) {
  TokenIds ids;
  for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
  return ids;
}

TokenIds Join(std::vector<TokenIds> parts) {
  TokenIds all;
  for (const TokenIds& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// Lets the model say `script`; checks that the streamed pieces make the output.
GenerationOutput Say(const TokenIds& script, GenerationOptions options,
                     std::vector<std::string>* pieces = nullptr) {
  const Tokenizer tokenizer = ByteTokenizer();
  FakeSession session({.vocab_size = kVocabSize, .context_tokens = 256},
                      ScriptModel(kVocabSize, 1, script));
  std::string streamed;
  TokenIds ids;
  const GenerationCallbacks callbacks = {.on_token = [&](const TokenEvent& event) {
    streamed += event.text;
    if (event.id.has_value()) ids.push_back(*event.id);
    if (pieces != nullptr && !event.text.empty()) pieces->emplace_back(event.text);
    return Status::Ok();
  }};
  auto result = Generate(session, &tokenizer, {{.ids = {1}}}, options, callbacks);
  REQUIRE(result.ok());
  CHECK(streamed == result->outputs[0].text);
  CHECK(ids == result->outputs[0].ids);
  return result->outputs[0];
}

GenerationOptions Stops(std::vector<std::string> strings) {
  return {.eos_ids = {kEos}, .stop_strings = std::move(strings)};
}

}  // namespace

TEST_CASE("streamed text never holds half a character") {
  std::vector<std::string> pieces;
  const std::string text = "h\u00e9llo \u20ac \U0001f600!";
  const GenerationOutput output = Say(Join({Bytes(text), {kEos}}), Stops({}), &pieces);
  CHECK(output.text == text);
  CHECK(output.stop_reason == StopReason::kEos);
  CHECK(pieces == std::vector<std::string>{"h", "\u00e9", "l", "l", "o", " ", "\u20ac", " ",
                                           "\U0001f600", "!"});
}

TEST_CASE("half a character at the end is shown as the tokenizer decodes it") {
  const TokenIds script = Bytes("x\xe2\x82");
  const GenerationOutput output = Say(script, {.max_new_tokens = 3});
  CHECK(output.text == ByteTokenizer().Decode(script, {.skip_special_tokens = true}).value());
  CHECK(output.text == "x\ufffd");
}

TEST_CASE("the stream is the decoded whole, for any ids") {
  const Tokenizer tokenizer = ByteTokenizer();
  uint32_t state = 1;
  for (int round = 0; round < 200; ++round) {
    TokenIds script;
    for (int i = 0; i < 20; ++i) {
      state = state * 1664525u + 1013904223u;
      const int64_t id = (state >> 16) % 260;
      script.push_back(id == kEos ? 'e' : id);
    }
    const GenerationOutput output = Say(script, {.eos_ids = {kEos}, .max_new_tokens = 20});
    REQUIRE(output.text == tokenizer.Decode(script, {.skip_special_tokens = true}).value());
  }
}

TEST_CASE("a stop string ends the text before it, wherever token borders lie") {
  const GenerationOutput spread = Say(Bytes("one EN two END three"), Stops({"END"}));
  CHECK(spread.text == "one EN two ");
  CHECK(spread.stop_reason == StopReason::kStop);
  CHECK(spread.ids == Bytes("one EN two END"));

  const GenerationOutput inside = Say(Join({Bytes("x"), {kAbc}, Bytes("y")}), Stops({"b"}));
  CHECK(inside.text == "xa");
  CHECK(inside.ids == TokenIds{'x', kAbc});
  CHECK(inside.stop_reason == StopReason::kStop);

  const GenerationOutput euro = Say(Bytes("5 \u20ac more"), Stops({"zz", "\u20ac m"}));
  CHECK(euro.text == "5 ");
}

TEST_CASE("text that was held back comes at the end") {
  std::vector<std::string> pieces;
  const GenerationOutput output = Say(Join({Bytes("one EN"), {kEos}}), Stops({"END"}), &pieces);
  CHECK(output.text == "one EN");
  CHECK(output.stop_reason == StopReason::kEos);
  CHECK(pieces == std::vector<std::string>{"o", "n", "e", " ", "EN"});

  const GenerationOutput cut =
      Say(Bytes("one END"), {.stop_strings = {"END"}, .max_new_tokens = 6});
  CHECK(cut.text == "one EN");
  CHECK(cut.stop_reason == StopReason::kLength);
}

TEST_CASE("special tokens are shown on request, EOS never") {
  const TokenIds script = Join({Bytes("a"), {kSpecial}, Bytes("b"), {kEos}});
  CHECK(Say(script, {.eos_ids = {kEos}}).text == "ab");
  CHECK(Say(script, {.eos_ids = {kEos}, .show_special_tokens = true}).text == "a<tool>b");
}

TEST_CASE("ids beyond the tokenizer have no text") {
  CHECK(Say(Join({Bytes("a"), {299}, Bytes("b"), {kEos}}), {.eos_ids = {kEos}}).text == "ab");
}

TEST_CASE("the tokenizer's EOS counts, and must be in the vocabulary") {
  std::string pattern = (std::filesystem::temp_directory_path() / "qeff-test-XXXXXX").string();
  const std::filesystem::path folder = mkdtemp(pattern.data());
  const auto write = [&](const char* name, std::string_view text) {
    std::ofstream(folder / name) << text;
  };
  write("tokenizer.json", TokenizerJson());
  write("tokenizer_config.json", R"({"eos_token": "<eos>", "pad_token": "<tool>"})");
  write("generation_config.json", R"({"eos_token_id": 7})");
  write("config.json", R"({"vocab_size": 260})");
  const auto tokenizer = Tokenizer::Load(folder);
  REQUIRE(tokenizer.ok());
  const auto config = LoadGenerationConfig(folder, &*tokenizer);
  REQUIRE(config.ok());
  CHECK(config->eos_ids == TokenIds{7, kEos});
  CHECK(config->pad_id == kSpecial);

  write("config.json", R"({"vocab_size": 257})");
  CHECK_FALSE(LoadGenerationConfig(folder, &*tokenizer)->pad_id.has_value());
  write("config.json", R"({"vocab_size": 256})");
  const auto failure = LoadGenerationConfig(folder, &*tokenizer);
  REQUIRE_FALSE(failure.ok());
  CHECK(failure.diagnostic().message == "'eos_token': expected a token id from 0 to 255, got 256");
  std::filesystem::remove_all(folder);
}

}  // namespace qeff
