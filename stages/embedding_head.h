// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The end of an embedding model's graph: pooling and what follows it, as the files of
// sentence-transformers or the user say. Part of the transform stage.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "lib/checkpoint/sentence_transformers.h"
#include "lib/ir/graph.h"
#include "lib/support/status.h"
#include "passes/pass_manager.h"

namespace qeff::stages {

struct EmbeddingOptions {
  /// "mean", "cls", "max", "last", "avg" (the same as mean) or "none"; absent: as modules.json
  /// says, none without it. What is given takes the place of modules.json with all its modules.
  std::optional<std::string> pooling;
  bool normalize = false;               ///< vectors of length 1
  std::optional<int64_t> truncate_dim;  ///< elements that are kept of a vector
  friend bool operator==(const EmbeddingOptions&, const EmbeddingOptions&) = default;

  bool AsksForVector() const {
    return (pooling && *pooling != "none") || normalize || truncate_dim;
  }
};

/// Values of --pooling.
const std::vector<std::string>& PoolingNames();

/// Adds what `options` and `modules` (of the checkpoint in `folder`) ask for to a graph whose
/// output `output` is the last hidden states. Order: pooling, the modules behind it, truncation,
/// normalization of the user. `run` runs passes. Errors: those of the passes; kUsage for
/// normalization or truncation without pooling; kIo, kInvalidInput (weights of a dense module).
Status AddEmbeddingHead(const std::filesystem::path& folder,
                        const std::optional<checkpoint::SentenceModules>& modules,
                        const EmbeddingOptions& options,
                        const std::function<Status(const passes::Pipeline&)>& run,
                        ir::Model& model);

}  // namespace qeff::stages
