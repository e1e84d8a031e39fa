// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/task.h"

namespace qeff::families {
namespace {

struct NamedTask {
  Task task;
  std::string_view name;
};

constexpr NamedTask kTasks[] = {
    {Task::kCausalLm, "causal-lm"},
    {Task::kEmbedding, "embedding"},
    {Task::kSequenceClassification, "sequence-classification"},
    {Task::kTokenClassification, "token-classification"},
    {Task::kMaskedLm, "masked-lm"},
};

/// Ends of class names. "Model" is last: "LMHeadModel" ends so, too.
constexpr NamedTask kClassEnds[] = {
    {Task::kCausalLm, "ForCausalLM"},
    {Task::kCausalLm, "LMHeadModel"},
    {Task::kSequenceClassification, "ForSequenceClassification"},
    {Task::kTokenClassification, "ForTokenClassification"},
    {Task::kMaskedLm, "ForMaskedLM"},
    {Task::kEmbedding, "Model"},
};

}  // namespace

std::string_view TaskName(Task task) {
  for (const NamedTask& named : kTasks) {
    if (named.task == task) return named.name;
  }
  QEFF_CHECK(false, "task");
}

std::string_view ClassEnd(Task task) {
  for (const NamedTask& end : kClassEnds) {
    if (end.task == task) return end.name;
  }
  QEFF_CHECK(false, "task");
}

std::optional<Task> FindTask(std::string_view name) {
  for (const NamedTask& named : kTasks) {
    if (named.name == name) return named.task;
  }
  return std::nullopt;
}

const std::vector<Task>& AllTasks() {
  static const std::vector<Task> tasks = [] {
    std::vector<Task> all;
    for (const NamedTask& named : kTasks) all.push_back(named.task);
    return all;
  }();
  return tasks;
}

Result<std::optional<Task>> ReadTask(const checkpoint::ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> architectures,
                        config.Strings("architectures"));
  for (const std::string& architecture : architectures) {
    for (const NamedTask& end : kClassEnds) {
      if (architecture.ends_with(end.name)) return std::optional<Task>(end.task);
    }
  }
  return std::optional<Task>();
}

Result<int64_t> ReadNumLabels(const checkpoint::ConfigReader& config) {
  // It says how logits become scores, not what they are.
  config.MarkRead("problem_type");
  QEFF_ASSIGN_OR_RETURN(const int64_t count,
                        config.IntOr("num_labels", 2, {.minimum = 1, .maximum = int64_t{1} << 20}));
  if (!config.IsObject("id2label")) return count;
  QEFF_ASSIGN_OR_RETURN(const checkpoint::ConfigReader labels, config.Section("id2label"));
  const std::vector<std::string> ids = labels.Keys();
  if (ids.empty()) return config.ErrorAt(ErrorCode::kInvalidInput, "id2label", "no labels");
  for (const std::string& id : ids) labels.MarkRead(id);
  config.MarkRead("label2id");
  return static_cast<int64_t>(ids.size());
}

}  // namespace qeff::families
