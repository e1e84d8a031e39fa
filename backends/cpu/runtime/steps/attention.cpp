// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <utility>

#include "backends/cpu/runtime/cache_rows.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kQ, kPositions, kKeys, kValues, kCacheRows, kAlibiSlopes, kSinks, kOut, kOperandCount };

/// attention_f32 or attention_bf16: the same but for the size of units.
struct AttentionKind {
  int64_t unit_rows;
  int64_t (*scratch_floats)(int64_t key_size, int64_t value_size);
  void (*Kernels::*kernel)(const AttentionArgs&);
};
constexpr AttentionKind kF32 = {kF32AttentionRows, AttentionScratchFloats, &Kernels::attention_f32};
constexpr AttentionKind kBf16 = {kBf16AttentionRows, Bf16AttentionScratchFloats,
                                 &Kernels::attention_bf16};

void CheckInputs(StepCheck& check, const AttentionParams& p) {
  check.RequireSizes({p.batch, p.tokens, p.heads, p.kv_heads, p.key_size, p.value_size,
                      p.cache_batch, p.capacity, p.slots, p.q_stride, p.out_stride, p.window,
                      p.chunk});
  check.Require(p.kv_heads >= 1 && p.heads % p.kv_heads == 0,
                "query heads are no multiple of key-value heads");
  check.Require(p.capacity <= INT32_MAX && p.slots <= p.capacity, "more slots than the cache has");
  check.Require(check.has(kCacheRows) || p.batch <= p.cache_batch,
                "the batch is larger than the cache's");
  check.Require(p.key_size > 0 && p.value_size > 0, "a head has no channels");
  const int64_t rows = Product({p.batch, p.tokens});
  check.Read(kQ, StridedExtent(rows, p.q_stride, Product({p.heads, p.key_size})), 4);
  check.ReadIndices(kPositions, rows);
  const int64_t cache_heads = Product({p.cache_batch, p.kv_heads});
  RequireCache(check, kKeys, cache_heads,
               {.format = p.format, .as_panels = true, .slots = p.capacity, .channels = p.key_size},
               /*is_written=*/false);
  RequireCache(check, kValues, cache_heads,
               {.format = p.format, .slots = p.capacity, .channels = p.value_size},
               /*is_written=*/false);
  check.ReadOptionalIndices(kCacheRows, p.batch);
  check.ReadOptional(kAlibiSlopes, p.heads, 4);
  check.ReadOptional(kSinks, p.heads, 4);
}

int64_t RowsOfKvHead(const AttentionParams& p) {
  return p.kv_heads > 0 ? Product({p.tokens, p.heads / p.kv_heads}) : 0;
}

template <const AttentionKind& kKind>
void Check(StepCheck& check) {
  const auto p = check.params_as<AttentionParams>();
  CheckInputs(check, p);
  const int64_t rows = Product({p.batch, p.tokens});
  const int64_t out_width = Product({p.heads, p.value_size});
  check.Require(out_width <= p.out_stride || rows <= 1, "rows of the result overlap");
  check.Write(kOut, StridedExtent(rows, p.out_stride, out_width), 4);
  const int64_t tile_rows = RowsOfKvHead(p);
  check.Done(Product({p.batch, p.kv_heads, (tile_rows + kKind.unit_rows - 1) / kKind.unit_rows}),
             Product({kKind.scratch_floats(p.key_size, p.value_size), 4}));
}

void CheckSplit(StepCheck& check) {
  const auto params = check.params_as<AttentionSplitParams>();
  const AttentionParams& p = params.attention;
  CheckInputs(check, p);
  check.Require(params.split_slots > 0 && params.split_slots % kAttentionBlockSlots == 0 &&
                    params.split_slots <= INT32_MAX,
                "slots are not divided into blocks");
  const int64_t rows = RowsOfKvHead(p);
  check.Require(rows <= kTileRows, "more rows than a tile has");
  const int64_t splits = params.split_slots > 0 ? AttentionSplits(p.slots, params.split_slots) : 1;
  const int64_t units = Product({p.batch, p.kv_heads, rows == 0 ? 0 : 1, splits});
  check.Write(kOut, Product({units, kTileRows, p.value_size + 2}), 4);
  check.Done(units, Product({AttentionScratchFloats(p.key_size, p.value_size), 4}));
}

AttentionArgs ArgsOf(const StepRun& run, const AttentionParams& p) {
  return {.q = run.operand<float>(kQ),
          .q_stride = p.q_stride,
          .positions = run.operand<int64_t>(kPositions),
          .format = p.format,
          .keys = run.operand<std::byte>(kKeys),
          .values = run.operand<std::byte>(kValues),
          .cache_rows = run.operand<int64_t>(kCacheRows),
          .out = run.operand<float>(kOut),
          .out_stride = p.out_stride,
          .batch = p.batch,
          .tokens = p.tokens,
          .heads = p.heads,
          .kv_heads = p.kv_heads,
          .key_size = p.key_size,
          .value_size = p.value_size,
          .key_capacity = PanelCount(p.capacity) * kPanelColumns,
          .value_capacity = p.capacity,
          .slots = p.slots,
          .scale = p.scale,
          .softcap = p.softcap,
          .window = p.window,
          .chunk = p.chunk,
          .alibi_slopes = run.operand<float>(kAlibiSlopes),
          .alibi_scale = p.alibi_scale,
          .alibi_in_bf16 = p.alibi_in_bf16 != 0,
          .sinks = run.operand<float>(kSinks),
          .unit_begin = run.begin,
          .unit_end = run.end,
          .scratch = reinterpret_cast<float*>(run.scratch)};
}

/// Reports a fault and returns false if a row of the cache is outside of it.
bool FindCacheRows(const StepRun& run, const AttentionParams& p) {
  const int64_t* cache_rows = run.operand<int64_t>(kCacheRows);
  for (int64_t b = 0; cache_rows != nullptr && b < p.batch; ++b) {
    if (cache_rows[b] >= 0 && cache_rows[b] < p.cache_batch) continue;
    run.fault.Report(run.step_index, cache_rows[b], p.cache_batch);
    return false;
  }
  return true;
}

template <const AttentionKind& kKind>
void Run(const StepRun& run) {
  const auto p = run.params_as<AttentionParams>();
  if (FindCacheRows(run, p)) (run.kernels.*kKind.kernel)(ArgsOf(run, p));
}

/// How long a unit takes depends on how many slots its rows see, which only the run knows. Units of
/// few rows are short, and one that is taken with the next asks for its memory.
UnitsTaken TakenUnits(const std::byte* params) {
  AttentionParams p;
  std::memcpy(&p, params, sizeof(p));
  return {.least = 1, .most = RowsOfKvHead(p) <= kTileRows ? 4 : 1};
}

void RunSplit(const StepRun& run) {
  const auto p = run.params_as<AttentionSplitParams>();
  if (!FindCacheRows(run, p.attention)) return;
  AttentionArgs args = ArgsOf(run, p.attention);
  args.partial = std::exchange(args.out, nullptr);
  args.split_slots = p.split_slots;
  run.kernels.attention_f32(args);
}

template <const AttentionKind& kKind>
constexpr StepDefinition Definition(std::string_view name) {
  return {.name = name,
          .params_bytes = sizeof(AttentionParams),
          .operand_count = kOperandCount,
          .check = Check<kKind>,
          .run = Run<kKind>,
          .units_taken = TakenUnits};
}

}  // namespace

extern constexpr StepDefinition kAttentionStep = Definition<kF32>("attention");
extern constexpr StepDefinition kAttentionBf16Step = Definition<kBf16>("attention_bf16");
extern constexpr StepDefinition kAttentionSplitStep = {.name = "attention_split",
                                                       .params_bytes = sizeof(AttentionSplitParams),
                                                       .operand_count = kOperandCount,
                                                       .check = CheckSplit,
                                                       .run = RunSplit,
                                                       .units_taken = TakenUnits};

}  // namespace qeff::cpu
