// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Rows of distances against those of transformers 5.5.4: T5Attention._relative_position_bucket and
// make_log_bucket_position of DeBERTa-v2, clamped as its attention does.
#include "lib/families/blocks/relative_position.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

namespace qeff::families {
namespace {

/// The row of a distance, those beyond the ends included.
int64_t RowAt(const DistanceRows& rows, int64_t distance) {
  const auto reach = static_cast<int64_t>(rows.size() / 2);
  return rows[static_cast<size_t>(std::clamp(distance, -reach, reach) + reach)];
}

/// The distances ahead, counted from 1, at which a row begins; `first` is the row of distance 1.
void CheckAhead(const DistanceRows& rows, int64_t first, const std::vector<int64_t>& begins,
                int64_t half) {
  int64_t row = first - 1;
  for (int64_t distance = 1; distance <= 200; ++distance) {
    const bool is_begin = std::find(begins.begin(), begins.end(), distance - 1) != begins.end();
    if (is_begin) ++row;
    CAPTURE(distance);
    CHECK(RowAt(rows, distance) == row);
    CHECK(RowAt(rows, -distance) == row - half);
  }
}

TEST_CASE("rows of T5 grow with the logarithm on both sides") {
  CheckAhead(LogarithmicDistanceRows(32, 128), 17,
             {0, 1, 2, 3, 4, 5, 6, 7, 11, 15, 22, 31, 45, 63, 90}, 16);
  CheckAhead(LogarithmicDistanceRows(8, 16), 5, {0, 1, 5}, 4);
  CheckAhead(LogarithmicDistanceRows(12, 20), 7, {0, 1, 2, 5, 10}, 6);
  CHECK(RowAt(LogarithmicDistanceRows(32, 128), 0) == 0);
}

TEST_CASE("rows of DeBERTa with buckets") {
  struct Recorded {
    int64_t span;
    int64_t max_distance;
    int64_t sum_ahead;   // of the distances 0 .. max_distance + 2
    int64_t sum_behind;  // of 0 .. -(max_distance + 2)
    std::vector<std::pair<int64_t, int64_t>> rows;
  };
  const std::vector<Recorded> all = {{256,
                                      512,
                                      219902,
                                      43775,
                                      {{0, 256},
                                       {1, 257},
                                       {128, 384},
                                       {129, 385},
                                       {256, 448},
                                       {511, 511},
                                       {514, 511},
                                       {-1, 255},
                                       {-128, 128},
                                       {-129, 127},
                                       {-256, 64},
                                       {-511, 1},
                                       {-512, 0},
                                       {-5000, 0}}},
                                     {8,
                                      64,
                                      953,
                                      116,
                                      {{0, 8},
                                       {1, 9},
                                       {4, 12},
                                       {5, 13},
                                       {32, 15},
                                       {63, 15},
                                       {-4, 4},
                                       {-5, 3},
                                       {-32, 1},
                                       {-63, 1},
                                       {-64, 0}}}};
  for (const Recorded& recorded : all) {
    const DistanceRows rows =
        DisentangledDistanceRows(recorded.span, recorded.span, recorded.max_distance);
    int64_t ahead = 0;
    int64_t behind = 0;
    for (int64_t distance = 0; distance <= recorded.max_distance + 2; ++distance) {
      ahead += RowAt(rows, distance);
      behind += RowAt(rows, -distance);
    }
    CHECK(ahead == recorded.sum_ahead);
    CHECK(behind == recorded.sum_behind);
    for (const auto& [distance, row] : recorded.rows) {
      CAPTURE(recorded.span, distance);
      CHECK(RowAt(rows, distance) == row);
    }
  }
}

TEST_CASE("rows of DeBERTa without buckets are the distances within the span") {
  const DistanceRows rows = DisentangledDistanceRows(7, 0, 7);
  for (int64_t distance = -20; distance <= 20; ++distance)
    CHECK(RowAt(rows, distance) == std::clamp<int64_t>(distance + 7, 0, 13));
}

}  // namespace
}  // namespace qeff::families
