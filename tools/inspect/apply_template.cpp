// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/template_files.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {

Result<std::string> ApplyTemplate(const std::filesystem::path& folder,
                                  const TemplateRequest& request) {
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error)) {
    return IoError(Location::File(folder.string()), "expected the folder of a model");
  }
  QEFF_ASSIGN_OR_RETURN(ChatRequest chat, ReadChatRequest(request.messages_file));
  QEFF_RETURN_IF_ERROR(tools::ApplyTemplateArguments(request.arguments, chat));
  if (request.add_generation_prompt) chat.add_generation_prompt = *request.add_generation_prompt;
  QEFF_ASSIGN_OR_RETURN(const ChatTemplates templates, ChatTemplates::Load(folder));
  return templates.Apply(chat);
}

}  // namespace qeff::inspect
