// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/precompiled_map.h"

#include <cstring>

#include "lib/support/byte_reader.h"
#include "lib/tokenizer/base64.h"
#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

constexpr size_t kMaxWholeClusterBytes = 5;

// One unit of the double array: bit 8 says that a value follows, bits 0-7 and 31 are the label,
// bits 10-30 the offset of the children, shifted left by 8 if bit 9 is set. A value unit holds the
// value in bits 0-30.
bool HasValue(uint32_t unit) { return ((unit >> 8) & 1) != 0; }
uint32_t Value(uint32_t unit) { return unit & 0x7FFFFFFF; }
uint32_t Label(uint32_t unit) { return unit & 0x800000FF; }
size_t Offset(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

}  // namespace

Result<PrecompiledMap> PrecompiledMap::FromConfig(const ConfigNode& node) {
  PrecompiledMap map;
  QEFF_ASSIGN_OR_RETURN(const std::string encoded, node.StringOr(""));
  if (encoded.empty()) return map;
  const std::optional<std::string> bytes = DecodeBase64(encoded);
  if (!bytes.has_value()) return node.Invalid("expected base64, got other characters");
  ByteReader reader(std::as_bytes(std::span(*bytes)), node.file());
  const auto array_bytes = reader.Read<uint32_t>("the size of the array");
  if (!array_bytes.ok() || *array_bytes % 4 != 0 || *array_bytes > reader.remaining_bytes()) {
    return node.Invalid(fmt::format(
        "the map is damaged: expected an array of units inside {} bytes", bytes->size()));
  }
  map.units_.resize(*array_bytes / 4);
  if (!map.units_.empty()) std::memcpy(map.units_.data(), bytes->data() + 4, *array_bytes);
  map.texts_ = bytes->substr(4 + *array_bytes) + '\0';
  for (size_t begin = 0; begin < map.texts_.size();) {
    const size_t end = map.texts_.find('\0', begin);
    if (FindInvalidUtf8(std::string_view(map.texts_).substr(begin, end - begin)).has_value()) {
      return node.Invalid(fmt::format("the map is damaged: text {} is not UTF-8", begin));
    }
    begin = end + 1;
  }
  return map;
}

template <typename Visit>
void PrecompiledMap::VisitPrefixes(std::string_view text, Visit visit) const {
  if (units_.empty()) return;
  size_t at = Offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto label = static_cast<unsigned char>(text[i]);
    at ^= label;
    if (label == 0 || at >= units_.size() || Label(units_[at]) != label) return;
    const uint32_t unit = units_[at];
    at ^= Offset(unit);
    if (!HasValue(unit)) continue;
    if (at >= units_.size()) return;
    const size_t begin = Value(units_[at]);
    if (begin >= texts_.size()) return;
    // A value of a damaged map may point into a character.
    if ((texts_[begin] & 0xC0) == 0x80) return;
    const std::string_view rest = std::string_view(texts_).substr(begin);
    if (!visit(i + 1, rest.substr(0, rest.find('\0')))) return;
  }
}

std::optional<std::string_view> PrecompiledMap::Find(std::string_view text) const {
  std::optional<std::string_view> found;
  VisitPrefixes(text, [&found](size_t, std::string_view replacement) {
    found = replacement;
    return false;
  });
  return found;
}

std::string PrecompiledMap::ApplyLongest(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  for (size_t position = 0; position < text.size();) {
    size_t length = CharacterBytes(text[position]);
    std::string_view replacement = text.substr(position, length);
    VisitPrefixes(text.substr(position), [&](size_t length_bytes, std::string_view found) {
      // An entry of a damaged map may end inside a character.
      const size_t end = position + length_bytes;
      if (end == text.size() || (text[end] & 0xC0) != 0x80) {
        length = length_bytes;
        replacement = found;
      }
      return true;
    });
    out += replacement;
    position += length;
  }
  return out;
}

std::string PrecompiledMap::Apply(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  size_t begin = 0;
  for (const size_t end : GraphemeEnds(text)) {
    const std::string_view cluster = text.substr(begin, end - begin);
    begin = end;
    if (cluster.size() <= kMaxWholeClusterBytes) {
      if (const auto replacement = Find(cluster)) {
        out += *replacement;
        continue;
      }
    }
    for (size_t position = 0; position < cluster.size();) {
      const std::string_view part = cluster.substr(position, CharacterBytes(cluster[position]));
      out += Find(part).value_or(part);
      position += part.size();
    }
  }
  return out;
}

}  // namespace qeff
