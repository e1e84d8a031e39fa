// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/unicode_text.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace qeff::jinja {
namespace {

std::string MapWhole(std::string_view text, void (*map)(icu::UnicodeString&)) {
  icu::UnicodeString wide =
      icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())});
  map(wide);
  std::string out;
  wide.toUTF8String(out);
  return out;
}

/// The title-case form of one character may be several ("ﬁ" gives "Fi").
void AppendTitleCase(char32_t character, std::string& out) {
  icu::UnicodeString wide(static_cast<UChar32>(character));
  wide.toTitle(nullptr, icu::Locale::getRoot(), U_TITLECASE_NO_BREAK_ADJUSTMENT);
  wide.toUTF8String(out);
}

/// True if the next character with case, past those that do not matter for it, is there.
template <typename Next>
bool MeetsCased(Next next) {
  while (const std::optional<char32_t> c = next()) {
    if (!u_hasBinaryProperty(static_cast<UChar32>(*c), UCHAR_CASE_IGNORABLE)) return IsCased(*c);
  }
  return false;
}

/// The lower-case form of the character in [begin, end) of `text`, where a sigma at the end of a
/// word has one of its own.
std::string LowerAt(std::string_view text, size_t begin, size_t end) {
  constexpr std::string_view kCapitalSigma = "\u03A3";
  if (text.substr(begin, end - begin) != kCapitalSigma)
    return Lower(text.substr(begin, end - begin));
  const bool follows = MeetsCased([&, at = begin]() mutable -> std::optional<char32_t> {
    if (at == 0) return std::nullopt;
    do {
      --at;
    } while ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
    size_t position = at;
    return NextCharacter(text, position);
  });
  const bool precedes = MeetsCased([&, at = end]() mutable -> std::optional<char32_t> {
    if (at >= text.size()) return std::nullopt;
    return NextCharacter(text, at);
  });
  return follows && !precedes ? "\u03C2" : "\u03C3";
}

template <typename Predicate>
std::string_view StripWhere(std::string_view text, Side side, Predicate is_removed) {
  if (side != Side::kRight) {
    for (size_t position = 0; position < text.size();) {
      const size_t begin = position;
      if (!is_removed(NextCharacter(text, position))) {
        text.remove_prefix(begin);
        break;
      }
      if (position == text.size()) return {};
    }
  }
  if (side != Side::kLeft) {
    while (!text.empty()) {
      size_t begin = text.size() - 1;
      while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
      size_t position = begin;
      if (!is_removed(NextCharacter(text, position))) break;
      text = text.substr(0, begin);
    }
  }
  return text;
}

}  // namespace

std::string Upper(std::string_view text) {
  return MapWhole(text, [](icu::UnicodeString& wide) { wide.toUpper(icu::Locale::getRoot()); });
}

std::string Lower(std::string_view text) {
  return MapWhole(text, [](icu::UnicodeString& wide) { wide.toLower(icu::Locale::getRoot()); });
}

std::string CaseFold(std::string_view text) {
  return MapWhole(text, [](icu::UnicodeString& wide) { wide.foldCase(); });
}

std::string Title(std::string_view text) {
  std::string out;
  bool follows_cased = false;
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const char32_t c = NextCharacter(text, position);
    if (follows_cased) {
      out += LowerAt(text, begin, position);
    } else {
      AppendTitleCase(c, out);
    }
    follows_cased = IsCased(c);
  }
  return out;
}

std::string Capitalize(std::string_view text) {
  if (text.empty()) return {};
  std::string out;
  size_t position = 0;
  AppendTitleCase(NextCharacter(text, position), out);
  return out + Lower(text.substr(position));
}

std::string SwapCase(std::string_view text) {
  std::string out;
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const char32_t c = NextCharacter(text, position);
    const std::string_view one = text.substr(begin, position - begin);
    out += IsUpperCharacter(c)   ? LowerAt(text, begin, position)
           : IsLowerCharacter(c) ? Upper(one)
                                 : std::string(one);
  }
  return out;
}

bool IsSpace(char32_t c) { return IsWhiteSpace(c) || (c >= 0x1C && c <= 0x1F); }
bool IsAlpha(char32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_L_MASK) != 0; }
bool IsDecimal(char32_t c) { return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER; }
bool IsDigit(char32_t c) {
  const int type = u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE);
  return type == U_NT_DECIMAL || type == U_NT_DIGIT;
}
bool IsNumericCharacter(char32_t c) {
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_NUMERIC_TYPE) != U_NT_NONE;
}
bool IsPrintable(char32_t c) {
  if (c == ' ') return true;
  constexpr uint32_t kUnprintable = U_GC_C_MASK | U_GC_Z_MASK;
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & kUnprintable) == 0;
}
bool IsLowerCharacter(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_LOWERCASE);
}
bool IsUpperCharacter(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_UPPERCASE);
}
bool IsTitleCharacter(char32_t c) {
  return u_charType(static_cast<UChar32>(c)) == U_TITLECASE_LETTER;
}
bool IsCased(char32_t c) {
  return IsLowerCharacter(c) || IsUpperCharacter(c) || IsTitleCharacter(c);
}
bool IsIdentifierStart(char32_t c) {
  return c == '_' || u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_XID_START);
}
bool IsIdentifierPart(char32_t c) {
  return u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_XID_CONTINUE);
}

int DecimalValue(char32_t c) { return u_charDigitValue(static_cast<UChar32>(c)); }

std::optional<char32_t> CharacterByName(const std::string& name) {
  UErrorCode error = U_ZERO_ERROR;
  const UChar32 character = u_charFromName(U_UNICODE_CHAR_NAME, name.c_str(), &error);
  if (U_FAILURE(error)) return std::nullopt;
  return static_cast<char32_t>(character);
}

std::vector<std::string> SplitLines(std::string_view text, LineEnds ends) {
  std::vector<std::string> lines;
  size_t begin = 0;
  for (size_t position = 0; position < text.size();) {
    const size_t end = position;
    const char32_t c = NextCharacter(text, position);
    const bool ends_line = (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                           c == 0x2028 || c == 0x2029;
    if (!ends_line) continue;
    if (c == '\r' && position < text.size() && text[position] == '\n') ++position;
    lines.emplace_back(text.substr(begin, (ends == LineEnds::kKeep ? position : end) - begin));
    begin = position;
  }
  if (begin < text.size()) lines.emplace_back(text.substr(begin));
  return lines;
}

std::vector<std::string> Characters(std::string_view text) {
  std::vector<std::string> characters;
  for (size_t position = 0; position < text.size();) {
    const size_t bytes = CharacterBytes(text[position]);
    characters.emplace_back(text.substr(position, bytes));
    position += bytes;
  }
  return characters;
}

size_t ByteOffset(std::string_view text, size_t index) {
  size_t position = 0;
  while (index > 0 && position < text.size()) {
    position += CharacterBytes(text[position]);
    --index;
  }
  return position;
}

std::string_view Strip(std::string_view text, Side side) { return StripWhere(text, side, IsSpace); }

std::string_view Strip(std::string_view text, std::string_view set, Side side) {
  return StripWhere(text, side, [&](char32_t c) {
    std::string one;
    AppendCharacter(c, one);
    return set.find(one) != std::string_view::npos;
  });
}

}  // namespace qeff::jinja
