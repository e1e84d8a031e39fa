// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kOut, kOperandCount };

bool IsKnown(UnaryOp op, DType dtype) {
  if (op == UnaryOp::kNot) return dtype == DType::kBool;
  if (dtype == DType::kF32) return true;
  const bool has_integers = op == UnaryOp::kAbs || op == UnaryOp::kNeg || op == UnaryOp::kSign;
  return has_integers && (dtype == DType::kI64 || dtype == DType::kI32);
}

void Check(StepCheck& check) {
  const auto p = check.params_as<UnaryParams>();
  check.Require(p.op >= UnaryOp::kAbs && static_cast<int32_t>(p.op) < kUnaryOpCount,
                "unknown operation");
  if (p.dtype < 0 || p.dtype >= kDTypeCount || !IsKnown(p.op, static_cast<DType>(p.dtype))) {
    check.Require(false, "the operation has no meaning for the dtype");
    return;
  }
  RequireStrided(check, p.dims, p.x_strides);
  RequireDistinct(check, p.dims, p.out_strides);
  const int64_t bytes = DTypeBits(static_cast<DType>(p.dtype)) / 8;
  check.Read(kX, StridedElements(p.dims, p.x_strides), bytes);
  check.Write(kOut, StridedElements(p.dims, p.out_strides), p.op == UnaryOp::kIsNaN ? 1 : bytes);
  check.Done(RunCount(p.dims));
}

template <typename T, typename Out, typename Function>
void Loop(const StepRun& run, const UnaryParams& p, const Function& f) {
  const int64_t count = RunLength(p.dims);
  const int64_t x_step = RunStride(p.x_strides);
  const int64_t out_step = RunStride(p.out_strides);
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const T* x = run.operand<T>(kX) + RunOffset(p.dims, p.x_strides, unit);
    Out* out = run.operand<Out>(kOut) + RunOffset(p.dims, p.out_strides, unit);
    for (int64_t i = 0; i < count; ++i) {
      out[i * out_step] = static_cast<Out>(f(x[i * x_step]));
    }
  }
}

template <typename T>
void RunInteger(const StepRun& run, const UnaryParams& p) {
  using Unsigned = std::make_unsigned_t<T>;
  switch (p.op) {
    case UnaryOp::kAbs:
      return Loop<T, T>(run, p, [](T x) {
        return x < 0 ? static_cast<T>(Unsigned{0} - static_cast<Unsigned>(x)) : x;
      });
    case UnaryOp::kNeg:
      return Loop<T, T>(run, p,
                        [](T x) { return static_cast<T>(Unsigned{0} - static_cast<Unsigned>(x)); });
    default:
      return Loop<T, T>(run, p, [](T x) { return (x > 0) - (x < 0); });
  }
}

float Sign(float x) {
  if (x > 0) return 1;
  return x < 0 ? -1.0f : x;
}

using Function = float (*)(float);

Function FunctionOf(UnaryOp op) {
  switch (op) {
    case UnaryOp::kAbs:
      return [](float x) { return std::fabs(x); };
    case UnaryOp::kCeil:
      return [](float x) { return std::ceil(x); };
    case UnaryOp::kCos:
      return [](float x) { return std::cos(x); };
    case UnaryOp::kErf:
      return [](float x) { return std::erf(x); };
    case UnaryOp::kExp:
      return [](float x) { return std::exp(x); };
    case UnaryOp::kFloor:
      return [](float x) { return std::floor(x); };
    case UnaryOp::kLog:
      return [](float x) { return std::log(x); };
    case UnaryOp::kReciprocal:
      return [](float x) { return 1.0f / x; };
    case UnaryOp::kRelu:
      return [](float x) { return x < 0 ? 0.0f : x; };
    case UnaryOp::kRound:
      return [](float x) { return std::nearbyint(x); };
    case UnaryOp::kSigmoid:
      return [](float x) { return 1.0f / (1.0f + std::exp(-x)); };
    case UnaryOp::kSign:
      return Sign;
    case UnaryOp::kSin:
      return [](float x) { return std::sin(x); };
    case UnaryOp::kSoftplus:
      return [](float x) { return x > 20 ? x : std::log1p(std::exp(x)); };
    case UnaryOp::kSqrt:
      return [](float x) { return std::sqrt(x); };
    case UnaryOp::kTanh:
      return [](float x) { return std::tanh(x); };
    default:
      return [](float x) { return -x; };
  }
}

void Run(const StepRun& run) {
  const auto p = run.params_as<UnaryParams>();
  if (p.op == UnaryOp::kNot) {
    Loop<uint8_t, uint8_t>(run, p, [](uint8_t x) { return x == 0; });
  } else if (p.op == UnaryOp::kIsNaN) {
    Loop<float, uint8_t>(run, p, [](float x) { return x != x; });
  } else if (static_cast<DType>(p.dtype) == DType::kI64) {
    RunInteger<int64_t>(run, p);
  } else if (static_cast<DType>(p.dtype) == DType::kI32) {
    RunInteger<int32_t>(run, p);
  } else {
    Loop<float, float>(run, p, FunctionOf(p.op));
  }
}

}  // namespace

extern constexpr StepDefinition kUnaryStep = {
    "unary", sizeof(UnaryParams), kOperandCount, Check, Run, LimitOfRuns<UnaryParams>()};

}  // namespace qeff::cpu
