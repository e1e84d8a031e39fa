// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cast(x)<to> and CastLike(x, like): conversion of elements. To a float: rounded to it, ties to
// even. Float to integer: the fraction is cut off, beyond the range clamped (ONNX leaves that
// open). Integer to integer: low bits. To bool: not zero.
#include "lib/ops/context.h"

namespace qeff::ops {
namespace {

/// ONNX's TensorProto.DataType.
std::optional<DType> FromOnnxNumber(int64_t number) {
  switch (number) {
    case 1:
      return DType::kF32;
    case 2:
      return DType::kU8;
    case 3:
      return DType::kI8;
    case 4:
      return DType::kU16;
    case 5:
      return DType::kI16;
    case 6:
      return DType::kI32;
    case 7:
      return DType::kI64;
    case 9:
      return DType::kBool;
    case 10:
      return DType::kF16;
    case 11:
      return DType::kF64;
    case 12:
      return DType::kU32;
    case 13:
      return DType::kU64;
    case 16:
      return DType::kBf16;
    case 21:
      return DType::kU4;
    case 22:
      return DType::kI4;
    default:
      return std::nullopt;
  }
}

Status InferCast(InferContext& context) {
  const std::optional<DType> dtype = FromOnnxNumber(context.Int("to"));
  if (!dtype) {
    return context.Unsupported(
        fmt::format("attribute 'to': no element type has the number {}", context.Int("to")));
  }
  context.SetOutput(0, *dtype, context.shape(0));
  return Status::Ok();
}

Status InferCastLike(InferContext& context) {
  context.SetOutput(0, context.dtype(1), context.shape(0));
  return Status::Ok();
}

Status EvaluateCast(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  Tensor& y = context.out();
  for (int64_t i = 0; i < x.element_count(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (y.is_float()) {
      y.floats[at] = RoundToFloat(x.number(i), y.dtype);
    } else if (x.is_float()) {
      y.ints[at] = FloatToInt(x.floats[at], y.dtype);
    } else {
      y.ints[at] = WrapToInt(x.ints[at], y.dtype);
    }
  }
  return Status::Ok();
}

/// Sizes fit every dtype that models cast them to.
SymbolicInt SameElement(const SymbolicInt& x, const SymbolicInt&) { return x; }

}  // namespace

std::vector<OpDefinition> CastOps() {
  return {{{.domain = "",
            .op_type = "Cast",
            .attributes = {RequiredAttribute("to", AttributeKind::kInt)}},
           InferCast,
           EvaluateCast,
           {.combine = SameElement}},
          {{.domain = "", .op_type = "CastLike", .min_inputs = 2, .max_inputs = 2},
           InferCastLike,
           EvaluateCast}};
}

}  // namespace qeff::ops
