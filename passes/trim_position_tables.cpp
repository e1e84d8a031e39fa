// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Cuts tables that are looked up by position to the positions that the context has.
//   Before:  c = Gather(cos_cached [131072, R], position_ids)          After:  c =
//   Gather(cos_cached [ctx_len, R], position_ids)
// Also where padding reads row 0: position_ids is Where(Less(position_ids, 0), 0, position_ids), or
// with Equal(position_ids, -1). Option: rows = ctx_len. Errors: kInvalidInput if a table has fewer
// rows: a token at the end of the context would read beyond it. Padding (position -1) reads the
// last row, whichever that is: nobody uses what comes of it. Leaves alone: tables that something
// else reads too.
#include <charconv>

#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

/// `positions` with another index for padding.
bool IsPaddedPositions(const ir::Value* index, const ir::Value* positions) {
  const ir::Node* where = ProducedBy(index, "Where");
  if (where == nullptr || where->input(2) != positions || !where->input(1)->is_constant())
    return false;
  const ir::Node* less = ProducedBy(where->input(0), "Less");
  const ir::Node* compare = less != nullptr ? less : ProducedBy(where->input(0), "Equal");
  return compare != nullptr && compare->input(0) == positions;
}

}  // namespace

Result<Change> TrimPositionTables(ir::Model& model, const PassContext& context) {
  const std::string_view text = context.Option("rows");
  int64_t rows = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rows);
  if (error != std::errc() || end != text.data() + text.size() || rows <= 0) {
    return UsageError({}, fmt::format("expected rows = a number of positions, got '{}'", text));
  }
  const ir::Value* positions = model.graph.FindInput("position_ids");
  if (positions == nullptr) return Change::kNone;
  Change change = Change::kNone;
  for (const auto& node : model.graph.nodes()) {
    if (!node->IsOnnx("Gather") || node->IntAttribute("axis", 0) != 0) continue;
    const bool is_padded = IsPaddedPositions(node->input(1), positions);
    if (node->input(1) != positions && !is_padded) continue;
    ir::Value* table = node->input(0);
    if (!table->is_constant() || Rank(table) != 2) continue;
    const int64_t have = table->constant()->dims()[0];
    if (have < rows) {
      // Learned positions, which have an end, are read like that; computed ones are not.
      std::string remedy = fmt::format("choose --ctx-len {} or less", have);
      if (!is_padded) remedy += fmt::format(", or transform with --max-positions {}", rows);
      return InvalidInput(
          Location::Tensor(model.path, table->name()),
          fmt::format("the context has {} tokens, but the model's position table has {} rows", rows,
                      have),
          {std::move(remedy)});
    }
    if (have == rows || table->uses().size() != 1) continue;
    table->set_constant(ir::Sliced(table->constant(), 0, 0, rows));
    change = Change::kChanged;
  }
  return change;
}

}  // namespace qeff::passes
