// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Names of activation functions in graphs, for the kernels that have them.
#pragma once

#include <optional>
#include <string_view>

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {

/// Nothing if no kernel has it.
std::optional<Activation> FindCpuActivation(std::string_view name);

}  // namespace qeff::cpu
