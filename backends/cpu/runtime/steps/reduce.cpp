// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <type_traits>

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

template <typename Sum>
Sum Start(ReduceOp op) {
  switch (op) {
    case ReduceOp::kProd:
      return 1;
    case ReduceOp::kMax:
      return Lowest<Sum>();
    case ReduceOp::kMin:
      return Highest<Sum>();
    default:
      return 0;
  }
}

template <ReduceOp kOp, typename Sum>
Sum Combine(Sum result, Sum value) {
  if constexpr (kOp == ReduceOp::kProd) return result * value;
  if constexpr (kOp == ReduceOp::kMax) return value > result || value != value ? value : result;
  if constexpr (kOp == ReduceOp::kMin) return value < result || value != value ? value : result;
  return result + value;
}

/// Results that are made together where they lie beside each other: lines are read whole.
constexpr int64_t kBlock = 64;

/// result[i] = the reduction that begins at x[i], for i < count. Sums run in double or in wrapping
/// integers, in the order of the elements.
template <ReduceOp kOp, typename T, typename Sum>
void ReduceBlock(const ReduceParams& p, const T* x, int64_t count, Sum* result) {
  const int64_t runs = RunCount(p.reduced);
  for (int64_t unit = 0; unit < runs; ++unit) {
    const T* from = x + RunOffset(p.reduced, p.reduced_strides, unit);
    const int64_t length = RunLength(p.reduced);
    const int64_t stride = RunStride(p.reduced_strides);
    if (count == 1) {
      Sum one = *result;
      for (int64_t i = 0; i < length; ++i) {
        one = Combine<kOp>(one, static_cast<Sum>(from[i * stride]));
      }
      *result = one;
      continue;
    }
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t j = 0; j < count; ++j) {
        result[j] = Combine<kOp>(result[j], static_cast<Sum>(from[i * stride + j]));
      }
    }
  }
}

template <typename T, typename Sum>
void Reduce(const ReduceParams& p, const T* x, int64_t count, Sum* result) {
  std::fill_n(result, count, Start<Sum>(p.op));
  switch (p.op) {
    case ReduceOp::kProd:
      return ReduceBlock<ReduceOp::kProd>(p, x, count, result);
    case ReduceOp::kMax:
      return ReduceBlock<ReduceOp::kMax>(p, x, count, result);
    case ReduceOp::kMin:
      return ReduceBlock<ReduceOp::kMin>(p, x, count, result);
    default:
      return ReduceBlock<ReduceOp::kSum>(p, x, count, result);
  }
}

template <typename T, typename Sum>
void Loop(const StepRun& run, const ReduceParams& p) {
  const int64_t length = RunLength(p.dims);
  const int64_t most = RunStride(p.strides) == 1 ? kBlock : 1;
  auto elements = static_cast<Sum>(p.op == ReduceOp::kMean ? Elements(p.reduced) : 1);
  if (std::is_integral_v<Sum> && elements == 0) elements = 1;  // of floats, the mean is NaN
  Sum results[kBlock];
  for (int64_t i = run.begin; i < run.end;) {
    const int64_t place = i % length;
    const int64_t count = std::min({most, length - place, run.end - i});
    const int64_t offset = RunOffset(p.dims, p.strides, i / length) + place * RunStride(p.strides);
    Reduce<T, Sum>(p, run.operand<T>(kX) + offset, count, results);
    for (int64_t j = 0; j < count; ++j, ++i) {
      run.operand<T>(kOut)[i] = static_cast<T>(results[j] / elements);
    }
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
