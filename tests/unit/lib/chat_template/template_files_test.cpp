// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which template of a folder is taken, and what its variables are.
#include "lib/chat_template/template_files.h"

#include <catch2/catch.hpp>

#include "lib/support/file.h"
#include "tests/unit/lib/artifact/temporary_folder.h"

namespace qeff {
namespace {

namespace fs = std::filesystem;

void Write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  REQUIRE(WriteFileAtomically(path, text).ok());
}

std::string Apply(const fs::path& folder, const ChatRequest& request = {}) {
  const Result<ChatTemplates> templates = ChatTemplates::Load(folder);
  if (!templates.ok()) return templates.diagnostic().ToString();
  Result<std::string> text = templates->Apply(request);
  return text.ok() ? *text : text.diagnostic().ToString();
}

TEST_CASE("chat_template.jinja hides chat_template.json, which hides tokenizer_config.json") {
  const artifact::TemporaryFolder temporary;
  const fs::path folder = temporary.path();
  Write(folder / "tokenizer_config.json", R"({"chat_template": "config {{ bos_token }}",
      "bos_token": {"content": "<s>"}, "added_tokens_decoder": {}})");
  CHECK(Apply(folder) == "config <s>");
  Write(folder / "chat_template.json", R"({"chat_template": "json {{ bos_token }}"})");
  CHECK(Apply(folder) == "json <s>");
  Write(folder / "chat_template.jinja", "file {{ bos_token }}\n");
  CHECK(Apply(folder) == "file <s>");
}

TEST_CASE("templates have names; tools choose theirs") {
  const artifact::TemporaryFolder temporary;
  const fs::path folder = temporary.path();
  Write(folder / "tokenizer_config.json",
        R"({"chat_template": [{"name": "default", "template": "d{{ tools }}"},
                              {"name": "tool_use", "template": "t{{ tools | length }}"}]})");
  CHECK(Apply(folder) == "dNone");
  CHECK(Apply(folder, {.tools = Json::array({1, 2})}) == "t2");
  CHECK(Apply(folder, {.tools = Json::array({1}), .template_name = "default"}) == "d[1]");
  CHECK(Apply(folder, {.template_name = "rag"}) ==
        folder.string() +
            ": error: no chat template named 'rag'\nnote: the model has: default, "
            "tool_use");
  Write(folder / "additional_chat_templates/rag.jinja", "rag {{ documents }}");
  CHECK(Apply(folder, {.documents = Json::array({"x"}), .template_name = "rag"}) == "rag ['x']");
}

TEST_CASE("variables: special tokens, the generation prompt, further arguments") {
  const artifact::TemporaryFolder temporary;
  const fs::path folder = temporary.path();
  Write(folder / "chat_template.jinja",
        "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ image_token }}|"
        "{{ additional_special_tokens }}|{{ add_generation_prompt }}|{{ tools }}|{{ think }}");
  Write(folder / "tokenizer_config.json",
        R"({"bos_token": "<s>", "eos_token": null, "extra_special_tokens": {"image_token": "<i>"},
            "additional_special_tokens": ["<a>", {"content": "<b>"}]})");
  CHECK(Apply(folder) == "<s>|||<i>|['<a>', '<b>']|False|None|");
  const ChatRequest request = {.add_generation_prompt = true,
                               .arguments = {{"think", "yes"}, {"bos_token", "!"}}};
  CHECK(Apply(folder, request) == "!|||<i>|['<a>', '<b>']|True|None|yes");
}

TEST_CASE("the map of special tokens counts more for older configs only") {
  const artifact::TemporaryFolder temporary;
  const fs::path folder = temporary.path();
  Write(folder / "chat_template.jinja", "{{ bos_token }}{{ eos_token }}");
  Write(folder / "special_tokens_map.json", R"({"bos_token": "<map>", "eos_token": "<end>"})");
  Write(folder / "tokenizer_config.json", R"({"bos_token": "<config>"})");
  CHECK(Apply(folder) == "<map><end>");
  Write(folder / "tokenizer_config.json",
        R"({"bos_token": "<config>", "added_tokens_decoder": {}})");
  CHECK(Apply(folder) == "<config><end>");
}

TEST_CASE("bad_ template files are named") {
  const artifact::TemporaryFolder temporary;
  const fs::path folder = temporary.path();
  CHECK(Apply(folder) == folder.string() +
                             ": error: the model has no chat template\nnote: give a raw prompt, or "
                             "add a file chat_template.jinja");
  Write(folder / "tokenizer_config.json", R"({"chat_template": 5})");
  CHECK(Apply(folder).find("expected \"chat_template\" as a text or a list") != std::string::npos);
  Write(folder / "tokenizer_config.json", R"({"chat_template": [{"name": "a"}]})");
  CHECK(Apply(folder).find("as a list of {\"name\", \"template\"}") != std::string::npos);
  Write(folder / "chat_template.jinja", "a\n{% if %}");
  CHECK(Apply(folder).find("chat_template.jinja:2:7: error: ") != std::string::npos);
}

TEST_CASE("a request is a list of messages or an object with them") {
  const artifact::TemporaryFolder temporary;
  const fs::path file = temporary.path() / "messages.json";
  Write(file, R"([{"role": "user", "content": "hi"}])");
  Result<ChatRequest> request = ReadChatRequest(file);
  REQUIRE(request.ok());
  CHECK(request->messages.size() == 1);
  CHECK(request->tools.is_null());
  Write(file, R"({"messages": [{"role": "user"}], "tools": [], "enable_thinking": false,
                  "add_generation_prompt": true})");
  request = ReadChatRequest(file);
  REQUIRE(request.ok());
  CHECK(request->tools == Json::array());
  CHECK(request->arguments == Json{{"enable_thinking", false}});
  CHECK(request->add_generation_prompt);
  for (const char* bad : {"5", "{}", R"({"messages": 5})", R"([5])", R"([{"content": "x"}])"}) {
    Write(file, bad);
    CHECK_FALSE(ReadChatRequest(file).ok());
  }
}

}  // namespace
}  // namespace qeff
