// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/constant_pool.h"

#include <catch2/catch.hpp>

#include "backends/cpu/runtime/packed_formats.h"
#include "tests/unit/backends/cpu/panels.h"

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

std::vector<std::byte> Written(const ConstantPool& pool) {
  std::vector<std::byte> out;
  REQUIRE(pool.Write([&](std::span<const std::byte> bytes) {
                out.insert(out.end(), bytes.begin(), bytes.end());
                return Status::Ok();
              })
              .ok());
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
