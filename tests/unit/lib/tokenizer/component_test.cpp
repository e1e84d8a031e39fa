// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Every component alone, against what Hugging Face's tokenizers gives
// (make_component_cases.py writes the file).
#include <catch2/catch.hpp>

#include "tests/unit/lib/tokenizer/tokenizer_testing.h"

namespace qeff {
namespace {

const Json& Recorded() {
  static const Json file = ReadTestJson("tests/data/tokenizer/component_cases.json");
  return file;
}

}  // namespace

TEST_CASE("components encode as the reference does") {
  for (const Json& entry : Recorded()["encode"]) {
    Json parts = entry["config"];
    const std::string model = parts.value("model", "characters");
    parts["model"] = Recorded()["models"][model];
    const Tokenizer tokenizer = TokenizerFrom(TokenizerFile(parts));
    INFO(entry["name"].get<std::string>());
    for (const Json& one : entry["cases"]) {
      const EncodeOptions options{.add_special_tokens = parts.contains("post_processor"),
                                  .parse_special = one[0].get<int>() == 1};
      INFO(one[1].dump());
      REQUIRE(Ids(tokenizer, one[1].get<std::string>(), options) == one[2].get<TokenIds>());
    }
  }
}

TEST_CASE("components decode as the reference does, at once and in pieces") {
  Json vocabulary = Json::object();
  for (const Json& token : Recorded()["decoder_tokens"]) {
    vocabulary[token.get<std::string>()] = vocabulary.size();
  }
  const Json model = {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "<unk>"}};
  for (const Json& entry : Recorded()["decode"]) {
    const Tokenizer tokenizer =
        TokenizerFrom(TokenizerFile({{"decoder", entry["decoder"]}, {"model", model}}));
    INFO(entry["decoder"].dump());
    for (const Json& one : entry["cases"]) {
      INFO(one[0].dump());
      REQUIRE(Text(tokenizer, one[0].get<TokenIds>(), false) == one[1].get<std::string>());
    }
  }
}

}  // namespace qeff
