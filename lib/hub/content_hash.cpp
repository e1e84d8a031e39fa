// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/content_hash.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "lib/support/file.h"

namespace qeff::hub {
namespace {

// Large enough for full speed, small enough to stay out of the way in memory.
constexpr size_t kPieceBytes = size_t{8} << 20;
constexpr size_t kSha256Digits = 64;
constexpr size_t kSha1Digits = 40;

}  // namespace

struct ContentHash::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(),
                                                                  &EVP_MD_CTX_free};
};

ContentHash::ContentHash(std::string_view expected, int64_t size_bytes)
    : state_(std::make_unique<State>()) {
  QEFF_CHECK(expected.size() == kSha256Digits || expected.size() == kSha1Digits,
             "a hash of {} digits", expected.size());
  const bool is_git = expected.size() == kSha1Digits;
  // SHA-1 only because git names blobs by it; the hashes of our own files are in lib/support.
  QEFF_CHECK(
      EVP_DigestInit_ex(state_->context.get(), is_git ? EVP_sha1() : EVP_sha256(), nullptr) == 1,
      "the hash is not available");
  if (is_git) {
    const std::string header = fmt::format("blob {}", size_bytes);
    Update(std::as_bytes(std::span(header.c_str(), header.size() + 1)));  // with the zero byte
  }
}

ContentHash::~ContentHash() = default;
ContentHash::ContentHash(ContentHash&&) noexcept = default;
ContentHash& ContentHash::operator=(ContentHash&&) noexcept = default;

void ContentHash::Update(std::span<const std::byte> data) {
  QEFF_CHECK(EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) == 1, "hash update");
}

std::string ContentHash::HexDigest() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size_bytes = 0;
  QEFF_CHECK(EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size_bytes) == 1,
             "hash end");
  return fmt::format("{:02x}", fmt::join(std::span(digest).first(size_bytes), ""));
}

Result<std::string> HashFile(const std::filesystem::path& path, std::string_view expected,
                             const std::function<void(int64_t)>& advance) {
  QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const auto bytes = file.bytes();
  ContentHash hash(expected, static_cast<int64_t>(bytes.size()));
  for (size_t offset = 0; offset < bytes.size(); offset += kPieceBytes) {
    const size_t piece_bytes = std::min(kPieceBytes, bytes.size() - offset);
    file.WillNeed(offset + piece_bytes, kPieceBytes);
    hash.Update(bytes.subspan(offset, piece_bytes));
    file.Release(offset, piece_bytes);
    if (advance) advance(static_cast<int64_t>(piece_bytes));
  }
  return hash.HexDigest();
}

}  // namespace qeff::hub
