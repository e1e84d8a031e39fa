// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <iostream>
#include <string>

#include "lib/support/log.h"
#include "tools/common/options.h"
#include "tools/common/run_tool.h"

namespace qeff::tools {
namespace {

Json Message(std::string_view role, std::string_view content) {
  return {{"role", std::string(role)}, {"content", std::string(content)}};
}

}  // namespace

void AddTemplateOptions(CLI::App& app, const std::string& group, TemplateArguments& arguments) {
  app.add_option("--template-name", arguments.name,
                 "Which of the model's chat templates (default: tool_use with tools, else default)")
      ->group(group);
  app.add_option("--template-arg", arguments.arguments,
                 "NAME=JSON, a variable for the chat template, e.g. enable_thinking=false; may be "
                 "given several times")
      ->group(group);
}

Status ApplyTemplateArguments(const TemplateArguments& arguments, ChatRequest& request) {
  request.template_name = arguments.name;
  for (const std::string& argument : arguments.arguments) {
    const size_t equals = argument.find('=');
    const Location where = Location::Flag("--template-arg");
    if (equals == std::string::npos || equals == 0) {
      return UsageError(where, fmt::format("expected NAME=JSON, got '{}'", argument));
    }
    const std::string name = argument.substr(0, equals);
    Result<Json> value = ParseJson(std::string_view(argument).substr(equals + 1), name);
    if (!value.ok()) {
      return UsageError(
          where,
          fmt::format("expected JSON after '{}=', got '{}'", name, argument.substr(equals + 1)),
          {"text needs quotes: 'name=\"text\"'"});
    }
    request.arguments[name] = std::move(value).value();
  }
  return Status::Ok();
}

Result<std::string> RenderMessages(const std::filesystem::path& qpc,
                                   const RunArguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(ChatRequest request, ReadChatRequest(arguments.messages_file));
  QEFF_RETURN_IF_ERROR(ApplyTemplateArguments(arguments.chat_template, request));
  if (!arguments.system.empty()) {
    request.messages.insert(request.messages.begin(), Message("system", arguments.system));
  }
  request.add_generation_prompt = true;
  QEFF_ASSIGN_OR_RETURN(const ChatTemplates templates, ChatTemplates::Load(qpc));
  return templates.Apply(request);
}

Status RunChat(const stages::TextRequest& settings, const std::filesystem::path& qpc,
               const RunArguments& arguments, stages::TextModel& model) {
  QEFF_ASSIGN_OR_RETURN(const ChatTemplates templates, ChatTemplates::Load(qpc));
  ChatRequest conversation{.add_generation_prompt = true};
  QEFF_RETURN_IF_ERROR(ApplyTemplateArguments(arguments.chat_template, conversation));
  if (!arguments.system.empty()) {
    conversation.messages.push_back(Message("system", arguments.system));
  }
  const bool is_interactive = ::isatty(STDIN_FILENO) == 1;
  stages::TextRequest request = settings;
  request.prompts_are_rendered = true;
  for (int turn = 1;;) {
    if (is_interactive) std::cerr << "> " << std::flush;
    std::string line;
    if (!std::getline(std::cin, line)) break;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    conversation.messages.push_back(Message("user", line));
    QEFF_ASSIGN_OR_RETURN(std::string prompt, templates.Apply(conversation));
    request.prompts = {{std::move(prompt), Location::Flag("--chat")}};
    const auto on_token = [](const TokenEvent& event) {
      PrintText(event.text);
      return Status::Ok();
    };
    QEFF_ASSIGN_OR_RETURN(
        const stages::TextResult result,
        model.Run(request, on_token).WithNote(fmt::format("in turn {} of the conversation", turn)));
    PrintText("\n");
    if (turn++ == 1 && !result.sampling_note.empty()) LogInfoText(result.sampling_note);
    PrintStatistics(result.generation.metrics);
    conversation.messages.push_back(Message("assistant", result.generation.outputs.front().text));
  }
  if (is_interactive) std::cerr << '\n';
  return Status::Ok();
}

}  // namespace qeff::tools
