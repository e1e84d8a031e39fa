// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/safetensors.h"

#include <algorithm>

#include "lib/checkpoint/safetensors_header.h"
#include "lib/support/byte_reader.h"

namespace qeff::checkpoint {
namespace {

constexpr int64_t kMaxHeaderBytes = 100'000'000;

struct DTypeEntry {
  DType dtype;
  std::string_view name;
};

// In the order in which the format's own writer sorts dtypes of equal width.
constexpr DTypeEntry kDTypes[] = {
    {DType::kBool, "BOOL"},      {DType::kF4E2M1, "F4"},      {DType::kF6E2M3, "F6_E2M3"},
    {DType::kF6E3M2, "F6_E3M2"}, {DType::kU8, "U8"},          {DType::kI8, "I8"},
    {DType::kF8E5M2, "F8_E5M2"}, {DType::kF8E4M3, "F8_E4M3"}, {DType::kF8E8M0, "F8_E8M0"},
    {DType::kI16, "I16"},        {DType::kU16, "U16"},        {DType::kF16, "F16"},
    {DType::kBf16, "BF16"},      {DType::kI32, "I32"},        {DType::kU32, "U32"},
    {DType::kF32, "F32"},        {DType::kComplex64, "C64"},  {DType::kF64, "F64"},
    {DType::kI64, "I64"},        {DType::kU64, "U64"},
};

std::vector<std::string> KnownNames() {
  std::vector<std::string> names;
  for (const DTypeEntry& entry : kDTypes) names.emplace_back(entry.name);
  return names;
}

Status UnknownDType(const std::string& path, const HeaderEntry& entry) {
  std::string note = "known dtypes: " + fmt::format("{}", fmt::join(KnownNames(), ", "));
  const bool is_format_dtype = entry.dtype == "F8_E4M3FNUZ" || entry.dtype == "F8_E5M2FNUZ";
  return Error(is_format_dtype ? ErrorCode::kUnsupported : ErrorCode::kInvalidInput,
               Location::Tensor(path, entry.name),
               fmt::format("dtype '{}' is not {}", entry.dtype,
                           is_format_dtype ? "supported" : "one of the safetensors format"),
               {std::move(note)});
}

/// Returns the tensor of an entry after the checks that concern it alone.
Result<StoredTensor> CheckEntry(HeaderEntry& entry, const std::string& path, int64_t data_start) {
  const std::optional<DType> dtype = DTypeFromSafetensorsName(entry.dtype);
  if (!dtype) return UnknownDType(path, entry);
  const Location where = Location::Tensor(path, entry.name);
  const auto [begin, end] = entry.data_offsets;
  if (end < begin) {
    return InvalidInput(where,
                        fmt::format("'data_offsets' end before they begin: [{}, {}]", begin, end),
                        {"the file is damaged: fetch or make it again"});
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t size_bytes, CheckedTensorBytes(*dtype, entry.shape, where));
  if (size_bytes != end - begin) {
    return InvalidInput(
        where,
        fmt::format("expected {} bytes for {} [{}], got {} ('data_offsets' [{}, {}])", size_bytes,
                    entry.dtype, fmt::join(entry.shape, ", "), end - begin, begin, end),
        {"the file is damaged: fetch or make it again"});
  }
  if (begin > INT64_MAX - data_start - size_bytes) {
    return InvalidInput(where, fmt::format("'data_offsets' [{}, {}] are too large", begin, end));
  }
  return StoredTensor{.name = std::move(entry.name),
                      .dtype = *dtype,
                      .shape = std::move(entry.shape),
                      .offset_bytes = data_start + begin,
                      .size_bytes = size_bytes};
}

/// Checks that the tensors, in order of their offsets, cover the file from `data_start` to its end.
Status CheckCoverage(const std::vector<StoredTensor>& tensors, const std::string& path,
                     int64_t data_start, int64_t file_bytes) {
  int64_t position = data_start;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.offset_bytes != position) {
      const bool is_hole = tensor.offset_bytes > position;
      return InvalidInput(
          Location::Tensor(path, tensor.name),
          fmt::format("data begins at byte {}, expected byte {}: {}", tensor.offset_bytes, position,
                      is_hole ? fmt::format("{} bytes before it belong to no tensor",
                                            tensor.offset_bytes - position)
                              : "it overlaps the tensor before it"),
          {"the file is damaged: fetch or make it again"});
    }
    position += tensor.size_bytes;
    if (position > file_bytes) {
      return InvalidInput(
          Location::Tensor(path, tensor.name),
          fmt::format("data ends at byte {}, but the file has {} bytes", position, file_bytes),
          {"the download is incomplete: run qeff-fetch again"});
    }
  }
  if (position != file_bytes) {
    return InvalidInput(
        Location::Byte(path, position),
        fmt::format("{} bytes follow the last tensor, expected none", file_bytes - position),
        {"the file is damaged: fetch or make it again"});
  }
  return Status::Ok();
}

Result<std::string_view> HeaderText(const MappedFile& file) {
  ByteReader reader(file.bytes(), file.path());
  QEFF_ASSIGN_OR_RETURN(const uint64_t length_bytes, reader.Read<uint64_t>("the header's length"));
  if (length_bytes > static_cast<uint64_t>(kMaxHeaderBytes)) {
    return InvalidInput(
        Location::Byte(file.path(), 0),
        fmt::format("header length is {}, expected at most {}", length_bytes, kMaxHeaderBytes),
        {"this is not a safetensors file, or its first bytes are damaged"});
  }
  if (length_bytes > reader.remaining_bytes()) {
    return InvalidInput(Location::Byte(file.path(), 0),
                        fmt::format("header length is {}, but only {} bytes follow", length_bytes,
                                    reader.remaining_bytes()),
                        {"the download is incomplete: run qeff-fetch again"});
  }
  QEFF_ASSIGN_OR_RETURN(const auto bytes, reader.ReadBytes(length_bytes, "the header"));
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace

std::optional<DType> DTypeFromSafetensorsName(std::string_view name) {
  for (const DTypeEntry& entry : kDTypes) {
    if (entry.name == name) return entry.dtype;
  }
  return std::nullopt;
}

std::string_view SafetensorsName(DType dtype) {
  for (const DTypeEntry& entry : kDTypes) {
    if (entry.dtype == dtype) return entry.name;
  }
  return "";
}

int SafetensorsRank(DType dtype) {
  for (size_t i = 0; i < std::size(kDTypes); ++i) {
    if (kDTypes[i].dtype == dtype) return static_cast<int>(i);
  }
  return -1;
}

Result<int64_t> CheckedTensorBytes(DType dtype, std::span<const int64_t> shape, Location where) {
  const auto shape_text = [&] { return fmt::format("[{}]", fmt::join(shape, ", ")); };
  int64_t bits = DTypeBits(dtype);
  bool is_empty = false;
  for (const int64_t extent : shape) {
    if (extent < 0) {
      return InvalidInput(std::move(where), "shape has a negative extent: " + shape_text());
    }
    is_empty = is_empty || extent == 0;
    // An extent of 0 later does not excuse a product that cannot be computed: the format's reader
    // multiplies in order, too.
    if (__builtin_mul_overflow(bits, extent, &bits)) {
      return InvalidInput(std::move(where), "shape is too large: " + shape_text());
    }
  }
  if (is_empty) return 0;
  if (bits % 8 != 0) {
    return InvalidInput(std::move(where), fmt::format("{} {} does not fill whole bytes",
                                                      SafetensorsName(dtype), shape_text()));
  }
  return bits / 8;
}

Result<SafetensorsFile> SafetensorsFile::Open(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  SafetensorsFile result;
  result.file_ = std::make_shared<const MappedFile>(std::move(mapped));
  const std::string& name = result.file_->path();
  QEFF_ASSIGN_OR_RETURN(const std::string_view text, HeaderText(*result.file_));
  QEFF_ASSIGN_OR_RETURN(Header header, ParseHeader(text, name));
  result.header_bytes_ = kHeaderLengthBytes + static_cast<int64_t>(text.size());
  result.metadata_ = std::move(header.metadata);
  result.tensors_.reserve(header.entries.size());
  for (HeaderEntry& entry : header.entries) {
    QEFF_ASSIGN_OR_RETURN(StoredTensor tensor, CheckEntry(entry, name, result.header_bytes_));
    result.tensors_.push_back(std::move(tensor));
  }
  std::sort(result.tensors_.begin(), result.tensors_.end(),
            [](const StoredTensor& a, const StoredTensor& b) {
              return std::tie(a.offset_bytes, a.size_bytes, a.name) <
                     std::tie(b.offset_bytes, b.size_bytes, b.name);
            });
  result.index_.reserve(result.tensors_.size());
  for (size_t i = 0; i < result.tensors_.size(); ++i) {
    if (!result.index_.emplace(result.tensors_[i].name, i).second) {
      return InvalidInput(Location::Tensor(name, result.tensors_[i].name),
                          "tensor appears twice in the header",
                          {"the file is damaged: fetch or make it again"});
    }
  }
  QEFF_RETURN_IF_ERROR(CheckCoverage(result.tensors_, name, result.header_bytes_,
                                     static_cast<int64_t>(result.file_->bytes().size())));
  return result;
}

const StoredTensor* SafetensorsFile::Find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace qeff::checkpoint
