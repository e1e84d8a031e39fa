// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/stop_strings.h"

#include <algorithm>

namespace qeff {

Result<StopStrings> StopStrings::Create(const std::vector<std::string>& strings) {
  StopStrings result;
  for (const std::string& text : strings) {
    if (text.empty()) return UsageError(Location::Flag("--stop"), "a stop string is empty");
    if ((static_cast<unsigned char>(text.front()) & 0xc0u) == 0x80u) {
      return UsageError(Location::Flag("--stop"), "a stop string begins inside a UTF-8 character");
    }
    Pattern pattern{.text = text, .border_bytes = std::vector<size_t>(text.size(), 0)};
    for (size_t i = 1; i < text.size(); ++i) {
      size_t border = pattern.border_bytes[i - 1];
      while (border > 0 && text[i] != text[border]) border = pattern.border_bytes[border - 1];
      pattern.border_bytes[i] = text[i] == text[border] ? border + 1 : 0;
    }
    result.patterns_.push_back(std::move(pattern));
  }
  return result;
}

void StopStrings::Pattern::Advance(char byte) {
  while (matched_bytes > 0 && text[matched_bytes] != byte) {
    matched_bytes = border_bytes[matched_bytes - 1];
  }
  if (text[matched_bytes] == byte) ++matched_bytes;
}

std::string StopStrings::Push(std::string_view piece) {
  if (found_) return {};
  size_t longest_stop = 0;
  for (const char byte : piece) {
    held_.push_back(byte);
    for (Pattern& pattern : patterns_) {
      pattern.Advance(byte);
      if (pattern.matched_bytes < pattern.text.size()) continue;
      found_ = true;
      longest_stop = std::max(longest_stop, pattern.text.size());
    }
    if (found_) {
      held_.resize(held_.size() - longest_stop);
      return std::exchange(held_, {});
    }
  }
  size_t hold_bytes = 0;
  for (const Pattern& pattern : patterns_) hold_bytes = std::max(hold_bytes, pattern.matched_bytes);
  std::string shown = held_.substr(0, held_.size() - hold_bytes);
  held_.erase(0, shown.size());
  return shown;
}

std::string StopStrings::Flush() { return std::exchange(held_, {}); }

}  // namespace qeff
