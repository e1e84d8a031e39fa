// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/constant_pool.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <memory>

#include "backends/cpu/plan/background_sink.h"
#include "backends/cpu/runtime/packed_formats.h"
#include "tests/unit/backends/cpu/panels.h"
#include "tests/unit/lib/artifact/temporary_folder.h"

namespace qeff::cpu {
namespace {

/// Small bf16 values, all different within a few rows.
std::vector<float> Bf16Values(int64_t count, int first) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = Bf16ToF32(F32ToBf16(static_cast<float>((static_cast<int>(i) * 37 + first) % 251)));
  }
  return values;
}

/// The same elements behind `offset_bytes` other bytes of a file.
ir::WeightPtr InFile(const ir::WeightPtr& weight, const std::filesystem::path& path,
                     int64_t offset_bytes) {
  const std::vector<std::byte> bytes = ir::ReadWholeWeight(*weight).value();
  std::ofstream file(path, std::ios::binary);
  file << std::string(static_cast<size_t>(offset_bytes), 'x');
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  auto mapped = std::make_shared<const MappedFile>(MappedFile::Open(path).value());
  return ir::FromFile(std::move(mapped), offset_bytes, weight->dtype(), weight->dims());
}

std::vector<std::byte> Written(const ConstantPool& pool) {
  std::vector<std::byte> out;
  const ByteSink append = [&](std::span<const std::byte> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
    return Status::Ok();
  };
  BackgroundSink sink(append);
  REQUIRE(pool.Write(sink).ok());
  REQUIRE(sink.Finish().ok());
  return out;
}

}  // namespace

TEST_CASE("weights become panels element by element, however they are stored") {
  for (const auto& [rows, depth] :
       {std::pair<int64_t, int64_t>{1, 1}, {31, 7}, {32, 64}, {33, 65}, {100, 31}, {64, 2049}}) {
    const std::vector<std::vector<float>> values = {Bf16Values(rows * depth, 1),
                                                    Bf16Values(rows * depth, 100)};
    for (const WeightStorage storage :
         {WeightStorage::kF32, WeightStorage::kBf16, WeightStorage::kF16}) {
      for (const DType stored : {DType::kF32, DType::kBf16, DType::kF64}) {
        for (const size_t kinds : {size_t{1}, size_t{2}}) {
          CAPTURE(rows, depth, kinds, DTypeName(stored));
          std::vector<ir::WeightPtr> weights;
          for (size_t i = 0; i < kinds; ++i) {
            weights.push_back(ir::Converted(
                ir::Converted(ir::MakeFloats({rows, depth}, values[i]), stored), DType::kF32));
          }
          ConstantPool pool(storage);
          const ConstantPlace place = pool.AddPanels(weights, WeightUse::kProduct).value();
          std::vector<std::byte> expected =
              PackTestWeights({values.begin(), values.begin() + static_cast<std::ptrdiff_t>(kinds)},
                              rows, depth, place.format);
          CHECK(WeightFormatName(place.format) == WeightStorageName(storage));
          CHECK(place.size_bytes == expected.size());
          expected.resize(pool.size_bytes());
          CHECK((Written(pool) == expected));
        }
      }
    }
  }
}

TEST_CASE("matrices of a file become panels, wherever they begin in it") {
  const artifact::TemporaryFolder folder;
  const int64_t matrices = 3;
  for (const auto& [rows, depth] : {std::pair<int64_t, int64_t>{32, 64}, {70, 66}, {160, 33}}) {
    const std::vector<float> values = Bf16Values(matrices * rows * depth, 5);
    for (const WeightStorage storage :
         {WeightStorage::kF32, WeightStorage::kBf16, WeightStorage::kF16}) {
      for (const DType stored : {DType::kF32, DType::kBf16, DType::kF16}) {
        for (const int64_t offset_bytes : {0, 2, 4}) {
          CAPTURE(rows, depth, WeightStorageName(storage), DTypeName(stored), offset_bytes);
          const ir::WeightPtr stack =
              ir::Converted(ir::MakeFloats({matrices, rows, depth}, values), stored);
          ConstantPool pool(storage);
          const ir::WeightPtr weight = InFile(stack, folder / "weights", offset_bytes);
          const ConstantPlace place =
              pool.AddPanels({ir::Converted(weight, DType::kF32)}, WeightUse::kProduct).value();
          std::vector<std::byte> expected;
          for (int64_t i = 0; i < matrices; ++i) {
            const auto first = values.begin() + i * rows * depth;
            const std::vector<std::byte> panels =
                PackTestWeights({{first, first + rows * depth}}, rows, depth, place.format);
            expected.insert(expected.end(), panels.begin(), panels.end());
          }
          expected.resize(pool.size_bytes());
          CHECK((Written(pool) == expected));
        }
      }
    }
  }
}

TEST_CASE("weights whose every value is a bf16 are kept as bf16, others are not") {
  std::vector<float> values = Bf16Values(40 * 50, 3);
  const auto format_of = [](const ir::WeightPtr& weight) {
    return ConstantPool(WeightStorage::kAuto).AddPanels({weight}, WeightUse::kHead)->format;
  };
  const ir::WeightPtr exact = ir::MakeFloats({40, 50}, values);
  CHECK(format_of(exact) == WeightFormat::kBf16);
  CHECK(format_of(ir::Converted(ir::Converted(exact, DType::kBf16), DType::kF32)) ==
        WeightFormat::kBf16);
  values.back() = 1.001F;
  CHECK(format_of(ir::Converted(ir::Converted(ir::MakeFloats({40, 50}, values), DType::kF16),
                                DType::kF32)) == WeightFormat::kF16);
  CHECK(format_of(ir::MakeFloats({40, 50}, values)) == WeightFormat::kF32);
}

}  // namespace qeff::cpu
