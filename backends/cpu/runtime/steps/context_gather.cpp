// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/cache_rows.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kData, kIndices, kCacheRows, kOut, kOperandCount };

CacheLayout LayoutOf(const ContextGatherParams& p) {
  return {.format = p.format, .slots = p.slots, .channels = p.head_size};
}

void Check(StepCheck& check) {
  const auto p = check.params_as<ContextGatherParams>();
  check.RequireSizes({p.batch, p.heads, p.slots, p.head_size, p.cache_batch, p.count,
                      p.index_batch_stride, p.index_head_stride});
  check.Require(check.has(kCacheRows) || p.batch <= p.cache_batch,
                "the batch is larger than the cache's");
  RequireCache(check, kData, Product({p.cache_batch, p.heads}), LayoutOf(p),
               /*is_written=*/false);
  const int64_t head_extent = StridedExtent(p.heads, p.index_head_stride, p.count);
  check.ReadIndices(kIndices, StridedExtent(p.batch, p.index_batch_stride, head_extent));
  check.ReadOptionalIndices(kCacheRows, p.batch);
  check.Write(kOut, Product({p.batch, p.heads, p.count, p.head_size}), 4);
  check.Done(Product({p.batch, p.heads}));
}

void Run(const StepRun& run) {
  const auto p = run.params_as<ContextGatherParams>();
  const CacheLayout layout = LayoutOf(p);
  const int64_t* cache_rows = run.operand<int64_t>(kCacheRows);
  const auto row_bytes = static_cast<size_t>(p.head_size) * 4;
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const int64_t batch = unit / p.heads;
    const int64_t head = unit % p.heads;
    const int64_t cache_row = cache_rows == nullptr ? batch : cache_rows[batch];
    const bool has_row = cache_row >= 0 && cache_row < p.cache_batch;
    const std::byte* data = run.operand<std::byte>(kData) +
                            ((has_row ? cache_row : 0) * p.heads + head) * layout.head_bytes();
    const int64_t* indices =
        run.operand<int64_t>(kIndices) + batch * p.index_batch_stride + head * p.index_head_stride;
    float* out = run.operand<float>(kOut) + unit * p.count * p.head_size;
    for (int64_t i = 0; i < p.count; ++i) {
      const int64_t slot = indices[i];
      if (!has_row || slot < 0 || slot >= p.slots) {
        std::memset(out + i * p.head_size, 0, row_bytes);
      } else {
        ReadCacheSlot(layout, data, slot, out + i * p.head_size);
      }
    }
  }
}

}  // namespace

extern constexpr StepDefinition kContextGatherStep = {"context_gather", sizeof(ContextGatherParams),
                                                      kOperandCount, Check, Run};

}  // namespace qeff::cpu
