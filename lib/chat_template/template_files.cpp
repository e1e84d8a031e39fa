// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/template_files.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lib/support/file.h"

namespace qeff {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDefault = "default";
constexpr std::string_view kToolUse = "tool_use";
/// The largest template of a known model has 30 KiB.
constexpr size_t kMaxTemplateBytes = size_t{1} << 20;

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

Status Expected(const fs::path& file, std::string_view what) {
  return InvalidInput(Location::File(file.string()), fmt::format("expected {}", what));
}

/// A token is written as a text or as an object with its "content".
const Json* TokenText(const Json& token) {
  const Json* text = token.is_object() ? Find(token, "content") : &token;
  return text != nullptr && text->is_string() ? text : nullptr;
}

void AddSpecialTokens(const Json& config, bool replaces, Json& tokens) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
  for (const std::string_view name : kNames) {
    const Json* token = Find(config, name);
    const Json* text = token == nullptr ? nullptr : TokenText(*token);
    if (text != nullptr && (replaces || !tokens.contains(name))) tokens[std::string(name)] = *text;
  }
  const Json* more = Find(config, "additional_special_tokens");
  if (more != nullptr && more->is_array() &&
      (replaces || !tokens.contains("additional_special_tokens"))) {
    Json texts = Json::array();
    for (const Json& token : *more) {
      if (const Json* text = TokenText(token)) texts.push_back(*text);
    }
    if (!texts.empty()) tokens["additional_special_tokens"] = std::move(texts);
  }
  // Tokens that only some models have, by a name of their own.
  const Json* extra = Find(config, "extra_special_tokens");
  if (extra == nullptr || !extra->is_object()) return;
  for (const auto& [name, token] : extra->items()) {
    const Json* text = TokenText(token);
    if (text != nullptr && !tokens.contains(name)) tokens[name] = *text;
  }
}

}  // namespace

Result<ChatTemplates> ChatTemplates::Load(const fs::path& folder) {
  ChatTemplates templates;
  templates.folder_ = folder.string();
  const auto add = [&](std::string name, std::string text, const fs::path& file) {
    templates.templates_.emplace_back(std::move(name), Entry{std::move(text), file.string()});
  };
  const fs::path config_file = folder / "tokenizer_config.json";
  Json config = Json::object();
  if (Exists(config_file)) {
    QEFF_ASSIGN_OR_RETURN(config, ReadJsonFile(config_file));
  }
  const fs::path text_file = folder / "chat_template.jinja";
  const fs::path more_files = folder / kMoreTemplatesFolder;
  const fs::path json_file = folder / "chat_template.json";
  if (Exists(text_file)) {
    QEFF_ASSIGN_OR_RETURN(std::string text, ReadSmallFile(text_file, kMaxTemplateBytes));
    add(std::string(kDefault), std::move(text), text_file);
  }
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(more_files, error)) {
    if (entry.path().extension() != ".jinja") continue;
    QEFF_ASSIGN_OR_RETURN(std::string text, ReadSmallFile(entry.path(), kMaxTemplateBytes));
    add(entry.path().stem().string(), std::move(text), entry.path());
  }
  if (templates.templates_.empty()) {
    const fs::path file = Exists(json_file) ? json_file : config_file;
    if (file == json_file) {
      QEFF_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(json_file));
      if (Find(json, "chat_template") == nullptr) {
        return Expected(json_file, "a member \"chat_template\"");
      }
      config["chat_template"] = json["chat_template"];
    }
    const Json* found = Find(config, "chat_template");
    if (found != nullptr && found->is_string()) {
      add(std::string(kDefault), found->get<std::string>(), file);
    } else if (found != nullptr && found->is_array()) {
      for (const Json& entry : *found) {
        const Json* name = Find(entry, "name");
        const Json* text = Find(entry, "template");
        if (name == nullptr || text == nullptr || !name->is_string() || !text->is_string()) {
          return Expected(file, "\"chat_template\" as a list of {\"name\", \"template\"}");
        }
        add(name->get<std::string>(), text->get<std::string>(), file);
      }
    } else if (found != nullptr && !found->is_null()) {
      return Expected(file, "\"chat_template\" as a text or a list");
    }
  }
  std::ranges::sort(templates.templates_, {}, &std::pair<std::string, Entry>::first);
  AddSpecialTokens(config, false, templates.special_tokens_);
  const fs::path map_file = folder / "special_tokens_map.json";
  if (Exists(map_file)) {
    QEFF_ASSIGN_OR_RETURN(const Json map, ReadJsonFile(map_file));
    // A config without "added_tokens_decoder" is of an older kind, where the map counts more.
    AddSpecialTokens(map, !config.contains("added_tokens_decoder"), templates.special_tokens_);
  }
  return templates;
}

std::vector<std::string> ChatTemplates::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : templates_) names.push_back(name);
  return names;
}

Result<const ChatTemplates::Entry*> ChatTemplates::Choose(const ChatRequest& request) const {
  if (templates_.empty()) {
    return InvalidInput(Location::File(folder_), "the model has no chat template",
                        {"give a raw prompt, or add a file chat_template.jinja"});
  }
  const auto find = [&](std::string_view name) -> const Entry* {
    const auto found = std::ranges::find(templates_, name, &std::pair<std::string, Entry>::first);
    return found == templates_.end() ? nullptr : &found->second;
  };
  const Entry* chosen = nullptr;
  if (!request.template_name.empty()) {
    chosen = find(request.template_name);
  } else {
    if (!request.tools.is_null()) chosen = find(kToolUse);
    if (chosen == nullptr) chosen = find(kDefault);
  }
  if (chosen != nullptr) return chosen;
  return InvalidInput(Location::File(folder_),
                      fmt::format("no chat template named '{}'",
                                  request.template_name.empty() ? kDefault : request.template_name),
                      {fmt::format("the model has: {}", fmt::join(names(), ", "))});
}

Result<std::string> ChatTemplates::Apply(const ChatRequest& request) const {
  QEFF_ASSIGN_OR_RETURN(const Entry* chosen, Choose(request));
  QEFF_ASSIGN_OR_RETURN(const ChatTemplate parsed, ChatTemplate::Parse(chosen->text, chosen->path));
  Json variables = {{"messages", request.messages},
                    {"tools", request.tools},
                    {"documents", request.documents},
                    {"add_generation_prompt", request.add_generation_prompt}};
  for (const auto& [name, value] : special_tokens_.items()) variables[name] = value;
  for (const auto& [name, value] : request.arguments.items()) variables[name] = value;
  return parsed.Render(variables);
}

Result<ChatRequest> ReadChatRequest(const fs::path& file) {
  QEFF_ASSIGN_OR_RETURN(Json json, ReadJsonFile(file));
  if (json.is_array()) json = Json{{"messages", json}};
  ChatRequest request;
  bool has_messages = false;
  if (json.is_object()) {
    for (auto& [name, value] : json.items()) {
      if (name == "messages") {
        has_messages = value.is_array();
        request.messages = std::move(value);
      } else if (name == "tools") {
        request.tools = std::move(value);
      } else if (name == "documents") {
        request.documents = std::move(value);
      } else if (name == "add_generation_prompt" && value.is_boolean()) {
        request.add_generation_prompt = value.get<bool>();
      } else {
        request.arguments[name] = std::move(value);
      }
    }
  }
  if (!has_messages) return Expected(file, "{\"messages\": [...]} or a list of messages");
  for (const Json& message : request.messages) {
    if (!message.is_object() || !message.contains("role")) {
      return Expected(file, "every message as an object with a \"role\"");
    }
  }
  return request;
}

}  // namespace qeff
