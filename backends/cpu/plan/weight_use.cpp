// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/weight_use.h"

#include <set>
#include <vector>

namespace qeff::cpu {
namespace {

constexpr size_t kExpertIds = 1;  // inputs of Experts
constexpr size_t kExpertWeights = 2;

bool HasConstantMatrix(const ir::Node& node) {
  for (const ir::Value* input : node.inputs()) {
    if (input != nullptr && input->is_constant() && input->constant()->dims().size() == 2) {
      return true;
    }
  }
  return false;
}

/// Decides if `use` is a product with weights.
std::optional<WeightUse> Decide(const ir::Use& use) {
  const ir::Node& node = *use.node;
  if (node.IsQeff("Experts")) {
    const bool routes = use.input_index == kExpertIds || use.input_index == kExpertWeights;
    return routes ? WeightUse::kRouter : WeightUse::kProduct;
  }
  const bool is_product = node.IsQeff("Linear") || node.IsQeff("GatedMlp") ||
                          (node.IsOnnx("MatMul") && HasConstantMatrix(node));
  return is_product ? std::optional(WeightUse::kProduct) : std::nullopt;
}

}  // namespace

WeightUse UseOfWeights(const ir::Node& product) {
  std::set<const ir::Node*> seen = {&product};
  std::vector<const ir::Node*> pending = {&product};
  while (!pending.empty()) {
    const ir::Node* node = pending.back();
    pending.pop_back();
    for (const ir::Value* output : node->outputs()) {
      if (output == nullptr) continue;
      for (const ir::Use& use : output->uses()) {
        if (const std::optional<WeightUse> decided = Decide(use)) return *decided;
        if (seen.insert(use.node).second) pending.push_back(use.node);
      }
    }
  }
  return WeightUse::kHead;
}

}  // namespace qeff::cpu
