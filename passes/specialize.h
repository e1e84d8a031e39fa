// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// From a graph with symbols to one with numbers: what a backend compiles.
#pragma once

#include <map>
#include <string>

#include "lib/ir/graph.h"

namespace qeff::passes {

/// Returns a copy of the model's graph in which every symbol has its number, every value a static
/// shape, and shape arithmetic is folded away. Errors: kInvalidInput (a symbol of the graph that
/// `symbols` lacks, a shape that depends on data, a context longer than the model's position
/// tables).
Result<ir::Graph> Specialize(const ir::Model& model, const std::map<std::string, int64_t>& symbols);

}  // namespace qeff::passes
