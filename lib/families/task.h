// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What is computed from a model's last hidden states: the part of a class name of transformers
// after the family's name. A family builds the same layers for all of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/checkpoint/model_config.h"
#include "lib/support/status.h"

namespace qeff::families {

enum class Task {
  kCausalLm,                ///< `logits` [B, T, V] of the next token: *ForCausalLM, *LMHeadModel
  kEmbedding,               ///< `output` [B, T, D], the last hidden states: *Model
  kSequenceClassification,  ///< `logits` [B, labels]: *ForSequenceClassification
  kTokenClassification,     ///< `logits` [B, T, labels]: *ForTokenClassification
  kMaskedLm,                ///< `logits` [B, T, V] of the token itself: *ForMaskedLM
};

/// "causal-lm", "embedding", "sequence-classification", "token-classification", "masked-lm".
std::string_view TaskName(Task task);
/// The end of the name of transformers' class: "ForCausalLM", "Model", ...
std::string_view ClassEnd(Task task);
std::optional<Task> FindTask(std::string_view name);
/// All tasks, in the order of the enum.
const std::vector<Task>& AllTasks();

/// Returns the task that `architectures` names; nullopt if it names none of them, or nothing.
/// Errors: kInvalidInput (not a list of strings).
Result<std::optional<Task>> ReadTask(const checkpoint::ConfigReader& config);

/// Where ReadNumLabels finds them, for Builder::ExplainShape.
inline constexpr std::string_view kLabelKeys =
    "the labels of config.json: 'id2label', else 'num_labels', else 2";

/// Returns how many labels a classifier has: those of `id2label`, else `num_labels`, else 2, as
/// transformers counts them. Errors: kInvalidInput.
Result<int64_t> ReadNumLabels(const checkpoint::ConfigReader& config);

}  // namespace qeff::families
