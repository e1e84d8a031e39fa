// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/text_tensor.h"

#include <charconv>
#include <cstring>
#include <limits>

#include "lib/onnx_io/proto.h"
#include "lib/onnx_io/text_types.h"

namespace qeff::onnx_io {
namespace {

/// Reads the token as a T, whole.
template <typename T>
Result<T> ParseNumber(TextLexer* lexer, std::string_view what) {
  const Token& token = lexer->token();
  const bool is_word = token.kind == Token::Kind::kIdentifier;
  T value{};
  const char* end = token.text.data() + token.text.size();
  const auto [stop, error] = std::from_chars(token.text.data(), end, value);
  const bool is_number = token.kind == Token::Kind::kInteger ||
                         (std::is_floating_point_v<T> &&
                          (token.kind == Token::Kind::kReal || (is_word && !token.text.empty())));
  if (!is_number || error != std::errc() || stop != end) return lexer->Unexpected(what);
  QEFF_RETURN_IF_ERROR(lexer->Advance());
  return value;
}

/// Appends an integer that must lie in [least, most] as the low `size_bytes` of its bits.
template <typename T>
Status AppendInteger(TextLexer* lexer, T least, T most, size_t size_bytes,
                     std::vector<std::byte>* bytes) {
  const Token token = lexer->token();
  QEFF_ASSIGN_OR_RETURN(const T value, ParseNumber<T>(lexer, "an integer"));
  if (value < least || value > most) {
    return lexer->ErrorAt(
        token, fmt::format("expected an element from {} to {}, got {}", least, most, value));
  }
  const auto* raw = reinterpret_cast<const std::byte*>(&value);
  bytes->insert(bytes->end(), raw, raw + size_bytes);
  return Status::Ok();
}

template <typename T>
Status AppendReal(TextLexer* lexer, std::vector<std::byte>* bytes) {
  QEFF_ASSIGN_OR_RETURN(const T value, ParseNumber<T>(lexer, "a number"));
  const auto* raw = reinterpret_cast<const std::byte*>(&value);
  bytes->insert(bytes->end(), raw, raw + sizeof(T));
  return Status::Ok();
}

/// Appends one element; 4-bit ones take a byte each until they are packed.
Status AppendElement(TextLexer* lexer, DType dtype, std::vector<std::byte>* bytes) {
  switch (dtype) {
    case DType::kF32:
    case DType::kComplex64:
      return AppendReal<float>(lexer, bytes);
    case DType::kF64:
      return AppendReal<double>(lexer, bytes);
    case DType::kU64:
      return AppendInteger<uint64_t>(lexer, 0, std::numeric_limits<uint64_t>::max(), 8, bytes);
    case DType::kI64:
      return AppendInteger<int64_t>(lexer, std::numeric_limits<int64_t>::min(),
                                    std::numeric_limits<int64_t>::max(), 8, bytes);
    case DType::kI32:
      return AppendInteger<int64_t>(lexer, std::numeric_limits<int32_t>::min(),
                                    std::numeric_limits<int32_t>::max(), 4, bytes);
    case DType::kI16:
      return AppendInteger<int64_t>(lexer, -32768, 32767, 2, bytes);
    case DType::kI8:
      return AppendInteger<int64_t>(lexer, -128, 127, 1, bytes);
    case DType::kI4:
      return AppendInteger<int64_t>(lexer, -8, 7, 1, bytes);
    case DType::kU4:
    case DType::kF4E2M1:
      return AppendInteger<int64_t>(lexer, 0, 15, 1, bytes);
    case DType::kBool:
      return AppendInteger<int64_t>(lexer, 0, 1, 1, bytes);
    case DType::kU32:
      return AppendInteger<int64_t>(lexer, 0, std::numeric_limits<uint32_t>::max(), 4, bytes);
    case DType::kU16:
    case DType::kF16:
    case DType::kBf16:
      return AppendInteger<int64_t>(lexer, 0, 65535, 2, bytes);
    default:
      return AppendInteger<int64_t>(lexer, 0, 255, 1, bytes);
  }
}

/// Number of numbers that the text has for `count` elements.
int64_t WrittenCount(DType dtype, int64_t count) {
  if (dtype == DType::kComplex64) return 2 * count;
  return DTypeBits(dtype) == 6 ? DTypeBytes(dtype, count) : count;
}

std::vector<std::byte> PackNibbles(const std::vector<std::byte>& nibbles) {
  std::vector<std::byte> packed((nibbles.size() + 1) / 2);
  for (size_t i = 0; i < nibbles.size(); ++i) {
    packed[i / 2] |= (nibbles[i] & std::byte{15}) << (i % 2 * 4);
  }
  return packed;
}

}  // namespace

Result<float> ParseFloat(TextLexer* lexer) { return ParseNumber<float>(lexer, "a number"); }

Result<ir::TensorType> ParseType(TextLexer* lexer) {
  const std::string name = lexer->token().text;
  ir::TensorType type{.dtype = DTypeFromText(name), .shape = ir::Shape()};
  if (lexer->token().kind != Token::Kind::kIdentifier || (!type.dtype && name != "undefined")) {
    return lexer->Unexpected("an element type");
  }
  QEFF_RETURN_IF_ERROR(lexer->Advance());
  if (!lexer->Is("[")) return type;
  QEFF_RETURN_IF_ERROR(lexer->Advance());
  if (lexer->Is("]")) type.shape = std::nullopt;
  while (!lexer->Is("]")) {
    if (type.shape->size() == ir::kMaxRank) {
      return lexer->ErrorHere(fmt::format("expected at most {} dimensions", ir::kMaxRank));
    }
    if (lexer->token().kind == Token::Kind::kInteger) {
      QEFF_ASSIGN_OR_RETURN(const int64_t size, lexer->ExpectInteger("a size"));
      if (size < 0) return lexer->ErrorHere(fmt::format("dimension {} is negative", size));
      type.shape->emplace_back(size);
    } else if (lexer->Is("?")) {
      type.shape->emplace_back();
      QEFF_RETURN_IF_ERROR(lexer->Advance());
    } else {
      QEFF_ASSIGN_OR_RETURN(std::string symbol, lexer->ExpectName("a dimension"));
      type.shape->emplace_back(std::move(symbol));
    }
    if (!lexer->Is("]")) QEFF_RETURN_IF_ERROR(lexer->Expect(","));
  }
  QEFF_RETURN_IF_ERROR(lexer->Expect("]"));
  return type;
}

Result<ir::WeightPtr> ParseTensor(const ir::TensorType& type, TextLexer* lexer) {
  const auto dims = type.shape ? ir::StaticDims(*type.shape) : std::nullopt;
  const std::optional<int64_t> count = dims ? CheckedElementCount(*dims) : std::nullopt;
  if (!type.dtype || !count) {
    return lexer->ErrorHere(
        fmt::format("expected a constant of a known type, got {}", type.ToString()));
  }
  if (lexer->Is("[")) {
    return lexer->ErrorHere("the elements of this constant were not printed: it is too large");
  }
  QEFF_RETURN_IF_ERROR(lexer->Expect("{"));
  std::vector<std::byte> bytes;
  int64_t got_count = 0;
  for (; !lexer->Is("}"); ++got_count) {
    if (got_count > 0) QEFF_RETURN_IF_ERROR(lexer->Expect(","));
    QEFF_RETURN_IF_ERROR(AppendElement(lexer, *type.dtype, &bytes));
  }
  if (got_count != WrittenCount(*type.dtype, *count)) {
    return lexer->ErrorHere(fmt::format("expected {} elements for {}, got {}",
                                        WrittenCount(*type.dtype, *count), type.ToString(),
                                        got_count));
  }
  QEFF_RETURN_IF_ERROR(lexer->Expect("}"));
  if (DTypeBits(*type.dtype) == 4) bytes = PackNibbles(bytes);
  return ir::MakeInline(*type.dtype, *dims, std::move(bytes));
}

}  // namespace qeff::onnx_io
