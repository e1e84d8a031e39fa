// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/response_head.h"

#include <charconv>

namespace qeff::hub {
namespace {

/// The whole text as a number that is not negative.
std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

}  // namespace

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (!text.starts_with(kUnit) || dash == text.npos || slash == text.npos || slash < dash) {
    return std::nullopt;
  }
  const auto first = ParseNumber(text.substr(kUnit.size(), dash - kUnit.size()));
  const auto last = ParseNumber(text.substr(dash + 1, slash - dash - 1));
  const std::string_view total_text = text.substr(slash + 1);
  const auto total = ParseNumber(total_text);
  if (!first || !last || *last < *first || (!total && total_text != "*")) return std::nullopt;
  return ContentRange{.first = *first, .total = total};
}

std::optional<int64_t> HeaderNumber(const Headers& headers, std::string_view name) {
  return ParseNumber(HeaderValue(headers, name));
}

std::string_view Unquoted(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return etag;
}

bool IsEncoded(const Headers& headers) {
  const std::string_view encoding = HeaderValue(headers, "content-encoding");
  return !encoding.empty() && encoding != "identity";
}

}  // namespace qeff::hub
