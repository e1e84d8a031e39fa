// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/tensor_reader.h"

#include <cstring>
#include <limits>

namespace qeff::onnx_io {
namespace {

std::vector<std::byte> BytesOf(const std::string& raw) {
  const auto* begin = reinterpret_cast<const std::byte*>(raw.data());
  return {begin, begin + raw.size()};
}

/// Stores each value of a repeated field as a T.
template <typename T, typename Values>
Result<std::vector<std::byte>> Pack(const Values& values, int64_t expected_count,
                                    const Location& where) {
  if (values.size() != expected_count) {
    return InvalidInput(where,
                        fmt::format("expected {} values, got {}", expected_count, values.size()));
  }
  std::vector<std::byte> bytes(static_cast<size_t>(expected_count) * sizeof(T));
  std::byte* out = bytes.data();
  for (const auto value : values) {
    if constexpr (std::is_integral_v<T> && sizeof(T) < sizeof(value)) {
      if (value < static_cast<decltype(value)>(std::numeric_limits<T>::min()) ||
          value > static_cast<decltype(value)>(std::numeric_limits<T>::max())) {
        return InvalidInput(where, fmt::format("value {} does not fit the element type", value));
      }
    }
    const auto stored = static_cast<T>(value);
    std::memcpy(out, &stored, sizeof(T));
    out += sizeof(T);
  }
  return bytes;
}

/// Reads the typed field that ONNX assigns to each element type.
Result<std::vector<std::byte>> PackTyped(const onnx::TensorProto& tensor, DType dtype,
                                         int64_t count, const Location& where) {
  switch (dtype) {
    case DType::kF32:
      return Pack<float>(tensor.float_data(), count, where);
    case DType::kComplex64:
      return Pack<float>(tensor.float_data(), 2 * count, where);
    case DType::kF64:
      return Pack<double>(tensor.double_data(), count, where);
    case DType::kI64:
      return Pack<int64_t>(tensor.int64_data(), count, where);
    case DType::kU64:
      return Pack<uint64_t>(tensor.uint64_data(), count, where);
    case DType::kU32:
      return Pack<uint32_t>(tensor.uint64_data(), count, where);
    case DType::kI32:
      return Pack<int32_t>(tensor.int32_data(), count, where);
    case DType::kI16:
      return Pack<int16_t>(tensor.int32_data(), count, where);
    case DType::kI8:
      return Pack<int8_t>(tensor.int32_data(), count, where);
    case DType::kU16:
    case DType::kF16:
    case DType::kBf16:
      return Pack<uint16_t>(tensor.int32_data(), count, where);
    default:  // one value per byte, which holds two 4-bit elements
      return Pack<uint8_t>(tensor.int32_data(), DTypeBytes(dtype, count), where);
  }
}

int64_t TypedCount(const onnx::TensorProto& tensor) {
  return int64_t{tensor.float_data_size()} + tensor.int32_data_size() + tensor.int64_data_size() +
         tensor.double_data_size() + tensor.uint64_data_size() + tensor.string_data_size();
}

}  // namespace

TensorReader::TensorReader(ir::MappedFilePtr file)
    : file_(std::move(file)), external_(file_->path()) {}

Result<ir::WeightPtr> TensorReader::Read(const onnx::TensorProto& tensor, const Location& where,
                                         const RawRange& range) {
  const std::optional<DType> dtype = DTypeFromOnnx(tensor.data_type());
  if (!dtype) {
    return Unsupported(where, fmt::format("a tensor of ONNX element type {}", tensor.data_type()));
  }
  if (tensor.has_segment()) return Unsupported(where, "a tensor stored in segments");
  std::vector<int64_t> dims(tensor.dims().begin(), tensor.dims().end());
  const std::optional<int64_t> count = CheckedElementCount(dims);
  if (!count) {
    dims.resize(std::min<size_t>(dims.size(), ir::kMaxRank + 1));
    return InvalidInput(
        where, fmt::format("dimensions [{}] are not those of a tensor", fmt::join(dims, ", ")));
  }
  const bool has_raw = tensor.has_raw_data() || range.offset_bytes >= 0;
  if (tensor.data_location() == onnx::TensorProto_DataLocation_EXTERNAL) {
    if (has_raw || TypedCount(tensor) > 0) {
      return InvalidInput(where, "a tensor has both inline and external data");
    }
    return external_.Read(tensor, *dtype, std::move(dims), where);
  }
  if (tensor.external_data_size() > 0) {
    return InvalidInput(where, "a tensor with inline data names an external file");
  }
  if (!has_raw) {
    QEFF_ASSIGN_OR_RETURN(std::vector<std::byte> bytes, PackTyped(tensor, *dtype, *count, where));
    return ir::MakeInline(*dtype, std::move(dims), std::move(bytes));
  }
  const int64_t wanted_bytes = DTypeBytes(*dtype, *count);
  const int64_t got_bytes =
      range.offset_bytes >= 0 ? range.size_bytes : static_cast<int64_t>(tensor.raw_data().size());
  if (TypedCount(tensor) > 0 || got_bytes != wanted_bytes) {
    return InvalidInput(
        where, fmt::format("expected {} bytes of raw data for {} [{}], got {}", wanted_bytes,
                           DTypeName(*dtype), fmt::join(dims, ", "), got_bytes));
  }
  if (range.offset_bytes >= 0) {
    return ir::FromFile(file_, range.offset_bytes, *dtype, std::move(dims));
  }
  return ir::MakeInline(*dtype, std::move(dims), BytesOf(tensor.raw_data()));
}

}  // namespace qeff::onnx_io
