// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A Hugging Face cache in a temporary folder, laid out as huggingface_hub does it.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace qeff::hub {

class CacheFolder {
 public:
  CacheFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "qeff-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  CacheFolder(const CacheFolder&) = delete;
  ~CacheFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

  /// Writes a file below the cache, with the folders it needs.
  std::filesystem::path Write(const std::filesystem::path& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }
  /// Makes <repo>/snapshots/<commit>/<name> a link to <repo>/blobs/<blob>, whose content is `text`.
  void AddFile(const std::string& repo, const std::string& commit, const std::string& name,
               const std::string& blob, const std::string& text) const {
    Write(repo + "/blobs/" + blob, text);
    AddLink(repo, commit, name, blob);
  }
  /// As AddFile without writing the blob.
  void AddLink(const std::string& repo, const std::string& commit, const std::string& name,
               const std::string& blob) const {
    const std::filesystem::path link = path_ / repo / "snapshots" / commit / name;
    std::filesystem::create_directories(link.parent_path());
    std::filesystem::create_symlink("../../blobs/" + blob, link);
  }

 private:
  std::filesystem::path path_;
};

}  // namespace qeff::hub
