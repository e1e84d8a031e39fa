// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A family is what a model_type of Hugging Face computes: one file that reads config.json into
// facts and builds the graph from shared blocks, without any cache and for no target. families.def
// lists them.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/checkpoint/checkpoint.h"
#include "lib/checkpoint/model_config.h"
#include "lib/families/blocks/builder.h"
#include "lib/families/task.h"
#include "lib/ir/graph.h"
#include "lib/support/status.h"

namespace qeff::families {

/// What a family has to say besides the graph.
struct FamilyFindings {
  /// Tokens that one call can have at most: what position tables hold. Nothing: any number.
  std::optional<int64_t> max_tokens;
  /// Of several tables, the shortest one counts.
  void LimitTokens(int64_t table_rows) {
    max_tokens = std::min(max_tokens.value_or(table_rows), table_rows);
  }
  std::vector<std::string> notes;  ///< lines for the user
};

/// What a family builds from.
struct FamilyInputs {
  const checkpoint::ConfigReader& config;
  const WeightTable& weights;
  FamilyFindings& findings;
  /// Rows of position tables if the user wants another number than the config's
  /// max_position_embeddings.
  std::optional<int64_t> max_positions;
  /// Caches as the original exporter's files have them, where ours differ on purpose.
  bool strict_contract = false;
  Task task = Task::kCausalLm;
};

/// Where inputs of deployed graphs stand, by the name of the input before them, as in the original
/// exporter's files: hosts find inputs by name, compilers of the original's files do not.
struct InputOrder {
  std::string cache_after = "position_ids";
  std::string batch_index_after;  ///< empty: last
};

struct FamilyInfo {
  std::string_view model_type;    ///< "qwen3": the value in config.json, and the file's name
  std::string_view architecture;  ///< "Qwen3ForCausalLM"; of an encoder "Bert", what all begin with
  bool is_encoder = false;        ///< bidirectional: every task but text generation
  Result<ir::Graph> (*build)(const FamilyInputs&) = nullptr;

  /// The class of transformers for a task: "BertForMaskedLM".
  std::string ArchitectureFor(Task task) const;
};

/// All families, in the order of families.def.
const std::vector<FamilyInfo>& AllFamilies();

struct BuildOptions {
  std::optional<int64_t> max_positions;
  bool strict_contract = false;
  /// Absent: what `architectures` names, else logits of the next token.
  std::optional<Task> task;
};

struct BuiltModel {
  ir::Graph graph;
  std::string architecture;  ///< of the task that it is built for
  Task task = Task::kCausalLm;
  std::optional<int64_t> max_tokens;  ///< as FamilyFindings
  InputOrder input_order;
  /// Lines for the user: config keys that no one reads.
  std::vector<std::string> notes;
};

/// Builds the graph of a checkpoint. Errors: kUnsupported (a model_type or a config value that
/// changes the mathematics and is not known, a task that the family does not have); kInvalidInput
/// (config keys, tensors).
Result<BuiltModel> BuildModel(const checkpoint::Checkpoint& checkpoint,
                              const BuildOptions& options);

}  // namespace qeff::families
