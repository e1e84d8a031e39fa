// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Against files of numpy and similarities of sentence-transformers: tests/data/embedding.
#include "lib/embedding/npy.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "lib/embedding/similarity.h"
#include "lib/support/json.h"
#include "tests/unit/lib/checkpoint/test_files.h"

namespace qeff {
namespace {

const std::filesystem::path kData = "tests/data/embedding";

std::string OpenError(const std::filesystem::path& path) {
  const auto matrix = NpyMatrix::Open(path);
  REQUIRE_FALSE(matrix.ok());
  return matrix.diagnostic().message;
}

TEST_CASE("a matrix of numpy is read, and written the same") {
  const auto matrix = NpyMatrix::Open(kData / "matrix.npy");
  REQUIRE(matrix.ok());
  REQUIRE(matrix->rows() == 20);
  REQUIRE(matrix->columns() == 19);
  const std::string bytes = *ReadSmallFile(kData / "matrix.npy");
  REQUIRE(bytes.substr(0, kNpyHeaderBytes) == NpyHeader(20, 19));
  REQUIRE(NpyHeader(INT64_MAX, INT64_MAX).size() == kNpyHeaderBytes);
  REQUIRE(NpyMatrix::Open(kData / "empty.npy")->rows() == 0);
}

TEST_CASE("bad .npy files") {
  REQUIRE(OpenError(kData / "bad_float64.npy") == "expected float32 in row-major order ('<f4')");
  REQUIRE(OpenError(kData / "bad_fortran.npy") == "expected float32 in row-major order ('<f4')");
  REQUIRE(OpenError(kData / "bad_vector.npy") == "expected a matrix: a shape of two numbers");
  REQUIRE(OpenError(kData / "similarity.json") == "expected a .npy file of format 1.0");
  const checkpoint::TemporaryFolder folder;
  const std::string whole = *ReadSmallFile(kData / "matrix.npy");
  for (size_t size = 0; size < whole.size(); size += 7) {
    checkpoint::WriteText(folder / "cut.npy", whole.substr(0, size));
    REQUIRE_FALSE(NpyMatrix::Open(folder / "cut.npy").ok());
  }
  checkpoint::WriteText(folder / "huge.npy", NpyHeader(INT64_MAX, INT64_MAX));
  REQUIRE_THAT(OpenError(folder / "huge.npy"), Catch::Contains("but 0 bytes follow"));
}

TEST_CASE("similarities and nearest rows are those of sentence-transformers") {
  const auto matrix = NpyMatrix::Open(kData / "matrix.npy");
  REQUIRE(matrix.ok());
  const auto recorded = ReadJsonFile(kData / "similarity.json");
  REQUIRE(recorded.ok());
  for (const auto& item : recorded->items()) {
    const auto similarity = SimilarityFromName(item.key());
    REQUIRE(similarity);
    const auto expected = item.value().get<std::vector<std::vector<float>>>();
    std::vector<std::span<const float>> queries;
    for (size_t i = 0; i < expected.size(); ++i) {
      queries.push_back(matrix->Row(static_cast<int64_t>(i)));
      for (size_t row = 0; row < expected[i].size(); ++row) {
        const float score =
            Compare(*similarity, queries[i], matrix->Row(static_cast<int64_t>(row)));
        // A row with itself: ours is 0 exactly; theirs goes through products.
        REQUIRE(std::fabs(score - expected[i][row]) <= (row == i ? 3e-3F : 2e-5F));
      }
    }
    const auto nearest = FindNearest(*matrix, *similarity, queries, 5);
    for (size_t i = 0; i < expected.size(); ++i) {
      REQUIRE(nearest[i].size() == 5);
      std::vector<float> sorted = expected[i];
      std::ranges::sort(sorted, std::greater());
      for (size_t k = 0; k < 5; ++k) {
        const float theirs = expected[i][static_cast<size_t>(nearest[i][k].row)];
        REQUIRE(theirs == sorted[k]);
      }
    }
  }
  REQUIRE_FALSE(SimilarityFromName("jaccard"));
}

TEST_CASE("fewer rows than asked for, and equal ones, come in order") {
  const checkpoint::TemporaryFolder folder;
  const std::string data(3 * sizeof(float), '\0');
  checkpoint::WriteText(folder / "zeros.npy", NpyHeader(3, 1) + data);
  const auto matrix = NpyMatrix::Open(folder / "zeros.npy");
  const std::vector<std::span<const float>> queries = {matrix->Row(0)};
  const auto nearest = FindNearest(*matrix, Similarity::kCosine, queries, 10);
  REQUIRE(nearest[0].size() == 3);
  for (int64_t i = 0; i < 3; ++i) REQUIRE(nearest[0][static_cast<size_t>(i)].row == i);
}

}  // namespace
}  // namespace qeff
