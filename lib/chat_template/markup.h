// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Text marked as HTML: what `escape` and `safe` make, and what happens to text that is added to it.
// Templates of chats hardly use it; output as such is never escaped.
#pragma once

#include <string>
#include <string_view>

#include "lib/chat_template/value.h"

namespace qeff::jinja {

/// Returns `text` with & < > ' " as character references.
std::string EscapeHtml(std::string_view text);

/// Returns the text of markup as it is, of anything else escaped. Requires is_text().
inline std::string EscapeUnlessMarkup(const Value& text) {
  return text.is_markup() ? text.text() : EscapeHtml(text.text());
}

}  // namespace qeff::jinja
