// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kA, kB, kOut, kOperandCount };

bool IsComparison(BinaryOp op) { return op >= BinaryOp::kEqual; }
bool IsLogical(BinaryOp op) { return op >= BinaryOp::kAnd || op == BinaryOp::kEqual; }

int64_t BytesOf(StoredDType dtype) { return DTypeBits(static_cast<DType>(dtype)) / 8; }

void Check(StepCheck& check) {
  const auto p = check.params_as<BinaryParams>();
  const auto dtype = static_cast<DType>(p.dtype);
  check.Require(p.op >= BinaryOp::kAdd && static_cast<int32_t>(p.op) < kBinaryOpCount,
                "unknown operation");
  if (dtype == DType::kBool) {
    check.Require(IsLogical(p.op), "the operation has no meaning for bool");
  } else if (dtype == DType::kF32 || dtype == DType::kI64 || dtype == DType::kI32) {
    check.Require(p.op < BinaryOp::kAnd, "the operation has a meaning for bool only");
  } else {
    check.Require(false, "unknown dtype");
    return;
  }
  RequireStrided(check, p.dims, p.a_strides);
  RequireStrided(check, p.dims, p.b_strides);
  RequireDistinct(check, p.dims, p.out_strides);
  check.Read(kA, StridedElements(p.dims, p.a_strides), BytesOf(p.dtype));
  check.Read(kB, StridedElements(p.dims, p.b_strides), BytesOf(p.dtype));
  check.Write(kOut, StridedElements(p.dims, p.out_strides),
              IsComparison(p.op) ? 1 : BytesOf(p.dtype));
  check.Done(RunCount(p.dims));
}

template <typename T>
T Divide(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    return a / b;
  } else {
    if (b == 0) return 0;
    return b == -1 ? static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(a)) : a / b;
  }
}

template <typename T>
T Remainder(T a, T b, bool floors) {
  if constexpr (std::is_floating_point_v<T>) {
    const T rest = std::fmod(a, b);
    return floors && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  } else {
    if (b == 0 || b == -1) return 0;
    const T rest = a % b;
    return floors && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  }
}

/// Keeps NaN of either side.
template <typename T>
T Least(T a, T b) {
  if (a != a) return a;
  return b < a || b != b ? b : a;
}
template <typename T>
T Largest(T a, T b) {
  if (a != a) return a;
  return b > a || b != b ? b : a;
}

/// Integers wrap around instead of overflowing.
template <typename T, typename Function>
T Wrapping(T a, T b, const Function& f) {
  if constexpr (std::is_floating_point_v<T>) {
    return f(a, b);
  } else {
    using Unsigned = std::make_unsigned_t<T>;
    return static_cast<T>(f(static_cast<Unsigned>(a), static_cast<Unsigned>(b)));
  }
}

template <typename T, typename Out, typename Function>
void Loop(const StepRun& run, const BinaryParams& p, const Function& f) {
  const int64_t count = RunLength(p.dims);
  const int64_t a_step = RunStride(p.a_strides);
  const int64_t b_step = RunStride(p.b_strides);
  const int64_t out_step = RunStride(p.out_strides);
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const T* a = run.operand<T>(kA) + RunOffset(p.dims, p.a_strides, unit);
    const T* b = run.operand<T>(kB) + RunOffset(p.dims, p.b_strides, unit);
    Out* out = run.operand<Out>(kOut) + RunOffset(p.dims, p.out_strides, unit);
    if (a_step == 1 && b_step == 1 && out_step == 1) {
      for (int64_t i = 0; i < count; ++i) out[i] = static_cast<Out>(f(a[i], b[i]));
    } else if (a_step == 1 && b_step == 0 && out_step == 1) {
      const T second = *b;
      for (int64_t i = 0; i < count; ++i) out[i] = static_cast<Out>(f(a[i], second));
    } else {
      for (int64_t i = 0; i < count; ++i) {
        out[i * out_step] = static_cast<Out>(f(a[i * a_step], b[i * b_step]));
      }
    }
  }
}

template <typename T>
void RunComparison(const StepRun& run, const BinaryParams& p) {
  switch (p.op) {
    case BinaryOp::kEqual:
      return Loop<T, uint8_t>(run, p, [](T a, T b) { return a == b; });
    case BinaryOp::kLess:
      return Loop<T, uint8_t>(run, p, [](T a, T b) { return a < b; });
    case BinaryOp::kLessOrEqual:
      return Loop<T, uint8_t>(run, p, [](T a, T b) { return a <= b; });
    case BinaryOp::kGreater:
      return Loop<T, uint8_t>(run, p, [](T a, T b) { return a > b; });
    default:
      return Loop<T, uint8_t>(run, p, [](T a, T b) { return a >= b; });
  }
}

template <typename T>
void RunArithmetic(const StepRun& run, const BinaryParams& p) {
  switch (p.op) {
    case BinaryOp::kAdd:
      return Loop<T, T>(
          run, p, [](T a, T b) { return Wrapping(a, b, [](auto x, auto y) { return x + y; }); });
    case BinaryOp::kSub:
      return Loop<T, T>(
          run, p, [](T a, T b) { return Wrapping(a, b, [](auto x, auto y) { return x - y; }); });
    case BinaryOp::kMul:
      return Loop<T, T>(
          run, p, [](T a, T b) { return Wrapping(a, b, [](auto x, auto y) { return x * y; }); });
    case BinaryOp::kDiv:
      return Loop<T, T>(run, p, [](T a, T b) { return Divide(a, b); });
    case BinaryOp::kPow:
      return Loop<T, T>(run, p, [](T a, T b) {
        return b == 2 ? Wrapping(a, a, [](auto x, auto y) { return x * y; })
                      : static_cast<T>(std::pow(a, b));
      });
    case BinaryOp::kModFloor:
      return Loop<T, T>(run, p, [](T a, T b) { return Remainder(a, b, true); });
    case BinaryOp::kModTrunc:
      return Loop<T, T>(run, p, [](T a, T b) { return Remainder(a, b, false); });
    case BinaryOp::kMin:
      return Loop<T, T>(run, p, [](T a, T b) { return Least(a, b); });
    case BinaryOp::kMax:
      return Loop<T, T>(run, p, [](T a, T b) { return Largest(a, b); });
    default:
      return RunComparison<T>(run, p);
  }
}

void RunLogical(const StepRun& run, const BinaryParams& p) {
  switch (p.op) {
    case BinaryOp::kAnd:
      return Loop<uint8_t, uint8_t>(run, p, [](bool a, bool b) { return a && b; });
    case BinaryOp::kOr:
      return Loop<uint8_t, uint8_t>(run, p, [](bool a, bool b) { return a || b; });
    case BinaryOp::kXor:
      return Loop<uint8_t, uint8_t>(run, p, [](bool a, bool b) { return a != b; });
    default:
      return Loop<uint8_t, uint8_t>(run, p, [](bool a, bool b) { return a == b; });
  }
}

void Run(const StepRun& run) {
  const auto p = run.params_as<BinaryParams>();
  switch (static_cast<DType>(p.dtype)) {
    case DType::kF32:
      return RunArithmetic<float>(run, p);
    case DType::kI64:
      return RunArithmetic<int64_t>(run, p);
    case DType::kI32:
      return RunArithmetic<int32_t>(run, p);
    default:
      return RunLogical(run, p);
  }
}

}  // namespace

extern constexpr StepDefinition kBinaryStep = {
    "binary", sizeof(BinaryParams), kOperandCount, Check, Run, LimitOfRuns<BinaryParams>()};

}  // namespace qeff::cpu
