// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/background_sink.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

namespace qeff::cpu {
namespace {

constexpr size_t kBlockBytes = size_t{2} << 20;

/// Fills pieces of these sizes, one after the other, with numbers that do not repeat at any border.
Status Send(BackgroundSink& sink, const std::vector<size_t>& sizes) {
  uint32_t number = 0;
  for (const size_t size : sizes) {
    QEFF_ASSIGN_OR_RETURN(const std::span<std::byte> place, sink.Next(size));
    CHECK(place.size() == size);
    for (std::byte& byte : place) byte = static_cast<std::byte>(number++ % 251);
  }
  return sink.Finish();
}

}  // namespace

TEST_CASE("bytes of any pieces reach the sink in order and in whole blocks") {
  const std::vector<size_t> sizes = {
      1, 0, kBlockBytes - 1, 5, 2 * kBlockBytes, 3 * kBlockBytes + 77, kBlockBytes, 12345};
  std::vector<std::byte> received;
  std::vector<size_t> calls;
  const ByteSink append = [&](std::span<const std::byte> bytes) {
    received.insert(received.end(), bytes.begin(), bytes.end());
    calls.push_back(bytes.size());
    return Status::Ok();
  };
  BackgroundSink sink(append);
  REQUIRE(Send(sink, sizes).ok());
  size_t wrong = 0;
  for (size_t i = 0; i < received.size(); ++i) {
    if (received[i] != static_cast<std::byte>(i % 251)) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(calls == std::vector<size_t>({kBlockBytes, kBlockBytes, kBlockBytes, kBlockBytes,
                                      kBlockBytes, kBlockBytes, kBlockBytes, 12345 + 5 + 77}));
}

TEST_CASE("zeros are appended as such, whatever was there before") {
  std::vector<std::byte> received;
  const ByteSink append = [&](std::span<const std::byte> bytes) {
    received.insert(received.end(), bytes.begin(), bytes.end());
    return Status::Ok();
  };
  BackgroundSink sink(append);
  for (int i = 0; i < 2; ++i) {  // both blocks hold something else
    const auto place = sink.Next(kBlockBytes);
    REQUIRE(place.ok());
    std::fill(place->begin(), place->end(), std::byte{1});
  }
  REQUIRE(sink.AppendZeros(kBlockBytes).ok());
  REQUIRE(sink.Finish().ok());
  std::vector<std::byte> expected(3 * kBlockBytes);
  std::fill_n(expected.begin(), 2 * kBlockBytes, std::byte{1});
  CHECK((received == expected));
}

TEST_CASE("bad_sink: its error ends the writing") {
  int calls = 0;
  const ByteSink fail = [&](std::span<const std::byte>) {
    return ++calls < 2 ? Status::Ok() : IoError(Location::Byte("full.bin", kBlockBytes), "full");
  };
  BackgroundSink sink(fail);
  const Status sent = Send(sink, {3 * kBlockBytes, kBlockBytes, kBlockBytes, kBlockBytes});
  REQUIRE(!sent.ok());
  CHECK(sent.code() == ErrorCode::kIo);
  CHECK(sent.diagnostic().message == "full");
  CHECK(calls == 2);
}

}  // namespace qeff::cpu
