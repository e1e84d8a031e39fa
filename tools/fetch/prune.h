// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff-fetch --prune: shows what no snapshot of the Hugging Face cache needs, asks, removes it.
#pragma once

#include "lib/support/status.h"

namespace qeff::tools {

enum class Consent { kAsk, kGiven };

/// Prints what there is to remove. With kAsk it then waits for 'y' on standard input; anything else
/// removes nothing. Errors: kUsage if nobody is there to answer; kIo.
Status Prune(Consent consent);

}  // namespace qeff::tools
