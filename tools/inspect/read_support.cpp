// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the toolchain would make of a checkpoint, found by building its graph, which reads no
// weight: whether it can, which features apply, and the memory of weights and caches by context
// length.
#include <set>

#include "lib/families/family.h"
#include "passes/pipelines.h"
#include "passes/retained_state.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

/// Elements that one sequence keeps between calls.
struct StateSize {
  int64_t per_token = 0;     ///< of caches as long as the context
  int64_t per_sequence = 0;  ///< of states of fixed size
};

StateSize MeasureState(const ir::Graph& graph) {
  StateSize size;
  for (const ir::Value* input : graph.inputs()) {
    if (graph.FindOutput(input->name() + std::string(ir::kRetainedStateSuffix)) == nullptr)
      continue;
    int64_t elements = 1;
    bool grows = false;
    for (const ir::Dim& dim : input->type().shape.value_or(ir::Shape{})) {
      if (dim.is_number()) elements *= dim.value();
      grows = grows || (dim.is_symbol() && dim.symbol() == "ctx_len");
    }
    (grows ? size.per_token : size.per_sequence) += elements;
  }
  return size;
}

/// The elements of all constants, one that several nodes read once.
int64_t CountWeights(const ir::Graph& graph) {
  std::set<const ir::Value*> seen;
  int64_t elements = 0;
  for (const auto& node : graph.nodes()) {
    for (const ir::Value* input : node->inputs()) {
      if (input != nullptr && input->is_constant() && seen.insert(input).second)
        elements += input->constant()->element_count();
    }
  }
  return elements;
}

/// Attentions by what they see, and what stands in for them.
std::vector<std::string> DescribeMixers(const ir::Graph& graph) {
  std::map<std::string, int64_t> counts;
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("Attention")) {
      const int64_t window = node->IntAttribute("window_tokens", 0);
      const int64_t chunk = node->IntAttribute("chunk_tokens", 0);
      std::string kind = "full attention";
      if (window > 0) kind = fmt::format("attention to the last {} tokens", window);
      if (chunk > 0) kind = fmt::format("attention within chunks of {} tokens", chunk);
      ++counts[kind];
    } else if (node->domain() == ir::kQeffDomain && node->op_type() == "GatedDeltaRule") {
      ++counts["gated delta rule"];
    } else if (node->domain() == ir::kQeffDomain && node->op_type() == "Experts") {
      ++counts["routed experts"];
    }
  }
  std::vector<std::string> lines;
  for (const auto& [kind, count] : counts) lines.push_back(fmt::format("{} x {}", count, kind));
  return lines;
}

void AddMemory(const ir::Graph& graph, int64_t max_positions, Report& report) {
  constexpr int64_t kBytes = 2;  // f16, as on a card; twice that in f32
  const StateSize state = MeasureState(graph);
  const int64_t weight_bytes = CountWeights(graph) * kBytes;
  std::vector<int64_t> lengths;
  for (int64_t length = 1024; length < max_positions && lengths.size() < 8; length *= 4)
    lengths.push_back(length);
  lengths.push_back(max_positions);
  Table memory{.name = "memory_in_f16_of_one_sequence",
               .columns = {"ctx_len", "weight_bytes", "cache_bytes", "total_bytes"},
               .rows = {}};
  for (const int64_t length : lengths) {
    const int64_t cache_bytes = (state.per_token * length + state.per_sequence) * kBytes;
    memory.rows.push_back({length, weight_bytes, cache_bytes, weight_bytes + cache_bytes});
  }
  report.Add(std::move(memory));
}

}  // namespace

Status ReadSupport(const checkpoint::Checkpoint& checkpoint, int64_t max_positions,
                   Report& report) {
  Fields support{.name = "support", .fields = {}};
  Result<families::BuiltModel> built = families::BuildModel(checkpoint, {});
  if (!built.ok()) {
    support.Add("can_be_exported", false);
    support.Add("because", built.diagnostic().message);
    support.Add("notes", built.diagnostic().notes);
    report.Add(std::move(support));
    return Status::Ok();
  }
  ir::Model model{.graph = std::move(built->graph), .functions = {}, .metadata = {}, .path = {}};
  Result<passes::Change> change = passes::RunPipeline(model, passes::TransformPipeline({}));
  if (!change.ok()) return std::move(change).status();
  support.Add("can_be_exported", true);
  support.Add("built_as", built->architecture);
  support.Add("layers", DescribeMixers(model.graph));
  std::vector<std::string> features;
  const StateSize state = MeasureState(model.graph);
  if (state.per_token + state.per_sequence > 0) {
    features = {"KV cache", "continuous batching"};
    if (passes::FindUnforgetting(model.graph) == nullptr)
      features.emplace_back("speculative target");
  }
  if (state.per_token > 0) features.emplace_back("compute context lengths");
  support.Add("features", std::move(features));
  support.Add("notes", built->notes);
  report.Add(std::move(support));
  AddMemory(model.graph, max_positions, report);
  return Status::Ok();
}

}  // namespace qeff::inspect
