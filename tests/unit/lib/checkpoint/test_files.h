// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the tests of this folder share: a folder that removes itself, small files, hand-made
// safetensors headers, and the folder of shared data.
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace qeff::checkpoint {

/// An empty folder, removed with all it holds at the end of its scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "qeff-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::filesystem::path WriteText(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

/// Returns a safetensors file: the length of `header`, `header`, then `data_bytes` bytes 0, 1, 2,
/// ...
inline std::string Safetensors(const std::string& header, size_t data_bytes = 0) {
  const uint64_t header_bytes = header.size();
  std::string file(sizeof(header_bytes), '\0');
  std::memcpy(file.data(), &header_bytes, sizeof(header_bytes));
  file += header;
  for (size_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i);
  return file;
}

/// The folder of shared models and goldens; empty if it is not there.
inline std::filesystem::path SharedFolder() {
  const char* given = ::getenv("QEFF_SHARED");
  const std::filesystem::path path = given != nullptr ? given : "../shared";
  return std::filesystem::is_directory(path) ? path : std::filesystem::path();
}

}  // namespace qeff::checkpoint
