// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Parameters and operands of the steps that ordinary ONNX ops become; those of semantic ops are in
// step_params.h, which includes this.
#pragma once

#include <cstdint>

#include "backends/cpu/runtime/strided.h"
#include "lib/support/dtype.h"

namespace qeff::cpu {

/// A dtype as a field of parameters.
using StoredDType = int32_t;

/// from, to. Copies elements; converts if the dtypes differ: floats to integers truncate, anything
/// to bool is "not zero". Units: runs.
struct CopyParams {
  StepDims dims;
  StepStrides from_strides;
  StepStrides to_strides;
  StoredDType from_dtype = 0;
  StoredDType to_dtype = 0;
};

/// a, b, out (its own dtype for arithmetic, bool for comparisons). Integers: division truncates, a
/// division by zero gives 0. Units: runs. Dtypes: f32, i64, i32; bool for Equal, And, Or, Xor.
enum class BinaryOp : int32_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kPow,
  kModFloor,  ///< sign of the divisor
  kModTrunc,  ///< sign of the dividend, as fmod
  kMin,
  kMax,
  kEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kAnd,
  kOr,
  kXor,
};
inline constexpr int32_t kBinaryOpCount = 17;
struct BinaryParams {
  StepDims dims;
  StepStrides a_strides;
  StepStrides b_strides;
  StepStrides out_strides;
  BinaryOp op = BinaryOp::kAdd;
  StoredDType dtype = 0;  ///< of a and b
};

/// x, out of the same dtype (IsNaN: bool). Units: runs. f32; Neg, Abs, Sign also i64 and i32; Not
/// only bool.
enum class UnaryOp : int32_t {
  kAbs,
  kCeil,
  kCos,
  kErf,
  kExp,
  kFloor,
  kIsNaN,
  kLog,
  kNeg,
  kNot,
  kReciprocal,
  kRelu,
  kRound,  ///< half to even
  kSigmoid,
  kSign,
  kSin,
  kSoftplus,
  kSqrt,
  kTanh,
};
inline constexpr int32_t kUnaryOpCount = 19;
struct UnaryParams {
  StepDims dims;
  StepStrides x_strides;
  StepStrides out_strides;
  UnaryOp op = UnaryOp::kAbs;
  StoredDType dtype = 0;
};

/// condition (bool), a, b, out; elements of 1, 2, 4 or 8 bytes. Units: runs.
struct WhereParams {
  StepDims dims;
  StepStrides condition_strides;
  StepStrides a_strides;
  StepStrides b_strides;
  StepStrides out_strides;
  int64_t element_bytes = 4;
};

/// x, out (dense over `dims`). out[i] = reduction over `reduced` of x[i + reduced]; both are
/// counted with x's strides. f32 sums in double; i64. Units: elements of out.
enum class ReduceOp : int32_t { kSum, kMean, kMax, kMin, kProd };
inline constexpr int32_t kReduceOpCount = 5;
struct ReduceParams {
  StepDims dims;
  StepStrides strides;
  StepDims reduced;
  StepStrides reduced_strides;
  ReduceOp op = ReduceOp::kSum;
  StoredDType dtype = 0;
};

/// x, out f32, softmax over `length` elements that are x_stride (out_stride) apart; `dims` are the
/// other dimensions. Units: softmaxes.
struct SoftmaxParams {
  StepDims dims;
  StepStrides x_strides;
  StepStrides out_strides;
  int64_t length = 0;
  int64_t x_stride = 0;
  int64_t out_stride = 0;
};

/// a [.., M, K], b [.., K, N], out [.., M, N] f32 with strides; `dims` are the batch dimensions.
/// Products in f32 by the tile of linear_f32. Units: (batch, panel of 32 columns).
struct MatMulParams {
  StepDims dims;
  StepStrides a_strides;
  StepStrides b_strides;
  StepStrides out_strides;
  int64_t rows = 0;
  int64_t depth = 0;
  int64_t columns = 0;
  int64_t a_row_stride = 0;
  int64_t a_depth_stride = 0;
  int64_t b_depth_stride = 0;
  int64_t b_column_stride = 0;
  int64_t out_row_stride = 0;
};

/// x (f32, i64 or i32), out i64: the place of the largest or smallest of `length` elements `stride`
/// apart; NaN is larger than anything. Units: elements of out, dense over `dims`.
struct ArgExtremeParams {
  StepDims dims;
  StepStrides strides;
  int64_t length = 0;
  int64_t stride = 0;
  int32_t wants_smallest = 0;
  int32_t wants_last = 0;
  StoredDType dtype = 0;
  int32_t reserved = 0;
};

/// x f32, values and indices (i64) [.., k] dense over `dims` with k innermost: the k largest
/// (smallest) of `length` elements `stride` apart, best first, the earlier of equals first; NaN is
/// larger than anything. Units: rows.
struct TopKParams {
  StepDims dims;
  StepStrides strides;
  int64_t length = 0;
  int64_t stride = 0;
  int64_t count = 0;  ///< k
  int64_t wants_smallest = 0;
};

/// x, out dense [outer, length, inner], f32 or i64. Units: outer.
struct CumulativeSumParams {
  int64_t outer = 0;
  int64_t length = 0;
  int64_t inner = 0;
  int32_t is_exclusive = 0;
  int32_t is_reverse = 0;
  StoredDType dtype = 0;
  int32_t reserved = 0;
};

/// Lookup of blocks by index tuples: Gather, GatherElements, GatherND; and writing to them:
/// ScatterElements, ScatterND. Unit u uses the tuple of `tuple` i64 numbers at u % tuple_count;
/// number a must lie in [-sizes[a], sizes[a]) and moves by strides[a] elements from u /
/// outer_period * outer_stride + u % inner_period. Blocks are `block` elements. gather: data,
/// indices, out [units, block]. scatter: updates [units, block], indices, out (which holds data
/// already).
inline constexpr int kMaxIndexTuple = 4;
struct IndexBlocksParams {
  int64_t units = 0;
  int64_t tuple = 0;  ///< <= kMaxIndexTuple
  int64_t block = 0;
  int64_t sizes[kMaxIndexTuple] = {};
  int64_t strides[kMaxIndexTuple] = {};
  int64_t tuple_count = 1;
  int64_t outer_period = 1;
  int64_t outer_stride = 0;
  int64_t inner_period = 1;
  int64_t element_bytes = 4;
};

/// The cache ops of the compiler contract with device meaning. data [Bc, K, C, E], positions i64
/// [B, T], updates [B, K, T, E] with strides, cache_rows? [B]; writes in place. A slot outside [0,
/// C) or a cache row outside [0, Bc) writes nothing. Units: (b, k).
struct ContextScatterParams {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t tokens = 0;
  int64_t slots = 0;
  int64_t head_size = 0;
  int64_t cache_batch = 0;
  int64_t update_strides[4] = {};          ///< of b, k, t, e
  CacheFormat format = CacheFormat::kF32;  ///< of data
  int32_t reserved = 0;
};

/// data [Bc, K, C, E], indices i64 [B, Ki, S] with Ki 1 or K, cache_rows? [B], out [B, K, S, E]. A
/// slot or cache row that does not exist gives zeros. Units: (b, k).
struct ContextGatherParams {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t slots = 0;
  int64_t head_size = 0;
  int64_t cache_batch = 0;
  int64_t count = 0;  ///< S
  int64_t index_batch_stride = 0;
  int64_t index_head_stride = 0;
  CacheFormat format = CacheFormat::kF32;  ///< of data
  int32_t reserved = 0;
};

}  // namespace qeff::cpu
