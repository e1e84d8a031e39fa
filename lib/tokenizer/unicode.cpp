// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/unicode.h"

#include <unicode/brkiter.h>
#include <unicode/bytestream.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <memory>

#include "lib/support/status.h"

namespace qeff {
namespace {

bool IsContinuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

/// The range of the second byte, which is narrower after some leads: no overlong forms, no
/// surrogates, nothing above U+10FFFF.
bool IsSecondByte(unsigned char lead, unsigned char byte) {
  switch (lead) {
    case 0xE0:
      return byte >= 0xA0 && byte <= 0xBF;
    case 0xED:
      return byte >= 0x80 && byte <= 0x9F;
    case 0xF0:
      return byte >= 0x90 && byte <= 0xBF;
    case 0xF4:
      return byte >= 0x80 && byte <= 0x8F;
    default:
      return IsContinuation(byte);
  }
}

UChar32 Code(char32_t character) { return static_cast<UChar32>(character); }

bool HasProperty(char32_t character, UProperty property) {
  return u_hasBinaryProperty(Code(character), property) != 0;
}

bool HasCategory(char32_t character, uint32_t mask) {
  return (U_GET_GC_MASK(Code(character)) & mask) != 0;
}

/// True if the code point has been assigned since version `major` of Unicode or before.
bool IsOfUnicode(int major, char32_t character) {
  UVersionInfo version;
  u_charAge(Code(character), version);
  return version[0] > 0 && version[0] <= major;
}

const icu::Normalizer2* Normalizer(NormalForm form) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = nullptr;
  switch (form) {
    case NormalForm::kNfc:
      normalizer = icu::Normalizer2::getNFCInstance(error);
      break;
    case NormalForm::kNfd:
      normalizer = icu::Normalizer2::getNFDInstance(error);
      break;
    case NormalForm::kNfkc:
      normalizer = icu::Normalizer2::getNFKCInstance(error);
      break;
    case NormalForm::kNfkd:
      normalizer = icu::Normalizer2::getNFKDInstance(error);
      break;
  }
  QEFF_CHECK(U_SUCCESS(error), "ICU has no normalization data: {}", u_errorName(error));
  return normalizer;
}

const icu::UnicodeSet& CharactersOfUnicode9() {
  static const icu::UnicodeSet* const kSet = [] {
    UErrorCode error = U_ZERO_ERROR;
    auto* set = new icu::UnicodeSet(UNICODE_STRING_SIMPLE("[:age=9.0:]"), error);
    QEFF_CHECK(U_SUCCESS(error), "ICU has no ages of characters: {}", u_errorName(error));
    return set->freeze();
  }();
  return *kSet;
}

std::string Normalized(const icu::Normalizer2& normalizer, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  icu::StringByteSink<std::string> sink(&out);
  UErrorCode error = U_ZERO_ERROR;
  normalizer.normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())),
                           sink, nullptr, error);
  QEFF_CHECK(U_SUCCESS(error), "ICU could not normalize: {}", u_errorName(error));
  return out;
}

}  // namespace

Utf8Step StepUtf8(std::string_view bytes, size_t position) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[position + i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return {Utf8State::kValid, 1};
  const size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                        : lead >= 0xE0 && lead <= 0xEF ? 3
                        : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                       : 1;
  if (length == 1) return {Utf8State::kInvalid, 1};
  for (size_t i = 1; i < length; ++i) {
    if (position + i >= bytes.size()) return {Utf8State::kIncomplete, i};
    if (i == 1 ? !IsSecondByte(lead, at(1)) : !IsContinuation(at(i))) {
      return {Utf8State::kInvalid, i};
    }
  }
  return {Utf8State::kValid, length};
}

std::optional<size_t> FindInvalidUtf8(std::string_view bytes) {
  for (size_t position = 0; position < bytes.size();) {
    const Utf8Step step = StepUtf8(bytes, position);
    if (step.state != Utf8State::kValid) return position;
    position += step.length_bytes;
  }
  return std::nullopt;
}

void TakeDecidedUtf8(bool at_end, std::string& pending, std::string& out) {
  size_t position = 0;
  while (position < pending.size()) {
    const Utf8Step step = StepUtf8(pending, position);
    if (step.state == Utf8State::kIncomplete && !at_end) break;
    if (step.state == Utf8State::kValid) {
      out.append(pending, position, step.length_bytes);
    } else {
      out += kReplacementCharacter;
    }
    position += step.length_bytes;
  }
  pending.erase(0, position);
}

size_t CharacterBytes(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

char32_t NextCharacter(std::string_view text, size_t& position) {
  const auto lead = static_cast<unsigned char>(text[position]);
  const size_t length = CharacterBytes(text[position]);
  char32_t character = length == 1 ? lead : lead & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    character = (character << 6) | (static_cast<unsigned char>(text[position + i]) & 0x3F);
  }
  position += length;
  return character;
}

size_t CountCharacters(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(
      text, [](char byte) { return !IsContinuation(static_cast<unsigned char>(byte)); }));
}

void AppendCharacter(char32_t character, std::string& out) {
  const auto tail = [&](int shift) {
    return static_cast<char>(0x80 | ((character >> shift) & 0x3F));
  };
  if (character < 0x80) {
    out += static_cast<char>(character);
  } else if (character < 0x800) {
    out += static_cast<char>(0xC0 | (character >> 6));
    out += tail(0);
  } else if (character < 0x10000) {
    out += static_cast<char>(0xE0 | (character >> 12));
    out += tail(6);
    out += tail(0);
  } else {
    out += static_cast<char>(0xF0 | (character >> 18));
    out += tail(12);
    out += tail(6);
    out += tail(0);
  }
}

bool IsAscii(std::string_view text) {
  return std::ranges::none_of(text, [](char byte) { return (byte & 0x80) != 0; });
}

bool IsWhiteSpace(char32_t character) {
  if (character < 0x80) return character == ' ' || (character >= '\t' && character <= '\r');
  return HasProperty(character, UCHAR_WHITE_SPACE);
}

bool IsNumeric(char32_t character) { return HasCategory(character, U_GC_N_MASK); }

bool IsAlphanumeric(char32_t character) {
  return HasProperty(character, UCHAR_ALPHABETIC) || IsNumeric(character);
}

bool IsWord(char32_t character) {
  return HasProperty(character, UCHAR_ALPHABETIC) ||
         HasCategory(character, U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK) ||
         HasProperty(character, UCHAR_JOIN_CONTROL);
}

bool IsPunctuation(char32_t character) {
  if (character < 0x80) return u_ispunct(Code(character)) || HasCategory(character, U_GC_S_MASK);
  // Two characters have left the category since.
  if (character == 0x166D || character == 0x111C9) return true;
  return HasCategory(character, U_GC_P_MASK) && IsOfUnicode(8, character);
}

bool IsControl(char32_t character) {
  return HasCategory(character, U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK) &&
         IsOfUnicode(8, character);
}

bool IsNonSpacingMark(char32_t character) {
  switch (character) {  // those whose category has changed since
    case 0x1734:
      return true;
    case 0x1885:
    case 0x1886:
    case 0xA9BD:
    case 0x111C9:
      return false;
    default:
      break;
  }
  return HasCategory(character, U_GC_MN_MASK) && IsOfUnicode(8, character);
}

bool IsMark(char32_t character) {
  switch (character) {  // those whose category has changed since
    case 0x1CF2:
    case 0x1CF3:
      return true;
    case 0x111C9:
      return false;
    default:
      break;
  }
  return HasCategory(character, U_GC_M_MASK) && IsOfUnicode(9, character);
}

bool IsCjkIdeograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) ||
         (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

std::optional<int> ScriptOf(char32_t character) {
  constexpr int kUnicodeVersion = 9;
  if (character == ' ' || !IsOfUnicode(kUnicodeVersion, character)) return std::nullopt;
  switch (character) {  // those whose script has changed since
    case 0x589:
    case 0x61C:
      return USCRIPT_COMMON;
    case 0x953:
    case 0x954:
      return USCRIPT_DEVANAGARI;
    case 0x30FC:  // the length mark of both kana
      return USCRIPT_HAN;
    default:
      break;
  }
  UErrorCode error = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(Code(character), &error);
  QEFF_CHECK(U_SUCCESS(error), "ICU has no scripts: {}", u_errorName(error));
  if (script == USCRIPT_UNKNOWN) return std::nullopt;
  return script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ? USCRIPT_HAN : script;
}

bool IsScriptName(std::string_view name) {
  return u_getPropertyValueEnum(UCHAR_SCRIPT, std::string(name).c_str()) != UCHAR_INVALID_CODE;
}

void AppendLowerCase(char32_t character, std::string& out) {
  // The only character whose lower case is two characters whatever stands around it.
  if (character == 0x130) {
    out += "i\xCC\x87";
    return;
  }
  AppendCharacter(static_cast<char32_t>(u_tolower(Code(character))), out);
}

std::string ToNormalForm(NormalForm form, std::string_view text) {
  if (IsAscii(text)) return std::string(text);
  // Characters that came after the reference's tables stay as they are.
  const icu::UnicodeSet& known = CharactersOfUnicode9();
  const auto size = static_cast<int32_t>(text.size());
  if (known.spanUTF8(text.data(), size, USET_SPAN_CONTAINED) < size) {
    const icu::FilteredNormalizer2 filtered(*Normalizer(form), known);
    return Normalized(filtered, text);
  }
  return Normalized(*Normalizer(form), text);
}

std::vector<size_t> GraphemeEnds(std::string_view text) {
  UErrorCode error = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> iterator(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), error));
  QEFF_CHECK(U_SUCCESS(error), "ICU has no data for grapheme clusters: {}", u_errorName(error));
  UText* opened = utext_openUTF8(nullptr, text.data(), static_cast<int64_t>(text.size()), &error);
  iterator->setText(opened, error);
  QEFF_CHECK(U_SUCCESS(error), "ICU could not read the text: {}", u_errorName(error));
  std::vector<size_t> ends;
  for (int32_t end = iterator->next(); end != icu::BreakIterator::DONE; end = iterator->next()) {
    ends.push_back(static_cast<size_t>(end));
  }
  utext_close(opened);
  return ends;
}

}  // namespace qeff
