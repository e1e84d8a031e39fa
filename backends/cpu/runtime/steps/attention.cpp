// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kQ, kPositions, kKeys, kValues, kCacheRows, kAlibiSlopes, kSinks, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<AttentionParams>();
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
  const int64_t out_width = Product({p.heads, p.value_size});
  check.Require(out_width <= p.out_stride || rows <= 1, "rows of the result overlap");
  check.Read(kQ, StridedExtent(rows, p.q_stride, Product({p.heads, p.key_size})), 4);
  check.Read(kPositions, rows, 8);
  const int64_t key_slots = PanelCount(p.capacity) * kPanelColumns;
  check.Read(kKeys, Product({p.cache_batch, p.kv_heads, key_slots, p.key_size}), 4);
  check.Read(kValues, Product({p.cache_batch, p.kv_heads, p.capacity, p.value_size}), 4);
  check.ReadOptional(kCacheRows, p.batch, 8);
  check.ReadOptional(kAlibiSlopes, p.heads, 4);
  check.ReadOptional(kSinks, p.heads, 4);
  check.Write(kOut, StridedExtent(rows, p.out_stride, out_width), 4);
  const int64_t tile_rows = p.kv_heads > 0 ? Product({p.tokens, p.heads / p.kv_heads}) : 0;
  check.Done(Product({p.batch, p.kv_heads, (tile_rows + kTileRows - 1) / kTileRows}),
             Product({AttentionScratchFloats(p.key_size, p.value_size), 4}));
}

void Run(const StepRun& run) {
  const auto p = run.params_as<AttentionParams>();
  const int64_t* cache_rows = run.operand<int64_t>(kCacheRows);
  for (int64_t b = 0; cache_rows != nullptr && b < p.batch; ++b) {
    if (cache_rows[b] < 0 || cache_rows[b] >= p.cache_batch) {
      run.fault.Report(run.step_index, cache_rows[b], p.cache_batch);
      return;
    }
  }
  run.kernels.attention_f32({.q = run.operand<float>(kQ),
                             .q_stride = p.q_stride,
                             .positions = run.operand<int64_t>(kPositions),
                             .keys = run.operand<float>(kKeys),
                             .values = run.operand<float>(kValues),
                             .cache_rows = cache_rows,
                             .out = run.operand<float>(kOut),
                             .out_stride = p.out_stride,
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
                             .scratch = reinterpret_cast<float*>(run.scratch)});
}

}  // namespace

extern constexpr StepDefinition kAttentionStep = {"attention", sizeof(AttentionParams),
                                                  kOperandCount, Check, Run};

}  // namespace qeff::cpu
