// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which texts run together, and in which of a program's fixed shapes: texts of like lengths, each
// in the shortest shape that holds it, so that little padding is computed.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace qeff {

/// A shape that the program can be called with.
struct BatchShape {
  int64_t rows = 1;    ///< texts
  int64_t tokens = 1;  ///< of each text, padding included
};

struct Batch {
  size_t shape = 0;           ///< index in the list of shapes
  std::vector<size_t> items;  ///< indices of texts, at most `rows`
};

/// Divides texts of these lengths (tokens) into batches, shortest first. Each text is in the
/// shortest shape that holds it, or in a longer one where that saves a call. `shapes` ascend by
/// tokens. A batch of several texts has at most `most_tokens` tokens, padding not counted; for
/// programs that compute no padding. Requires: the last shape holds the longest text.
std::vector<Batch> PlanBatches(std::span<const int64_t> lengths, std::span<const BatchShape> shapes,
                               int64_t most_tokens = std::numeric_limits<int64_t>::max());

}  // namespace qeff
