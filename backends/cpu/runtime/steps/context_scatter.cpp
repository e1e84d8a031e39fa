// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/cache_rows.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kUpdates, kPositions, kCacheRows, kData, kOperandCount };

CacheLayout LayoutOf(const ContextScatterParams& p) {
  return {.format = p.format, .slots = p.slots, .channels = p.head_size};
}

void Check(StepCheck& check) {
  const auto p = check.params_as<ContextScatterParams>();
  check.RequireSizes({p.batch, p.heads, p.tokens, p.slots, p.head_size, p.cache_batch});
  check.Require(check.has(kCacheRows) || p.batch <= p.cache_batch,
                "the batch is larger than the cache's");
  check.Require(p.head_size > 0, "a head has no channels");
  StepDims dims;
  StepStrides strides;
  const int64_t sizes[4] = {p.batch, p.heads, p.tokens, p.head_size};
  for (int axis = 0; axis < 4; ++axis) {
    dims.sizes[kMaxStepRank - 4 + axis] = sizes[axis];
    strides.strides[kMaxStepRank - 4 + axis] = p.update_strides[axis];
  }
  RequireStrided(check, dims, strides);
  check.Read(kUpdates, StridedElements(dims, strides), 4);
  check.ReadIndices(kPositions, Product({p.batch, p.tokens}));
  check.ReadOptionalIndices(kCacheRows, p.batch);
  const CacheLayout layout = LayoutOf(p);
  RequireCache(check, kData, Product({p.cache_batch, p.heads}), layout, /*is_written=*/true);
  check.Done(Product({p.batch, p.heads}), Product({p.head_size, 4}) + layout.scratch_bytes());
}

void Run(const StepRun& run) {
  const auto p = run.params_as<ContextScatterParams>();
  const CacheLayout layout = LayoutOf(p);
  auto* row = reinterpret_cast<float*>(run.scratch);
  const int64_t* cache_rows = run.operand<int64_t>(kCacheRows);
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const int64_t batch = unit / p.heads;
    const int64_t head = unit % p.heads;
    const int64_t cache_row = cache_rows == nullptr ? batch : cache_rows[batch];
    if (cache_row < 0 || cache_row >= p.cache_batch) continue;
    std::byte* data =
        run.operand<std::byte>(kData) + (cache_row * p.heads + head) * layout.head_bytes();
    const float* updates =
        run.operand<float>(kUpdates) + batch * p.update_strides[0] + head * p.update_strides[1];
    for (int64_t t = 0; t < p.tokens; ++t) {
      const int64_t slot = run.operand<int64_t>(kPositions)[batch * p.tokens + t];
      if (slot < 0 || slot >= p.slots) continue;
      for (int64_t e = 0; e < p.head_size; ++e) {
        row[e] = updates[t * p.update_strides[2] + e * p.update_strides[3]];
      }
      WriteCacheSlot(run.kernels, layout, row, data, slot,
                     reinterpret_cast<std::byte*>(row + p.head_size));
    }
  }
}

}  // namespace

extern constexpr StepDefinition kContextScatterStep = {
    "context_scatter", sizeof(ContextScatterParams), kOperandCount, Check, Run};

}  // namespace qeff::cpu
