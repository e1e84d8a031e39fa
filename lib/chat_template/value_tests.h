// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What may stand after `is`: the tests of Jinja 3.1 by name.
#pragma once

#include <string_view>

#include "lib/chat_template/value.h"

namespace qeff::jinja {

using TestBody = Result<bool> (*)(Interpreter&, const Value&, const Arguments&);

/// Returns null if there is no such test.
TestBody FindTest(std::string_view name);

/// Returns the error, with the nearest name as note.
Status UnknownTest(Location where, std::string_view name);

}  // namespace qeff::jinja
