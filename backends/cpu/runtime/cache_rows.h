// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Slots of caches in the formats of kernels/kernels.h: sizes, and one slot of one head at a time.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/runtime/program.h"
#include "backends/cpu/runtime/step.h"

namespace qeff::cpu {

/// "f32", "bf16", ... as qeff-compile spells them.
std::string_view CacheFormatName(CacheFormat format);
constexpr bool IsKnown(CacheFormat format) {
  return format >= CacheFormat::kF32 && static_cast<int32_t>(format) < kCacheFormatCount;
}

/// How the slots of one head of a cache lie in memory.
struct CacheLayout {
  CacheFormat format = CacheFormat::kF32;
  bool as_panels = false;  ///< keys of an attention
  int64_t slots = 0;
  int64_t channels = 0;

  int64_t stored_slots() const { return as_panels ? PanelCount(slots) * kPanelColumns : slots; }
  /// Bytes of a head; saturates as Product does.
  int64_t head_bytes() const { return Product({stored_slots(), CacheSlotBytes(format, channels)}); }
  /// What WriteCacheSlot needs.
  int64_t scratch_bytes() const {
    return format == CacheFormat::kF32 ? 0 : CacheSlotBytes(format, channels);
  }
};

/// The heads of a state of rank 3 or more, [.., C, E].
CacheLayout LayoutOf(const StateTensor& state);

/// Fails the check unless the format is known and the operand has `heads` heads of `layout`.
void RequireCache(StepCheck& check, int operand, int64_t heads, const CacheLayout& layout,
                  bool is_written);

/// Rounds x [channels] to slot `slot` of `head`.
void WriteCacheSlot(const Kernels& kernels, const CacheLayout& layout, const float* x,
                    std::byte* head, int64_t slot, std::byte* scratch);
/// out [channels] = slot `slot` of `head`.
void ReadCacheSlot(const CacheLayout& layout, const std::byte* head, int64_t slot, float* out);

}  // namespace qeff::cpu
