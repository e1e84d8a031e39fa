// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the weights of a product are for, read off the graph: the first products after it decide.
#pragma once

#include "backends/cpu/plan/constant_pool.h"
#include "lib/ir/graph.h"

namespace qeff::cpu {

/// kRouter if the result chooses or weighs experts, kHead if no product with weights comes after
/// it, else kProduct.
WeightUse UseOfWeights(const ir::Node& product);

}  // namespace qeff::cpu
