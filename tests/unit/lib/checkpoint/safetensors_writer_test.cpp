// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "lib/checkpoint/safetensors.h"
#include "lib/support/float16.h"
#include "tests/unit/lib/checkpoint/test_files.h"

namespace qeff::checkpoint {
namespace {

namespace fs = std::filesystem;

/// Returns the bytes of 0, 1, 2, ... as T.
template <typename T>
std::vector<std::byte> Counting(size_t count) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<T>(i);
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> CountingF16(size_t count) {
  std::vector<uint16_t> values;
  for (size_t i = 0; i < count; ++i) values.push_back(F32ToF16(static_cast<float>(i)));
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("the writer gives the bytes of the safetensors package") {
  const auto f32 = Counting<float>(6);
  const auto i64 = Counting<int64_t>(3);
  const auto f16 = CountingF16(5);
  const auto f64 = Counting<double>(1);
  const auto u32 = Counting<uint32_t>(1);
  const auto bytes = Counting<uint8_t>(3);
  const std::vector<TensorToWrite> tensors = {
      {"logits.0", DType::kF32, {2, 3}, f32},
      {"ids", DType::kI64, {3}, i64},
      {"b", DType::kF16, {5}, f16},
      {"a", DType::kF16, {1}, std::span(f16).first(2)},
      {"mask", DType::kBool, {2}, std::span(bytes).first(2)},
      {"na\"me\\\n\u00e9\x01", DType::kU8, {3}, bytes},
      {"empty", DType::kI32, {0, 4}, {}},
      {"scalar", DType::kF64, {}, f64},
      {"small", DType::kI8, {1}, std::span(bytes).first(1)},
      {"count", DType::kU32, {1}, u32},
  };
  const TemporaryFolder folder;
  REQUIRE(WriteSafetensors(folder / "out.safetensors", tensors, {{"format", "np"}}).ok());
  Result<std::string> got = ReadSmallFile(folder / "out.safetensors");
  Result<std::string> expected = ReadSmallFile("tests/data/checkpoint/package.safetensors");
  REQUIRE(got.ok());
  REQUIRE(expected.ok());
  REQUIRE(*got == *expected);

  Result<SafetensorsFile> file = SafetensorsFile::Open(folder / "out.safetensors");
  REQUIRE(file.ok());
  for (const TensorToWrite& tensor : tensors) {
    const StoredTensor* stored = file->Find(tensor.name);
    REQUIRE(stored != nullptr);
    REQUIRE(stored->shape == tensor.shape);
    const auto data = file->Data(*stored);
    REQUIRE(std::equal(data.begin(), data.end(), tensor.data.begin(), tensor.data.end()));
  }
}

TEST_CASE("the writer replaces a file and leaves nothing beside it") {
  const TemporaryFolder folder;
  const fs::path path = WriteText(folder / "out.safetensors", "old");
  REQUIRE(WriteSafetensors(path, {}).ok());
  Result<SafetensorsFile> file = SafetensorsFile::Open(path);
  REQUIRE(file.ok());
  REQUIRE(file->tensors().empty());
  REQUIRE(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("bad_tensors are refused and the old file stays") {
  const TemporaryFolder folder;
  const fs::path path = WriteText(folder / "out.safetensors", "old");
  const auto data = Counting<uint8_t>(4);
  const auto error = [&](std::vector<TensorToWrite> tensors) {
    const Status status = WriteSafetensors(path, tensors);
    REQUIRE_FALSE(status.ok());
    return status.diagnostic().message;
  };
  REQUIRE(error({{"t", DType::kF32, {2}, data}}) == "expected 8 bytes for F32 [2], got 4");
  REQUIRE(error({{"t", DType::kU8, {4}, data}, {"t", DType::kI8, {4}, data}}) ==
          "tensor is to be written twice");
  REQUIRE(error({{"__metadata__", DType::kU8, {4}, data}}) ==
          "the name '__metadata__' is reserved by the format");
  REQUIRE(error({{"t", DType::kI4, {8}, data}}) == "the safetensors format has no dtype for 'i4'");
  REQUIRE(error({{"t", DType::kU8, {-4}, data}}) == "shape has a negative extent: [-4]");
  REQUIRE(*ReadSmallFile(path) == "old");
  const Status status = WriteSafetensors(folder / "no" / "such" / "out.safetensors", {});
  REQUIRE(status.code() == ErrorCode::kIo);
  REQUIRE(status.diagnostic().where.file == folder / "no" / "such" / "out.safetensors");
}

}  // namespace
}  // namespace qeff::checkpoint
