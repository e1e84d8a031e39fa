// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs many encoded texts in batches, and finds out which text it was if one of a batch is refused.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "lib/embedding/encoder_program.h"
#include "lib/support/status.h"
#include "lib/tokenizer/encoding.h"

namespace qeff {

/// What a run has given.
struct BatchRun {
  /// Of the texts in their order, all or those before the first that has none. A row may be empty.
  std::vector<std::vector<float>> rows;
  /// Ok if all texts have rows.
  Status status;
  /// The text that the program refuses, which `status` tells why; nothing if the error is of the
  /// machine or of no single text.
  std::optional<size_t> refused;
};

/// Appends to `kept` what is to be kept of `row`, which EncoderProgram::Row gave for `encoding`.
using KeepRow = std::function<void(const Encoding& encoding, std::span<const float> row,
                                   std::vector<float>& kept)>;

/// Runs `encodings`, none of them empty or longer than program.max_tokens(), in batches of at most
/// `call_tokens` tokens (PlanBatches). Like lengths run together, so when a batch fails, texts
/// after it in the list may have rows already: they are dropped. Errors, in the result: of
/// Session::Run. After kInvalidInput the texts of the batch run alone, and those before the one
/// that is refused get their rows; after any other error nothing more runs.
BatchRun RunInBatches(EncoderProgram& program, std::span<const Encoding> encodings,
                      int64_t call_tokens, const KeepRow& keep);

}  // namespace qeff
