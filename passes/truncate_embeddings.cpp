// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Keeps the first elements of vectors, for models whose vectors mean something when cut.
//   Before:  output [B, D]
//   After:   output [B, n]
// Option: dim = n. Requires: the output `output` of rank 2, 1 <= n <= D. Leaves alone: n = D.
#include <charconv>

#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {

Result<Change> TruncateEmbeddings(ir::Model& model, const PassContext& context) {
  ir::Graph& graph = model.graph;
  const std::string_view text = context.Option("dim");
  int64_t dim = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), dim);
  if (error != std::errc() || end != text.data() + text.size() || dim < 1)
    return UsageError({}, fmt::format("expected a number from 1 on for 'dim', got '{}'", text));
  ir::Value* x = graph.FindOutput("output");
  const std::optional<int64_t> size = Rank(x) == 2 ? FixedDim(x, 1) : std::nullopt;
  if (!size) {
    return InvalidInput(Location::File(model.path),
                        "expected one vector for each text as the output to truncate",
                        {"pool the states of the tokens first"});
  }
  if (dim > *size) {
    return UsageError(
        Location::Flag("--truncate-dim"),
        fmt::format("expected at most {}, the size of the vectors, got {}", *size, dim));
  }
  if (dim == *size) return Change::kNone;
  ir::Value* head = Emitter(graph, nullptr, "/truncate").Slice(x, 1, 0, dim);
  graph.RenameValue(x, "embedding");
  for (ir::GraphOutput& output : graph.outputs()) {
    if (output.name == "output") output.value = head;
  }
  graph.RenameValue(head, "output");
  return Change::kChanged;
}

}  // namespace qeff::passes
