// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A tokenizer.model without a class does what the SentencePiece library does with it.
#include <catch2/catch.hpp>

#include "tests/unit/lib/tokenizer/tokenizer_testing.h"

namespace qeff {
namespace {

void CheckModel(const char* model, const char* cases) {
  const auto data = SharedData();
  if (!data.has_value()) return;
  TestFolder folder;
  std::filesystem::copy_file(*data / "tokenizers" / model, folder.path() / "tokenizer.model");
  const Tokenizer tokenizer = TokenizerIn(folder.path());
  int count = 0;
  const Json recorded = ReadTestJson(*data / "cases/tokenizers/sentencepiece" / cases);
  for (const Json& one : recorded["cases"]) {
    const std::string text = one["text"];
    INFO(text);
    const TokenIds ids = one["ids"];
    CHECK(Ids(tokenizer, text, {}) == ids);
    CHECK(Text(tokenizer, ids, false) == one["decoded"].get<std::string>());
    ++count;
  }
  CHECK(count == 129);
}

}  // namespace

TEST_CASE("an English SentencePiece Unigram model") {
  CheckModel("sentencepiece-unigram-1k/tokenizer.model", "unigram-1k.json");
}

TEST_CASE("a Japanese SentencePiece Unigram model") {
  CheckModel("sentencepiece-unigram-1k/ja.model", "unigram-ja.json");
}

TEST_CASE("SentencePiece BPE models with byte pieces") {
  CheckModel("mistral-v1/tokenizer.model", "mistral-v1.json");
  CheckModel("mistral-v3/tokenizer.model", "mistral-v3.json");
}

}  // namespace qeff
