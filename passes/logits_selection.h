// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Finds the head of a text model: shared by the passes that choose the tokens whose logits are
// computed.
#pragma once

#include "passes/pass.h"

namespace qeff::passes {

/// Returns the qeff.Linear that makes the output `logits`, seen through scaling, soft caps and
/// casts; null if its input is a selection already. Errors: kInvalidInput if there is no output
/// `logits` or it is not made by a Linear.
Result<ir::Node*> FindHead(ir::Model& model);

}  // namespace qeff::passes
