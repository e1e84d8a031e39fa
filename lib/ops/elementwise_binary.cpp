// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// ONNX ops z[i] = f(x[i], y[i]) with broadcasting, and those of them that take any number of
// inputs. Integers wrap around in their dtype; integer Div truncates; division by zero is an error
// for integers and IEEE for floats.
#include <algorithm>
#include <cmath>
#include <functional>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

enum class Gives { kSameAsInputs, kBool };

template <Gives result, bool needs_bool = false, bool mixes_dtypes = false>
Status InferBroadcast(InferContext& context) {
  ir::Shape shape = context.shape(0);
  for (size_t i = 0; i < context.input_count(); ++i) {
    if (needs_bool) QEFF_RETURN_IF_ERROR(context.ExpectDType(i, DType::kBool));
    if (!mixes_dtypes) QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, i));
    QEFF_ASSIGN_OR_RETURN(shape, BroadcastShapes(context, shape, context.shape(i)));
  }
  context.SetOutput(0, result == Gives::kBool ? DType::kBool : context.dtype(0), std::move(shape));
  return Status::Ok();
}

/// Arithmetic has no meaning on bool.
Status InferArithmetic(InferContext& context) {
  for (size_t i = 0; i < context.input_count(); ++i) {
    if (context.dtype(i) == DType::kBool) {
      return context.Invalid(
          fmt::format("input {}: expected numbers, got {}", i, context.TypeText(i)));
    }
  }
  return InferBroadcast<Gives::kSameAsInputs>(context);
}

/// Elements of input `index` as the output's positions see them.
std::vector<int64_t> OffsetsInto(EvaluateContext& context, size_t index) {
  const std::vector<int64_t>& dims = context.out().dims;
  return Offsets(dims, BroadcastStrides(context.in(index).dims, dims));
}

/// z = function(...(function(x0, x1), x2)...); with one input z = x0.
template <auto function, auto int_function>
Status EvaluateArithmetic(EvaluateContext& context) {
  Tensor& z = context.out();
  for (size_t input = 0; input < context.input_count(); ++input) {
    const Tensor& x = context.in(input);
    const std::vector<int64_t> offsets = OffsetsInto(context, input);
    if (input == 0) {
      Take(x, offsets, z);
      continue;
    }
    for (size_t i = 0; i < offsets.size(); ++i) {
      const auto at = static_cast<size_t>(offsets[i]);
      if (z.is_float()) {
        z.floats[i] = function(z.floats[i], x.floats[at]);
      } else {
        z.ints[i] = WrapToInt(int_function(z.ints[i], x.ints[at]), z.dtype);
      }
    }
  }
  return Status::Ok();
}

/// Numbers in, bool out.
template <auto function>
Status EvaluateComparison(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& y = context.in(1);
  const std::vector<int64_t> x_offsets = OffsetsInto(context, 0);
  const std::vector<int64_t> y_offsets = OffsetsInto(context, 1);
  for (size_t i = 0; i < x_offsets.size(); ++i) {
    const auto left = static_cast<size_t>(x_offsets[i]);
    const auto right = static_cast<size_t>(y_offsets[i]);
    const bool holds = x.is_float() ? function(x.floats[left], y.floats[right])
                                    : function(x.ints[left], y.ints[right]);
    context.out().ints[i] = holds ? 1 : 0;
  }
  return Status::Ok();
}

double AddFloats(double x, double y) { return x + y; }
int64_t AddInts(int64_t x, int64_t y) { return WrappingAdd(x, y); }
int64_t MultiplyInts(int64_t x, int64_t y) { return WrappingMultiply(x, y); }
/// Unsigned, where the overflow of signed numbers would be undefined.
int64_t SubtractInts(int64_t x, int64_t y) {
  return static_cast<int64_t>(static_cast<uint64_t>(x) - static_cast<uint64_t>(y));
}
/// The lowest number divided by -1 traps; its negation wraps to itself.
int64_t DivideInts(int64_t x, int64_t y) { return y == -1 ? SubtractInts(0, x) : x / y; }
/// With the sign of the divisor, as Python's %.
int64_t FloorRemainder(int64_t x, int64_t y) {
  if (y == -1) return 0;
  const int64_t rest = x % y;
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}
double FloorRemainderOfFloats(double x, double y) {
  const double rest = std::fmod(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

Status CheckDivisor(EvaluateContext& context) {
  const std::vector<int64_t>& divisors = context.in(1).ints;
  if (context.out().element_count() > 0 &&
      std::find(divisors.begin(), divisors.end(), 0) != divisors.end()) {
    return context.Invalid("division of integers by zero");
  }
  return Status::Ok();
}

Status EvaluateDiv(EvaluateContext& context) {
  QEFF_RETURN_IF_ERROR(CheckDivisor(context));
  return EvaluateArithmetic<[](double x, double y) { return x / y; }, DivideInts>(context);
}

Status EvaluateMod(EvaluateContext& context) {
  QEFF_RETURN_IF_ERROR(CheckDivisor(context));
  if (context.Int("fmod") != 0) {
    return EvaluateArithmetic<[](double x, double y) { return std::fmod(x, y); },
                              [](int64_t x, int64_t y) { return y == -1 ? 0 : x % y; }>(context);
  }
  return EvaluateArithmetic<FloorRemainderOfFloats, FloorRemainder>(context);
}

/// The exponent may have a dtype of its own; the result has that of the base.
Status EvaluatePow(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const Tensor& y = context.in(1);
  Tensor& z = context.out();
  const std::vector<int64_t> x_offsets = OffsetsInto(context, 0);
  const std::vector<int64_t> y_offsets = OffsetsInto(context, 1);
  for (size_t i = 0; i < x_offsets.size(); ++i) {
    const double power = std::pow(x.number(x_offsets[i]), y.number(y_offsets[i]));
    if (z.is_float()) {
      z.floats[i] = power;
    } else {
      z.ints[i] = FloatToInt(power, z.dtype);
    }
  }
  return Status::Ok();
}

Status EvaluateMean(EvaluateContext& context) {
  QEFF_RETURN_IF_ERROR((EvaluateArithmetic<AddFloats, AddInts>(context)));
  for (double& z : context.out().floats) z /= static_cast<double>(context.input_count());
  return Status::Ok();
}

// Shifts of integers only; bits that leave the dtype are lost.
double ShiftNothing(double x, double) { return x; }
int64_t ShiftLeft(int64_t x, int64_t y) {
  return y < 0 || y > 63 ? 0 : static_cast<int64_t>(static_cast<uint64_t>(x) << y);
}
int64_t ShiftRight(int64_t x, int64_t y) {
  return y < 0 || y > 63 ? 0 : static_cast<int64_t>(static_cast<uint64_t>(x) >> y);
}

Status EvaluateBitShift(EvaluateContext& context) {
  const std::string& direction = context.String("direction");
  if (direction == "LEFT") return EvaluateArithmetic<ShiftNothing, ShiftLeft>(context);
  if (direction == "RIGHT") return EvaluateArithmetic<ShiftNothing, ShiftRight>(context);
  return context.Invalid(
      fmt::format("attribute 'direction': expected LEFT or RIGHT, got '{}'", direction));
}

Status InferBitShift(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectInteger(0));
  return InferArithmetic(context);
}

Status InferMean(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  return InferArithmetic(context);
}

// NaN in any operand gives NaN, unlike std::fmax.
double Maximum(double x, double y) { return std::isnan(x) || x > y ? x : y; }
double Minimum(double x, double y) { return std::isnan(x) || x < y ? x : y; }

int64_t MaximumInt(int64_t x, int64_t y) { return std::max(x, y); }
int64_t MinimumInt(int64_t x, int64_t y) { return std::min(x, y); }

// Meanings on sizes.

SymbolicInt Truth(bool is_true, bool is_false) {
  return is_true ? SymbolicInt(1) : is_false ? SymbolicInt(0) : SymbolicInt();
}
SymbolicInt IsGreater(const SymbolicInt& x, const SymbolicInt& y) {
  return Truth((x - y).IsPositive(), (y - x + 1).IsPositive());
}
SymbolicInt IsGreaterOrEqual(const SymbolicInt& x, const SymbolicInt& y) {
  return Truth((x - y + 1).IsPositive(), (y - x).IsPositive());
}
SymbolicInt IsEqual(const SymbolicInt& x, const SymbolicInt& y) {
  const SymbolicInt difference = x - y;
  return Truth(difference == SymbolicInt(0),
               difference.IsPositive() || (difference * -1).IsPositive());
}
SymbolicInt Larger(const SymbolicInt& x, const SymbolicInt& y) {
  return (x - y + 1).IsPositive() ? x : (y - x + 1).IsPositive() ? y : SymbolicInt();
}
SymbolicInt Smaller(const SymbolicInt& x, const SymbolicInt& y) {
  return (x - y + 1).IsPositive() ? y : (y - x + 1).IsPositive() ? x : SymbolicInt();
}
SymbolicInt Remainder(const SymbolicInt& x, const SymbolicInt& y) {
  return (x / y).is_unknown() ? SymbolicInt() : SymbolicInt(0);
}

OpDefinition Arithmetic(std::string_view name, Status (*evaluate)(EvaluateContext&),
                        SymbolicInt (*combine)(const SymbolicInt&, const SymbolicInt&)) {
  return {{.domain = "", .op_type = name, .min_inputs = 2, .max_inputs = 2},
          InferArithmetic,
          evaluate,
          {.combine = combine}};
}

OpDefinition Variadic(std::string_view name, Status (*evaluate)(EvaluateContext&),
                      SymbolicInt (*combine)(const SymbolicInt&, const SymbolicInt&)) {
  OpDefinition op = Arithmetic(name, evaluate, combine);
  op.schema.min_inputs = 1;
  op.schema.max_inputs = kVariadic;
  return op;
}

OpDefinition Comparison(std::string_view name, Status (*evaluate)(EvaluateContext&),
                        SymbolicInt (*combine)(const SymbolicInt&, const SymbolicInt&)) {
  return {{.domain = "", .op_type = name, .min_inputs = 2, .max_inputs = 2},
          InferBroadcast<Gives::kBool>,
          evaluate,
          {.combine = combine}};
}

OpDefinition Logic(std::string_view name, Status (*evaluate)(EvaluateContext&)) {
  return {{.domain = "", .op_type = name, .min_inputs = 2, .max_inputs = 2},
          InferBroadcast<Gives::kBool, true>,
          evaluate};
}

}  // namespace

std::vector<OpDefinition> ElementwiseBinaryOps() {
  OpDefinition mod = Arithmetic("Mod", EvaluateMod, Remainder);
  mod.schema.attributes = {IntAttribute("fmod", 0)};
  OpDefinition mean = Variadic("Mean", EvaluateMean, nullptr);
  mean.infer = InferMean;
  OpDefinition shift = Arithmetic("BitShift", EvaluateBitShift, nullptr);
  shift.infer = InferBitShift;
  shift.schema.attributes = {RequiredAttribute("direction", AttributeKind::kString)};
  OpDefinition pow = Arithmetic("Pow", EvaluatePow, nullptr);
  pow.infer = InferBroadcast<Gives::kSameAsInputs, false, true>;
  return {
      Arithmetic("Add", EvaluateArithmetic<AddFloats, AddInts>,
                 [](const SymbolicInt& x, const SymbolicInt& y) { return x + y; }),
      Arithmetic("Sub", EvaluateArithmetic<[](double x, double y) { return x - y; }, SubtractInts>,
                 [](const SymbolicInt& x, const SymbolicInt& y) { return x - y; }),
      Arithmetic("Mul", EvaluateArithmetic<[](double x, double y) { return x * y; }, MultiplyInts>,
                 [](const SymbolicInt& x, const SymbolicInt& y) { return x * y; }),
      Arithmetic("Div", EvaluateDiv,
                 [](const SymbolicInt& x, const SymbolicInt& y) { return x / y; }),
      std::move(mod),
      std::move(pow),
      std::move(shift),
      Variadic("Max", EvaluateArithmetic<Maximum, MaximumInt>, Larger),
      Variadic("Min", EvaluateArithmetic<Minimum, MinimumInt>, Smaller),
      Variadic("Sum", EvaluateArithmetic<AddFloats, AddInts>, nullptr),
      std::move(mean),
      Comparison("Equal", EvaluateComparison<std::equal_to<>{}>, IsEqual),
      Comparison("Greater", EvaluateComparison<std::greater<>{}>, IsGreater),
      Comparison("GreaterOrEqual", EvaluateComparison<std::greater_equal<>{}>, IsGreaterOrEqual),
      Comparison("Less", EvaluateComparison<std::less<>{}>,
                 [](const SymbolicInt& x, const SymbolicInt& y) { return IsGreater(y, x); }),
      Comparison("LessOrEqual", EvaluateComparison<std::less_equal<>{}>,
                 [](const SymbolicInt& x, const SymbolicInt& y) { return IsGreaterOrEqual(y, x); }),
      Logic("And", EvaluateComparison<std::logical_and<>{}>),
      Logic("Or", EvaluateComparison<std::logical_or<>{}>),
      Logic("Xor", EvaluateComparison<std::not_equal_to<>{}>),
  };
}

}  // namespace qeff::ops
