// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/logits_selection.h"

#include <array>

namespace qeff::passes {

Result<ir::Node*> FindHead(ir::Model& model) {
  constexpr std::array<std::string_view, 6> kTokenwise = {"Mul",  "Div",  "Add",
                                                          "Tanh", "Cast", "Clip"};
  const ir::Value* value = model.graph.FindOutput("logits");
  if (value == nullptr)
    return InvalidInput(Location::File(model.path), "the graph has no output 'logits'");
  ir::Node* node = value->producer();
  while (node != nullptr && !node->IsQeff("Linear")) {
    bool tokenwise = false;
    for (const std::string_view op : kTokenwise) tokenwise |= node->IsOnnx(op);
    node = tokenwise ? node->input(0)->producer() : nullptr;
  }
  if (node == nullptr) {
    return InvalidInput(Location::File(model.path),
                        "output 'logits' is not made by a linear layer");
  }
  const ir::Node* source = node->input(0)->producer();
  const bool selected =
      source && (source->IsQeff("SelectLastToken") || source->IsQeff("SelectTokens"));
  return selected ? nullptr : node;
}

}  // namespace qeff::passes
