// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The files of a repository at one commit: names that are safe to use as paths, sizes and hashes,
// and their copy on disk, trees/<commit>.json, as huggingface_hub writes and reads it (format 1).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/json.h"
#include "lib/support/status.h"

namespace qeff::hub {

/// One file as the hub lists it.
struct RepoFile {
  std::string path;  ///< relative, '/' between parts; passed CheckFileName
  int64_t size_bytes = 0;
  std::string git_sha1;  ///< of the file, or of its LFS pointer; 40 hex digits
  std::string sha256;    ///< of the content; empty unless the file is in LFS or Xet
  std::string xet_hash;  ///< only carried along; empty if there is none

  /// The hash of the content, which is also the name of the blob in a cache.
  const std::string& etag() const { return sha256.empty() ? git_sha1 : sha256; }
};

/// Checks that `path`, which a stranger chose, stays below the folder it is joined to, by the rules
/// of POSIX and of Windows: no empty part, "." or "..", no root, drive or backslash, no ".git", no
/// control character, parts of at most 255 bytes, at most 1024 in all. Errors: kInvalidInput at
/// `where`, with the name escaped.
Status CheckFileName(std::string_view path, const Location& where);

/// Returns `text` with control characters as \xNN, cut after
/// `limit_bytes`. For everything that a server says and people read.
std::string Printable(std::string_view text, size_t limit_bytes = 300);

/// True for 40 or 64 lower-case hex digits: what may name a blob.
bool IsContentHash(std::string_view text);

/// Sorts by path and checks what only shows in the whole list. Errors: kInvalidInput for a path
/// that is listed twice or is both file and folder.
Status SortAndCheck(std::vector<RepoFile>& files, const Location& where);

/// Returns the text of trees/<commit>.json.
std::string DumpFileList(const std::vector<RepoFile>& files);

/// Reads trees/<commit>.json. Nothing if it is missing, of another format, or wrong in any way: it
/// is only a copy of what the hub says.
std::optional<std::vector<RepoFile>> ReadFileList(const std::filesystem::path& path);

}  // namespace qeff::hub
