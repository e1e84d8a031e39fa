// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The options of the vendor's compiler as its public documents list them: names, values, limits,
// and which exclude each other.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/support/status.h"

namespace qeff::standins {

/// Option without its dash to its values, in order; a flag has the value "".
using Options = std::map<std::string, std::vector<std::string>>;

/// Errors: kInvalidInput (an unknown option, a value that it does not take, one that is missing,
/// options that exclude each other), with the text that the compiler would print.
Result<Options> ParseOptions(const std::vector<std::string>& arguments);

/// One line for each option.
std::string DescribeOptions();

}  // namespace qeff::standins
