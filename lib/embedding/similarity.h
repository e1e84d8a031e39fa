// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How alike two embeddings are, by the four measures of sentence-transformers, and the nearest rows
// of a matrix. Larger is nearer in all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "lib/embedding/npy.h"

namespace qeff {

enum class Similarity {
  kCosine,     ///< a . b / (|a| |b|), each length at least 1e-12
  kDot,        ///< a . b
  kEuclidean,  ///< -|a - b|
  kManhattan,  ///< -sum of |a[i] - b[i]|
};

/// By the names of config_sentence_transformers.json: "cosine", "dot", "euclidean", "manhattan".
std::optional<Similarity> SimilarityFromName(std::string_view name);

/// Requires vectors of one size.
float Compare(Similarity similarity, std::span<const float> a, std::span<const float> b);

struct Neighbor {
  int64_t row = 0;
  float score = 0;
};

/// Returns for each query the `count` rows of `matrix` that are most like it, the most alike first,
/// the earlier row first among equals. Looks at every row once; memory does not grow with the
/// matrix. Requires queries of matrix.columns() elements.
std::vector<std::vector<Neighbor>> FindNearest(const NpyMatrix& matrix, Similarity similarity,
                                               std::span<const std::span<const float>> queries,
                                               size_t count);

}  // namespace qeff
