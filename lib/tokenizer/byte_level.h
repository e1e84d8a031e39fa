// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The alphabet of byte-level vocabularies: one visible character for each byte. Printable Latin-1
// bytes stand for themselves; the others, in order, are U+0100, U+0101, ...
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qeff {

/// Returns one character for each byte of `bytes`.
std::string BytesToSymbols(std::string_view bytes);

/// Inverse of BytesToSymbols; nothing if a character is not of the alphabet. Requires valid UTF-8.
std::optional<std::string> SymbolsToBytes(std::string_view symbols);

}  // namespace qeff
