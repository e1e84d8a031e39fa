// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The cache writes of the AI 100 compiler: a copy of `data` in which the row of each token goes to
// the slot at its position. A position outside of [0, C), and a batch index outside of the cache,
// write nothing, as on the device (-1 marks padding).
//   CtxScatter(data [B, K, C, E], positions [B, T], updates [B, K, T, E])
//   CtxScatterCB(data [Bc, K, C, E], batch_index [B, 1], positions [B, T], updates [B, K, T, E])
//   CtxScatter3D, CtxScatter3DInt(data [B, C, E], positions [B, T], updates [B, T, E])
//   CtxScatterCB3D(data [Bc, C, E] or [Bc, C], batch_index [B, 1], positions, updates [B, T, E] or
//   [B, T])
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

/// Where the inputs are and how many axes come before the slots.
template <bool has_batch_index, bool has_heads>
struct Form {
  static constexpr size_t kPositions = has_batch_index ? 2 : 1;
  static constexpr size_t kUpdates = kPositions + 1;
  static constexpr int64_t kSlotAxis = has_heads ? 2 : 1;
};

template <bool has_batch_index, bool has_heads>
Status InferScatter(InferContext& context) {
  using Where = Form<has_batch_index, has_heads>;
  const int64_t rank = context.rank(0);
  if (has_heads ? rank != 4 : rank != 3 && !(has_batch_index && rank == 2)) {
    return context.Invalid(
        fmt::format("input 0: expected rank {}, got {}", has_heads ? 4 : 3, context.TypeText(0)));
  }
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(Where::kPositions));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(Where::kPositions, 2));
  QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, Where::kUpdates));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(Where::kUpdates, rank));
  const ir::Shape& positions = context.shape(Where::kPositions);
  const ir::Shape& data = context.shape(0);
  if (has_batch_index) {
    QEFF_RETURN_IF_ERROR(context.ExpectInteger(1));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(1, 2));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(1, 1, 1));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(Where::kUpdates, 0, context.shape(1)[0]));
  } else {
    QEFF_RETURN_IF_ERROR(context.ExpectSize(Where::kUpdates, 0, data[0]));
  }
  if (positions[0] != ir::Dim(1)) {
    QEFF_RETURN_IF_ERROR(context.ExpectSize(Where::kUpdates, 0, positions[0]));
  }
  QEFF_RETURN_IF_ERROR(context.ExpectSize(Where::kUpdates, Where::kSlotAxis, positions[1]));
  for (int64_t axis = 1; axis < rank; ++axis) {
    if (axis == Where::kSlotAxis) continue;
    QEFF_RETURN_IF_ERROR(
        context.ExpectSize(Where::kUpdates, axis, data[static_cast<size_t>(axis)]));
  }
  context.SetOutput(0, context.dtype(0), data);
  return Status::Ok();
}

template <bool has_batch_index, bool has_heads>
Status EvaluateScatter(EvaluateContext& context) {
  using Where = Form<has_batch_index, has_heads>;
  const Tensor& data = context.in(0);
  const Tensor& positions = context.in(Where::kPositions);
  const Tensor& updates = context.in(Where::kUpdates);
  const int64_t heads = has_heads ? data.dims[1] : 1;
  const int64_t slots = data.dims[Where::kSlotAxis];
  const int64_t run = ViewAxis(data.dims, Where::kSlotAxis).inner;
  const int64_t tokens = positions.dims[1];
  WithElements(data, context.out(), [](const auto& from, auto& to) { to = from; });
  WithElements(updates, context.out(), [&](const auto& from, auto& to) {
    for (int64_t b = 0; b < updates.dims[0]; ++b) {
      const int64_t row = has_batch_index ? context.in(1).ints[static_cast<size_t>(b)] : b;
      if (row < 0 || row >= data.dims[0]) continue;
      const int64_t position_row = positions.dims[0] == 1 ? 0 : b;
      for (int64_t t = 0; t < tokens; ++t) {
        const int64_t slot = positions.ints[static_cast<size_t>(position_row * tokens + t)];
        if (slot < 0 || slot >= slots) continue;
        for (int64_t head = 0; head < heads; ++head) {
          std::copy_n(from.begin() + ((b * heads + head) * tokens + t) * run, run,
                      to.begin() + ((row * heads + head) * slots + slot) * run);
        }
      }
    }
  });
  return Status::Ok();
}

template <bool has_batch_index, bool has_heads>
OpDefinition Scatter(std::string_view name) {
  constexpr int kInputs = has_batch_index ? 4 : 3;
  return {
      {.domain = ir::kCloudDomain, .op_type = name, .min_inputs = kInputs, .max_inputs = kInputs},
      InferScatter<has_batch_index, has_heads>,
      EvaluateScatter<has_batch_index, has_heads>};
}

}  // namespace

std::vector<OpDefinition> CtxScatterOps() {
  return {Scatter<false, true>("CtxScatter"), Scatter<true, true>("CtxScatterCB"),
          Scatter<false, false>("CtxScatter3D"), Scatter<false, false>("CtxScatter3DInt"),
          Scatter<true, false>("CtxScatterCB3D")};
}

}  // namespace qeff::ops
