// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the card's compiler would refuse or change, found before it is started. The compiler's own
// operator list is not public: "known" are the ops of the graphs that QEfficient gives to it.
#pragma once

#include <span>
#include <string_view>

#include "lib/ir/graph.h"
#include "lib/support/status.h"

namespace qeff::aic100 {

/// Ops of ai.onnx in graphs that the compiler is known to take, sorted.
std::span<const std::string_view> KnownOps();

/// Adds an error for each node and tensor that the compiler cannot take (an op of qeff's own level,
/// an element type that the card lacks, a dimension beyond 32 bits, an input of open shape), and a
/// warning for each that it may refuse or that loses its value (an op that no known graph has, a
/// float constant beyond f16, an integer constant beyond 32 bits). Constants of up to 16 MiB are
/// looked into.
void CheckSupport(const ir::Graph& graph, Diagnostics& diagnostics);
/// The same for the graph and the functions of `model`; here an op of a domain that is not ONNX's
/// must be one of the functions.
void CheckSupport(const ir::Model& model, Diagnostics& diagnostics);

}  // namespace qeff::aic100
