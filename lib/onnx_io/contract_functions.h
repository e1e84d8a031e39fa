// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The functions that the AI 100 compiler knows by name, and the bodies that QEfficient writes for
// them, node by node. A body gives the function a meaning for runtimes that do not know it; our own
// meaning (a position outside of the cache is padding) is that of lib/ops.
#pragma once

#include <string_view>
#include <vector>

#include "lib/onnx_io/proto.h"

namespace qeff::onnx_io {

struct ContractFunctionName {
  std::string_view domain;
  std::string_view name;
};

/// All functions, sorted by domain and name.
const std::vector<ContractFunctionName>& ContractFunctions();
bool IsContractFunction(std::string_view domain, std::string_view name);
/// Writes the function. Requires IsContractFunction(domain, name).
void WriteContractFunction(std::string_view domain, std::string_view name,
                           onnx::FunctionProto* proto);

}  // namespace qeff::onnx_io
