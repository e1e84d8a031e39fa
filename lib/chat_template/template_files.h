// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The chat templates of a checkpoint's folder and the variables they expect, found as transformers
// finds them. Called by the run stage and qeff-inspect.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/chat_template/chat_template.h"
#include "lib/support/json.h"
#include "lib/support/status.h"

namespace qeff {

/// Further templates of a checkpoint, NAME.jinja each.
inline constexpr std::string_view kMoreTemplatesFolder = "additional_chat_templates";

/// A conversation and what else its template is told.
struct ChatRequest {
  Json messages = Json::array();  ///< {"role", "content", ...} each
  Json tools;                     ///< a list of schemas; null: none
  Json documents;                 ///< for templates that know them; null: none
  bool add_generation_prompt = false;
  std::string template_name;        ///< empty: "tool_use" if there are tools, else "default"
  Json arguments = Json::object();  ///< further names, which replace those above
};

/// Immutable; safe from several threads.
class ChatTemplates {
 public:
  /// Reads the templates of `folder`, later ones hiding earlier ones of the same name:
  /// tokenizer_config.json ("chat_template": a text, or a list of {"name", "template"}), or
  /// chat_template.json, or chat_template.jinja with additional_chat_templates/NAME.jinja; and the
  /// special tokens of tokenizer_config.json and special_tokens_map.json. Templates are not parsed
  /// yet. Errors: kIo; kInvalidInput for files that are no such JSON or too large.
  static Result<ChatTemplates> Load(const std::filesystem::path& folder);

  bool empty() const { return templates_.empty(); }
  /// Returns the names, sorted.
  std::vector<std::string> names() const;

  /// Returns the text of the conversation. It holds its special tokens: encode it with
  /// `parse_special`, without `add_special_tokens`. Errors: kInvalidInput if there is no template
  /// of that name, and those of ChatTemplate.
  Result<std::string> Apply(const ChatRequest& request) const;

 private:
  struct Entry {
    std::string text;
    std::string path;
  };
  Result<const Entry*> Choose(const ChatRequest& request) const;

  std::string folder_;
  std::vector<std::pair<std::string, Entry>> templates_;
  Json special_tokens_ = Json::object();  ///< "bos_token": "<s>", ...
};

/// Reads {"messages": [...], "tools": [...], "documents": [...]}, other members as arguments, or
/// the list of messages alone. Errors: kIo, kInvalidInput.
Result<ChatRequest> ReadChatRequest(const std::filesystem::path& file);

}  // namespace qeff
