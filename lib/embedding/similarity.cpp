// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/similarity.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace qeff {
namespace {

constexpr float kLeastLength = 1e-12F;

/// Sums term(i) over [0, size) in lanes, which compilers turn into vector instructions.
template <typename Term>
float SumInLanes(size_t size, const Term& term) {
  constexpr size_t kLanes = 16;
  std::array<float, kLanes> lanes{};
  size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  float sum = 0;
  for (; i < size; ++i) sum += term(i);
  for (const float lane : lanes) sum += lane;
  return sum;
}

float Dot(std::span<const float> a, std::span<const float> b) {
  return SumInLanes(a.size(), [&](size_t i) { return a[i] * b[i]; });
}

float Length(std::span<const float> a) { return std::max(std::sqrt(Dot(a, a)), kLeastLength); }

bool IsBefore(const Neighbor& a, const Neighbor& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

/// Keeps the best `count`: a heap with the worst of them in front.
void Offer(Neighbor candidate, size_t count, std::vector<Neighbor>& best) {
  if (best.size() == count) {
    if (!IsBefore(candidate, best.front())) return;
    std::ranges::pop_heap(best, IsBefore);
    best.pop_back();
  }
  best.push_back(candidate);
  std::ranges::push_heap(best, IsBefore);
}

}  // namespace

std::optional<Similarity> SimilarityFromName(std::string_view name) {
  if (name == "cosine") return Similarity::kCosine;
  if (name == "dot") return Similarity::kDot;
  if (name == "euclidean") return Similarity::kEuclidean;
  if (name == "manhattan") return Similarity::kManhattan;
  return std::nullopt;
}

float Compare(Similarity similarity, std::span<const float> a, std::span<const float> b) {
  switch (similarity) {
    case Similarity::kDot:
      return Dot(a, b);
    case Similarity::kEuclidean:
      return -std::sqrt(
          SumInLanes(a.size(), [&](size_t i) { return (a[i] - b[i]) * (a[i] - b[i]); }));
    case Similarity::kManhattan:
      return -SumInLanes(a.size(), [&](size_t i) { return std::fabs(a[i] - b[i]); });
    case Similarity::kCosine:
      break;
  }
  return Dot(a, b) / (Length(a) * Length(b));
}

std::vector<std::vector<Neighbor>> FindNearest(const NpyMatrix& matrix, Similarity similarity,
                                               std::span<const std::span<const float>> queries,
                                               size_t count) {
  std::vector<std::vector<Neighbor>> nearest(queries.size());
  if (count == 0) return nearest;
  constexpr int64_t kRowsAtOnce = 4096;
  for (int64_t begin = 0; begin < matrix.rows(); begin += kRowsAtOnce) {
    const int64_t end = std::min(matrix.rows(), begin + kRowsAtOnce);
    for (int64_t row = begin; row < end; ++row) {
      for (size_t i = 0; i < queries.size(); ++i)
        Offer({row, Compare(similarity, queries[i], matrix.Row(row))}, count, nearest[i]);
    }
    matrix.Release(begin, end);
  }
  for (std::vector<Neighbor>& best : nearest) std::ranges::sort_heap(best, IsBefore);
  return nearest;
}

}  // namespace qeff
