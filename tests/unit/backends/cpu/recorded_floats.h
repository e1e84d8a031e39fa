// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Floats in recorded files (tests/data/cpu): the hexadecimal bits of f32.
#pragma once

#include <bit>
#include <charconv>
#include <string>
#include <vector>

#include "lib/support/json.h"

namespace qeff::cpu {

inline std::vector<float> ReadFloatBits(const Json& values) {
  std::vector<float> result;
  for (const Json& value : values) {
    const auto text = value.get<std::string>();
    uint32_t bits = 0;
    std::from_chars(text.data(), text.data() + text.size(), bits, 16);
    result.push_back(std::bit_cast<float>(bits));
  }
  return result;
}

}  // namespace qeff::cpu
