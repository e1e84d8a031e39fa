// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Parameters and operands of each step. The structs are stored as they are: fixed-width fields
// without gaps. Strides and widths count elements. Rows of a value [B, T, D] are numbered b * T +
// t.
#pragma once

#include <cstdint>
#include <type_traits>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/runtime/onnx_step_params.h"

namespace qeff::cpu {

/// Stored in programs: only append.
enum class WeightFormat : int32_t { kF32, kBf16 };
inline constexpr int32_t kWeightFormatCount = 2;
enum class RowFormat : int32_t { kF32, kBf16 };
inline constexpr int32_t kRowFormatCount = 2;

/// x (packed rows), weights (panels), bias? (in panel order), residual?, out. Units: panels (gated:
/// pairs of them). kBf16 rows need kBf16 weights.
struct LinearParams {
  int64_t rows = 0;
  int64_t depth = 0;
  int64_t columns = 0;  ///< of out
  int64_t out_stride = 0;
  int64_t residual_stride = 0;
  WeightFormat weights = WeightFormat::kF32;
  RowFormat row_format = RowFormat::kF32;
  LinearEpilogue epilogue = LinearEpilogue::kPlain;
  Activation activation = Activation::kNone;
};

enum class NormKind : int32_t { kNone, kRms, kLayer };
inline constexpr int32_t kNormKindCount = 3;

/// x, gamma?, beta?, out (packed). Normalises each row if asked, then packs. Units: tiles of 12
/// rows.
struct PackRowsParams {
  int64_t rows = 0;
  int64_t depth = 0;
  int64_t x_stride = 0;
  NormKind norm = NormKind::kNone;
  float epsilon = 0;
  RowFormat format = RowFormat::kF32;
  int32_t reserved = 0;
};

/// x, gamma?, beta?, out; out may be x. Units: rows.
struct NormParams {
  int64_t rows = 0;
  int64_t groups = 0;
  int64_t group_size = 0;
  int64_t x_stride = 0;
  int64_t out_stride = 0;
  NormKind norm = NormKind::kRms;
  float epsilon = 0;
};

/// x, cos, sin, out; out may be x. Units: rows.
struct RopeParams {
  int64_t rows = 0;
  int64_t heads = 0;
  int64_t head_size = 0;
  int64_t rotary = 0;
  int64_t x_stride = 0;
  int64_t out_stride = 0;
  int64_t table_stride = 0;
  int32_t interleaved = 0;
  int32_t reserved = 0;
};

/// How the rows of a table lie in memory.
enum class TableLayout : int32_t {
  kF32,         ///< row-major
  kPanelsF32,   ///< as weights of a Linear: row n is column n % 32 of panel n / 32
  kPanelsBf16,  ///< the same in bf16
};
inline constexpr int32_t kTableLayoutCount = 3;

/// indices i64 [rows], table, out f32. Index i < 0 means row i + table_rows, as in ONNX. Units:
/// rows.
struct GatherRowsParams {
  int64_t rows = 0;
  int64_t width = 0;
  int64_t table_rows = 0;
  int64_t out_stride = 0;
  TableLayout layout = TableLayout::kF32;
  int32_t reserved = 0;
};

/// x (rows of [K, E]), positions i64 [B, T], cache_rows? i64 [B], cache. Row (b, t) goes to slot
/// positions[b, t] of cache row b or cache_rows[b]; positions outside [0, slots) write nothing.
/// Units: (b, head).
struct CacheWriteParams {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t head_size = 0;
  int64_t x_stride = 0;
  int64_t cache_batch = 0;
  int64_t slots = 0;
  int32_t as_panels = 0;  ///< keys: StateLayout::kKeyPanels
  int32_t must_fit = 0;   ///< a position >= slots is a fault of the input instead of being dropped
};

/// q, positions i64 [B, T], keys, values, cache_rows? i64 [B], out. Units as in AttentionArgs, for
/// all b.
struct AttentionParams {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t key_size = 0;
  int64_t value_size = 0;
  int64_t cache_batch = 0;
  int64_t capacity = 0;  ///< slots of the cache
  int64_t slots = 0;     ///< slots in use, <= capacity
  int64_t q_stride = 0;
  int64_t out_stride = 0;
  int64_t window = 0;
  float scale = 1;
  float softcap = 0;
};

/// hidden rows, positions i64 [B, T], out [B, keep, D]. With p the first token that has the largest
/// position: rows p - keep + 1 .. p, or 0 .. keep - 1 if p < keep - 1. Units: b.
struct SelectRowsParams {
  int64_t batch = 0;
  int64_t tokens = 0;
  int64_t keep = 0;
  int64_t width = 0;
  int64_t x_stride = 0;
};

/// x, out; out may be x. Units: blocks of kActivateBlock elements.
inline constexpr int64_t kActivateBlock = 1024;
struct ActivateParams {
  int64_t count = 0;
  Activation kind = Activation::kNone;
  int32_t reserved = 0;
};

}  // namespace qeff::cpu
