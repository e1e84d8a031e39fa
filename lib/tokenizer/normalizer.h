// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The "normalizer" of tokenizer.json: text to text, before anything is split.
#pragma once

#include <memory>

#include "lib/support/status.h"
#include "lib/tokenizer/piece.h"

namespace qeff {

class ConfigNode;

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Changes piece.text; clears piece.is_at_start if it removes the first character. Safe from
  /// several threads. Errors: kInvalidInput if an expression gives up.
  virtual Status Apply(Piece& piece) const = 0;
};

/// Returns null for an absent node. Errors: kInvalidInput; kUnsupported for an unknown type.
Result<std::unique_ptr<Normalizer>> MakeNormalizer(const ConfigNode& node);

}  // namespace qeff
