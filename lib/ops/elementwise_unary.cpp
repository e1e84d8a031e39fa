// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// ONNX ops y[i] = f(x[i]): the output has the type of the input (bool for IsNaN, IsInf).
#include <cmath>

#include "lib/ops/context.h"

namespace qeff::ops {
namespace {

enum class Domain { kFloat, kNumber, kBool };

template <Domain domain>
Status InferUnary(InferContext& context) {
  if constexpr (domain == Domain::kFloat) QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  if constexpr (domain == Domain::kBool) {
    QEFF_RETURN_IF_ERROR(context.ExpectDType(0, DType::kBool));
  }
  if (domain == Domain::kNumber && context.dtype(0) == DType::kBool) {
    return context.Invalid("input 0: expected numbers, got " + context.TypeText(0));
  }
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

template <auto function>
Status EvaluateFloats(EvaluateContext& context) {
  const std::vector<double>& x = context.in(0).floats;
  for (size_t i = 0; i < x.size(); ++i) context.out().floats[i] = function(x[i]);
  return Status::Ok();
}

/// A function of the element and attribute `alpha`.
template <auto function>
Status EvaluateWithAlpha(EvaluateContext& context) {
  const double alpha = context.Float("alpha");
  const std::vector<double>& x = context.in(0).floats;
  for (size_t i = 0; i < x.size(); ++i) context.out().floats[i] = function(x[i], alpha);
  return Status::Ok();
}

template <auto function, auto int_function>
Status EvaluateNumbers(EvaluateContext& context) {
  const std::vector<int64_t>& x = context.in(0).ints;
  for (size_t i = 0; i < x.size(); ++i) {
    context.out().ints[i] = WrapToInt(int_function(x[i]), context.in(0).dtype);
  }
  return EvaluateFloats<function>(context);
}

/// Unsigned, so that the lowest number negates to itself as in hardware.
int64_t NegateInt(int64_t x) { return static_cast<int64_t>(-static_cast<uint64_t>(x)); }

Status InferTest(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  context.SetOutput(0, DType::kBool, context.shape(0));
  return Status::Ok();
}

Status EvaluateIsNaN(EvaluateContext& context) {
  const std::vector<double>& x = context.in(0).floats;
  for (size_t i = 0; i < x.size(); ++i) context.out().ints[i] = std::isnan(x[i]) ? 1 : 0;
  return Status::Ok();
}

Status EvaluateIsInf(EvaluateContext& context) {
  const bool positive = context.Int("detect_positive") != 0;
  const bool negative = context.Int("detect_negative") != 0;
  const std::vector<double>& x = context.in(0).floats;
  for (size_t i = 0; i < x.size(); ++i) {
    context.out().ints[i] = std::isinf(x[i]) && (x[i] > 0 ? positive : negative) ? 1 : 0;
  }
  return Status::Ok();
}

Status EvaluateNot(EvaluateContext& context) {
  const std::vector<int64_t>& x = context.in(0).ints;
  for (size_t i = 0; i < x.size(); ++i) context.out().ints[i] = x[i] == 0 ? 1 : 0;
  return Status::Ok();
}

SymbolicInt SameElement(const SymbolicInt& x, const SymbolicInt&) { return x; }
SymbolicInt NegateSymbolic(const SymbolicInt& x, const SymbolicInt&) { return x * -1; }

OpDefinition FloatOp(std::string_view name, Status (*evaluate)(EvaluateContext&)) {
  return {{.domain = "", .op_type = name}, InferUnary<Domain::kFloat>, evaluate};
}

/// Rounding ops leave integral values, sizes among them, as they are.
OpDefinition RoundingOp(std::string_view name, Status (*evaluate)(EvaluateContext&)) {
  OpDefinition op = FloatOp(name, evaluate);
  op.symbolic.combine = SameElement;
  return op;
}

OpDefinition NumberOp(std::string_view name, Status (*evaluate)(EvaluateContext&)) {
  return {{.domain = "", .op_type = name}, InferUnary<Domain::kNumber>, evaluate};
}

OpDefinition AlphaOp(std::string_view name, float fallback, Status (*evaluate)(EvaluateContext&)) {
  OpDefinition op = FloatOp(name, evaluate);
  op.schema.attributes = {FloatAttribute("alpha", fallback)};
  return op;
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double AbsFloat(double x) { return std::fabs(x); }
int64_t AbsInt(int64_t x) { return x < 0 ? NegateInt(x) : x; }
double ReluFloat(double x) { return x < 0 ? 0 : x; }
int64_t ReluInt(int64_t x) { return x < 0 ? 0 : x; }
int64_t SignInt(int64_t x) { return (x > 0) - (x < 0); }
double Sign(double x) { return std::isnan(x) ? x : (x > 0) - (x < 0); }
// log(1 + e^x) without overflow.
double Softplus(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }

}  // namespace

std::vector<OpDefinition> ElementwiseUnaryOps() {
  std::vector<OpDefinition> ops = {
      FloatOp("Cos", EvaluateFloats<[](double x) { return std::cos(x); }>),
      FloatOp("Erf", EvaluateFloats<[](double x) { return std::erf(x); }>),
      FloatOp("Exp", EvaluateFloats<[](double x) { return std::exp(x); }>),
      FloatOp("Log", EvaluateFloats<[](double x) { return std::log(x); }>),
      FloatOp("Reciprocal", EvaluateFloats<[](double x) { return 1 / x; }>),
      FloatOp("Sigmoid", EvaluateFloats<Sigmoid>),
      FloatOp("Sin", EvaluateFloats<[](double x) { return std::sin(x); }>),
      FloatOp("Softplus", EvaluateFloats<Softplus>),
      FloatOp("Softsign", EvaluateFloats<[](double x) { return x / (1 + std::fabs(x)); }>),
      FloatOp("Sqrt", EvaluateFloats<[](double x) { return std::sqrt(x); }>),
      FloatOp("Tanh", EvaluateFloats<[](double x) { return std::tanh(x); }>),
      FloatOp("HardSwish",
              EvaluateFloats<[](double x) { return x * std::fmin(std::fmax(x / 6 + 0.5, 0), 1); }>),
      RoundingOp("Ceil", EvaluateFloats<[](double x) { return std::ceil(x); }>),
      RoundingOp("Floor", EvaluateFloats<[](double x) { return std::floor(x); }>),
      RoundingOp("Round", EvaluateFloats<[](double x) { return std::nearbyint(x); }>),
      AlphaOp("Elu", 1,
              EvaluateWithAlpha<[](double x, double a) { return x < 0 ? a * std::expm1(x) : x; }>),
      AlphaOp("LeakyRelu", 0.01F,
              EvaluateWithAlpha<[](double x, double a) { return x < 0 ? a * x : x; }>),
      NumberOp("Abs", EvaluateNumbers<AbsFloat, AbsInt>),
      NumberOp("Neg", EvaluateNumbers<[](double x) { return -x; }, NegateInt>),
      NumberOp("Relu", EvaluateNumbers<ReluFloat, ReluInt>),
      NumberOp("Sign", EvaluateNumbers<Sign, SignInt>),
      {{.domain = "", .op_type = "IsNaN"}, InferTest, EvaluateIsNaN},
      {{.domain = "",
        .op_type = "IsInf",
        .attributes = {IntAttribute("detect_negative", 1), IntAttribute("detect_positive", 1)}},
       InferTest,
       EvaluateIsInf},
      {{.domain = "", .op_type = "Not"}, InferUnary<Domain::kBool>, EvaluateNot},
  };
  for (OpDefinition& op : ops) {
    if (op.schema.op_type == "Neg") op.symbolic.combine = NegateSymbolic;
  }
  return ops;
}

}  // namespace qeff::ops
