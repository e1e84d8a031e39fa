// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Limits and errors of expressions; their meaning is covered by component_test.cpp.
#include "lib/tokenizer/pattern.h"

#include <catch2/catch.hpp>

#include "lib/tokenizer/config_node.h"

namespace qeff {
namespace {

Result<Pattern> Compile(std::string_view expression) {
  const auto document = ConfigDocument::Parse("{}", "tokenizer.json");
  return Pattern::FromRegex(expression, document->root().Member("pattern"));
}

std::string ErrorOf(std::string_view expression, const std::string& text) {
  const auto pattern = Compile(expression);
  if (!pattern.ok()) return pattern.diagnostic().ToString();
  const auto matches = pattern->FindAll(text);
  return matches.ok() ? "no error" : matches.diagnostic().ToString();
}

}  // namespace

TEST_CASE("matches are found behind long stretches without one") {
  const auto pattern = Compile("b+|\u20ac");
  REQUIRE(pattern.ok());
  std::string text;
  for (int i = 0; i < 3000; ++i) text += "\u00e9";
  text += "bb\u20ac";
  const auto matches = pattern->FindAll(text);
  REQUIRE(matches.ok());
  REQUIRE(matches->size() == 2);
  CHECK((*matches)[0].begin == 6000);
  CHECK((*matches)[1].end == text.size());
}

TEST_CASE("bad_expression that backtracks without bound") {
  CHECK(ErrorOf("(a+)+$", std::string(60, 'a') + "c") ==
        "tokenizer.json: error: 'pattern': gave up on a text: match limit exceeded\n"
        "note: the expression backtracks without bound on such text");
}

TEST_CASE("bad_expression that is quadratic in the text") {
  CHECK(ErrorOf("a(?=[ab]*[cd])|a", std::string(1'500'000, 'a')) ==
        "tokenizer.json: error: 'pattern': gave up on a text: it takes too long\n"
        "note: the expression backtracks without bound on such text");
}

TEST_CASE("bad_expression that recurses too deep") {
  const std::string error = ErrorOf("(a(?1)?b)", std::string(3'000'000, 'a'));
  CHECK(error.find("'pattern': gave up on a text: ") != std::string::npos);
}

TEST_CASE("bad_expression") {
  CHECK(ErrorOf("(a", "") ==
        "tokenizer.json: error: 'pattern': expression '(a': missing closing parenthesis\n"
        "note: at byte 2 of its PCRE2 form '(a'");
  CHECK(ErrorOf("[a", "") ==
        "tokenizer.json: error: 'pattern': expected ']' at the end of a character class, got the "
        "end");
  CHECK(ErrorOf("[[:blank:]]", "") ==
        "tokenizer.json: error: 'pattern': bracket '[:blank:]' is not supported");
  CHECK(ErrorOf(std::string(40, '[') + "a" + std::string(40, ']'), "") ==
        "tokenizer.json: error: 'pattern': classes nested deeper than 30");
  CHECK(ErrorOf(std::string(70'000, 'a'), "") ==
        "tokenizer.json: error: 'pattern': expected an expression of at most 65536 bytes, got "
        "70000");
  CHECK(ErrorOf("\\p{Nothing}", "").find("unknown property") != std::string::npos);
  CHECK(ErrorOf("((((a{1,1000}){1,1000}){1,1000}){1,1000})", "").find("too large") !=
        std::string::npos);
  for (const char* cut : {"\\", "[\\", "a{", "(?", "(?i", "[a&&", "\\u12", "\\p{L"}) {
    CHECK(ErrorOf(cut, "x") != "");  // no crash; some are accepted as literals
  }
}

}  // namespace qeff
