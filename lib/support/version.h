// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The version of the toolchain, as it stands in manifests and in --version.
#pragma once

#include <string_view>

namespace qeff {

/// "0.1.0"; with the revision it was built from when that is known: "0.1.0 (389ab77)".
std::string_view Version();

}  // namespace qeff
