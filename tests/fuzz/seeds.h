// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Good input for the fuzzed readers to start from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qeff::fuzz {

/// `target` is the name of one of AllTargets.
std::vector<std::string> SeedsOf(std::string_view target);

}  // namespace qeff::fuzz
