// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Declares the shape of the logits as the original exporter does, which hosts of its graphs may
// read: generated names for the first two dimensions, the vocabulary as a number.
//   Before:  logits f32 [batch_size, 1, V]          After:  logits f32 [Castlogits_dim_0,
//   Castlogits_dim_1, V]
// Retained states keep their symbols. Leaves alone: graphs without an output logits of rank 3.
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {

Result<Change> SetContractShapes(ir::Model& model, const PassContext&) {
  for (ir::GraphOutput& output : model.graph.outputs()) {
    if (output.name != "logits" || output.declared_shape || Rank(output.value) != 3) continue;
    output.declared_shape =
        ir::Shape{"Castlogits_dim_0", "Castlogits_dim_1", (*output.value->type().shape)[2]};
    return Change::kChanged;
  }
  return Change::kNone;
}

}  // namespace qeff::passes
