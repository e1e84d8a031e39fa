// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Text as Python's str sees it: case, classes of characters, positions counted in characters.
// What tokenizers share with it is in lib/tokenizer/unicode.h. All texts must be UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/tokenizer/unicode.h"

namespace qeff::jinja {

/// Each returns what the str method of that name returns.
std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
std::string CaseFold(std::string_view text);
std::string Title(std::string_view text);
std::string Capitalize(std::string_view text);
std::string SwapCase(std::string_view text);

bool IsSpace(char32_t character);
bool IsAlpha(char32_t character);
bool IsDecimal(char32_t character);
bool IsDigit(char32_t character);
bool IsNumericCharacter(char32_t character);
bool IsPrintable(char32_t character);
bool IsCased(char32_t character);
bool IsLowerCharacter(char32_t character);
bool IsUpperCharacter(char32_t character);  ///< without title case
bool IsTitleCharacter(char32_t character);
bool IsIdentifierStart(char32_t character);
bool IsIdentifierPart(char32_t character);

/// Returns the digit's value, -1 if it is none (any script).
int DecimalValue(char32_t character);

/// Returns the character of a Unicode name such as "BULLET".
std::optional<char32_t> CharacterByName(const std::string& name);

/// Lines as str.splitlines() cuts them, with their ends if `keeps_ends`.
enum class LineEnds { kDrop, kKeep };
std::vector<std::string> SplitLines(std::string_view text, LineEnds ends);

/// Returns the characters; a short text for each.
std::vector<std::string> Characters(std::string_view text);
/// Returns the byte offset of the character at `index`; the size if there are fewer.
size_t ByteOffset(std::string_view text, size_t index);

enum class Side { kLeft, kRight, kBoth };
/// Removes white space.
std::string_view Strip(std::string_view text, Side side);
/// Removes characters of `set`.
std::string_view Strip(std::string_view text, std::string_view set, Side side);

}  // namespace qeff::jinja
