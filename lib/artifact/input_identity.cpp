// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/input_identity.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "lib/support/file.h"
#include "lib/support/hash.h"

namespace qeff::artifact {
namespace {

namespace fs = std::filesystem;

// Below this a whole SHA-256 takes less than 20 ms.
constexpr size_t kWholeLimitBytes = size_t{16} << 20;
// Header of a file whose format has none that we know how to measure.
constexpr size_t kPlainHeaderBytes = size_t{64} << 10;
constexpr uint64_t kSafetensorsHeaderLimitBytes = 100'000'000;
// 64 pages notice a changed layer in any checkpoint of up to 64 layers, and are read in about a
// millisecond.
constexpr size_t kSamples = 64;
constexpr size_t kSampleBytes = 4096;

bool IsSha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Returns the SHA-256 that a hub cache has as the blob's file name, or "" if `path` is no link
/// into one.
std::string HubBlobHash(const fs::path& path) {
  std::error_code error;
  const fs::path target = fs::read_symlink(path, error);
  if (error || target.parent_path().filename() != "blobs") return "";
  const std::string name = target.filename().string();
  return IsSha256(name) ? name : "";
}

size_t HeaderBytes(const MappedFile& file, const fs::path& path) {
  const auto bytes = file.bytes();
  if (path.extension() == ".safetensors" && bytes.size() >= sizeof(uint64_t)) {
    uint64_t header_bytes;
    std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
    if (header_bytes <= kSafetensorsHeaderLimitBytes &&
        header_bytes <= bytes.size() - sizeof(header_bytes)) {
      return static_cast<size_t>(header_bytes) + sizeof(header_bytes);
    }
  }
  return std::min(bytes.size(), kPlainHeaderBytes);
}

std::string SampledHash(const MappedFile& file, const fs::path& path) {
  const auto bytes = file.bytes();
  const size_t header_bytes = HeaderBytes(file, path);
  Sha256 hash;
  hash.Update(bytes.first(header_bytes));
  const size_t body_bytes = bytes.size() - header_bytes;
  const size_t sample_bytes = std::min(body_bytes, kSampleBytes);
  for (size_t i = 0; i < kSamples; ++i) {
    // The last sample ends at the end of the file.
    const size_t offset = header_bytes + (body_bytes - sample_bytes) / (kSamples - 1) * i;
    const bool is_last = i + 1 == kSamples;
    hash.Update(is_last ? bytes.last(sample_bytes) : bytes.subspan(offset, sample_bytes));
  }
  file.Release(0, bytes.size());
  return hash.HexDigest();
}

}  // namespace

Result<InputEntry> IdentifyInput(std::string_view role, const fs::path& path, IdentityDepth depth) {
  InputEntry entry{.role = std::string(role), .name = path.filename().string()};
  if (depth == IdentityDepth::kQuick) {
    QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
    const size_t size_bytes = file.bytes().size();
    const std::string blob_hash = HubBlobHash(path);
    if (!blob_hash.empty()) {
      entry.identity = {{"bytes", std::to_string(size_bytes)}, {"sha256", blob_hash}};
      return entry;
    }
    if (size_bytes > kWholeLimitBytes) {
      entry.identity = {{"bytes", std::to_string(size_bytes)},
                        {"sampled_sha256", SampledHash(file, path)}};
      return entry;
    }
  }
  QEFF_ASSIGN_OR_RETURN(FileEntry file, HashFile(path, HashKind::kSha256));
  entry.identity = {{"bytes", std::to_string(file.size_bytes)}, {"sha256", std::move(file.hash)}};
  return entry;
}

}  // namespace qeff::artifact
