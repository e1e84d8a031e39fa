// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The "pre_tokenizer" of tokenizer.json: cuts normalized text into the words that the model sees
// one at a time.
#pragma once

#include <memory>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/piece.h"

namespace qeff {

class ConfigNode;

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Appends the parts of `piece`, which is text and not empty. Safe from several threads. Errors:
  /// kInvalidInput if an expression gives up.
  virtual Status Apply(Piece piece, std::vector<Piece>& pieces) const = 0;
};

/// Returns null for an absent node. Errors: kInvalidInput; kUnsupported for an unknown type.
Result<std::unique_ptr<PreTokenizer>> MakePreTokenizer(const ConfigNode& node);

}  // namespace qeff
