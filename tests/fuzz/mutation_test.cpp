// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The fuzzed readers on a fixed sequence of damaged inputs: the same on every machine, a few
// seconds. Inputs end at a page that cannot be read, so that reading on stops the process.
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "lib/support/status.h"
#include "tests/fuzz/seeds.h"
#include "tests/fuzz/targets.h"

namespace qeff::fuzz {
namespace {

/// Memory whose last byte lies before a page without access.
class GuardedBytes {
 public:
  explicit GuardedBytes(size_t capacity_bytes) {
    const auto page_bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    usable_bytes_ = (capacity_bytes + page_bytes - 1) / page_bytes * page_bytes;
    mapped_bytes_ = usable_bytes_ + page_bytes;
    void* memory =
        ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    begin_ = static_cast<std::byte*>(memory);
    REQUIRE(::mprotect(begin_ + usable_bytes_, page_bytes, PROT_NONE) == 0);
  }
  ~GuardedBytes() { ::munmap(begin_, mapped_bytes_); }
  GuardedBytes(const GuardedBytes&) = delete;

  std::span<const std::byte> Place(const std::string& bytes) {
    std::byte* start = begin_ + usable_bytes_ - bytes.size();
    std::memcpy(start, bytes.data(), bytes.size());
    return {start, bytes.size()};
  }

 private:
  std::byte* begin_ = nullptr;
  size_t usable_bytes_ = 0;
  size_t mapped_bytes_ = 0;
};

constexpr size_t kLongestBytes = size_t{1} << 16;

/// One change of one of the kinds that readers trip over.
void Mutate(std::string& bytes, std::mt19937_64& random) {
  const auto below = [&random](size_t limit) { return limit == 0 ? 0 : random() % limit; };
  constexpr auto kNumbers = std::to_array<uint64_t>(
      {0, 1, 2, 7, 8, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
       0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff});
  const size_t at = below(bytes.size());
  const size_t length = 1 + below(std::min<size_t>(bytes.size() - at, 64));
  switch (below(7)) {
    case 0:
      if (!bytes.empty()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
      break;
    case 1:
      if (!bytes.empty()) bytes[at] = static_cast<char>(below(256));
      break;
    case 2: {
      uint64_t number = below(4) == 0 ? bytes.size() + below(16) - 8 : kNumbers[below(17)];
      const size_t width = size_t{1} << below(4);
      if (bytes.size() >= width)
        std::memcpy(&bytes[below(bytes.size() - width + 1)], &number, width);
      break;
    }
    case 3:
      bytes.erase(at, length);
      break;
    case 4:
      if (bytes.size() + length <= kLongestBytes)
        bytes.insert(below(bytes.size() + 1), bytes, at, length);
      break;
    case 5:
      bytes.resize(below(bytes.size() + 1));
      break;
    default: {
      const std::string piece = bytes.substr(at, length);
      bytes.replace(below(bytes.size() - piece.size() + 1), piece.size(), piece);
    }
  }
}

TEST_CASE("bad_bytes: damaged inputs are refused, or accepted and safe to use") {
  const size_t index = GENERATE(range<size_t>(0, AllTargets().size()));
  const Target& target = AllTargets()[index];
  INFO(target.name);
  GuardedBytes memory(kLongestBytes);
  std::mt19937_64 random(20240607 + index);
  size_t accepted = 0;
  size_t refused = 0;
  for (const std::string& seed : SeedsOf(target.name)) {
    REQUIRE(target.read(memory.Place(seed)));
    for (int i = 0; i < target.test_inputs; ++i) {
      std::string bytes = seed;
      for (size_t changes = 1 + random() % 4; changes > 0; --changes) Mutate(bytes, random);
      (target.read(memory.Place(bytes)) ? accepted : refused) += 1;
    }
  }
  // Damage that is always seen, or never, would not have come far.
  CHECK(accepted > 50);
  CHECK(refused > 50);
}

// Not run by itself: README.md.
TEST_CASE("good inputs are written for libFuzzer", "[.seeds]") {
  const char* folder = std::getenv("QEFF_FUZZ_SEEDS");
  REQUIRE(folder != nullptr);
  for (const Target& target : AllTargets()) {
    const std::filesystem::path corpus = std::filesystem::path(folder) / target.name;
    std::filesystem::create_directories(corpus);
    int number = 0;
    for (const std::string& seed : SeedsOf(target.name)) {
      std::ofstream file(corpus / fmt::format("seed{}", number++), std::ios::binary);
      file << seed;
      REQUIRE(file.flush().good());
    }
  }
}

}  // namespace
}  // namespace qeff::fuzz
