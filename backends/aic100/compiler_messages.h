// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What the vendor's programs print when they fail, as far as their documentation says, and what to
// do about it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"

namespace qeff::aic100 {

struct KnownMessage {
  std::string_view text;  ///< part of a line that the program prints
  ErrorCode code;  ///< kUnsupported: the model or options are at fault; kBackend: the machine
  std::string_view meaning;
  std::string_view remedy;
};

const std::vector<KnownMessage>& KnownMessages();

/// Returns the first known message in `output`, null if there is none.
const KnownMessage* Recognize(std::string_view output);

/// A number of the vendor's QStatus that a user can do something about.
struct KnownStatus {
  int32_t status;
  std::string_view meaning;
  std::string_view remedy;
};
const std::vector<KnownStatus>& KnownStatuses();

}  // namespace qeff::aic100
