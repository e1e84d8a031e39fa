// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the headers of a response with content say about it. Only text.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/hub/client/http.h"

namespace qeff::hub {

/// "bytes 100-199/1234": the bytes from `first` on, of a content of `total` bytes; "*" is no total.
struct ContentRange {
  int64_t first = 0;
  std::optional<int64_t> total;
};

/// Nothing if `text` is no such range.
std::optional<ContentRange> ParseContentRange(std::string_view text);

/// Returns the number that a header consists of; nothing if it is missing or something else.
std::optional<int64_t> HeaderNumber(const Headers& headers, std::string_view name);

/// Returns what an ETag header quotes: `W/"abc"` and `"abc"` are abc.
std::string_view Unquoted(std::string_view etag);

/// True if the body is encoded, e.g. by gzip: its length then says nothing about the content.
bool IsEncoded(const Headers& headers);

}  // namespace qeff::hub
