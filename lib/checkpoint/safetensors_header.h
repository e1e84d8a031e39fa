// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The JSON header of a safetensors file as a list of entries, read as it is parsed: no tree is
// built, so a hostile header of 100 MB takes memory only for the names and shapes that it really
// holds. What the entries mean for the file is checked by safetensors.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/support/dtype.h"
#include "lib/support/status.h"

namespace qeff::checkpoint {

/// One entry as written; nothing is checked against the file yet.
struct HeaderEntry {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;             ///< each >= 0
  std::array<int64_t, 2> data_offsets{};  ///< each >= 0, from the end of the header
};

struct Header {
  std::vector<HeaderEntry> entries;  ///< in the order of the file
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// Parses `text`, which starts at byte `kHeaderLengthBytes` of the file `path`. Errors:
/// kInvalidInput.
Result<Header> ParseHeader(std::string_view text, const std::string& path);

/// Position of `dtype` in the order by which the format's writer sorts (narrow to wide); -1 if the
/// format has no such dtype.
int SafetensorsRank(DType dtype);

inline constexpr int64_t kHeaderLengthBytes = 8;
/// More dimensions than any tensor has; a limit so that work per tensor is bounded.
inline constexpr size_t kMaxDimensions = 64;

}  // namespace qeff::checkpoint
