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

/// `texts`: [["text"], ["text", "second text"], ...]; must stay valid.
std::vector<TextPair> Pairs(const Json& texts) {
  std::vector<TextPair> pairs;
  for (const Json& one : texts) {
    TextPair pair{.first = one[0].get_ref<const std::string&>()};
    if (one.size() > 1) pair.second = one[1].get_ref<const std::string&>();
    pairs.push_back(pair);
  }
  return pairs;
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

TEST_CASE("pairs and batches are framed, cut and padded as by the reference") {
  for (const Json& entry : Recorded()["pairs"]) {
    Json parts = entry["config"];
    for (const Json& one : entry["cases"]) {
      INFO(parts["post_processor"].dump() << " " << one.dump());
      parts["truncation"] = one[0];
      parts["padding"] = one[1];
      const Tokenizer tokenizer = TokenizerFrom(TokenizerFile(parts));
      const auto batch =
          tokenizer.EncodeBatch(Pairs(one[2]), {.encode = {.add_special_tokens = one[3]},
                                                .truncation = tokenizer.truncation(),
                                                .padding = tokenizer.padding()});
      REQUIRE(batch.ok() == !one[4].is_null());
      if (!batch.ok()) continue;
      Json results = Json::array();
      for (const Encoding& encoding : *batch) {
        results.push_back({encoding.ids, encoding.type_ids, encoding.special_tokens_mask,
                           encoding.attention_mask});
      }
      REQUIRE(results == one[4]);
    }
  }
}

}  // namespace qeff
