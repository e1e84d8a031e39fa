// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Evaluation of weight recipes, block by block: each kind turns the wanted block into blocks of its
// sources.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "lib/ir/weight.h"
#include "lib/support/float16.h"

namespace qeff::ir {
namespace {

std::vector<int64_t> BlockDims(std::span<const Range> block) {
  std::vector<int64_t> dims;
  for (const Range& range : block) dims.push_back(range.end - range.begin);
  return dims;
}

std::vector<Range> FullBlock(const std::vector<int64_t>& dims) {
  std::vector<Range> block;
  for (const int64_t dim : dims) block.push_back({0, dim});
  return block;
}

/// Copies a block out of dense row-major elements. Trailing axes that are whole are copied as one
/// run.
Status CopyBlock(const std::byte* data, const Weight& weight, std::span<const Range> block,
                 std::span<std::byte> out) {
  const std::vector<int64_t>& dims = weight.dims();
  size_t axis = dims.size();
  int64_t run = 1;
  while (axis > 0 && block[axis - 1].begin == 0 && block[axis - 1].end == dims[axis - 1])
    run *= dims[--axis];
  if (axis == 0) {  // all of it, an odd number of 4-bit elements included
    if (!out.empty()) std::memcpy(out.data(), data, out.size());
    return Status::Ok();
  }
  // `axis` axes are left; the last of them is contiguous together with the run behind it.
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  int64_t pieces = 1;
  run *= block[axis - 1].end - block[axis - 1].begin;
  for (size_t i = 0; i + 1 < axis; ++i) pieces *= block[i].end - block[i].begin;
  const int bits = DTypeBits(weight.dtype());
  if (run * bits % 8 != 0 || block[axis - 1].begin * strides[axis - 1] * bits % 8 != 0) {
    return Unsupported({}, fmt::format("a block of {} that does not lie on byte borders",
                                       DTypeName(weight.dtype())));
  }
  const int64_t run_bytes = run * bits / 8;
  if (run_bytes == 0 || pieces == 0) return Status::Ok();
  std::vector<int64_t> index(axis, 0);
  std::byte* target = out.data();
  for (int64_t piece = 0; piece < pieces; ++piece, target += run_bytes) {
    int64_t element = 0;
    for (size_t i = 0; i < axis; ++i) element += (block[i].begin + index[i]) * strides[i];
    std::memcpy(target, data + element * bits / 8, static_cast<size_t>(run_bytes));
    for (size_t i = axis - 1; i-- > 0;) {
      if (++index[i] < block[i].end - block[i].begin) break;
      index[i] = 0;
    }
  }
  return Status::Ok();
}

/// out[c, r] = in[r, c], tiled so that both sides stay in cache.
template <typename T>
void TransposeMatrix(const T* in, int64_t rows, int64_t columns, T* out) {
  constexpr int64_t kTile = 32;
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    const int64_t r1 = std::min(r0 + kTile, rows);
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      const int64_t c1 = std::min(c0 + kTile, columns);
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t r = r0; r < r1; ++r) out[c * rows + r] = in[r * columns + c];
      }
    }
  }
}

/// out dim i = in dim permutation[i]; `in_dims` of the dense source block.
template <typename T>
void PermuteBlock(const T* in, const std::vector<int64_t>& in_dims,
                  const std::vector<int64_t>& permutation, T* out) {
  const size_t rank = in_dims.size();
  // The last two axes swapped, whatever stands before them: matrix by matrix.
  size_t kept = 0;
  while (kept < rank && permutation[kept] == static_cast<int64_t>(kept)) ++kept;
  if (kept + 2 == rank) {
    const int64_t rows = in_dims[kept];
    const int64_t columns = in_dims[kept + 1];
    const int64_t matrices =
        ElementCount({in_dims.begin(), in_dims.begin() + static_cast<std::ptrdiff_t>(kept)});
    for (int64_t i = 0; i < matrices; ++i) {
      TransposeMatrix(in + i * rows * columns, rows, columns, out + i * rows * columns);
    }
    return;
  }
  std::vector<int64_t> in_strides(rank, 1);
  for (size_t i = rank; i-- > 1;) in_strides[i - 1] = in_strides[i] * in_dims[i];
  std::vector<int64_t> dims(rank), strides(rank), index(rank, 0);
  int64_t count = 1;
  for (size_t i = 0; i < rank; ++i) {
    dims[i] = in_dims[static_cast<size_t>(permutation[i])];
    strides[i] = in_strides[static_cast<size_t>(permutation[i])];
    count *= dims[i];
  }
  int64_t at = 0;
  for (int64_t n = 0; n < count; ++n) {
    out[n] = in[at];
    for (size_t i = rank; i-- > 0;) {
      at += strides[i];
      if (++index[i] < dims[i]) break;
      at -= strides[i] * dims[i];
      index[i] = 0;
    }
  }
}

Status Permute(std::span<const std::byte> in, DType dtype, const std::vector<int64_t>& in_dims,
               const std::vector<int64_t>& permutation, std::byte* out) {
  switch (DTypeBits(dtype)) {
    case 8:
      PermuteBlock(reinterpret_cast<const uint8_t*>(in.data()), in_dims, permutation,
                   reinterpret_cast<uint8_t*>(out));
      return Status::Ok();
    case 16:
      PermuteBlock(reinterpret_cast<const uint16_t*>(in.data()), in_dims, permutation,
                   reinterpret_cast<uint16_t*>(out));
      return Status::Ok();
    case 32:
      PermuteBlock(reinterpret_cast<const uint32_t*>(in.data()), in_dims, permutation,
                   reinterpret_cast<uint32_t*>(out));
      return Status::Ok();
    case 64:
      PermuteBlock(reinterpret_cast<const uint64_t*>(in.data()), in_dims, permutation,
                   reinterpret_cast<uint64_t*>(out));
      return Status::Ok();
    default:
      return Unsupported({}, fmt::format("transposing {}", DTypeName(dtype)));
  }
}

template <typename T, typename F>
void ToFloats(const std::byte* in, int64_t count, float* out, F convert) {
  const T* values = reinterpret_cast<const T*>(in);
  for (int64_t i = 0; i < count; ++i) out[i] = convert(values[i]);
}

Status ConvertToFloats(const std::byte* in, DType dtype, int64_t count, float* out) {
  const auto cast = [](auto value) { return static_cast<float>(value); };
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, in, static_cast<size_t>(count) * 4);
      return Status::Ok();
    case DType::kF64:
      ToFloats<double>(in, count, out, cast);
      return Status::Ok();
    case DType::kF16:
      ToFloats<uint16_t>(in, count, out, F16ToF32);
      return Status::Ok();
    case DType::kBf16:
      ToFloats<uint16_t>(in, count, out, Bf16ToF32);
      return Status::Ok();
    case DType::kI8:
      ToFloats<int8_t>(in, count, out, cast);
      return Status::Ok();
    case DType::kI16:
      ToFloats<int16_t>(in, count, out, cast);
      return Status::Ok();
    case DType::kI32:
      ToFloats<int32_t>(in, count, out, cast);
      return Status::Ok();
    case DType::kI64:
      ToFloats<int64_t>(in, count, out, cast);
      return Status::Ok();
    case DType::kU8:
    case DType::kBool:
      ToFloats<uint8_t>(in, count, out, cast);
      return Status::Ok();
    default:
      return Unsupported({}, fmt::format("conversion from {} to f32", DTypeName(dtype)));
  }
}

Status ConvertFromFloats(const float* in, int64_t count, DType dtype, std::byte* out) {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, in, static_cast<size_t>(count) * 4);
      return Status::Ok();
    case DType::kF16:
      for (int64_t i = 0; i < count; ++i) reinterpret_cast<uint16_t*>(out)[i] = F32ToF16(in[i]);
      return Status::Ok();
    case DType::kBf16:
      for (int64_t i = 0; i < count; ++i) reinterpret_cast<uint16_t*>(out)[i] = F32ToBf16(in[i]);
      return Status::Ok();
    case DType::kF64:
      for (int64_t i = 0; i < count; ++i) reinterpret_cast<double*>(out)[i] = in[i];
      return Status::Ok();
    default:
      return Unsupported({}, fmt::format("conversion from f32 to {}", DTypeName(dtype)));
  }
}

class BlockReader {
 public:
  BlockReader(const Weight& weight, std::span<const Range> block, std::span<std::byte> out)
      : weight_(weight), block_(block), out_(out) {}

  Status operator()(const InlineBytes& recipe) const {
    return CopyBlock(recipe.bytes.data(), weight_, block_, out_);
  }
  Status operator()(const FileBytes& recipe) const {
    return CopyBlock(recipe.file->bytes().data() + recipe.offset_bytes, weight_, block_, out_);
  }
  Status operator()(const TransposeOf& recipe) const {
    std::vector<Range> block(block_.size());
    for (size_t i = 0; i < block.size(); ++i)
      block[static_cast<size_t>(recipe.permutation[i])] = block_[i];
    QEFF_ASSIGN_OR_RETURN(const std::vector<std::byte> source, ReadSource(*recipe.source, block));
    return Permute(source, weight_.dtype(), BlockDims(block), recipe.permutation, out_.data());
  }
  Status operator()(const SliceOf& recipe) const {
    std::vector<Range> block(block_.begin(), block_.end());
    Range& range = block[static_cast<size_t>(recipe.axis)];
    range = {range.begin + recipe.begin, range.end + recipe.begin};
    return ReadWeight(*recipe.source, block, out_);
  }
  Status operator()(const ConcatOf& recipe) const {
    const auto axis = static_cast<size_t>(recipe.axis);
    const std::vector<int64_t> dims = BlockDims(block_);
    int64_t outer = 1;
    int64_t inner = 1;
    for (size_t i = 0; i < axis; ++i) outer *= dims[i];
    for (size_t i = axis + 1; i < dims.size(); ++i) inner *= dims[i];
    const int64_t out_row_bytes = DTypeBytes(weight_.dtype(), dims[axis] * inner);
    int64_t part_begin = 0;
    int64_t column_bytes = 0;
    for (const WeightPtr& part : recipe.parts) {
      const int64_t part_end = part_begin + part->dims()[axis];
      const Range wanted{std::max(block_[axis].begin, part_begin),
                         std::min(block_[axis].end, part_end)};
      if (wanted.begin < wanted.end) {
        std::vector<Range> block(block_.begin(), block_.end());
        block[axis] = {wanted.begin - part_begin, wanted.end - part_begin};
        QEFF_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, ReadSource(*part, block));
        const int64_t row_bytes = DTypeBytes(weight_.dtype(), (wanted.end - wanted.begin) * inner);
        for (int64_t row = 0; row < outer; ++row) {
          std::memcpy(out_.data() + row * out_row_bytes + column_bytes,
                      bytes.data() + row * row_bytes, static_cast<size_t>(row_bytes));
        }
        column_bytes += row_bytes;
      }
      part_begin = part_end;
    }
    return Status::Ok();
  }
  Status operator()(const ReshapeOf& recipe) const {
    // Whole rows of the result that are whole rows of the source are read alone.
    const std::vector<int64_t>& dims = weight_.dims();
    const std::vector<int64_t>& source_dims = recipe.source->dims();
    bool whole_rows = !dims.empty() && !source_dims.empty() && dims[0] > 0 && source_dims[0] > 0;
    for (size_t i = 1; i < dims.size() && whole_rows; ++i) {
      whole_rows = block_[i].begin == 0 && block_[i].end == dims[i];
    }
    if (whole_rows) {
      const int64_t row = weight_.element_count() / dims[0];
      const int64_t source_row = recipe.source->element_count() / source_dims[0];
      const int64_t begin = block_[0].begin * row;
      const int64_t end = block_[0].end * row;
      if (source_row > 0 && begin % source_row == 0 && end % source_row == 0) {
        return ReadWeightRows(*recipe.source, {begin / source_row, end / source_row}, out_);
      }
    }
    return ReadReshaped(*recipe.source);
  }
  Status operator()(const ConvertOf& recipe) const {
    const int64_t count = ElementCount(BlockDims(block_));
    QEFF_ASSIGN_OR_RETURN(const std::vector<std::byte> source, ReadSource(*recipe.source, block_));
    const DType from = recipe.source->dtype();
    if (weight_.dtype() == DType::kF32) {
      return ConvertToFloats(source.data(), from, count, reinterpret_cast<float*>(out_.data()));
    }
    std::vector<float> floats(static_cast<size_t>(count));
    QEFF_RETURN_IF_ERROR(ConvertToFloats(source.data(), from, count, floats.data()));
    return ConvertFromFloats(floats.data(), count, weight_.dtype(), out_.data());
  }
  Status operator()(const PlusConstantOf& recipe) const {
    QEFF_RETURN_IF_ERROR(ReadWeight(*recipe.source, block_, out_));
    auto* values = reinterpret_cast<float*>(out_.data());
    const int64_t count = ElementCount(BlockDims(block_));
    for (int64_t i = 0; i < count; ++i) values[i] += recipe.constant;
    return Status::Ok();
  }
  Status operator()(const RopeTable& recipe) const {
    auto* value = reinterpret_cast<float*>(out_.data());
    const auto half = static_cast<int64_t>(recipe.inverse_frequencies.size());
    for (int64_t row = block_[0].begin; row < block_[0].end; ++row) {
      for (int64_t column = block_[1].begin; column < block_[1].end; ++column) {
        const float angle = static_cast<float>(row) *
                            recipe.inverse_frequencies[static_cast<size_t>(column % half)];
        const double exact = recipe.is_sine ? std::sin(double{angle}) : std::cos(double{angle});
        *value++ = static_cast<float>(exact) * recipe.scale;
      }
    }
    return Status::Ok();
  }

 private:
  /// Leading axes that source and result share, axes of size 1 apart, are read as the block wants
  /// them; of what comes behind, everything is read.
  Status ReadReshaped(const Weight& source) const {
    if (out_.empty()) return Status::Ok();
    const std::vector<int64_t>& dims = weight_.dims();
    const std::vector<int64_t>& source_dims = source.dims();
    std::vector<Range> source_block = FullBlock(source_dims);
    size_t at = 0;
    size_t source_at = 0;
    while (at < dims.size() || source_at < source_dims.size()) {
      if (at < dims.size() && dims[at] == 1) {
        ++at;
      } else if (source_at < source_dims.size() && source_dims[source_at] == 1) {
        ++source_at;
      } else if (at < dims.size() && source_at < source_dims.size() &&
                 dims[at] == source_dims[source_at]) {
        source_block[source_at++] = block_[at++];
      } else {
        break;
      }
    }
    QEFF_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, ReadSource(source, source_block));
    std::vector<int64_t> read_dims = BlockDims(block_);
    std::vector<Range> read_block = FullBlock(read_dims);
    for (size_t axis = at; axis < dims.size(); ++axis) {
      read_dims[axis] = dims[axis];
      read_block[axis] = block_[axis];
    }
    const Weight read(weight_.dtype(), std::move(read_dims), InlineBytes{});
    return CopyBlock(bytes.data(), read, read_block, out_);
  }

  static Result<std::vector<std::byte>> ReadSource(const Weight& source,
                                                   std::span<const Range> block) {
    std::vector<std::byte> bytes(
        static_cast<size_t>(DTypeBytes(source.dtype(), ElementCount(BlockDims(block)))));
    QEFF_RETURN_IF_ERROR(ReadWeight(source, block, bytes));
    return bytes;
  }

  const Weight& weight_;
  std::span<const Range> block_;
  std::span<std::byte> out_;
};

}  // namespace

Status ReadWeight(const Weight& weight, std::span<const Range> block, std::span<std::byte> out) {
  QEFF_CHECK(block.size() == weight.dims().size(), "block of rank {} of a weight of rank {}",
             block.size(), weight.dims().size());
  QEFF_CHECK(static_cast<int64_t>(out.size()) ==
                 DTypeBytes(weight.dtype(), ElementCount(BlockDims(block))),
             "{} bytes for another block", out.size());
  return std::visit(BlockReader(weight, block, out), weight.recipe());
}

Status ReadWeightRows(const Weight& weight, Range rows, std::span<std::byte> out) {
  std::vector<Range> block = FullBlock(weight.dims());
  if (!block.empty()) block[0] = rows;
  return ReadWeight(weight, block, out);
}

Result<std::vector<std::byte>> ReadWholeWeight(const Weight& weight) {
  std::vector<std::byte> bytes(static_cast<size_t>(weight.size_bytes()));
  QEFF_RETURN_IF_ERROR(ReadWeight(weight, FullBlock(weight.dims()), bytes));
  return bytes;
}

Result<std::vector<float>> ReadFloats(const Weight& weight) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, ReadWholeWeight(weight));
  std::vector<float> values(static_cast<size_t>(weight.element_count()));
  QEFF_RETURN_IF_ERROR(
      ConvertToFloats(bytes.data(), weight.dtype(), weight.element_count(), values.data()));
  return values;
}

Result<std::vector<int64_t>> ReadInts(const Weight& weight) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, ReadWholeWeight(weight));
  std::vector<int64_t> values(static_cast<size_t>(weight.element_count()));
  const auto convert = [&]<typename T>(T) {
    for (size_t i = 0; i < values.size(); ++i) {
      T value;
      std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
      values[i] = static_cast<int64_t>(value);
    }
  };
  switch (weight.dtype()) {
    case DType::kI8:
      convert(int8_t{});
      break;
    case DType::kI16:
      convert(int16_t{});
      break;
    case DType::kI32:
      convert(int32_t{});
      break;
    case DType::kI64:
      convert(int64_t{});
      break;
    case DType::kU8:
    case DType::kBool:
      convert(uint8_t{});
      break;
    case DType::kU16:
      convert(uint16_t{});
      break;
    case DType::kU32:
      convert(uint32_t{});
      break;
    case DType::kU64:
      convert(uint64_t{});
      break;
    default:
      return Unsupported({}, fmt::format("reading {} as integers", DTypeName(weight.dtype())));
  }
  return values;
}

void ReleasePages(const Weight& weight) {
  ForEachFileLeaf(weight, [](const FileBytes& leaf, const Weight& of) {
    leaf.file->Release(static_cast<size_t>(leaf.offset_bytes),
                       static_cast<size_t>(of.size_bytes()));
  });
}

}  // namespace qeff::ir
