// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/weight_blocks.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "backends/cpu/plan/quantise.h"
#include "backends/cpu/runtime/packed_formats.h"
#include "lib/support/float16.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kBlockBytes = int64_t{8} << 20;

}  // namespace

int64_t PanelsPerBlock(int64_t depth) {
  return std::max<int64_t>(1, kBlockBytes / std::max<int64_t>(1, depth * kPanelColumns * 4));
}

MatrixStack StackOf(const ir::Weight& weight) {
  const std::vector<int64_t>& dims = weight.dims();
  QEFF_CHECK(dims.size() == 2 || dims.size() == 3, "a weight of rank {}", dims.size());
  return {dims.size() == 3 ? dims[0] : 1, dims[dims.size() - 2], dims.back()};
}

Status ReadRowsF32(const ir::Weight& weight, const RowBlock& block, std::vector<float>& out) {
  const MatrixStack stack = StackOf(weight);
  out.assign(static_cast<size_t>(block.count * stack.depth), 0.0f);
  const int64_t there = std::clamp<int64_t>(stack.rows - block.first, 0, block.count);
  if (there == 0 || stack.depth == 0) return Status::Ok();
  std::span<float> target(out.data(), static_cast<size_t>(there * stack.depth));
  const ir::WeightPtr same(&weight, [](const ir::Weight*) {});  // borrowed for this call
  const ir::WeightPtr converted = ir::Converted(same, DType::kF32);
  std::vector<ir::Range> ranges = {{block.first, block.first + there}, {0, stack.depth}};
  if (weight.dims().size() == 3) {
    ranges.insert(ranges.begin(), {block.matrix, block.matrix + 1});
  }
  return ir::ReadWeight(*converted, ranges, std::as_writable_bytes(target));
}

Result<bool> IsExactlyBf16(const ir::Weight& weight) {
  const MatrixStack stack = StackOf(weight);
  std::vector<float> rows;
  const int64_t step = PanelsPerBlock(stack.depth) * kPanelColumns;
  for (int64_t matrix = 0; matrix < stack.count; ++matrix) {
    for (int64_t first = 0; first < stack.rows; first += step) {
      QEFF_RETURN_IF_ERROR(
          ReadRowsF32(weight, {matrix, first, std::min(step, stack.rows - first)}, rows));
      uint32_t low_bits = 0;
      for (const float value : rows) low_bits |= std::bit_cast<uint32_t>(value);
      if ((low_bits & 0xffffu) != 0) return false;
    }
    ir::ReleasePages(weight);
  }
  return true;
}

void LayOutPanel(const float* rows, int64_t depth, WeightFormat format, std::byte* out) {
  if (IsQuantised(format)) return LayOutQuantPanel(rows, depth, format, out);
  constexpr int64_t kStep = 16;  // a cache line of each of the 32 rows at a time
  if (format == WeightFormat::kF32) {
    auto* to = reinterpret_cast<float*>(out);
    for (int64_t begin = 0; begin < depth; begin += kStep) {
      const int64_t end = std::min(depth, begin + kStep);
      for (int64_t c = 0; c < kPanelColumns; ++c) {
        for (int64_t k = begin; k < end; ++k) to[k * kPanelColumns + c] = rows[c * depth + k];
      }
    }
    return;
  }
  auto* to = reinterpret_cast<uint16_t*>(out);
  for (int64_t begin = 0; begin < depth; begin += kStep) {
    const int64_t end = std::min(depth, begin + kStep);
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      for (int64_t k = begin; k < end; ++k) {
        to[k / 2 * 2 * kPanelColumns + 2 * c + k % 2] = F32ToBf16(rows[c * depth + k]);
      }
    }
  }
  for (int64_t c = 0; depth % 2 != 0 && c < kPanelColumns; ++c) {
    to[(depth - 1) * kPanelColumns + 2 * c + 1] = 0;
  }
}

}  // namespace qeff::cpu
