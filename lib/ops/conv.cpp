// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Conv(x [B, C, s..], weight [M, C / group, k..], bias [M]) -> [B, M, t..] with
//   y[b, m, p] = bias[m] + sum over c, q of weight[m, c, q] * x[b, first(m) + c, p * stride + q *
//   dilation - pad_begin], elements outside of x being 0, and
//   t = (s + pad_begin + pad_end - dilation * (k - 1) - 1) / stride + 1.
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

struct Window {
  int64_t stride = 1;
  int64_t dilation = 1;
  int64_t pad_begin = 0;
  int64_t pad_end = 0;
};

/// A list attribute with one number per spatial axis, or its fallback.
Result<std::vector<int64_t>> PerAxis(const NodeContext& context, std::string_view name,
                                     size_t count, int64_t lowest, int64_t fallback) {
  if (!context.HasAttribute(name)) return std::vector<int64_t>(count, fallback);
  const std::vector<int64_t>& values = context.Ints(name);
  bool fits = values.size() == count;
  for (const int64_t value : values) fits = fits && value >= lowest && value < (int64_t{1} << 31);
  if (fits) return values;
  return context.Invalid(fmt::format("attribute '{}': expected {} numbers of at least {}, got [{}]",
                                     name, count, lowest, fmt::join(values, ", ")));
}

Result<std::vector<Window>> Windows(const NodeContext& context, size_t axes) {
  const std::string& padding = context.String("auto_pad");
  if (padding != "NOTSET" && padding != "VALID") {
    return context.Unsupported(fmt::format("attribute 'auto_pad': '{}'", padding),
                               {"export the model with explicit pads"});
  }
  QEFF_ASSIGN_OR_RETURN(const auto strides, PerAxis(context, "strides", axes, 1, 1));
  QEFF_ASSIGN_OR_RETURN(const auto dilations, PerAxis(context, "dilations", axes, 1, 1));
  QEFF_ASSIGN_OR_RETURN(const auto pads, PerAxis(context, "pads", 2 * axes, 0, 0));
  std::vector<Window> windows;
  for (size_t i = 0; i < axes; ++i) {
    windows.push_back({strides[i], dilations[i], pads[i], pads[axes + i]});
  }
  return windows;
}

ir::Dim OutputSize(const Window& window, const ir::Dim& size, const ir::Dim& kernel) {
  const SymbolicInt span = SymbolicInt::FromDim(size) + (window.pad_begin + window.pad_end - 1) -
                           (SymbolicInt::FromDim(kernel) - 1) * window.dilation;
  if (!span.is_number()) return (span.FloorDivide(window.stride) + 1).ToDim();
  return span.number() < 0 ? ir::Dim(int64_t{0}) : ir::Dim(span.number() / window.stride + 1);
}

Status InferConv(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, 1));
  const int64_t rank = context.rank(0);
  if (rank < 3)
    return context.Invalid("input 0: expected rank 3 or more, got " + context.TypeText(0));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(1, rank));
  const ir::Shape& x = context.shape(0);
  const ir::Shape& weight = context.shape(1);
  const int64_t group = context.Int("group");
  if (group < 1 || (weight[0].is_number() && weight[0].value() % group != 0)) {
    return context.Invalid(fmt::format("attribute 'group': expected a divisor of {}, got {}",
                                       weight[0].ToString(), group));
  }
  if (weight[1].is_number()) {
    QEFF_RETURN_IF_ERROR(
        context.ExpectSize(0, 1, (SymbolicInt(weight[1].value()) * group).ToDim()));
  }
  if (context.Has(2)) {
    QEFF_RETURN_IF_ERROR(context.ExpectRank(2, 1));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(2, 0, weight[0]));
  }
  const auto axes = static_cast<size_t>(rank - 2);
  QEFF_ASSIGN_OR_RETURN(const std::vector<Window> windows, Windows(context, axes));
  ir::Shape shape = {x[0], weight[0]};
  for (size_t i = 0; i < axes; ++i) {
    shape.push_back(OutputSize(windows[i], x[i + 2], weight[i + 2]));
  }
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateConv(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& weight = context.in(1);
  Tensor& y = context.out();
  const size_t axes = x.dims.size() - 2;
  QEFF_ASSIGN_OR_RETURN(const std::vector<Window> windows, Windows(context, axes));
  const std::span<const int64_t> x_spatial = std::span(x.dims).subspan(2);
  const std::span<const int64_t> y_spatial = std::span(y.dims).subspan(2);
  const std::span<const int64_t> k_spatial = std::span(weight.dims).subspan(2);
  const int64_t x_size = CheckedElementCount(x_spatial);
  const int64_t y_size = CheckedElementCount(y_spatial);
  const int64_t k_size = CheckedElementCount(k_spatial);
  const int64_t channels = weight.dims[1];
  const int64_t out_channels = weight.dims[0];
  const int64_t per_group = out_channels / context.Int("group");
  const std::vector<int64_t> x_strides = Strides(x_spatial);
  const std::vector<int64_t> y_strides = Strides(y_spatial);
  const std::vector<int64_t> k_strides = Strides(k_spatial);
  // Position in x's spatial axes of kernel element q at output position p, or -1 in the padding.
  const auto source = [&](int64_t p, int64_t q) {
    int64_t offset = 0;
    for (size_t i = 0; i < axes; ++i) {
      const int64_t at = p / y_strides[i] % y_spatial[i] * windows[i].stride +
                         q / k_strides[i] % k_spatial[i] * windows[i].dilation -
                         windows[i].pad_begin;
      if (at < 0 || at >= x_spatial[i]) return int64_t{-1};
      offset += at * x_strides[i];
    }
    return offset;
  };
  for (int64_t p = 0; p < y_size; ++p) {
    for (int64_t q = 0; q < k_size; ++q) {
      const int64_t at = source(p, q);
      if (at < 0) continue;
      for (int64_t bm = 0; bm < x.dims[0] * out_channels; ++bm) {
        const int64_t m = bm % out_channels;
        const int64_t first = bm / out_channels * x.dims[1] + m / per_group * channels;
        double& sum = y.floats[static_cast<size_t>(bm * y_size + p)];
        for (int64_t c = 0; c < channels; ++c) {
          sum += weight.floats[static_cast<size_t>((m * channels + c) * k_size + q)] *
                 x.floats[static_cast<size_t>((first + c) * x_size + at)];
        }
      }
    }
  }
  if (!context.Has(2)) return Status::Ok();
  for (size_t i = 0; i < y.floats.size(); ++i) {
    const int64_t m = static_cast<int64_t>(i) / y_size % out_channels;
    y.floats[i] += context.in(2).floats[static_cast<size_t>(m)];
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> ConvOps() {
  return {{{.domain = "",
            .op_type = "Conv",
            .min_inputs = 2,
            .max_inputs = 3,
            .attributes = {StringAttribute("auto_pad", "NOTSET"), IntAttribute("group", 1),
                           OptionalAttribute("dilations", AttributeKind::kInts),
                           OptionalAttribute("kernel_shape", AttributeKind::kInts),
                           OptionalAttribute("pads", AttributeKind::kInts),
                           OptionalAttribute("strides", AttributeKind::kInts)}},
           InferConv,
           EvaluateConv}};
}

}  // namespace qeff::ops
