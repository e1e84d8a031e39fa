// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/specialize.h"

#include "lib/ops/op.h"
#include "passes/pipelines.h"

namespace qeff::passes {

Result<ir::Graph> Specialize(const ir::Model& model,
                             const std::map<std::string, int64_t>& symbols) {
  ir::Model specialized{
      .graph = model.graph.Clone(), .functions = {}, .metadata = {}, .path = model.path};
  QEFF_RETURN_IF_ERROR(ops::SubstituteSymbols(specialized.graph, symbols));
  const auto context = symbols.find("ctx_len");
  Result<Change> change = RunPipeline(
      specialized, SpecializationPipeline(context == symbols.end() ? 0 : context->second));
  if (!change.ok()) return std::move(change).status();
  for (const auto& node : specialized.graph.nodes()) {
    for (const ir::Value* output : node->outputs()) {
      if (output->type().shape && ir::StaticDims(*output->type().shape)) continue;
      return Unsupported(Location::Node(model.path, node->name()),
                         fmt::format("the shape of '{}' depends on data: {}", output->name(),
                                     output->type().ToString()));
    }
  }
  return std::move(specialized.graph);
}

}  // namespace qeff::passes
