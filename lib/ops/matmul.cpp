// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// MatMul(a, b) with broadcast leading axes, as numpy's; Gemm<alpha, beta, transA, transB>(a, b, c)
// = alpha * a b + beta * c.
#include "lib/ops/matrix.h"
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

/// Shapes of the operands as matrices: a vector on the left is a row, on the right a column.
template <typename Dims>
void MakeMatrices(Dims* a, Dims* b) {
  if (a->size() == 1) a->insert(a->begin(), 1);
  if (b->size() == 1) b->push_back(1);
}

Status InferMatMul(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, 1));
  if (context.rank(0) == 0 || context.rank(1) == 0) {
    return context.Invalid(
        fmt::format("expected matrices, got {} and {}", context.TypeText(0), context.TypeText(1)));
  }
  ir::Shape a = context.shape(0);
  ir::Shape b = context.shape(1);
  MakeMatrices(&a, &b);
  const ir::Dim& depth = a.back();
  const ir::Dim& rows = b[b.size() - 2];
  if (depth.is_number() && rows.is_number() && depth != rows) {
    return context.Invalid(fmt::format("expected {} rows on the right, got {} times {}",
                                       depth.value(), context.TypeText(0), context.TypeText(1)));
  }
  QEFF_ASSIGN_OR_RETURN(ir::Shape shape, BroadcastShapes(context, ir::Shape(a.begin(), a.end() - 2),
                                                         ir::Shape(b.begin(), b.end() - 2)));
  if (context.rank(0) > 1) shape.push_back(a[a.size() - 2]);
  if (context.rank(1) > 1) shape.push_back(b.back());
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

Status EvaluateMatMul(EvaluateContext& context) {
  std::vector<int64_t> a_dims = context.in(0).dims;
  std::vector<int64_t> b_dims = context.in(1).dims;
  MakeMatrices(&a_dims, &b_dims);
  const auto rows = a_dims[a_dims.size() - 2];
  const auto depth = a_dims.back();
  const auto columns = b_dims.back();
  a_dims.resize(a_dims.size() - 2);
  b_dims.resize(b_dims.size() - 2);
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> batch, BroadcastDims(context, a_dims, b_dims));
  const std::vector<int64_t> a_offsets = Offsets(batch, BroadcastStrides(a_dims, batch));
  const std::vector<int64_t> b_offsets = Offsets(batch, BroadcastStrides(b_dims, batch));
  Tensor& y = context.out();
  const auto multiply = [&](const auto& a, const auto& b, auto& out) {
    for (size_t i = 0; i < a_offsets.size(); ++i) {
      const auto* left = a.data() + a_offsets[i] * rows * depth;
      const auto* right = b.data() + b_offsets[i] * depth * columns;
      auto* result = out.data() + static_cast<int64_t>(i) * rows * columns;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t k = 0; k < depth; ++k) {
          const auto factor = left[r * depth + k];
          for (int64_t n = 0; n < columns; ++n) {
            auto& sum = result[r * columns + n];
            sum = WrappingAdd(sum, WrappingMultiply(factor, right[k * columns + n]));
          }
        }
      }
    }
  };
  if (y.is_float()) {
    multiply(context.in(0).floats, context.in(1).floats, y.floats);
  } else {
    multiply(context.in(0).ints, context.in(1).ints, y.ints);
    for (int64_t& element : y.ints) element = WrapToInt(element, y.dtype);
  }
  return Status::Ok();
}

struct GemmDims {
  ir::Dim rows;
  ir::Dim columns;
};

Result<GemmDims> CheckGemm(const InferContext& context) {
  for (size_t i = 0; i < 2; ++i) QEFF_RETURN_IF_ERROR(context.ExpectRank(i, 2));
  const size_t a_rows = context.Int("transA") != 0 ? 1 : 0;
  const size_t b_rows = context.Int("transB") != 0 ? 1 : 0;
  const ir::Dim& depth = context.shape(0)[1 - a_rows];
  QEFF_RETURN_IF_ERROR(context.ExpectSize(1, static_cast<int64_t>(b_rows), depth));
  return GemmDims{context.shape(0)[a_rows], context.shape(1)[1 - b_rows]};
}

Status InferGemm(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, 1));
  QEFF_ASSIGN_OR_RETURN(const GemmDims dims, CheckGemm(context));
  const ir::Shape shape = {dims.rows, dims.columns};
  if (context.Has(2)) {
    QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, 2));
    QEFF_ASSIGN_OR_RETURN(const ir::Shape both, BroadcastShapes(context, shape, context.shape(2)));
    const auto numbers = ir::StaticDims(both);
    if (both.size() != 2 || (numbers && ir::StaticDims(shape) && both != shape)) {
      return context.Invalid(fmt::format("input 2: expected sizes that broadcast to {}, got {}",
                                         ir::ShapeToString(shape), context.TypeText(2)));
    }
  }
  context.SetOutput(0, context.dtype(0), shape);
  return Status::Ok();
}

Status EvaluateGemm(EvaluateContext& context) {
  const Tensor& a = context.in(0);
  const Tensor& b = context.in(1);
  Tensor& y = context.out();
  const int64_t rows = y.dims[0];
  const int64_t columns = y.dims[1];
  const bool a_is_transposed = context.Int("transA") != 0;
  const bool b_is_transposed = context.Int("transB") != 0;
  const int64_t depth = a.dims[a_is_transposed ? 0 : 1];
  const double alpha = context.Float("alpha");
  const double beta = context.Float("beta");
  std::vector<int64_t> c_offsets;
  if (context.Has(2)) c_offsets = Offsets(y.dims, BroadcastStrides(context.in(2).dims, y.dims));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < columns; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k) {
        const int64_t left = a_is_transposed ? k * rows + r : r * depth + k;
        const int64_t right = b_is_transposed ? n * depth + k : k * columns + n;
        sum += a.floats[static_cast<size_t>(left)] * b.floats[static_cast<size_t>(right)];
      }
      const auto at = static_cast<size_t>(r * columns + n);
      y.floats[at] = alpha * sum;
      if (context.Has(2)) {
        y.floats[at] += beta * context.in(2).floats[static_cast<size_t>(c_offsets[at])];
      }
    }
  }
  return Status::Ok();
}

}  // namespace

std::vector<double> MultiplyByRows(std::span<const double> x, std::span<const double> weight,
                                   std::span<const double> bias, size_t rows, size_t columns,
                                   size_t depth) {
  std::vector<double> y(rows * columns);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t n = 0; n < columns; ++n) {
      double sum = bias.empty() ? 0 : bias[n];
      for (size_t k = 0; k < depth; ++k) sum += x[r * depth + k] * weight[n * depth + k];
      y[r * columns + n] = sum;
    }
  }
  return y;
}

std::vector<OpDefinition> MatMulOps() {
  return {{{.domain = "", .op_type = "MatMul", .min_inputs = 2, .max_inputs = 2},
           InferMatMul,
           EvaluateMatMul},
          {{.domain = "",
            .op_type = "Gemm",
            .min_inputs = 2,
            .max_inputs = 3,
            .attributes = {FloatAttribute("alpha", 1), FloatAttribute("beta", 1),
                           IntAttribute("transA", 0), IntAttribute("transB", 0)}},
           InferGemm,
           EvaluateGemm}};
}

}  // namespace qeff::ops
