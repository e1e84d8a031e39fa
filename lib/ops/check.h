// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Checks a node against the schema of its op. Internal to lib/ops.
#pragma once

#include "lib/ops/op.h"

namespace qeff::ops {

/// Returns the node's definition. Errors: kUnsupported if there is none; kInvalidInput for wrong
/// numbers of inputs and outputs, missing inputs, and attributes that are missing, unknown or of
/// another kind.
Result<const OpDefinition*> CheckNode(const ir::Node& node);

}  // namespace qeff::ops
