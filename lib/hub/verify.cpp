// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/verify.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>

#include "lib/support/file.h"
#include "lib/support/hash.h"
#include "lib/support/progress.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

// Large enough for full speed, small enough to stay out of the way in memory.
constexpr size_t kPieceBytes = size_t{8} << 20;
constexpr size_t kSha256Digits = 64;
constexpr size_t kSha1Digits = 40;

/// SHA-1 as git names its blobs. Not for new uses: lib/support has the hashes of our own files.
class GitBlobHash {
 public:
  explicit GitBlobHash(size_t content_bytes) : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    QEFF_CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha1(), nullptr) == 1,
               "SHA-1 is not available");
    const std::string header = fmt::format("blob {}", content_bytes);
    Update(std::as_bytes(std::span(header.c_str(), header.size() + 1)));  // with the zero byte
  }
  void Update(std::span<const std::byte> data) {
    QEFF_CHECK(EVP_DigestUpdate(context_.get(), data.data(), data.size()) == 1, "SHA-1 update");
  }
  std::string HexDigest() {
    std::array<unsigned char, 20> digest{};
    unsigned int size_bytes = 0;
    QEFF_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &size_bytes) == 1, "SHA-1 end");
    return fmt::format("{:02x}", fmt::join(digest, ""));
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// Returns the hash in the name of the blob that `path` links to; "" if it is no such link.
std::string BlobHash(const fs::path& path) {
  std::error_code error;
  const fs::path target = fs::read_symlink(path, error);
  if (error || target.parent_path().filename() != "blobs") return "";
  const std::string name = target.filename().string();
  const bool is_hex = name.find_first_not_of("0123456789abcdef") == std::string::npos;
  return is_hex && (name.size() == kSha256Digits || name.size() == kSha1Digits) ? name : "";
}

template <typename Hash>
std::string HashOf(const MappedFile& file, Hash hash, Progress& progress) {
  const auto bytes = file.bytes();
  for (size_t offset = 0; offset < bytes.size(); offset += kPieceBytes) {
    const size_t piece_bytes = std::min(kPieceBytes, bytes.size() - offset);
    file.WillNeed(offset + piece_bytes, kPieceBytes);
    hash.Update(bytes.subspan(offset, piece_bytes));
    file.Release(offset, piece_bytes);
    progress.Add(static_cast<int64_t>(piece_bytes));
  }
  return hash.HexDigest();
}

}  // namespace

Result<VerifyReport> VerifyHashes(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> paths;
  fs::recursive_directory_iterator iterator(folder, error);
  for (; !error && iterator != fs::recursive_directory_iterator(); iterator.increment(error)) {
    std::error_code ignored;
    if (!iterator->is_directory(ignored)) paths.push_back(iterator->path());
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
    if (!error && !BlobHash(path).empty()) total_bytes += static_cast<int64_t>(size_bytes);
  }
  VerifyReport report;
  Progress progress("verifying", total_bytes, "B");
  for (const fs::path& path : paths) {
    const std::string expected = BlobHash(path);
    if (expected.empty()) {
      report.unknown.push_back(name_of(path));
      continue;
    }
    QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
    const std::string got = expected.size() == kSha256Digits
                                ? HashOf(file, Sha256(), progress)
                                : HashOf(file, GitBlobHash(file.bytes().size()), progress);
    if (got != expected) {
      return InvalidInput(Location::File(path.string()),
                          fmt::format("expected the content with hash {}, got {}", expected, got),
                          {fmt::format("the file is damaged: remove '{}' and fetch it again",
                                       fs::weakly_canonical(path, error).string())});
    }
    report.verified.push_back(name_of(path));
    report.verified_bytes += static_cast<int64_t>(file.bytes().size());
  }
  return report;
}

}  // namespace qeff::hub
