// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Weights to numbers against recorded groups (tests/data/cpu), and panels against them.
#include "backends/cpu/plan/quantise.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "backends/cpu/plan/weight_use.h"
#include "backends/cpu/runtime/packed_formats.h"
#include "lib/support/float16.h"
#include "tests/unit/backends/cpu/recorded_floats.h"
#include "tests/unit/backends/cpu/tiny_model.h"

namespace qeff::cpu {
namespace {

constexpr WeightFormat kQuantised[] = {WeightFormat::kInt8, WeightFormat::kInt4,
                                       WeightFormat::kMxfp6};

/// 32 rows of weights from -5 to 5.
std::vector<float> SomeRows(int64_t depth) {
  std::vector<float> rows(static_cast<size_t>(kPanelColumns * depth));
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = std::sin(static_cast<float>(i)) * static_cast<float>(1 + i % 5);
  }
  return rows;
}

/// The largest error of a weight in a group whose largest magnitude is `largest`.
float LargestError(WeightFormat format, float largest) {
  if (format == WeightFormat::kInt8) return largest / 254 * 1.01f;
  if (format == WeightFormat::kInt4) return largest / 8 * 1.01f;  // 8 may be cut to 7
  return largest / 16;  // three bits of mantissa, and 8 may be cut to 7.5
}

}  // namespace

TEST_CASE("groups are quantised as recorded") {
  const Result<Json> file = ReadJsonFile("tests/data/cpu/quantised_groups.json");
  REQUIRE(file.ok());
  int compared = 0;
  for (const Json& group : *file) {
    const std::vector<float> weights = ReadFloatBits(group["weights"]);
    for (const WeightFormat format : kQuantised) {
      const std::string name(WeightFormatName(format));
      if (!group.contains(name)) continue;
      INFO(name << " of group " << compared);
      std::vector<uint8_t> stored(weights.size());
      CHECK(QuantiseGroup(format, weights, stored) == group[name]["scale"].get<uint16_t>());
      CHECK(stored == group[name]["stored"].get<std::vector<uint8_t>>());
      ++compared;
    }
  }
  CHECK(compared == 36);
}

TEST_CASE("a panel gives its columns back within the error of its format") {
  for (const WeightFormat format : kQuantised) {
    for (const int64_t depth : {1, 31, 32, 33, 70, 128, 129, 300}) {
      INFO(WeightFormatName(format) << " of depth " << depth);
      const std::vector<float> rows = SomeRows(depth);
      std::vector<std::byte> panel(static_cast<size_t>(PanelBytes(format, depth)));
      LayOutQuantPanel(rows.data(), depth, format, panel.data());
      std::vector<float> column(static_cast<size_t>(depth));
      for (int64_t c = 0; c < kPanelColumns; ++c) {
        UnpackColumn(format, panel.data(), depth, c, column.data());
        for (int64_t k = 0; k < depth; ++k) {
          REQUIRE(std::abs(column[k] - rows[c * depth + k]) <= LargestError(format, 5) + 1e-6f);
        }
      }
    }
  }
}

TEST_CASE("bad_weights that are not finite make scales that are not finite") {
  for (const WeightFormat format : kQuantised) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      std::vector<float> weights(32, 1.0f);
      weights[3] = bad;
      std::vector<uint8_t> stored(32);
      const uint16_t scale = QuantiseGroup(format, weights, stored);
      CHECK((format == WeightFormat::kMxfp6 ? scale == 255 : std::isnan(Bf16ToF32(scale))));
    }
  }
}

TEST_CASE("heads and routers are told from other products") {
  const SpecializedGraph model = MakeTinyModel({.experts = 4});
  int heads = 0;
  int routers = 0;
  int products = 0;
  for (const auto& node : model.graph.nodes()) {
    if (!node->IsQeff("Linear")) continue;
    const WeightUse use = UseOfWeights(*node);
    heads += use == WeightUse::kHead ? 1 : 0;
    routers += use == WeightUse::kRouter ? 1 : 0;
    products += use == WeightUse::kProduct ? 1 : 0;
  }
  CHECK(heads == 1);
  CHECK(routers == 2);   // one a layer
  CHECK(products == 8);  // q, k, v and the output of two layers
}

}  // namespace qeff::cpu
