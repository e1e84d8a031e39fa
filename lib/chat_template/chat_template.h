// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Chat templates: the Jinja program of a checkpoint that turns messages into the text its model was
// trained on. Gives the text that transformers' apply_chat_template gives; an engine of our own
// runs it, as untrusted input, under limits (budget.h). Which file holds the template, and its
// variables, is in template_files.h.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/support/json.h"
#include "lib/support/status.h"

namespace qeff {

struct ChatTemplateOptions {
  bool trim_blocks = true;    ///< drops the newline after {% %}
  bool lstrip_blocks = true;  ///< drops blanks before {% %} at the start of a line
  bool keep_trailing_newline = false;
};

/// Immutable; copies share their data; safe from several threads.
class ChatTemplate {
 public:
  /// `path` names the template in errors. Errors: kInvalidInput with line and column; kUnsupported
  /// for `autoescape`.
  static Result<ChatTemplate> Parse(std::string_view text, std::string_view path,
                                    const ChatTemplateOptions& options = {});

  /// Returns the text of the template with the members of `variables`, an object, as its names.
  /// `now` is what strftime_now tells; without it, the local time. Errors, each with line and
  /// column: kInvalidInput for what the template refuses (raise_exception), for operations that
  /// Python refuses, and for more steps, memory or nesting than allowed; kUnsupported for
  /// statements that read other templates.
  Result<std::string> Render(const Json& variables,
                             const std::optional<std::tm>& now = std::nullopt) const;

 private:
  struct Data;
  explicit ChatTemplate(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

}  // namespace qeff
