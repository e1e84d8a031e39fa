// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/verify.h"

#include <algorithm>
#include <map>

#include "lib/hub/content_hash.h"
#include "lib/hub/file_list.h"
#include "lib/support/file.h"
#include "lib/support/progress.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

/// Returns the hash in the name of the blob that `path` links to; "" if it is no such link.
std::string BlobHash(const fs::path& path) {
  std::error_code error;
  const fs::path target = fs::read_symlink(path, error);
  if (error || target.parent_path().filename() != "blobs") return "";
  const std::string name = target.filename().string();
  return IsContentHash(name) ? name : "";
}

/// Returns the hash that huggingface_hub noted of a file of a user's folder; "" if there is none.
std::string NotedHash(const fs::path& folder, const std::string& name) {
  const Result<std::string> notes = ReadSmallFile(
      folder / ".cache" / "huggingface" / "download" / (name + ".metadata"), size_t{64} << 10);
  if (!notes.ok()) return "";
  const size_t begin = notes->find('\n');
  if (begin == std::string::npos) return "";
  const std::string hash = notes->substr(begin + 1, notes->find('\n', begin + 1) - begin - 1);
  return IsContentHash(hash) ? hash : "";
}

/// Knows the hashes of a folder's files from wherever they are written down.
class KnownHashes {
 public:
  explicit KnownHashes(const Snapshot& snapshot) : folder_(snapshot.folder) {
    for (const RepoFile& file : ListedFiles(snapshot).value_or(std::vector<RepoFile>())) {
      listed_[file.path] = file.etag();
    }
  }
  /// "" if nothing is known.
  std::string Of(const fs::path& path) const {
    if (const std::string hash = BlobHash(path); !hash.empty()) return hash;
    const std::string name = path.lexically_relative(folder_).string();
    const auto listed = listed_.find(name);
    return listed != listed_.end() ? listed->second : NotedHash(folder_, name);
  }

 private:
  fs::path folder_;
  std::map<std::string, std::string> listed_;
};

bool IsOwnNotes(const fs::path& relative) {
  auto part = relative.begin();
  return part != relative.end() && *part == ".cache" && ++part != relative.end() &&
         *part == "huggingface";
}

}  // namespace

Result<VerifyReport> VerifyHashes(const Snapshot& snapshot) {
  const fs::path& folder = snapshot.folder;
  const KnownHashes known(snapshot);
  std::error_code error;
  std::vector<fs::path> paths;
  fs::recursive_directory_iterator iterator(folder, error);
  for (; !error && iterator != fs::recursive_directory_iterator(); iterator.increment(error)) {
    std::error_code ignored;
    if (IsOwnNotes(iterator->path().lexically_relative(folder))) {
      iterator.disable_recursion_pending();
    } else if (!iterator->is_directory(ignored)) {
      paths.push_back(iterator->path());
    }
  }
  if (error) {
    return IoError(Location::File(folder.string()), "cannot read the folder", error.value());
  }
  std::sort(paths.begin(), paths.end());
  const auto name_of = [&](const fs::path& path) {
    return path.lexically_relative(folder).string();
  };
  int64_t total_bytes = 0;
  for (const fs::path& path : paths) {
    const auto size_bytes = fs::file_size(path, error);
    if (!error && !known.Of(path).empty()) total_bytes += static_cast<int64_t>(size_bytes);
  }
  VerifyReport report;
  Progress progress("verifying", total_bytes, "B");
  for (const fs::path& path : paths) {
    const std::string expected = known.Of(path);
    if (expected.empty()) {
      report.unknown.push_back(name_of(path));
      continue;
    }
    int64_t size_bytes = 0;
    QEFF_ASSIGN_OR_RETURN(const std::string got, HashFile(path, expected, [&](int64_t bytes) {
                            size_bytes += bytes;
                            progress.Add(bytes);
                          }));
    if (got != expected) {
      return InvalidInput(Location::File(path.string()),
                          fmt::format("expected the content with hash {}, got {}", expected, got),
                          {fmt::format("the file is damaged: remove '{}' and fetch it again",
                                       fs::weakly_canonical(path, error).string())});
    }
    report.verified.push_back(name_of(path));
    report.verified_bytes += size_bytes;
  }
  return report;
}

}  // namespace qeff::hub
