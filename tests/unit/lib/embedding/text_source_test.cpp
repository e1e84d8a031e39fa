// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/text_source.h"

#include <catch2/catch.hpp>

#include "tests/unit/lib/checkpoint/test_files.h"

namespace qeff {
namespace {

using Texts = std::vector<std::string>;

/// All texts up to the end or the first error, whose text is the last entry then.
Texts ReadAll(const std::string& content, const TextSourceOptions& options = {}) {
  const checkpoint::TemporaryFolder folder;
  auto source = TextSource::Open(checkpoint::WriteText(folder / "t", content), options);
  REQUIRE(source.ok());
  Texts texts;
  std::string text;
  while (true) {
    const auto next = source->Next(text);
    if (!next.ok()) {
      const Diagnostic& diagnostic = next.diagnostic();
      texts.push_back(fmt::format("{}:{}: {}", diagnostic.where.line, diagnostic.where.column,
                                  diagnostic.message));
      return texts;
    }
    if (!*next) return texts;
    texts.push_back(text);
  }
}

TEST_CASE("lines are texts, empty ones too") {
  REQUIRE(ReadAll("").empty());
  REQUIRE(ReadAll("a\n\nb") == Texts{"a", "", "b"});
  REQUIRE(ReadAll("a\r\n \n") == Texts{"a", " "});
  REQUIRE(ReadAll("\n") == Texts{""});
  // Longer than the buffer, with line ends around its borders.
  const std::string long_line(700'000, 'x');
  for (const size_t size : {262'143, 262'144, 262'145}) {
    const std::string edge(size, 'y');
    REQUIRE(ReadAll(long_line + "\n" + edge + "\nz\n") == Texts{long_line, edge, "z"});
  }
}

TEST_CASE("a member of JSON lines") {
  const TextSourceOptions options{.field = "text"};
  REQUIRE(ReadAll("{\"id\": 1, \"text\": \"a\\nb\"}\n{\"text\": \"\"}\n", options) ==
          Texts{"a\nb", ""});
  REQUIRE(ReadAll("{\"text\": \"a\"}\n{\"txt\": \"b\"}\n", options).back() ==
          "2:0: expected an object with a text 'text'");
  REQUIRE(ReadAll("{\"text\": 7}\n", options).back() ==
          "1:0: expected an object with a text 'text'");
  REQUIRE(ReadAll("[1]\n", options).back() == "1:0: expected an object with a text 'text'");
  REQUIRE_THAT(ReadAll("{\"text\": \"a\"}\n{\n", options).back(), Catch::StartsWith("2:0: "));
}

TEST_CASE("bytes that are not UTF-8") {
  REQUIRE(ReadAll("a\nb\xFF\nc\n") == Texts{"a", "2:2: byte 0xFF is not UTF-8"});
  REQUIRE(ReadAll("a\nb\xFF\nc\xE2\x82", {.is_lossy = true}) ==
          Texts{"a", "b\xEF\xBF\xBD", "c\xEF\xBF\xBD"});
}

TEST_CASE("texts of the command line, and places without texts") {
  TextSource source = TextSource::FromTexts({"a", ""}, {.field = "text"});
  std::string text;
  REQUIRE(*source.Next(text));
  REQUIRE(text == "a");
  REQUIRE(*source.Next(text));
  REQUIRE(text.empty());
  REQUIRE_FALSE(*source.Next(text));
  const checkpoint::TemporaryFolder folder;
  REQUIRE(TextSource::Open(folder / "absent", {}).diagnostic().code == ErrorCode::kIo);
  REQUIRE(TextSource::Open(folder.path(), {}).diagnostic().message ==
          "expected a file, got a folder");
}

}  // namespace
}  // namespace qeff
