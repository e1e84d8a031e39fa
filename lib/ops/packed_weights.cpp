// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Weights of a few bits.
//   com.qti.aisw.onnx.CastToUInt4(packed u8 [.., n]) -> u4 [.., 2n]: low nibble first.
//   com.microsoft.MatMulNBits<K, N, bits = 4, block_size = g>(x [.., K], q u8 [N, K/g, g/2],
//     scales [N * K/g], zeros u8 [N * ceil(K/g/2)], groups i32 [K]) -> [.., N]: y = x W^T with W[n,
//     k] = (q[n, k] - zero[n, k/g]) * scale[n, k/g]; low nibbles first; zero is 8 without `zeros`;
//     `groups` gives the block of each k instead of k/g.
#include "lib/ops/matrix.h"
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

Status InferCastToUInt4(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectDType(0, DType::kU8));
  if (context.rank(0) == 0) return context.Invalid("expected rank 1 or more");
  ir::Shape shape = context.shape(0);
  shape.back() = (SymbolicInt::FromDim(shape.back()) * 2).ToDim();
  context.SetOutput(0, DType::kU4, std::move(shape));
  return Status::Ok();
}

Status EvaluateCastToUInt4(EvaluateContext& context) {
  const std::vector<int64_t>& packed = context.in(0).ints;
  for (size_t i = 0; i < packed.size(); ++i) {
    context.out().ints[2 * i] = packed[i] & 0xf;
    context.out().ints[2 * i + 1] = packed[i] >> 4;
  }
  return Status::Ok();
}

struct Blocks {
  int64_t depth = 0;    // K
  int64_t columns = 0;  // N
  int64_t size = 0;     // g
  int64_t per_column() const { return (depth + size - 1) / size; }
};

Result<Blocks> ReadBlocks(const NodeContext& context) {
  const Blocks blocks{context.Int("K"), context.Int("N"), context.Int("block_size")};
  constexpr int64_t kMost = int64_t{1} << 24;
  if (blocks.depth < 1 || blocks.depth > kMost || blocks.columns < 1 || blocks.columns > kMost) {
    return context.Invalid(fmt::format("attributes 'K' and 'N': expected 1 to 2^24, got {} and {}",
                                       blocks.depth, blocks.columns));
  }
  if (blocks.size < 2 || blocks.size > kMost || blocks.size % 2 != 0) {
    return context.Invalid(
        fmt::format("attribute 'block_size': expected an even number, got {}", blocks.size));
  }
  if (context.Int("bits") != 4) {
    return context.Unsupported(
        fmt::format("attribute 'bits': expected 4, got {}", context.Int("bits")));
  }
  return blocks;
}

Status ExpectElements(const InferContext& context, size_t input, int64_t count) {
  const SymbolicInt actual = SizeProduct(context.shape(input));
  if (!actual.is_number() || actual.number() == count) return Status::Ok();
  return context.Invalid(
      fmt::format("input {}: expected {} elements, got {}", input, count, context.TypeText(input)));
}

Status InferMatMulNBits(InferContext& context) {
  QEFF_ASSIGN_OR_RETURN(const Blocks blocks, ReadBlocks(context));
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  QEFF_RETURN_IF_ERROR(context.ExpectDType(1, DType::kU8));
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(2));
  if (context.rank(0) == 0) return context.Invalid("input 0: expected rank 1 or more");
  QEFF_RETURN_IF_ERROR(context.ExpectSize(0, context.rank(0) - 1, blocks.depth));
  const int64_t count = blocks.columns * blocks.per_column();
  QEFF_RETURN_IF_ERROR(ExpectElements(context, 1, count * (blocks.size / 2)));
  QEFF_RETURN_IF_ERROR(ExpectElements(context, 2, count));
  if (context.Has(3)) {
    QEFF_RETURN_IF_ERROR(context.ExpectDType(3, DType::kU8));
    QEFF_RETURN_IF_ERROR(
        ExpectElements(context, 3, blocks.columns * ((blocks.per_column() + 1) / 2)));
  }
  if (context.Has(4)) {
    QEFF_RETURN_IF_ERROR(context.ExpectInteger(4));
    QEFF_RETURN_IF_ERROR(ExpectElements(context, 4, blocks.depth));
  }
  ir::Shape shape = context.shape(0);
  shape.back() = blocks.columns;
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

int64_t Nibble(const std::vector<int64_t>& bytes, int64_t index) {
  return bytes[static_cast<size_t>(index / 2)] >> (index % 2 * 4) & 0xf;
}

Status EvaluateMatMulNBits(EvaluateContext& context) {
  QEFF_ASSIGN_OR_RETURN(const Blocks blocks, ReadBlocks(context));
  const int64_t per_column = blocks.per_column();
  const int64_t padded_zeros = (per_column + 1) / 2 * 2;
  std::vector<double> weight(static_cast<size_t>(blocks.columns * blocks.depth));
  for (int64_t n = 0; n < blocks.columns; ++n) {
    for (int64_t k = 0; k < blocks.depth; ++k) {
      int64_t block = k / blocks.size;
      if (context.Has(4)) {
        QEFF_ASSIGN_OR_RETURN(
            block, CheckedIndex(context, context.in(4).ints[static_cast<size_t>(k)], per_column));
      }
      const int64_t zero =
          context.Has(3) ? Nibble(context.in(3).ints, n * padded_zeros + block) : 8;
      const int64_t q = Nibble(context.in(1).ints, n * per_column * blocks.size + k);
      weight[static_cast<size_t>(n * blocks.depth + k)] =
          static_cast<double>(q - zero) *
          context.in(2).floats[static_cast<size_t>(n * per_column + block)];
    }
  }
  const auto depth = static_cast<size_t>(blocks.depth);
  const std::vector<double>& x = context.in(0).floats;
  context.out().floats =
      MultiplyByRows(x, weight, {}, x.size() / depth, static_cast<size_t>(blocks.columns), depth);
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> PackedWeightsOps() {
  return {{{.domain = ir::kAiswDomain, .op_type = "CastToUInt4"},
           InferCastToUInt4,
           EvaluateCastToUInt4},
          {{.domain = "com.microsoft",
            .op_type = "MatMulNBits",
            .min_inputs = 3,
            .max_inputs = 5,
            .attributes = {RequiredAttribute("K", AttributeKind::kInt),
                           RequiredAttribute("N", AttributeKind::kInt), IntAttribute("bits", 4),
                           RequiredAttribute("block_size", AttributeKind::kInt),
                           IntAttribute("accuracy_level", 0)}},
           InferMatMulNBits,
           EvaluateMatMulNBits}};
}

}  // namespace qeff::ops
