// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// UTF-8 and the character classes that tokenizers are defined by. The classes follow the tables of
// the Hugging Face implementation, which are older than today's Unicode for some of them; each
// function says so. Not for text layout or locales.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qeff {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

/// What stands at a place in bytes that may not be UTF-8.
enum class Utf8State { kValid, kInvalid, kIncomplete };
struct Utf8Step {
  Utf8State state;
  size_t length_bytes;  ///< of the character, or of the longest prefix of one; at least 1
};
/// Requires `position` < size. kIncomplete: the text ends inside a character that is right so far.
Utf8Step StepUtf8(std::string_view bytes, size_t position);

/// Returns the offset of the first byte that is not UTF-8, if there is one.
std::optional<size_t> FindInvalidUtf8(std::string_view bytes);

/// Moves what is decided at the front of `pending` to `out`; each faulty part becomes one U+FFFD
/// (the longest prefix of a character, as in the Unicode standard, section 3.9). Without `at_end`
/// a character that could still be completed stays in `pending`.
void TakeDecidedUtf8(bool at_end, std::string& pending, std::string& out);

/// Returns the character at `position` and moves past it. Requires valid UTF-8.
char32_t NextCharacter(std::string_view text, size_t& position);

/// Returns the length in bytes of the character that starts with `lead`. Requires valid UTF-8.
size_t CharacterBytes(char lead);

size_t CountCharacters(std::string_view text);
void AppendCharacter(char32_t character, std::string& out);
bool IsAscii(std::string_view text);

bool IsWhiteSpace(char32_t character);    ///< property White_Space
bool IsNumeric(char32_t character);       ///< categories Nd, Nl, No
bool IsAlphanumeric(char32_t character);  ///< property Alphabetic, or numeric
/// Alphabetic, marks, decimal digits, connector punctuation and joiners: `\w` of UTS #18.
bool IsWord(char32_t character);
/// ASCII punctuation and symbols, and categories P* of Unicode 8.
bool IsPunctuation(char32_t character);
/// Categories Cc, Cf and Co of Unicode 8; not the unassigned ones.
bool IsControl(char32_t character);
bool IsNonSpacingMark(char32_t character);  ///< category Mn of Unicode 8
bool IsMark(char32_t character);            ///< categories Mn, Mc, Me of Unicode 9
bool IsCjkIdeograph(char32_t character);    ///< the blocks that BERT separates

/// Returns a number for each script (property Script of Unicode 9), where hiragana and katakana
/// count as Han; none for a blank and for what was not assigned then.
std::optional<int> ScriptOf(char32_t character);

bool IsScriptName(std::string_view name);  ///< "Han", "Latin", ...

/// Appends the full lower-case form, without regard to context (no final sigma).
void AppendLowerCase(char32_t character, std::string& out);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
/// Returns `text` in the normal form of Unicode 9. Requires valid UTF-8.
std::string ToNormalForm(NormalForm form, std::string_view text);

/// Returns where each extended grapheme cluster ends; the last entry is the size of `text`.
/// Requires valid UTF-8.
std::vector<size_t> GraphemeEnds(std::string_view text);

}  // namespace qeff
