// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/weight_blocks.h"

#include <algorithm>
#include <cstring>

#include "backends/cpu/plan/quantise.h"
#include "backends/cpu/runtime/packed_formats.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kBlockBytes = int64_t{16} << 20;
constexpr int64_t kCacheLineBytes = 64;

/// True for a weight of `dtype`, and for one that becomes f32 from it, exactly.
bool IsStoredAs(const ir::Weight& weight, DType dtype) {
  if (weight.dtype() == dtype) return true;
  const auto* conversion = std::get_if<ir::ConvertOf>(&weight.recipe());
  return conversion != nullptr && conversion->source->dtype() == dtype &&
         weight.dtype() == DType::kF32;
}

using FourWords = uint32_t __attribute__((vector_size(16)));

FourWords LoadWords(const std::byte* from) {
  FourWords words;
  std::memcpy(&words, from, sizeof(words));
  return words;
}

/// Word w of row c becomes word c of line w, for a cache line of each of the 32 rows. As fast as
/// copying them; word by word it takes almost twice as long.
void TransposeLines(const std::byte* rows, int64_t row_bytes, std::byte* out) {
  constexpr int64_t kPieceBytes = sizeof(FourWords);
  constexpr int64_t kLineBytes = kPanelColumns * 4;
  for (int64_t c = 0; c < kPanelColumns; c += 4) {
    const std::byte* row = rows + c * row_bytes;
    for (int64_t at = 0; at < kCacheLineBytes; at += kPieceBytes) {
      const FourWords a = LoadWords(row + at);
      const FourWords b = LoadWords(row + row_bytes + at);
      const FourWords d = LoadWords(row + 2 * row_bytes + at);
      const FourWords e = LoadWords(row + 3 * row_bytes + at);
      const FourWords ab[] = {__builtin_shufflevector(a, b, 0, 4, 1, 5),
                              __builtin_shufflevector(a, b, 2, 6, 3, 7)};
      const FourWords de[] = {__builtin_shufflevector(d, e, 0, 4, 1, 5),
                              __builtin_shufflevector(d, e, 2, 6, 3, 7)};
      std::byte* line = out + at * kPanelColumns + c * 4;
      for (int half = 0; half < 2; ++half) {
        const FourWords first = __builtin_shufflevector(ab[half], de[half], 0, 1, 4, 5);
        const FourWords second = __builtin_shufflevector(ab[half], de[half], 2, 3, 6, 7);
        std::memcpy(line + 2 * half * kLineBytes, &first, sizeof(first));
        std::memcpy(line + (2 * half + 1) * kLineBytes, &second, sizeof(second));
      }
    }
  }
}

/// Word w of row c becomes word c of line w; the last word of a row is filled up with zeros.
template <typename Word>
void TransposeRows(const std::byte* rows, int64_t row_bytes, std::byte* out) {
  constexpr auto kWord = static_cast<int64_t>(sizeof(Word));
  for (int64_t begin = 0; begin < row_bytes; begin += kCacheLineBytes) {
    const int64_t end = std::min(row_bytes, begin + kCacheLineBytes);
    if (kWord == 4 && end - begin == kCacheLineBytes) {
      TransposeLines(rows + begin, row_bytes, out + begin * kPanelColumns);
      continue;
    }
    for (int64_t c = 0; c < kPanelColumns; ++c) {
      const std::byte* row = rows + c * row_bytes;
      int64_t at = begin;
      for (; at + kWord <= end; at += kWord) {
        std::memcpy(out + at * kPanelColumns + c * kWord, row + at, kWord);
      }
      if (at == end) continue;
      std::byte last[kWord] = {};
      std::copy(row + at, row + end, last);
      std::memcpy(out + at * kPanelColumns + c * kWord, last, kWord);
    }
  }
}

/// Rows [first, first + count) of matrix `matrix` of a stack.
struct RowBlock {
  int64_t matrix = 0;
  int64_t first = 0;
  int64_t count = 0;
};

/// Reads them as `dtype` (a float) into `out` [count, K]; rows past the end of the matrix are
/// zeros.
Status ReadRows(const ir::WeightPtr& weight, const RowBlock& block, DType dtype,
                std::vector<std::byte>& out) {
  const MatrixStack stack = StackOf(*weight);
  const int64_t row_bytes = DTypeBytes(dtype, stack.depth);
  const int64_t there = std::clamp<int64_t>(stack.rows - block.first, 0, block.count);
  out.resize(static_cast<size_t>(block.count * row_bytes));
  std::fill(out.begin() + there * row_bytes, out.end(), std::byte{0});
  if (there == 0 || stack.depth == 0) return Status::Ok();
  std::vector<ir::Range> ranges = {{block.first, block.first + there}, {0, stack.depth}};
  if (weight->dims().size() == 3) {
    ranges.insert(ranges.begin(), {block.matrix, block.matrix + 1});
  }
  return ir::ReadWeight(*ir::Converted(weight, dtype), ranges,
                        std::span(out).first(static_cast<size_t>(there * row_bytes)));
}

/// The rows of a block where they lie in a file; null if they do not lie there as `dtype`, dense,
/// at an address for f32, or if some lie past the end of the matrix.
const std::byte* RowsInFile(const ir::WeightPtr& weight, const RowBlock& block, DType dtype) {
  const MatrixStack stack = StackOf(*weight);
  const ir::WeightPtr stored = ir::Converted(weight, dtype);
  const auto* recipe = std::get_if<ir::FileBytes>(&stored->recipe());
  if (recipe == nullptr || block.first + block.count > stack.rows) return nullptr;
  const int64_t first_element = (block.matrix * stack.rows + block.first) * stack.depth;
  const std::byte* rows =
      recipe->file->bytes().data() + recipe->offset_bytes + DTypeBytes(dtype, first_element);
  return reinterpret_cast<uintptr_t>(rows) % alignof(float) == 0 ? rows : nullptr;
}

/// What LayOutPanel takes rows as.
DType PanelRowDType(WeightFormat format) {
  if (format == WeightFormat::kF16) return DType::kF16;
  return format == WeightFormat::kBf16 ? DType::kBf16 : DType::kF32;
}

/// Writes `rows` [32, depth] of PanelRowDType as one panel, all of its PanelBytes.
void LayOutPanel(const std::byte* rows, int64_t depth, WeightFormat format, std::byte* out) {
  if (IsQuantised(format)) {
    std::fill_n(out, PanelBytes(format, depth), std::byte{0});
    return LayOutQuantPanel(reinterpret_cast<const float*>(rows), depth, format, out);
  }
  const int64_t row_bytes = DTypeBytes(PanelRowDType(format), depth);
  if (format == WeightFormat::kF16) return TransposeRows<uint16_t>(rows, row_bytes, out);
  TransposeRows<uint32_t>(rows, row_bytes, out);  // f32 and pairs of bf16 alike
}

}  // namespace

int64_t PanelsPerBlock(int64_t depth) {
  return std::max<int64_t>(1, kBlockBytes / std::max<int64_t>(1, depth * kPanelColumns * 4));
}

MatrixStack StackOf(const ir::Weight& weight) {
  const std::vector<int64_t>& dims = weight.dims();
  QEFF_CHECK(dims.size() == 2 || dims.size() == 3, "a weight of rank {}", dims.size());
  return {dims.size() == 3 ? dims[0] : 1, dims[dims.size() - 2], dims.back()};
}

bool IsStoredAsF16(const ir::WeightPtr& weight) { return IsStoredAs(*weight, DType::kF16); }

Result<bool> IsExactlyBf16(const ir::WeightPtr& weight) {
  if (IsStoredAs(*weight, DType::kBf16)) return true;
  const MatrixStack stack = StackOf(*weight);
  std::vector<std::byte> rows;
  const int64_t step = PanelsPerBlock(stack.depth) * kPanelColumns;
  for (int64_t matrix = 0; matrix < stack.count; ++matrix) {
    for (int64_t first = 0; first < stack.rows; first += step) {
      const RowBlock block = {matrix, first, std::min(step, stack.rows - first)};
      QEFF_RETURN_IF_ERROR(ReadRows(weight, block, DType::kF32, rows));
      uint32_t low_bits = 0;
      const auto* values = reinterpret_cast<const uint32_t*>(rows.data());
      for (size_t i = 0; i < rows.size() / 4; ++i) low_bits |= values[i];
      if ((low_bits & 0xffffu) != 0) return false;
    }
    ir::ReleasePages(*weight);
  }
  return true;
}

Status PackPanels(const ir::WeightPtr& weight, const PanelBlock& block, WeightFormat format,
                  std::vector<std::byte>& scratch, std::byte* out, int64_t stride_bytes) {
  const int64_t depth = StackOf(*weight).depth;
  const DType dtype = PanelRowDType(format);
  const RowBlock row_block = {block.matrix, block.first * kPanelColumns,
                              block.count * kPanelColumns};
  const std::byte* rows = RowsInFile(weight, row_block, dtype);
  if (rows == nullptr) {
    QEFF_RETURN_IF_ERROR(ReadRows(weight, row_block, dtype, scratch));
    rows = scratch.data();
  }
  const int64_t panel_rows_bytes = DTypeBytes(dtype, kPanelColumns * depth);
  for (int64_t i = 0; i < block.count; ++i) {
    LayOutPanel(rows + i * panel_rows_bytes, depth, format, out + i * stride_bytes);
  }
  return Status::Ok();
}

}  // namespace qeff::cpu
