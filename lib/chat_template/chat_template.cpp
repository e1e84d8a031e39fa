// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/chat_template.h"

#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/parser.h"

namespace qeff {

struct ChatTemplate::Data {
  jinja::Body body;
  std::string path;
};

Result<ChatTemplate> ChatTemplate::Parse(std::string_view text, std::string_view path,
                                         const ChatTemplateOptions& options) {
  const jinja::WhitespaceOptions whitespace = {
      .trims_blocks = options.trim_blocks,
      .strips_before_blocks = options.lstrip_blocks,
      .keeps_trailing_newline = options.keep_trailing_newline};
  auto data = std::make_shared<Data>();
  QEFF_ASSIGN_OR_RETURN(data->body, jinja::ParseTemplate(text, path, whitespace));
  data->path = path;
  return ChatTemplate(std::move(data));
}

Result<std::string> ChatTemplate::Render(const Json& variables,
                                         const std::optional<std::tm>& now) const {
  if (!variables.is_object()) {
    return InvalidInput(Location::File(data_->path),
                        "expected the template's variables as an object");
  }
  std::tm time = now.value_or(std::tm{});
  if (!now.has_value()) {
    const std::time_t seconds = std::time(nullptr);
    localtime_r(&seconds, &time);
  }
  return jinja::Interpreter(data_->path, time).Run(data_->body, jinja::Value::FromJson(variables));
}

}  // namespace qeff
