// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A session that runs graphs by the reference meaning of their ops, in double. The reference
// backend opens its programs as such sessions; tests make them directly from graphs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/generation/session.h"
#include "lib/ir/graph.h"

namespace qeff::reference {

/// One way to call the program: a graph without symbols (ops::SubstituteSymbols).
struct ReferenceSpecialization {
  std::string name;
  std::map<std::string, int64_t> symbols;
  ir::Graph graph;
};

/// A graph input X with an output X_RetainedState is retained state, zero at first, shared by all
/// specializations. Values keep double precision between nodes and runs; outputs are rounded to
/// their dtype when they are read. Errors: kInvalidInput if there is no specialization, an input or
/// output has no static type, or specializations disagree on retained state; those of
/// GraphEvaluator::Make.
Result<std::unique_ptr<Session>> MakeReferenceSession(
    std::vector<ReferenceSpecialization> specializations);

}  // namespace qeff::reference
