// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/byte_level.h"

#include <array>

#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

constexpr int kSymbolEnd = 0x100 + 68;  // 68 bytes do not stand for themselves

struct Alphabet {
  std::array<char32_t, 256> symbol_of{};
  std::array<int16_t, kSymbolEnd> byte_of{};  ///< -1 if not of the alphabet
};

constexpr Alphabet MakeAlphabet() {
  Alphabet alphabet;
  alphabet.byte_of.fill(-1);
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool is_visible = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    const char32_t symbol = is_visible ? static_cast<char32_t>(byte) : next++;
    alphabet.symbol_of[static_cast<size_t>(byte)] = symbol;
    alphabet.byte_of[symbol] = static_cast<int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = MakeAlphabet();

}  // namespace

std::string BytesToSymbols(std::string_view bytes) {
  std::string symbols;
  symbols.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    AppendCharacter(kAlphabet.symbol_of[static_cast<unsigned char>(byte)], symbols);
  }
  return symbols;
}

std::optional<std::string> SymbolsToBytes(std::string_view symbols) {
  std::string bytes;
  bytes.reserve(symbols.size());
  for (size_t position = 0; position < symbols.size();) {
    const char32_t symbol = NextCharacter(symbols, position);
    if (symbol >= kSymbolEnd || kAlphabet.byte_of[symbol] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte_of[symbol]);
  }
  return bytes;
}

}  // namespace qeff
