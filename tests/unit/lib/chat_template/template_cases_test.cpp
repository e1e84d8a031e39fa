// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Templates against the text that Python's Jinja2 makes of them: our own, recorded by
// make_template_cases.py, and those of real models, if they are there.
#include <catch2/catch.hpp>
#include <filesystem>
#include <iostream>

#include "lib/chat_template/chat_template.h"
#include "lib/support/file.h"
#include "lib/support/json.h"

namespace qeff {
namespace {

namespace fs = std::filesystem;

/// 2025-07-10 12:00, a Thursday.
std::tm RecordedTime() {
  return {.tm_hour = 12,
          .tm_mday = 10,
          .tm_mon = 6,
          .tm_year = 125,
          .tm_wday = 4,
          .tm_yday = 190,
          .tm_isdst = -1};
}

Json ReadCases(const fs::path& path) {
  Result<Json> json = ReadJsonFile(path);
  REQUIRE(json.ok());
  return *json;
}

Result<std::string> Render(const std::string& text, const Json& context, const Json& options) {
  const ChatTemplateOptions whitespace = {
      .trim_blocks = options.value("trim_blocks", true),
      .lstrip_blocks = options.value("lstrip_blocks", true),
      .keep_trailing_newline = options.value("keep_trailing_newline", false)};
  QEFF_ASSIGN_OR_RETURN(const ChatTemplate parsed,
                        ChatTemplate::Parse(text, "template", whitespace));
  return parsed.Render(context, RecordedTime());
}

/// Checks one case: `expected` is null where an error is.
void Check(const std::string& name, const std::string& text, const Json& context,
           const Json& options, const Json& expected) {
  INFO(name << "\n" << text);
  const Result<std::string> rendered = Render(text, context, options);
  if (expected.is_null()) {
    if (rendered.ok()) FAIL_CHECK("expected an error, got " << *rendered);
  } else if (!rendered.ok()) {
    FAIL_CHECK(rendered.diagnostic().ToString());
  } else {
    CHECK(*rendered == expected.get<std::string>());
  }
}

fs::path SharedData() { return "../shared/data"; }

/// The text that Jinja2 gives; the field beside it has what another engine expects.
Json Expected(const Json& entry) {
  const Json& text = entry.contains("jinja2_3.1.2") ? entry["jinja2_3.1.2"] : entry["expected"];
  const bool is_error = text.get<std::string>().starts_with("EXC ");
  return is_error ? Json() : text;
}

std::string TemplateText(const fs::path& path) {
  if (!fs::is_directory(path)) {
    Result<std::string> text = ReadSmallFile(path);
    REQUIRE(text.ok());
    return *text;
  }
  if (fs::exists(path / "chat_template.jinja")) return TemplateText(path / "chat_template.jinja");
  const Json config = ReadCases(path / "tokenizer_config.json");
  return config["chat_template"].get<std::string>();
}

void CheckRendered(const fs::path& file) {
  const Json cases = ReadCases(file)["cases"];
  for (const Json& entry : cases) {
    if (!fs::exists(SharedData() / entry["template_file"].get<std::string>())) continue;
    Json context = ReadCases(SharedData() / entry["context_file"].get<std::string>());
    for (const auto& [key, value] : entry["override"].items()) context[key] = value;
    const std::string text = TemplateText(SharedData() / entry["template_file"].get<std::string>());
    Check(entry["name"], text, context, Json::object(),
          entry.contains("error") ? Json() : entry["expected"]);
  }
}

TEST_CASE("templates give the text that Python Jinja2 gives") {
  const Json recorded = ReadCases("tests/unit/lib/chat_template/template_cases.json");
  for (const Json& entry : recorded["cases"]) {
    Check("recorded", entry["template"], recorded["context"],
          entry.value("options", Json::object()), entry.value("expected", Json()));
  }
}

TEST_CASE("cases of other engines give what Jinja2 gives for them") {
  const fs::path folder = SharedData() / "cases/chat_templates";
  if (!fs::exists(folder)) {
    std::cout << "SKIPPED: " << folder << " is not there\n";
    return;
  }
  for (const char* file :
       {"jinja_unit.json", "minja_syntax.json", "llamacpp_chat.json", "chat_e2e.json"}) {
    const Json all = ReadCases(folder / file);
    for (const Json& entry : all["cases"]) {
      const Json options = entry.value("options", all.value("options", Json::object()));
      Json expected = Expected(entry);
      // Recorded without the block that transformers adds.
      const std::string text = entry["template"];
      if (text.find("generation ") != std::string::npos && expected.is_null()) {
        expected = entry["expected"];
      }
      Check(std::string(file) + " " + entry["name"].get<std::string>(), text, entry["context"],
            options, expected);
    }
  }
}

TEST_CASE("templates of real models give recorded conversations") {
  const fs::path file = SharedData() / "cases/chat_templates/rendered.json";
  if (!fs::exists(file)) {
    std::cout << "SKIPPED: " << file << " is not there\n";
    return;
  }
  CheckRendered(file);
  const fs::path restricted = SharedData() / "restricted/chat_templates/rendered.json";
  if (fs::exists(restricted)) CheckRendered(restricted);
}

}  // namespace
}  // namespace qeff
