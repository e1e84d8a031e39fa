// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The "model" of tokenizer.json: one word to ids.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/vocabulary.h"

namespace qeff {

class ConfigNode;

class Model {
 public:
  virtual ~Model() = default;
  /// Appends the ids of `word`, which is UTF-8 and not empty. Safe from several threads. Errors:
  /// kInvalidInput if the word has no ids and the model no unknown token.
  virtual Status Encode(std::string_view word, std::vector<int64_t>& ids) const = 0;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  std::optional<int64_t> unknown_id() const { return unknown_id_; }

 protected:
  /// The error for a word that cannot be encoded.
  Status NoUnknownToken(std::string_view word) const;

  Vocabulary vocabulary_;
  std::optional<int64_t> unknown_id_;
  std::string file_;  ///< for messages
};

/// Makes the model that "type" names, or that the members show in files without it. Errors:
/// kInvalidInput; kUnsupported for an unknown type.
Result<std::unique_ptr<Model>> MakeModel(const ConfigNode& node);

Result<std::unique_ptr<Model>> MakeBpe(const ConfigNode& node);
Result<std::unique_ptr<Model>> MakeUnigram(const ConfigNode& node);
Result<std::unique_ptr<Model>> MakeWordLevel(const ConfigNode& node);
Result<std::unique_ptr<Model>> MakeWordPiece(const ConfigNode& node);

/// Returns the ids of the byte tokens "<0x00>" to "<0xFF>" that make up `text`, if all are there.
std::optional<std::vector<int64_t>> ByteTokens(std::string_view text, const Vocabulary& vocabulary);

}  // namespace qeff
