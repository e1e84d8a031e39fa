// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/state_rows.h"

#include <algorithm>

namespace qeff::ops {

Status InferState(InferContext& context, const StateInputs& inputs, size_t x) {
  const ir::Dim& batch = context.shape(x)[0];
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(inputs.positions));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(inputs.positions, 2));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(inputs.positions, 0, batch));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(inputs.positions, 1, context.shape(x)[1]));
  const bool has_state = context.Has(inputs.state);
  if (context.output_count() != (has_state ? 2 : 1)) {
    return context.Invalid("the state before and the state after come together or not at all");
  }
  if (!has_state) {
    return context.Has(inputs.batch_index) ? context.Invalid("batch_index needs a state")
                                           : Status::Ok();
  }
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(inputs.state));
  if (context.Has(inputs.batch_index)) {
    QEFF_RETURN_IF_ERROR(context.ExpectInteger(inputs.batch_index));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(inputs.batch_index, 2));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(inputs.batch_index, 0, batch));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(inputs.batch_index, 1, 1));
  } else {
    QEFF_RETURN_IF_ERROR(context.ExpectSize(inputs.state, 0, batch));
  }
  context.SetOutput(1, context.dtype(inputs.state), context.shape(inputs.state));
  return Status::Ok();
}

Status StateRows::CopyState() {
  if (!context_.Has(inputs_.state)) return Status::Ok();
  const Tensor& state = context_.in(inputs_.state);
  context_.out(1).floats = state.floats;
  for (int64_t b = 0; b < context_.in(inputs_.positions).dims[0]; ++b) {
    const int64_t row = StateRow(b);
    if (row < 0 || row >= state.dims[0]) {
      return context_.Invalid(
          fmt::format("batch_index {} is outside of [0, {})", row, state.dims[0]));
    }
  }
  return Status::Ok();
}

int64_t StateRows::Position(int64_t b, int64_t t) const {
  return context_.in(inputs_.positions).ints[static_cast<size_t>(b * tokens() + t)];
}

int64_t StateRows::StateRow(int64_t b) const {
  if (!context_.Has(inputs_.batch_index)) return b;
  return context_.in(inputs_.batch_index).ints[static_cast<size_t>(b)];
}

int64_t StateRows::CountTokens(int64_t b) const {
  int64_t count = 0;
  for (int64_t t = 0; t < tokens(); ++t) count += HasToken(b, t) ? 1 : 0;
  return count;
}

std::vector<double> StateRows::Before(int64_t b, int64_t count) const {
  std::vector<double> elements(static_cast<size_t>(count));
  bool starts = !context_.Has(inputs_.state);
  for (int64_t t = 0; t < tokens(); ++t) starts |= Position(b, t) == 0;
  if (!starts) {
    std::copy_n(context_.in(inputs_.state).floats.begin() + StateRow(b) * count, count,
                elements.begin());
  }
  return elements;
}

void StateRows::SetAfter(int64_t b, const std::vector<double>& elements) {
  if (!context_.Has(inputs_.state) || CountTokens(b) == 0) return;
  std::copy(elements.begin(), elements.end(),
            context_.out(1).floats.begin() + StateRow(b) * static_cast<int64_t>(elements.size()));
}

}  // namespace qeff::ops
