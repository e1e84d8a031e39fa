// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/cache_rows.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kPositions, kCacheRows, kCache, kOperandCount };

CacheLayout LayoutOf(const CacheWriteParams& p) {
  return {
      .format = p.format, .as_panels = p.as_panels != 0, .slots = p.slots, .channels = p.head_size};
}

void Check(StepCheck& check) {
  const auto p = check.params_as<CacheWriteParams>();
  check.RequireSizes({p.batch, p.tokens, p.heads, p.head_size, p.x_stride, p.cache_batch, p.slots});
  check.Require(check.has(kCacheRows) || p.batch <= p.cache_batch,
                "the batch is larger than the cache's");
  check.Require(p.head_size > 0, "a head has no channels");
  const int64_t rows = Product({p.batch, p.tokens});
  check.Read(kX, StridedExtent(rows, p.x_stride, Product({p.heads, p.head_size})), 4);
  check.ReadIndices(kPositions, rows);
  check.ReadOptionalIndices(kCacheRows, p.batch);
  const CacheLayout layout = LayoutOf(p);
  RequireCache(check, kCache, Product({p.cache_batch, p.heads}), layout, /*is_written=*/true);
  check.Done(Product({p.batch, p.heads}), layout.scratch_bytes());
}

void Run(const StepRun& run) {
  const auto p = run.params_as<CacheWriteParams>();
  const CacheLayout layout = LayoutOf(p);
  const int64_t* cache_rows = run.operand<int64_t>(kCacheRows);
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const int64_t batch = unit / p.heads;
    const int64_t head = unit % p.heads;
    const int64_t cache_row = cache_rows == nullptr ? batch : cache_rows[batch];
    if (cache_row < 0 || cache_row >= p.cache_batch) {
      run.fault.Report(run.step_index, cache_row, p.cache_batch);
      continue;
    }
    std::byte* cache =
        run.operand<std::byte>(kCache) + (cache_row * p.heads + head) * layout.head_bytes();
    for (int64_t t = 0; t < p.tokens; ++t) {
      const int64_t row = batch * p.tokens + t;
      const int64_t slot = run.operand<int64_t>(kPositions)[row];
      if (slot < 0) continue;
      if (slot >= p.slots) {
        if (p.must_fit != 0) run.fault.Report(run.step_index, slot, p.slots);
        continue;
      }
      WriteCacheSlot(run.kernels, layout,
                     run.operand<float>(kX) + row * p.x_stride + head * p.head_size, cache, slot,
                     run.scratch);
    }
  }
}

}  // namespace

extern constexpr StepDefinition kCacheWriteStep = {"cache_write", sizeof(CacheWriteParams),
                                                   kOperandCount, Check, Run};

}  // namespace qeff::cpu
