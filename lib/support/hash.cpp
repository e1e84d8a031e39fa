// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/support/hash.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include <array>

#include "lib/support/status.h"

namespace qeff {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  QEFF_CHECK(EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1,
             "SHA-256 is not available");
}
Sha256::~Sha256() = default;

void Sha256::Update(std::span<const std::byte> data) {
  QEFF_CHECK(EVP_DigestUpdate(state_->context, data.data(), data.size()) == 1, "SHA-256 update");
}

std::string Sha256::HexDigest() {
  std::array<unsigned char, 32> digest{};
  unsigned int size = 0;
  QEFF_CHECK(
      EVP_DigestFinal_ex(state_->context, digest.data(), &size) == 1 && size == digest.size(),
      "SHA-256 end");
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

std::string Sha256Hex(std::string_view data) {
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(data)));
  return hash.HexDigest();
}

struct Xxh3::State {
  XXH3_state_t* state = XXH3_createState();
  ~State() { XXH3_freeState(state); }
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) { XXH3_128bits_reset(state_->state); }
Xxh3::~Xxh3() = default;
Xxh3::Xxh3(Xxh3&&) noexcept = default;

void Xxh3::Update(std::span<const std::byte> data) {
  XXH3_128bits_update(state_->state, data.data(), data.size());
}

std::string Xxh3::HexDigest() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(state_->state);
  return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

}  // namespace qeff
