// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/weight_writer.h"

#include <algorithm>
#include <utility>

namespace qeff::onnx_io {

WeightWriter::WeightWriter(const DataSink& sink, int64_t split_bytes)
    : sink_(sink),
      split_bytes_(split_bytes),
      file_name_(split_bytes > 0 ? "model_0.onnx.data" : "model.onnx.data") {}

/// Counts as QEfficient's SplitTensorsTransform does: a tensor that is too large for any file gets
/// one of its own.
void WeightWriter::ChooseFile(int64_t weight_bytes) {
  const bool is_full =
      split_bytes_ > 0 && tensor_bytes_ > 0 && weight_bytes > split_bytes_ - tensor_bytes_;
  if (is_full) {
    file_name_ = fmt::format("model_{}.onnx.data", ++file_index_);
    finished_bytes_ += std::exchange(offset_bytes_, 0);
    tensor_bytes_ = 0;
  }
  tensor_bytes_ += weight_bytes;
}

Status WeightWriter::Emit(std::span<const std::byte> bytes) {
  QEFF_RETURN_IF_ERROR(sink_(file_name_, bytes));
  offset_bytes_ += static_cast<int64_t>(bytes.size());
  return Status::Ok();
}

Result<WeightWriter::Place> WeightWriter::Append(const ir::Weight& weight) {
  ChooseFile(weight.size_bytes());
  const int64_t past_bytes = offset_bytes_ % kTensorAlignmentBytes;
  if (past_bytes != 0) {
    const std::vector<std::byte> zeros(static_cast<size_t>(kTensorAlignmentBytes - past_bytes));
    QEFF_RETURN_IF_ERROR(Emit(zeros));
  }
  const int64_t start_bytes = offset_bytes_;
  if (const auto* leaf = std::get_if<ir::FileBytes>(&weight.recipe())) {
    QEFF_RETURN_IF_ERROR(EmitFileBytes(*leaf, weight.size_bytes()));
  } else {
    // A block of a transposed matrix touches all of its source: have it read in order beforehand.
    ir::ForEachFileLeaf(weight, [](const ir::FileBytes& source, const ir::Weight& of) {
      source.file->WillNeed(static_cast<size_t>(source.offset_bytes),
                            static_cast<size_t>(of.size_bytes()));
    });
    QEFF_RETURN_IF_ERROR(EmitBlocks(weight));
    ir::ReleasePages(weight);
  }
  return Place{file_name_, start_bytes};
}

Status WeightWriter::EmitFileBytes(const ir::FileBytes& leaf, int64_t size_bytes) {
  for (int64_t done = 0; done < size_bytes; done += kBlockBytes) {
    const auto offset = static_cast<size_t>(leaf.offset_bytes + done);
    const auto block_bytes = static_cast<size_t>(std::min(kBlockBytes, size_bytes - done));
    QEFF_RETURN_IF_ERROR(Emit(leaf.file->bytes().subspan(offset, block_bytes)));
    leaf.file->Release(offset, block_bytes);
  }
  return Status::Ok();
}

Status WeightWriter::EmitBlocks(const ir::Weight& weight) {
  const std::vector<int64_t>& dims = weight.dims();
  if (weight.size_bytes() <= kBlockBytes || DTypeBits(weight.dtype()) < 8) {
    QEFF_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, ir::ReadWholeWeight(weight));
    return Emit(bytes);
  }
  // Axes before `axis` are walked one index at a time, `axis` in steps, those behind it as a whole.
  size_t axis = 0;
  int64_t row_bytes = weight.size_bytes() / dims[0];
  while (row_bytes > kBlockBytes) row_bytes /= dims[++axis];
  const int64_t step = kBlockBytes / row_bytes;
  std::vector<ir::Range> block;
  for (size_t i = 0; i < dims.size(); ++i) block.push_back({0, i < axis ? 1 : dims[i]});
  std::vector<std::byte> bytes;
  while (true) {
    for (int64_t begin = 0; begin < dims[axis]; begin += step) {
      block[axis] = {begin, std::min(begin + step, dims[axis])};
      bytes.resize(static_cast<size_t>((block[axis].end - begin) * row_bytes));
      QEFF_RETURN_IF_ERROR(ir::ReadWeight(weight, block, bytes));
      QEFF_RETURN_IF_ERROR(Emit(bytes));
    }
    size_t i = axis;
    while (i > 0 && block[i - 1].end == dims[i - 1]) block[--i] = {0, 1};
    if (i == 0) return Status::Ok();
    block[i - 1] = {block[i - 1].begin + 1, block[i - 1].end + 1};
  }
}

}  // namespace qeff::onnx_io
