// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/lib/tokenizer/tokenizer_testing.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "lib/tokenizer/unicode.h"

namespace qeff {

Tokenizer TokenizerFrom(const Json& file) {
  auto tokenizer = Tokenizer::FromJson(file.dump(), "tokenizer.json");
  if (!tokenizer.ok()) FAIL(tokenizer.diagnostic().ToString());
  return std::move(tokenizer).value();
}

Tokenizer TokenizerIn(const std::filesystem::path& folder) {
  auto tokenizer = Tokenizer::Load(folder);
  if (!tokenizer.ok()) FAIL(tokenizer.diagnostic().ToString());
  return std::move(tokenizer).value();
}

Json ReadTestJson(const std::filesystem::path& path) {
  auto json = ReadJsonFile(path);
  if (!json.ok()) FAIL(json.diagnostic().ToString());
  return std::move(json).value();
}

Json TokenizerFile(const Json& parts) {
  Json file = {{"version", "1.0"},
               {"truncation", nullptr},
               {"padding", nullptr},
               {"added_tokens", Json::array()},
               {"normalizer", nullptr},
               {"pre_tokenizer", nullptr},
               {"post_processor", nullptr},
               {"decoder", {{"type", "Fuse"}}},
               {"model",
                {{"type", "BPE"},
                 {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}, {"ab", 3}, {"abc", 4}}},
                 {"merges", {"a b", "ab c"}}}}};
  for (const auto& part : parts.items()) file[part.key()] = part.value();
  return file;
}

Json AddedToken(int64_t id, std::string_view content, bool is_special) {
  return {{"id", id},
          {"content", std::string(content)},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", false},
          {"special", is_special}};
}

TokenIds Ids(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options) {
  auto ids = tokenizer.Encode(text, options);
  if (!ids.ok()) FAIL(ids.diagnostic().ToString());
  return std::move(ids).value();
}

std::string Text(const Tokenizer& tokenizer, std::span<const int64_t> ids, bool skips_special) {
  const DecodeOptions options{.skip_special_tokens = skips_special};
  auto text = tokenizer.Decode(ids, options);
  if (!text.ok()) FAIL(text.diagnostic().ToString());
  IncrementalDecoder decoder(tokenizer, options);
  std::string joined;
  for (const int64_t id : ids) {
    const auto piece = decoder.Push(id);
    if (!piece.ok()) FAIL(piece.diagnostic().ToString());
    if (FindInvalidUtf8(*piece).has_value()) FAIL("half a character was shown");
    joined += *piece;
  }
  joined += decoder.Flush().value();
  if (joined != *text) FAIL("in pieces: '" << joined << "', at once: '" << *text << "'");
  return *text;
}

TokenIds WithoutDoubledStart(const Tokenizer& tokenizer, TokenIds ids) {
  if (ids.size() > 1 && ids[0] == ids[1] && tokenizer.IsSpecial(ids[0])) ids.erase(ids.begin());
  return ids;
}

TestFolder::TestFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "qeff-test-XXXXXX").string();
  path_ = mkdtemp(pattern.data());
}

TestFolder::~TestFolder() { std::filesystem::remove_all(path_); }

TestFolder& TestFolder::Add(std::string_view name, std::string_view content) {
  std::ofstream(path_ / name, std::ios::binary) << content;
  return *this;
}

std::optional<std::filesystem::path> SharedData() {
  const char* named = std::getenv("QEFF_SHARED");
  const std::filesystem::path folder =
      std::filesystem::path(named != nullptr ? named : "../shared") / "data";
  if (std::filesystem::exists(folder)) return folder;
  std::cout << "SKIPPED: no test data at '" << folder.string() << "'\n";
  return std::nullopt;
}

}  // namespace qeff
