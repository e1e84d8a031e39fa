// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How a component of tokenizer.json is made from its "type": each kind (normalizer, pre-tokenizer,
// post-processor, decoder) has one table of names and factories.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/config_node.h"

namespace qeff {

template <typename Component>
struct ComponentEntry {
  std::string_view type;
  Result<std::unique_ptr<Component>> (*make)(const ConfigNode& node);
};

/// A factory for components without options.
template <typename Component, typename Implementation>
Result<std::unique_ptr<Component>> MakeDefault(const ConfigNode&) {
  return {std::make_unique<Implementation>()};
}

/// Makes what node.type names; null if the node is absent. Errors: kUnsupported for a type that is
/// not in the table; kInvalidInput.
template <typename Component, size_t kCount>
Result<std::unique_ptr<Component>> MakeComponent(const ConfigNode& node, std::string_view kind,
                                                 const ComponentEntry<Component> (&table)[kCount]) {
  if (node.is_absent()) return {std::unique_ptr<Component>()};
  QEFF_ASSIGN_OR_RETURN(const std::string type, node.Member("type").String());
  std::vector<std::string> known;
  for (const ComponentEntry<Component>& entry : table) {
    if (entry.type == type) return entry.make(node);
    known.emplace_back(entry.type);
  }
  return node.UnknownType(kind, type, known);
}

/// Makes each element of an array of components.
template <typename Component>
Result<std::vector<std::unique_ptr<Component>>> MakeSteps(
    const ConfigNode& array, Result<std::unique_ptr<Component>> (*make)(const ConfigNode& node)) {
  std::vector<std::unique_ptr<Component>> steps;
  if (!array.is_array()) return array.Expected("an array");
  QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> elements, array.Elements());
  for (const ConfigNode& element : elements) {
    if (!element.is_object()) return element.Expected("an object with a type");
    QEFF_ASSIGN_OR_RETURN(auto step, make(element));
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace qeff
