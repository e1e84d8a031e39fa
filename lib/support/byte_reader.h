// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Reads little-endian values from bytes that may be hostile. Every binary reader of the project
// goes through this: no read leaves the span, and each error names file and offset.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "lib/support/status.h"

namespace qeff {

class ByteReader {
 public:
  /// `bytes` must outlive the reader; `path` is used in messages; `base_offset` is where `bytes`
  /// starts in the file.
  ByteReader(std::span<const std::byte> bytes, std::string_view path, int64_t base_offset_bytes = 0)
      : bytes_(bytes), path_(path), base_offset_bytes_(base_offset_bytes) {}

  size_t position_bytes() const { return position_bytes_; }
  size_t remaining_bytes() const { return bytes_.size() - position_bytes_; }
  Location where() const {
    return Location::Byte(path_, base_offset_bytes_ + static_cast<int64_t>(position_bytes_));
  }

  /// Returns the next integer or float, little-endian. Errors: kInvalidInput if fewer bytes are
  /// left.
  template <typename T>
  requires std::is_arithmetic_v<T> Result<T> Read(std::string_view what) {
    QEFF_RETURN_IF_ERROR(Require(sizeof(T), what));
    T value;
    std::memcpy(&value, bytes_.data() + position_bytes_, sizeof(T));
    position_bytes_ += sizeof(T);
    return value;
  }

  /// Returns the next `size_bytes` bytes, still owned by the underlying span.
  Result<std::span<const std::byte>> ReadBytes(uint64_t size_bytes, std::string_view what) {
    QEFF_RETURN_IF_ERROR(Require(size_bytes, what));
    const auto piece = bytes_.subspan(position_bytes_, static_cast<size_t>(size_bytes));
    position_bytes_ += static_cast<size_t>(size_bytes);
    return piece;
  }

  /// Returns a string with a u32 length before it.
  Result<std::string> ReadString(std::string_view what) {
    QEFF_ASSIGN_OR_RETURN(const uint32_t length_bytes, Read<uint32_t>(what));
    QEFF_ASSIGN_OR_RETURN(const auto piece, ReadBytes(length_bytes, what));
    return std::string(reinterpret_cast<const char*>(piece.data()), piece.size());
  }

  /// Moves to `offset_bytes` from the start of the span.
  Status Seek(uint64_t offset_bytes, std::string_view what) {
    if (offset_bytes > bytes_.size()) {
      return InvalidInput(where(), fmt::format("{} lies at byte {}, but only {} bytes are there",
                                               what, offset_bytes, bytes_.size()));
    }
    position_bytes_ = static_cast<size_t>(offset_bytes);
    return Status::Ok();
  }

 private:
  Status Require(uint64_t size_bytes, std::string_view what) {
    if (size_bytes > remaining_bytes()) {
      return InvalidInput(
          where(),
          fmt::format("{} needs {} bytes, {} are left", what, size_bytes, remaining_bytes()),
          {"the file is cut short or damaged: fetch or make it again"});
    }
    return Status::Ok();
  }

  std::span<const std::byte> bytes_;
  std::string path_;
  int64_t base_offset_bytes_;
  size_t position_bytes_ = 0;
};

}  // namespace qeff
