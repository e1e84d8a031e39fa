// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/protobuf_wire.h"

#include <bit>
#include <cstring>

namespace qeff::artifact {
namespace {

constexpr size_t kMaxVarintBytes = 10;
constexpr size_t kMaxGroupDepth = 100;
constexpr uint64_t kStartGroup = 3;
constexpr uint64_t kEndGroup = 4;

}  // namespace

float WireField::AsFloat() const { return std::bit_cast<float>(static_cast<uint32_t>(value)); }

Location WireReader::where() const {
  return Location::Byte(path_, base_offset_bytes_ + static_cast<int64_t>(position_bytes_));
}

Result<uint64_t> WireReader::ReadVarint(std::string_view what) {
  const Location start = where();
  uint64_t value = 0;
  for (size_t i = 0; i < kMaxVarintBytes; ++i) {
    if (at_end()) return InvalidInput(start, fmt::format("the message ends inside {}", what));
    const auto byte = std::to_integer<uint64_t>(message_[position_bytes_++]);
    // The tenth byte has room for one bit.
    if (i + 1 == kMaxVarintBytes && byte > 1) break;
    value |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) return value;
  }
  return InvalidInput(start, fmt::format("{} has more than 64 bits", what));
}

Result<uint64_t> WireReader::ReadFixed(size_t size_bytes) {
  if (size_bytes > message_.size() - position_bytes_)
    return InvalidInput(where(), "the message ends inside a number");
  uint64_t value = 0;
  std::memcpy(&value, message_.data() + position_bytes_, size_bytes);
  position_bytes_ += size_bytes;
  return value;
}

Result<std::span<const std::byte>> WireReader::ReadBytes() {
  QEFF_ASSIGN_OR_RETURN(const uint64_t size_bytes, ReadVarint("a length"));
  if (size_bytes > message_.size() - position_bytes_) {
    return InvalidInput(where(),
                        fmt::format("a field of {} bytes leaves its message, which has {} left",
                                    size_bytes, message_.size() - position_bytes_));
  }
  const auto bytes = message_.subspan(position_bytes_, static_cast<size_t>(size_bytes));
  position_bytes_ += bytes.size();
  return bytes;
}

Result<WireField> WireReader::Next() {
  while (!at_end()) {
    const Location start = where();
    QEFF_ASSIGN_OR_RETURN(const uint64_t tag, ReadVarint("a field number"));
    const uint64_t wire_type = tag & 7;
    if (tag >> 3 == 0 || tag > UINT32_MAX) {
      return InvalidInput(
          start, fmt::format("expected a field number from 1 to 536870911, got {}", tag >> 3));
    }
    WireField field{.number = static_cast<uint32_t>(tag >> 3),
                    .type = static_cast<WireType>(wire_type)};
    if (wire_type == kStartGroup) {
      QEFF_RETURN_IF_ERROR(SkipGroup(field.number));
      continue;
    }
    if (field.type == WireType::kVarint) {
      QEFF_ASSIGN_OR_RETURN(field.value, ReadVarint("a number"));
    } else if (field.type == WireType::kFixed64 || field.type == WireType::kFixed32) {
      QEFF_ASSIGN_OR_RETURN(field.value, ReadFixed(field.type == WireType::kFixed64 ? 8 : 4));
    } else if (field.type == WireType::kBytes) {
      QEFF_ASSIGN_OR_RETURN(field.bytes, ReadBytes());
    } else {
      return InvalidInput(start, fmt::format("expected a field, got wire type {}", wire_type));
    }
    field.offset_bytes =
        base_offset_bytes_ + static_cast<int64_t>(position_bytes_ - field.bytes.size());
    return field;
  }
  return WireField{};
}

Status WireReader::SkipGroup(uint32_t number) {
  std::vector<uint32_t> open{number};
  while (!open.empty()) {
    const Location start = where();
    QEFF_ASSIGN_OR_RETURN(const uint64_t tag, ReadVarint("a group"));
    const auto inner = static_cast<uint32_t>(tag >> 3);
    if (tag >> 3 == 0 || tag > UINT32_MAX)
      return InvalidInput(start, "a group holds no valid field number");
    switch (tag & 7) {
      case 0:
        QEFF_RETURN_IF_ERROR(ReadVarint("a number").status());
        break;
      case 1:
        QEFF_RETURN_IF_ERROR(ReadFixed(8).status());
        break;
      case 2:
        QEFF_RETURN_IF_ERROR(ReadBytes().status());
        break;
      case 5:
        QEFF_RETURN_IF_ERROR(ReadFixed(4).status());
        break;
      case kStartGroup:
        if (open.size() == kMaxGroupDepth) {
          return InvalidInput(start, fmt::format("groups nested deeper than {}", kMaxGroupDepth));
        }
        open.push_back(inner);
        break;
      case kEndGroup:
        if (open.back() != inner) {
          return InvalidInput(start, fmt::format("expected the end of group {}, got the end of {}",
                                                 open.back(), inner));
        }
        open.pop_back();
        break;
      default:
        return InvalidInput(start, fmt::format("expected a field, got wire type {}", tag & 7));
    }
  }
  return Status::Ok();
}

Status AppendInt32s(const WireField& field, std::string_view path, std::vector<int32_t>& values) {
  if (field.type != WireType::kBytes) {
    values.push_back(field.AsInt32());
    return Status::Ok();
  }
  size_t position = 0;
  while (position < field.bytes.size()) {
    const size_t start = position;
    uint64_t value = 0;
    bool is_complete = false;
    while (!is_complete && position < field.bytes.size() && position - start < kMaxVarintBytes) {
      const auto byte = std::to_integer<uint64_t>(field.bytes[position]);
      value |= (byte & 0x7F) << (7 * (position - start));
      is_complete = byte < 0x80;
      ++position;
    }
    if (!is_complete) {
      return InvalidInput(Location::Byte(path, field.offset_bytes + static_cast<int64_t>(start)),
                          "a packed number does not end");
    }
    values.push_back(static_cast<int32_t>(static_cast<uint32_t>(value)));
  }
  return Status::Ok();
}

void WireWriter::RawVarint(uint64_t value) {
  while (value >= 0x80) {
    bytes_ += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes_ += static_cast<char>(value);
}

void WireWriter::Varint(uint32_t number, uint64_t value) {
  if (value == 0) return;
  RawVarint(uint64_t{number} << 3 | static_cast<uint64_t>(WireType::kVarint));
  RawVarint(value);
}

void WireWriter::Float(uint32_t number, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (bits == 0) return;  // -0.0 is written, as the official writer does
  RawVarint(uint64_t{number} << 3 | static_cast<uint64_t>(WireType::kFixed32));
  bytes_.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
}

void WireWriter::Tagged(uint32_t number, std::string_view content) {
  RawVarint(uint64_t{number} << 3 | static_cast<uint64_t>(WireType::kBytes));
  RawVarint(content.size());
  bytes_ += content;
}

void WireWriter::String(uint32_t number, std::string_view value) {
  if (!value.empty()) Tagged(number, value);
}

void WireWriter::Int32s(uint32_t number, std::span<const int32_t> values) {
  WireWriter packed;
  for (const int32_t value : values) packed.RawVarint(static_cast<uint64_t>(int64_t{value}));
  String(number, packed.bytes());
}

void WireWriter::Message(uint32_t number, const WireWriter& message) {
  Tagged(number, message.bytes());
}

}  // namespace qeff::artifact
