// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kPositions, kCacheRows, kCache, kOperandCount };

int64_t StoredSlots(const CacheWriteParams& p) {
  return p.as_panels != 0 ? PanelCount(p.slots) * kPanelColumns : p.slots;
}

void Check(StepCheck& check) {
  const auto p = check.params_as<CacheWriteParams>();
  check.RequireSizes({p.batch, p.tokens, p.heads, p.head_size, p.x_stride, p.cache_batch, p.slots});
  check.Require(check.has(kCacheRows) || p.batch <= p.cache_batch,
                "the batch is larger than the cache's");
  check.Require(p.head_size > 0, "a head has no channels");
  const int64_t rows = Product({p.batch, p.tokens});
  check.Read(kX, StridedExtent(rows, p.x_stride, Product({p.heads, p.head_size})), 4);
  check.Read(kPositions, rows, 8);
  check.ReadOptional(kCacheRows, p.batch, 8);
  check.Write(kCache, Product({p.cache_batch, p.heads, StoredSlots(p), p.head_size}), 4);
  check.Done(Product({p.batch, p.heads}));
}

void WriteSlot(const CacheWriteParams& p, const float* x, float* cache, int64_t slot) {
  if (p.as_panels == 0) {
    std::memcpy(cache + slot * p.head_size, x, static_cast<size_t>(p.head_size) * 4);
    return;
  }
  float* panel = cache + slot / kPanelColumns * kPanelColumns * p.head_size + slot % kPanelColumns;
  for (int64_t e = 0; e < p.head_size; ++e) panel[e * kPanelColumns] = x[e];
}

void Run(const StepRun& run) {
  const auto p = run.params_as<CacheWriteParams>();
  const int64_t* cache_rows = run.operand<int64_t>(kCacheRows);
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const int64_t batch = unit / p.heads;
    const int64_t head = unit % p.heads;
    const int64_t cache_row = cache_rows == nullptr ? batch : cache_rows[batch];
    if (cache_row < 0 || cache_row >= p.cache_batch) {
      run.fault.Report(run.step_index, cache_row, p.cache_batch);
      continue;
    }
    float* cache =
        run.operand<float>(kCache) + (cache_row * p.heads + head) * StoredSlots(p) * p.head_size;
    for (int64_t t = 0; t < p.tokens; ++t) {
      const int64_t row = batch * p.tokens + t;
      const int64_t slot = run.operand<int64_t>(kPositions)[row];
      if (slot < 0) continue;
      if (slot >= p.slots) {
        if (p.must_fit != 0) run.fault.Report(run.step_index, slot, p.slots);
        continue;
      }
      WriteSlot(p, run.operand<float>(kX) + row * p.x_stride + head * p.head_size, cache, slot);
    }
  }
}

}  // namespace

extern constexpr StepDefinition kCacheWriteStep = {"cache_write", sizeof(CacheWriteParams),
                                                   kOperandCount, Check, Run};

}  // namespace qeff::cpu
