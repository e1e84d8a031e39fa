// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), as far as
// networkdesc.bin needs it: this folder may not use the protobuf library. The reader hands out one
// field after the other and never recurses, so no nesting of a hostile message can exhaust the
// stack; the writer writes what proto3 writes (defaults left out, repeated numbers packed).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"

namespace qeff::artifact {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

/// One field as it lies in the message.
struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;                ///< kVarint, kFixed32, kFixed64
  std::span<const std::byte> bytes;  ///< kBytes: a message, a string or packed numbers
  int64_t offset_bytes = 0;          ///< in the file: of `bytes`, or behind the value

  // How a schema's type reads `value`; like the official reader these cut off what does not fit.
  uint32_t AsUint32() const { return static_cast<uint32_t>(value); }
  int32_t AsInt32() const { return static_cast<int32_t>(static_cast<uint32_t>(value)); }
  bool AsBool() const { return value != 0; }
  float AsFloat() const;
  std::string AsString() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

class WireReader {
 public:
  /// `path` names the file in errors, `base_offset_bytes` is where `message` starts in it.
  WireReader(std::span<const std::byte> message, std::string_view path, int64_t base_offset_bytes)
      : message_(message), path_(path), base_offset_bytes_(base_offset_bytes) {}

  bool at_end() const { return position_bytes_ == message_.size(); }

  /// Returns the next field; groups, which proto3 does not have, are skipped, so that there may be
  /// none left: then its number is 0. Errors: kInvalidInput (cut short, field number 0, a varint of
  /// more than 64 bits, groups out of order or nested deeper than 100).
  Result<WireField> Next();

  const std::string& path() const { return path_; }

 private:
  Location where() const;
  Result<uint64_t> ReadVarint(std::string_view what);
  Result<uint64_t> ReadFixed(size_t size_bytes);
  Result<std::span<const std::byte>> ReadBytes();
  Status SkipGroup(uint32_t number);

  std::span<const std::byte> message_;
  std::string path_;
  int64_t base_offset_bytes_;
  size_t position_bytes_ = 0;
};

/// Appends the numbers of a repeated int32 or uint32 field, packed or single. Errors:
/// kInvalidInput.
Status AppendInt32s(const WireField& field, std::string_view path, std::vector<int32_t>& values);

/// Builds a message; fields are written in the order of the calls. Numbers equal to 0 are left out,
/// as proto3 does.
class WireWriter {
 public:
  void Uint32(uint32_t number, uint32_t value) { Varint(number, value); }
  /// Negative values take ten bytes.
  void Int32(uint32_t number, int32_t value) {
    Varint(number, static_cast<uint64_t>(int64_t{value}));
  }
  void Bool(uint32_t number, bool value) { Varint(number, value ? 1 : 0); }
  void Float(uint32_t number, float value);
  /// Left out if empty.
  void String(uint32_t number, std::string_view value);
  /// Left out if empty; packed.
  void Int32s(uint32_t number, std::span<const int32_t> values);
  /// Written even if empty: a message that is there says so.
  void Message(uint32_t number, const WireWriter& message);

  const std::string& bytes() const { return bytes_; }

 private:
  void RawVarint(uint64_t value);
  void Varint(uint32_t number, uint64_t value);
  void Tagged(uint32_t number, std::string_view content);
  std::string bytes_;
};

}  // namespace qeff::artifact
