// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/stop_strings.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace qeff {
namespace {

struct Cut {
  std::string shown;
  bool found = false;
  bool operator==(const Cut&) const = default;
};

/// Feeds `text` in pieces of `piece_bytes`.
Cut Feed(const std::vector<std::string>& strings, std::string_view text, size_t piece_bytes) {
  StopStrings stop = StopStrings::Create(strings).value();
  Cut cut;
  for (size_t i = 0; i < text.size(); i += piece_bytes) {
    cut.shown += stop.Push(text.substr(i, piece_bytes));
  }
  cut.shown += stop.Flush();
  cut.found = stop.found();
  return cut;
}

/// The same by looking at the whole text: the stop string that ends first, the longest of those.
Cut Search(const std::vector<std::string>& strings, std::string_view text) {
  size_t best_end = std::string_view::npos;
  size_t best_start = 0;
  for (const std::string& stop : strings) {
    const size_t start = text.find(stop);
    if (start == std::string_view::npos) continue;
    const size_t end = start + stop.size();
    if (end > best_end || (end == best_end && start > best_start)) continue;
    best_end = end;
    best_start = start;
  }
  if (best_end == std::string_view::npos) return {std::string(text), false};
  return {std::string(text.substr(0, best_start)), true};
}

}  // namespace

TEST_CASE("the stop string and what follows it are not shown") {
  for (size_t piece_bytes = 1; piece_bytes <= 12; ++piece_bytes) {
    CHECK(Feed({"END"}, "one EN twoEND three", piece_bytes) == Cut{"one EN two", true});
    CHECK(Feed({"END"}, "one EN", piece_bytes) == Cut{"one EN", false});
    CHECK(Feed({"abcd", "bc"}, "xabcd", piece_bytes) == Cut{"xa", true});
    CHECK(Feed({"c", "abc"}, "xabcd", piece_bytes) == Cut{"x", true});
    CHECK(Feed({}, "anything", piece_bytes) == Cut{"anything", false});
  }
}

TEST_CASE("text is held back only while it may become a stop string") {
  StopStrings stop = StopStrings::Create({"aab"}).value();
  CHECK(stop.Push("xa") == "x");
  CHECK(stop.Push("a") == "");
  CHECK(stop.Push("a") == "a");
  CHECK(stop.Push("c") == "aac");
  CHECK(stop.Push("aa") == "");
  CHECK_FALSE(stop.found());
  CHECK(stop.Push("b and more") == "");
  CHECK(stop.found());
  CHECK(stop.Push("more") == "");
  CHECK(stop.Flush() == "");
}

TEST_CASE("stop strings are found as by a search of the whole text") {
  uint32_t state = 7;
  const auto next = [&](uint32_t below) {
    state = state * 1664525u + 1013904223u;
    return (state >> 16) % below;
  };
  for (int round = 0; round < 3000; ++round) {
    const auto word = [&](uint32_t bytes) {
      std::string text;
      for (uint32_t i = 0; i < bytes; ++i) text += static_cast<char>('a' + next(2));
      return text;
    };
    std::vector<std::string> strings;
    for (uint32_t i = 0; i < 1 + next(3); ++i) strings.push_back(word(1 + next(7)));
    const std::string text = word(next(40));
    const Cut expected = Search(strings, text);
    INFO(text);
    REQUIRE(Feed(strings, text, 1) == expected);
    REQUIRE(Feed(strings, text, 1 + next(9)) == expected);
  }
}

TEST_CASE("bad stop strings") {
  const auto empty = StopStrings::Create({"x", ""});
  REQUIRE_FALSE(empty.ok());
  CHECK(empty.diagnostic().code == ErrorCode::kUsage);
  CHECK(empty.diagnostic().ToString() == "--stop: error: a stop string is empty");
  const auto cut = StopStrings::Create({"\xa9 half"});
  REQUIRE_FALSE(cut.ok());
  CHECK(cut.diagnostic().message == "a stop string begins inside a UTF-8 character");
}

}  // namespace qeff
