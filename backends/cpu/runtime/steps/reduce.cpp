// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kOut, kOperandCount };

int64_t Elements(const StepDims& dims) { return Product({RunCount(dims), RunLength(dims)}); }

void Check(StepCheck& check) {
  const auto p = check.params_as<ReduceParams>();
  check.Require(p.op >= ReduceOp::kSum && static_cast<int32_t>(p.op) < kReduceOpCount,
                "unknown operation");
  const auto dtype = static_cast<DType>(p.dtype);
  if (dtype != DType::kF32 && dtype != DType::kI64 && dtype != DType::kI32) {
    check.Require(false, "unknown dtype");
    return;
  }
  RequireStrided(check, p.dims, p.strides);
  RequireDistinct(check, p.reduced, p.reduced_strides);
  const int64_t bytes = DTypeBits(dtype) / 8;
  const int64_t outer = StridedElements(p.dims, p.strides);
  const int64_t inner = StridedElements(p.reduced, p.reduced_strides);
  check.Read(kX, outer == 0 || inner == 0 ? 0 : outer + inner - 1, bytes);
  check.Write(kOut, Elements(p.dims), bytes);
  check.Done(Elements(p.dims));
}

template <typename T>
T Lowest() {
  if constexpr (std::is_floating_point_v<T>) return -__builtin_inf();
  return INT64_MIN;
}
template <typename T>
T Highest() {
  if constexpr (std::is_floating_point_v<T>) return __builtin_inf();
  return INT64_MAX;
}

/// Sums run in double or in wrapping integers.
template <typename T, typename Sum>
Sum Reduce(const ReduceParams& p, const T* x) {
  Sum result{};
  if (p.op == ReduceOp::kProd) result = 1;
  if (p.op == ReduceOp::kMax) result = Lowest<Sum>();
  if (p.op == ReduceOp::kMin) result = Highest<Sum>();
  const int64_t runs = RunCount(p.reduced);
  for (int64_t unit = 0; unit < runs; ++unit) {
    const T* from = x + RunOffset(p.reduced, p.reduced_strides, unit);
    for (int64_t i = 0; i < RunLength(p.reduced); ++i) {
      const auto value = static_cast<Sum>(from[i * RunStride(p.reduced_strides)]);
      switch (p.op) {
        case ReduceOp::kProd:
          result *= value;
          break;
        case ReduceOp::kMax:
          result = value > result || value != value ? value : result;
          break;
        case ReduceOp::kMin:
          result = value < result || value != value ? value : result;
          break;
        default:
          result += value;
      }
    }
  }
  return p.op == ReduceOp::kMean ? result / static_cast<Sum>(Elements(p.reduced)) : result;
}

template <typename T, typename Sum>
void Loop(const StepRun& run, const ReduceParams& p) {
  const int64_t length = RunLength(p.dims);
  for (int64_t i = run.begin; i < run.end; ++i) {
    const int64_t offset =
        RunOffset(p.dims, p.strides, i / length) + i % length * RunStride(p.strides);
    run.operand<T>(kOut)[i] = static_cast<T>(Reduce<T, Sum>(p, run.operand<T>(kX) + offset));
  }
}

void Run(const StepRun& run) {
  const auto p = run.params_as<ReduceParams>();
  if (static_cast<DType>(p.dtype) == DType::kF32) {
    Loop<float, double>(run, p);
  } else if (static_cast<DType>(p.dtype) == DType::kI32) {
    Loop<int32_t, int64_t>(run, p);
  } else {
    Loop<int64_t, int64_t>(run, p);
  }
}

}  // namespace

extern constexpr StepDefinition kReduceStep = {"reduce", sizeof(ReduceParams), kOperandCount, Check,
                                               Run};

}  // namespace qeff::cpu
