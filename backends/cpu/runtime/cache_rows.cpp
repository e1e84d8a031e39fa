// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/cache_rows.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "lib/support/float16.h"

namespace qeff::cpu {
namespace {

/// Where the elements of a slot lie, in elements of the head, and its scales, in bytes.
struct SlotPlace {
  SlotPlace(const CacheLayout& layout, int64_t slot) {
    if (layout.as_panels) {
      const int64_t panel = slot / kPanelColumns * kPanelColumns;
      element = panel * layout.channels + slot % kPanelColumns;
      element_step = kPanelColumns;
      if (layout.format == CacheFormat::kMxint8) {
        element += panel * MxBlocks(layout.channels);
        scale = panel * CacheSlotBytes(layout.format, layout.channels) +
                kPanelColumns * layout.channels + slot % kPanelColumns;
        scale_step = kPanelColumns;
      }
    } else {
      element = slot * layout.channels;
      scale = layout.slots * layout.channels + slot;
      scale_step = layout.slots;
    }
  }
  int64_t element;
  int64_t element_step = 1;
  int64_t scale = 0;
  int64_t scale_step = 0;
};

template <typename T>
void CopyStrided(const T* from, int64_t from_step, T* to, int64_t to_step, int64_t count) {
  if (from_step == 1 && to_step == 1) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < count; ++i) to[i * to_step] = from[i * from_step];
}

template <typename T>
void PutElements(const CacheLayout& layout, const SlotPlace& place, const void* from,
                 std::byte* head) {
  CopyStrided(static_cast<const T*>(from), 1, reinterpret_cast<T*>(head) + place.element,
              place.element_step, layout.channels);
}

float Mxint8ToF32(int8_t number, uint8_t code) {
  if (code == 255) return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(static_cast<float>(number), int{code} - 127 - 6);
}

}  // namespace

std::string_view CacheFormatName(CacheFormat format) {
  switch (format) {
    case CacheFormat::kF32:
      return "f32";
    case CacheFormat::kBf16:
      return "bf16";
    case CacheFormat::kF16:
      return "f16";
    case CacheFormat::kMxint8:
      return "mxint8";
  }
  return "?";
}

CacheLayout LayoutOf(const StateTensor& state) {
  return {.format = state.format,
          .as_panels = state.layout == StateLayout::kKeyPanels,
          .slots = state.dims[state.dims.size() - 2],
          .channels = state.dims.back()};
}

void RequireCache(StepCheck& check, int operand, int64_t heads, const CacheLayout& layout,
                  bool is_written) {
  check.Require(IsKnown(layout.format), "unknown format of a cache");
  int64_t element_bytes = 1;
  if (layout.format == CacheFormat::kF32) element_bytes = 4;
  if (layout.format == CacheFormat::kBf16 || layout.format == CacheFormat::kF16) element_bytes = 2;
  const int64_t count = Product({heads, layout.head_bytes()}) / element_bytes;
  is_written ? check.Write(operand, count, element_bytes)
             : check.Read(operand, count, element_bytes);
}

void WriteCacheSlot(const Kernels& kernels, const CacheLayout& layout, const float* x,
                    std::byte* head, int64_t slot, std::byte* scratch) {
  const SlotPlace place(layout, slot);
  if (layout.format == CacheFormat::kF32) return PutElements<float>(layout, place, x, head);
  auto* scales = reinterpret_cast<uint8_t*>(scratch) + layout.channels;  // of one byte each
  kernels.cache_row({.format = layout.format,
                     .x = x,
                     .channels = layout.channels,
                     .elements = scratch,
                     .scales = scales});
  if (layout.format != CacheFormat::kMxint8) {
    return PutElements<uint16_t>(layout, place, scratch, head);
  }
  PutElements<uint8_t>(layout, place, scratch, head);
  CopyStrided(scales, 1, reinterpret_cast<uint8_t*>(head) + place.scale, place.scale_step,
              MxBlocks(layout.channels));
}

void ReadCacheSlot(const CacheLayout& layout, const std::byte* head, int64_t slot, float* out) {
  const SlotPlace place(layout, slot);
  if (layout.format == CacheFormat::kF32) {
    CopyStrided(reinterpret_cast<const float*>(head) + place.element, place.element_step, out, 1,
                layout.channels);
    return;
  }
  const auto* halves = reinterpret_cast<const uint16_t*>(head) + place.element;
  const auto* numbers = reinterpret_cast<const int8_t*>(head) + place.element;
  const auto* scales = reinterpret_cast<const uint8_t*>(head) + place.scale;
  for (int64_t e = 0; e < layout.channels; ++e) {
    const int64_t at = e * place.element_step;
    if (layout.format == CacheFormat::kMxint8) {
      out[e] = Mxint8ToF32(numbers[at], scales[e / kMxBlock * place.scale_step]);
    } else {
      out[e] = layout.format == CacheFormat::kBf16 ? Bf16ToF32(halves[at]) : F16ToF32(halves[at]);
    }
  }
}

}  // namespace qeff::cpu
