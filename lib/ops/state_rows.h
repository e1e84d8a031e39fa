// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What ops with a recurrent state share: which state a row of the call reads and writes, which of
// its tokens count, and when it starts anew. Included by the files of those ops.
//   A token at a negative position is padding: it is no part of its row. A row that has a token at
//   position 0 starts from a state of zeros. Row b reads and writes state row batch_index[b], or b;
//   a row of padding only writes nothing.
#pragma once

#include "lib/ops/context.h"

namespace qeff::ops {

/// Where an op has the inputs of its state; `state` and `batch_index` may be absent.
struct StateInputs {
  size_t positions;
  size_t state;
  size_t batch_index;
};

/// Checks positions [B, T], the rows of a state and batch_index [B, 1] against x [B, T, ..], and
/// that a state comes with a second output, whose type it sets.
Status InferState(InferContext& context, const StateInputs& inputs, size_t x);

/// The rows of a call, as evaluation sees them.
class StateRows {
 public:
  StateRows(EvaluateContext& context, const StateInputs& inputs)
      : context_(context), inputs_(inputs) {}

  /// Copies the state to output 1 if there is one. Error: a batch index outside of the state.
  Status CopyState();

  bool HasToken(int64_t b, int64_t t) const { return Position(b, t) >= 0; }
  /// The tokens of row b that are no padding.
  int64_t CountTokens(int64_t b) const;
  /// The elements of row b's state before the call, `count` of them.
  std::vector<double> Before(int64_t b, int64_t count) const;
  /// Replaces row b's state, unless the row is padding only or there is no state.
  void SetAfter(int64_t b, const std::vector<double>& elements);

 private:
  int64_t Position(int64_t b, int64_t t) const;
  int64_t StateRow(int64_t b) const;
  int64_t tokens() const { return context_.in(inputs_.positions).dims[1]; }

  EvaluateContext& context_;
  StateInputs inputs_;
};

}  // namespace qeff::ops
