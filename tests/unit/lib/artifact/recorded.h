// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Where the tests of this folder find what QEfficient wrote: a few cases lie in tests/data, all of
// them in the shared data beside the project, which may be absent.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "lib/support/file.h"

namespace qeff::artifact {

inline std::filesystem::path LocalData() { return "tests/data/artifact"; }

/// Returns the folder of shared data, or an empty path if it is absent.
inline std::filesystem::path SharedData() {
  const char* variable = std::getenv("QEFF_SHARED");
  const std::filesystem::path folder = variable != nullptr ? variable : "../shared";
  return std::filesystem::exists(folder / "goldens") ? folder : std::filesystem::path();
}

/// Returns the content of a file, or a text that equals no content if it is absent.
inline std::string Recorded(const std::filesystem::path& path) {
  Result<std::string> content = ReadSmallFile(path);
  return content.ok() ? *std::move(content) : "(absent: " + path.string() + ")";
}

}  // namespace qeff::artifact
