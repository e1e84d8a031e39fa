// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/pipeline_stages.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "lib/support/json.h"

namespace qeff::aic100 {
namespace {

using onnx_io::NamedNode;
using onnx_io::NodeNames;

constexpr size_t kLargestExpandedCall = 99;

/// The number of the part of a path like "/model/layers.3/self_attn/Add" that names a layer.
std::optional<int64_t> LayerOf(std::string_view name) {
  constexpr auto kMarks = std::to_array<std::string_view>({"layers.", "h.", "layer_"});
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    begin = end + 1;
    for (const std::string_view mark : kMarks) {
      if (!part.starts_with(mark)) continue;
      int64_t number = 0;
      const char* first = part.data() + mark.size();
      const char* last = part.data() + part.size();
      const auto parsed = std::from_chars(first, last, number);
      if (parsed.ec == std::errc() && parsed.ptr == last && number >= 0) return number;
    }
  }
  return std::nullopt;
}

/// Whether each node has only inputs that are constants, or foldable themselves. Constant nodes
/// stay, as do ops that the compiler never folds.
std::vector<bool> FoldableNodes(const NodeNames& nodes) {
  constexpr auto kNeverFolded = std::to_array<std::string_view>(
      {"Constant", "Loop", "Const", "Identity", "If", "DequantizeLinear"});
  std::set<std::string, std::less<>> constants = nodes.initializers;
  std::vector<bool> foldable;
  for (const NamedNode& node : nodes.nodes) {
    const bool is_constant = node.domain.empty() && node.op_type == "Constant";
    const bool never =
        std::find(kNeverFolded.begin(), kNeverFolded.end(), node.op_type) != kNeverFolded.end();
    const bool reads_constants_only =
        !node.inputs.empty() &&
        std::all_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
          return input.empty() || constants.contains(input);
        });
    const bool folds = !never && reads_constants_only;
    foldable.push_back(folds);
    if (folds || is_constant) constants.insert(node.outputs.begin(), node.outputs.end());
  }
  return foldable;
}

/// The names that stand for `node` in a partition.
std::vector<std::string> NamesOf(const NamedNode& node, const NodeNames& nodes) {
  const auto function = nodes.functions.find({node.domain, node.op_type});
  if (function == nodes.functions.end() || function->second.size() > kLargestExpandedCall ||
      node.op_type == "CustomRMSNorm" || node.op_type == "CastToUInt4")
    return {node.name};
  std::vector<std::string> names;
  for (const std::string& inner : function->second) {
    if (!inner.empty()) names.push_back(node.name + "/" + inner);
  }
  return names;
}

/// The stage of each layer.
std::vector<int64_t> StagesOfLayers(int64_t layers, int64_t stages) {
  std::vector<int64_t> stage_of_layer;
  int64_t stage = 0;
  for (const int64_t count : SplitLayers(layers, stages)) {
    stage_of_layer.insert(stage_of_layer.end(), static_cast<size_t>(count), stage);
    ++stage;
  }
  return stage_of_layer;
}

Result<int64_t> CountLayers(const NodeNames& nodes, const std::filesystem::path& model) {
  // No model comes near; bounds what a name can make us allocate.
  constexpr int64_t kMostLayers = 1 << 16;
  int64_t layers = 0;
  for (size_t i = 0; i < nodes.nodes.size(); ++i) {
    const NamedNode& node = nodes.nodes[i];
    const Location where = Location::Node(model.string(), node.name, static_cast<int64_t>(i));
    const auto layer = LayerOf(node.name);
    if (!layer) continue;
    if (*layer >= kMostLayers)
      return InvalidInput(where, fmt::format("layer {} is beyond {}", *layer, kMostLayers));
    layers = std::max(layers, *layer + 1);
  }
  if (layers == 0) {
    return InvalidInput(Location::File(model.string()),
                        "no node's name says its layer: expected layers.N, h.N or layer_N",
                        {"write the partition by hand: --mdp-load-partition-config FILE"});
  }
  return layers;
}

}  // namespace

std::vector<int64_t> SplitLayers(int64_t layers, int64_t stages) {
  std::vector<int64_t> counts(static_cast<size_t>(stages), layers / stages);
  std::vector<int64_t> takers;
  const int64_t centre = (stages - 1) / 2;
  for (int64_t distance = 0; distance < stages; ++distance) {
    for (const int64_t stage : {centre - distance, centre + 1 + distance}) {
      if (stage >= 1 && stage + 1 < stages) takers.push_back(stage);
    }
  }
  takers.push_back(0);
  for (int64_t i = 0; i < layers % stages; ++i) ++counts[static_cast<size_t>(takers[i])];
  return counts;
}

Result<std::vector<std::vector<std::string>>> AssignStages(const NodeNames& nodes, int64_t stages,
                                                           const std::filesystem::path& model) {
  QEFF_ASSIGN_OR_RETURN(const int64_t layers, CountLayers(nodes, model));
  if (stages > layers) {
    return UsageError(
        Location::Flag("--mdp-partitions"),
        fmt::format("the model has {} layers, too few for {} stages", layers, stages));
  }
  const std::vector<int64_t> stage_of_layer = StagesOfLayers(layers, stages);
  const std::vector<bool> foldable = FoldableNodes(nodes);
  std::vector<std::vector<std::string>> lists(static_cast<size_t>(stages));
  int64_t stage = 0;
  for (size_t i = 0; i < nodes.nodes.size(); ++i) {
    const NamedNode& node = nodes.nodes[i];
    if (foldable[i] || node.name.empty()) continue;
    if (const auto layer = LayerOf(node.name)) stage = stage_of_layer[static_cast<size_t>(*layer)];
    std::vector<std::string> names = NamesOf(node, nodes);
    std::move(names.begin(), names.end(), std::back_inserter(lists[static_cast<size_t>(stage)]));
  }
  return lists;
}

Result<std::set<std::string, std::less<>>> ReadPartitionNodes(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(path));
  std::set<std::string, std::less<>> names;
  const Json* partitions = Find(json, "partitions");
  if (partitions != nullptr && partitions->is_array()) {
    for (const Json& partition : *partitions) {
      const Json* nodes = Find(partition, "nodeList");
      if (nodes == nullptr || !nodes->is_array()) continue;
      for (const Json& node : *nodes) {
        if (node.is_string()) names.insert(node.get<std::string>());
      }
    }
  }
  if (names.empty()) {
    return InvalidInput(Location::File(path.string()),
                        "expected a partition with a list 'nodeList' of names",
                        {"the compiler writes one with --mdp-dump-partition-config FILE"});
  }
  return names;
}

}  // namespace qeff::aic100
