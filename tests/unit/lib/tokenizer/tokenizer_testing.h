// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tokenizer's tests share: making tokenizers from JSON, finding recorded results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/json.h"
#include "lib/tokenizer/tokenizer.h"

namespace qeff {

using TokenIds = std::vector<int64_t>;

/// Fails the test if the file is refused.
Tokenizer TokenizerFrom(const Json& file);
Tokenizer TokenizerIn(const std::filesystem::path& folder);
Json ReadTestJson(const std::filesystem::path& path);

/// A file with all parts null and the model of single bytes "a" to "c" that merges "ab" and "abc";
/// `parts` replace or add members.
Json TokenizerFile(const Json& parts);

/// An element of "added_tokens".
Json AddedToken(int64_t id, std::string_view content, bool is_special);

/// Returns the ids; fails the test on an error.
TokenIds Ids(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options);

/// Returns Decode, after checking that IncrementalDecoder gives the same in pieces that are whole
/// characters. Fails the test on an error.
std::string Text(const Tokenizer& tokenizer, std::span<const int64_t> ids, bool skips_special);

/// Removes from `ids` the first one if it is a special token and stands there twice: Hugging Face
/// doubles a start token that the text has already, we do not.
TokenIds WithoutDoubledStart(const Tokenizer& tokenizer, TokenIds ids);

/// A folder for one test.
class TestFolder {
 public:
  TestFolder();
  TestFolder(const TestFolder&) = delete;
  ~TestFolder();
  /// Writes a file, over an older one.
  TestFolder& Add(std::string_view name, std::string_view content);
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Returns the folder of data that is shared between projects; prints SKIPPED if it is absent.
std::optional<std::filesystem::path> SharedData();

}  // namespace qeff
