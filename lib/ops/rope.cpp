// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.Rope<num_heads, interleaved>(x [B, T, H * E], cos [B, T, R], sin [B, T, R]) -> like x. The
// first R channels of each head rotate, the others pass:
//   half-split:   y[i] = x[i] cos[i] - x[i + R/2] sin[i] for i < R/2,
//                 y[i] = x[i] cos[i] + x[i - R/2] sin[i] else
//   interleaved:  y[2i] = x[2i] cos[i] - x[2i+1] sin[i], y[2i+1] = x[2i+1] cos[i] + x[2i] sin[i]
// cos and sin hold the R/2 values twice, as transformers makes them.
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferRope(InferContext& context) {
  const int64_t heads = context.Int("num_heads");
  for (size_t i = 0; i < 3; ++i) {
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(i));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(i, 3));
    for (int64_t axis = 0; axis < 2; ++axis) {
      const ir::Dim& size = context.shape(0)[static_cast<size_t>(axis)];
      // One table may serve all rows of the batch.
      const bool is_shared = i > 0 && axis == 0 && context.shape(i)[0] == ir::Dim(1);
      if (!is_shared) QEFF_RETURN_IF_ERROR(context.ExpectSize(i, axis, size));
    }
  }
  const ir::Dim& channels = context.shape(0)[2];
  const ir::Dim& rotary = context.shape(1)[2];
  QEFF_RETURN_IF_ERROR(context.ExpectSize(2, 2, rotary));
  if (heads < 1 || (channels.is_number() && channels.value() % heads != 0)) {
    return context.Invalid(fmt::format("attribute 'num_heads': expected a divisor of {}, got {}",
                                       channels.ToString(), heads));
  }
  if (rotary.is_number() && channels.is_number() &&
      (rotary.value() % 2 != 0 || rotary.value() > channels.value() / heads)) {
    return context.Invalid(
        fmt::format("expected an even number of at most {} rotary channels, "
                    "got {}",
                    channels.value() / heads, rotary.value()));
  }
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

/// Rotates the R first of the channels of one head.
void Rotate(const double* x, const double* cosine, const double* sine, size_t rotary,
            bool is_interleaved, double* y) {
  const size_t half = rotary / 2;
  for (size_t i = 0; i < half; ++i) {
    const size_t first = is_interleaved ? 2 * i : i;
    const size_t second = is_interleaved ? 2 * i + 1 : i + half;
    const size_t second_column = is_interleaved ? i : i + half;
    y[first] = x[first] * cosine[i] - x[second] * sine[i];
    y[second] = x[second] * cosine[second_column] + x[first] * sine[second_column];
  }
}

Status EvaluateRope(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& cosine = context.in(1);
  const Tensor& sine = context.in(2);
  Tensor& y = context.out();
  y.floats = x.floats;
  const auto heads = static_cast<size_t>(context.Int("num_heads"));
  const auto channels = static_cast<size_t>(x.dims[2]);
  const auto rotary = static_cast<size_t>(cosine.dims[2]);
  const auto tokens = static_cast<size_t>(x.dims[1]);
  const bool is_interleaved = context.Int("interleaved") != 0;
  for (size_t row = 0; row < static_cast<size_t>(x.dims[0]) * tokens; ++row) {
    const size_t cos_row = cosine.dims[0] == 1 ? row % tokens : row;
    const size_t sin_row = sine.dims[0] == 1 ? row % tokens : row;
    for (size_t head = 0; head < heads; ++head) {
      const size_t begin = row * channels + head * (channels / heads);
      Rotate(x.floats.data() + begin, cosine.floats.data() + cos_row * rotary,
             sine.floats.data() + sin_row * rotary, rotary, is_interleaved,
             y.floats.data() + begin);
    }
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> RopeOps() {
  return {{{.domain = ir::kQeffDomain,
            .op_type = "Rope",
            .min_inputs = 3,
            .max_inputs = 3,
            .attributes = {RequiredAttribute("num_heads", AttributeKind::kInt),
                           IntAttribute("interleaved", 0)}},
           InferRope,
           EvaluateRope}};
}

}  // namespace qeff::ops
