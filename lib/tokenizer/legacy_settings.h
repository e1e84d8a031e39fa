// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the files beside an older tokenizer say of it: class, options, roles of tokens, added
// tokens. For the converters of legacy_files.h only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/support/json.h"
#include "lib/support/status.h"

namespace qeff {

/// The rules of a class of transformers; classes that share a converter share a style.
enum class LegacyStyle {
  kSentencePiece,  ///< no class: what the SentencePiece library does
  kLlama,
  kGemma,
  kT5,
  kXlmRoberta,
  kAlbert,
  kDebertaV2,
  kGpt2,
  kQwen2,
  kRoberta,
  kClip,
  kWhisper,
  kBert,
  kTiktoken
};

/// Tokens and ids while a file is put together.
class LegacyVocabulary {
 public:
  /// A later token of the same text replaces an earlier one.
  void Add(std::string token, int64_t id);
  std::optional<int64_t> Find(const std::string& token) const;
  int64_t next_id() const { return next_id_; }
  const std::unordered_map<std::string, int64_t>& ids() const { return ids_; }

 private:
  std::unordered_map<std::string, int64_t> ids_;
  int64_t next_id_ = 0;
};

/// A token that is found in a text before the model sees it.
struct LegacyToken {
  std::string content;
  bool is_special = false;
  bool takes_space_before = false;
};

class LegacySettings {
 public:
  /// Errors: kIo; kInvalidInput; kUnsupported for an unknown class.
  static Result<LegacySettings> Read(const std::filesystem::path& folder);

  const std::filesystem::path& folder() const { return folder_; }
  /// None if no file names a class or a known model type.
  std::optional<LegacyStyle> style() const { return style_; }
  /// The default of a flag that tokenizer_config.json does not have. Errors: kInvalidInput.
  Result<bool> Flag(std::string_view key, bool value) const;
  /// The token of a role, "bos_token" and the like: of tokenizer_config.json, else of
  /// special_tokens_map.json, else of the class `style`; none if that is null.
  std::optional<std::string> Role(std::string_view key, LegacyStyle style) const;
  /// All roles that have a token by their class only.
  std::vector<std::pair<std::string, std::string>> ClassRoles(LegacyStyle style) const;

  /// Returns "added_tokens": `tokens` of the conversion itself, then those of the files, then those
  /// with roles. Tokens that are in no file get the ids behind the vocabulary, to which they are
  /// added. Errors: kInvalidInput.
  Result<Json> AddedTokens(std::span<const LegacyToken> tokens, LegacyStyle style,
                           LegacyVocabulary& vocabulary) const;

 private:
  Result<Json> ReadIfThere(std::string_view name) const;
  class TokenList;
  Status PutFileTokens(TokenList& tokens) const;

  std::filesystem::path folder_;
  std::optional<LegacyStyle> style_;
  Json config_;       ///< tokenizer_config.json; null if absent
  Json special_map_;  ///< special_tokens_map.json; null if absent
};

/// One part of a template: "$A", "$B", or a token.
struct TemplatePart {
  std::string token;
  int64_t type_id = 0;
};
/// Returns a post-processor; its tokens must be in `vocabulary`. Errors: kInvalidInput at `folder`.
Result<Json> MakeTemplate(std::span<const TemplatePart> single, std::span<const TemplatePart> pair,
                          const LegacyVocabulary& vocabulary, const std::filesystem::path& folder);

/// Returns the object {token: id} for "vocab", by id.
Json VocabularyJson(const LegacyVocabulary& vocabulary);

// The converters. Each returns a file in the form of tokenizer.json.
Result<Json> ConvertSentencePiece(const LegacySettings& settings, LegacyStyle style,
                                  const std::filesystem::path& file, std::string_view content);
Result<Json> ConvertTiktoken(const LegacySettings& settings, const std::filesystem::path& file,
                             std::string_view content);
/// Reads vocab.json and merges.txt; sets the style, which the vocabulary shows if no file names it.
Result<Json> ConvertBpeFiles(const LegacySettings& settings, LegacyStyle& style);
/// Reads vocab.txt.
Result<Json> ConvertBertFiles(const LegacySettings& settings);

}  // namespace qeff
