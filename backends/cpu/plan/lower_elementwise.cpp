// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Ops on elements, with ONNX's broadcasting.
#include "backends/cpu/plan/lowering.h"
#include "backends/cpu/plan/strided_params.h"

namespace qeff::cpu {
namespace {

template <typename Op>
struct OpName {
  std::string_view name;
  Op op;
};

constexpr OpName<BinaryOp> kBinaryOps[] = {
    {"Add", BinaryOp::kAdd},
    {"Sub", BinaryOp::kSub},
    {"Mul", BinaryOp::kMul},
    {"Div", BinaryOp::kDiv},
    {"Pow", BinaryOp::kPow},
    {"Mod", BinaryOp::kModFloor},
    {"Min", BinaryOp::kMin},
    {"Max", BinaryOp::kMax},
    {"Equal", BinaryOp::kEqual},
    {"Less", BinaryOp::kLess},
    {"LessOrEqual", BinaryOp::kLessOrEqual},
    {"Greater", BinaryOp::kGreater},
    {"GreaterOrEqual", BinaryOp::kGreaterOrEqual},
    {"And", BinaryOp::kAnd},
    {"Or", BinaryOp::kOr},
    {"Xor", BinaryOp::kXor},
};

constexpr OpName<UnaryOp> kUnaryOps[] = {
    {"Abs", UnaryOp::kAbs},
    {"Ceil", UnaryOp::kCeil},
    {"Cos", UnaryOp::kCos},
    {"Erf", UnaryOp::kErf},
    {"Exp", UnaryOp::kExp},
    {"Floor", UnaryOp::kFloor},
    {"IsNaN", UnaryOp::kIsNaN},
    {"Log", UnaryOp::kLog},
    {"Neg", UnaryOp::kNeg},
    {"Not", UnaryOp::kNot},
    {"Reciprocal", UnaryOp::kReciprocal},
    {"Relu", UnaryOp::kRelu},
    {"Round", UnaryOp::kRound},
    {"Sigmoid", UnaryOp::kSigmoid},
    {"Sign", UnaryOp::kSign},
    {"Sin", UnaryOp::kSin},
    {"Softplus", UnaryOp::kSoftplus},
    {"Sqrt", UnaryOp::kSqrt},
    {"Tanh", UnaryOp::kTanh},
};

template <typename Op, size_t kCount>
std::optional<Op> FindOp(const OpName<Op> (&names)[kCount], std::string_view name) {
  for (const OpName<Op>& entry : names) {
    if (entry.name == name) return entry.op;
  }
  return std::nullopt;
}

bool IsArithmeticDType(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kI64 || dtype == DType::kI32;
}

Work ElementWork(const View& out, const StepDims& dims) {
  return {.units = RunCount(dims), .amount = static_cast<double>(ElementCount(out))};
}

/// out = a op b.
Status AddBinary(GraphLowering& lowering, const ir::Node& node, BinaryOp op, const View& a,
                 const View& b, const View& out) {
  const bool is_logical = op >= BinaryOp::kAnd;
  const bool is_known = a.dtype == DType::kBool ? is_logical || op == BinaryOp::kEqual
                                                : IsArithmeticDType(a.dtype) && !is_logical;
  if (!is_known || a.dtype != b.dtype) {
    return lowering.Unsupported(
        node, fmt::format("operands {} and {}", DTypeName(a.dtype), DTypeName(b.dtype)));
  }
  const BinaryParams params = {.dims = StepDimsOf(out.dims),
                               .a_strides = StepStridesFor(a, out.dims),
                               .b_strides = StepStridesFor(b, out.dims),
                               .out_strides = StepStridesFor(out, out.dims),
                               .op = op,
                               .dtype = static_cast<StoredDType>(a.dtype)};
  lowering.builder().AddStep(StepOp::kBinary, node.name(), params,
                             {Reads(a), Reads(b), Writes(out)}, ElementWork(out, params.dims));
  return Status::Ok();
}

struct ScalarOperands {
  View x;
  float scalar;
};

/// out = x op scalar.
Status AddScalarOp(GraphLowering& lowering, const ir::Node& node, BinaryOp op,
                   const ScalarOperands& operands, const View& out) {
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace place,
                        lowering.constants().AddPlain(ir::MakeFloatScalar(operands.scalar)));
  const View scalar = lowering.ConstantView(place, DType::kF32, {});
  return AddBinary(lowering, node, op, operands.x, scalar, out);
}

}  // namespace

Status LowerBinary(GraphLowering& lowering, const ir::Node& node) {
  std::optional<BinaryOp> op = FindOp(kBinaryOps, node.op_type());
  if (op == BinaryOp::kModFloor && node.IntAttribute("fmod", 0) != 0) op = BinaryOp::kModTrunc;
  if (!op || node.inputs().size() < 2) {
    return lowering.Unsupported(node, "expected two inputs or more");
  }
  QEFF_ASSIGN_OR_RETURN(View a, lowering.Get(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  for (size_t i = 1; i < node.inputs().size(); ++i) {  // Min and Max take any number
    QEFF_ASSIGN_OR_RETURN(const View b, lowering.Get(node.input(i)));
    QEFF_RETURN_IF_ERROR(AddBinary(lowering, node, *op, a, b, out));
    a = out;
  }
  return Status::Ok();
}

Status LowerClip(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(View x, lowering.Get(node.input(0)));
  if (node.input(1) == nullptr && node.input(2) == nullptr) return LowerIdentity(lowering, node);
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  for (const size_t bound : {1, 2}) {
    if (node.input(bound) == nullptr) continue;
    QEFF_ASSIGN_OR_RETURN(const View limit, lowering.Get(node.input(bound)));
    const BinaryOp op = bound == 1 ? BinaryOp::kMax : BinaryOp::kMin;
    QEFF_RETURN_IF_ERROR(AddBinary(lowering, node, op, x, limit, out));
    x = out;
  }
  return Status::Ok();
}

// LeakyRelu is the larger of x and alpha x, for alpha > 1 the smaller. For alpha = 0, min(x, 0)
// takes the place of x in the product, which for infinity would be no number.
Status LowerLeakyRelu(GraphLowering& lowering, const ir::Node& node) {
  const float alpha = node.FloatAttribute("alpha", 0.01F);
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  if (alpha == 0) QEFF_RETURN_IF_ERROR(AddScalarOp(lowering, node, BinaryOp::kMin, {x, 0}, out));
  const View& scaled = alpha == 0 ? out : x;
  QEFF_RETURN_IF_ERROR(AddScalarOp(lowering, node, BinaryOp::kMul, {scaled, alpha}, out));
  return AddBinary(lowering, node, alpha > 1 ? BinaryOp::kMin : BinaryOp::kMax, x, out, out);
}

// HardSwish is x * min(max(x + 3, 0), 6) / 6.
Status LowerHardSwish(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  QEFF_RETURN_IF_ERROR(AddScalarOp(lowering, node, BinaryOp::kAdd, {x, 3}, out));
  QEFF_RETURN_IF_ERROR(AddScalarOp(lowering, node, BinaryOp::kMax, {out, 0}, out));
  QEFF_RETURN_IF_ERROR(AddScalarOp(lowering, node, BinaryOp::kMin, {out, 6}, out));
  QEFF_RETURN_IF_ERROR(AddBinary(lowering, node, BinaryOp::kMul, x, out, out));
  return AddScalarOp(lowering, node, BinaryOp::kDiv, {out, 6}, out);
}

Status LowerUnary(GraphLowering& lowering, const ir::Node& node) {
  const std::optional<UnaryOp> op = FindOp(kUnaryOps, node.op_type());
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  const bool takes_integers = op == UnaryOp::kAbs || op == UnaryOp::kNeg || op == UnaryOp::kSign;
  const bool is_known = op == UnaryOp::kNot ? x.dtype == DType::kBool
                                            : x.dtype == DType::kF32 ||
                                                  (takes_integers && IsArithmeticDType(x.dtype));
  if (!op || !is_known)
    return lowering.Unsupported(node, fmt::format("operand {}", DTypeName(x.dtype)));
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const UnaryParams params = {.dims = StepDimsOf(out.dims),
                              .x_strides = StepStridesFor(x, out.dims),
                              .out_strides = StepStridesFor(out, out.dims),
                              .op = *op,
                              .dtype = static_cast<StoredDType>(x.dtype)};
  lowering.builder().AddStep(StepOp::kUnary, node.name(), params, {Reads(x), Writes(out)},
                             ElementWork(out, params.dims));
  return Status::Ok();
}

Status LowerCast(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  const DType target = HeldDType(node.output()->type().dtype.value_or(x.dtype));
  if (target == x.dtype) return LowerIdentity(lowering, node);
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  lowering.AddCopy(x, out, node.name());
  return Status::Ok();
}

Status LowerWhere(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View condition, lowering.Get(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(const View a, lowering.Get(node.input(1)));
  QEFF_ASSIGN_OR_RETURN(const View b, lowering.Get(node.input(2)));
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  return AddWhere(lowering, node, {condition, a, b}, out);
}

Status AddWhere(GraphLowering& lowering, const ir::Node& node, const Choice& choice,
                const View& out) {
  const auto& [condition, a, b] = choice;
  if (condition.dtype != DType::kBool || a.dtype != b.dtype || a.dtype != out.dtype) {
    return lowering.Unsupported(node, "expected a bool condition and two values of one dtype");
  }
  const WhereParams params = {.dims = StepDimsOf(out.dims),
                              .condition_strides = StepStridesFor(condition, out.dims),
                              .a_strides = StepStridesFor(a, out.dims),
                              .b_strides = StepStridesFor(b, out.dims),
                              .out_strides = StepStridesFor(out, out.dims),
                              .element_bytes = ElementBytes(out.dtype)};
  lowering.builder().AddStep(StepOp::kWhere, node.name(), params,
                             {Reads(condition), Reads(a), Reads(b), Writes(out)},
                             ElementWork(out, params.dims));
  return Status::Ok();
}

}  // namespace qeff::cpu
