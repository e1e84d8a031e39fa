// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the card's compiler would refuse or change, found before it is started. The compiler's own
// operator list is not public: "known" are the ops of the graphs that QEfficient gives to it.
#pragma once

#include "lib/ir/graph.h"
#include "lib/support/status.h"

namespace qeff::aic100 {

/// Adds an error for each node and tensor that the compiler cannot take (an op of qeff's own level,
/// an op of an unknown domain, an element type that the card lacks, weights that are not in the
/// file), and a warning for each that it may refuse or that loses its value (an op that no known
/// graph has, a float constant beyond f16, an integer constant beyond 32 bits). Constants of up to
/// 16 MiB are looked into.
void CheckSupport(const ir::Graph& graph, Diagnostics& diagnostics);

}  // namespace qeff::aic100
