// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole tokenizers against ids that other implementations have recorded.
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/unit/lib/tokenizer/tokenizer_testing.h"

namespace qeff {
namespace {

struct Vector {
  std::string text;
  TokenIds ids;
};

std::string ReadText(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// Texts between separator lines in FILE.inp, a line of ids for each in FILE.out.
std::vector<Vector> ReadLlamaCppVectors(const std::filesystem::path& path) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<Vector> vectors;
  std::string texts = ReadText(path.string() + ".inp");
  std::istringstream lines(ReadText(path.string() + ".out"));
  for (std::string line; std::getline(lines, line);) {
    const size_t end = std::min(texts.find(separator), texts.size());
    std::istringstream numbers(line);
    Vector vector{.text = texts.substr(0, end)};
    for (int64_t id; numbers >> id;) vector.ids.push_back(id);
    vectors.push_back(std::move(vector));
    texts.erase(0, end + separator.size());
  }
  return vectors;
}

/// `key` names the tokenizer in files that hold several.
std::vector<Vector> ReadVectors(const std::filesystem::path& data, const std::string& name,
                                const std::string& key) {
  if (name.ends_with(".gguf")) return ReadLlamaCppVectors(data / name);
  std::vector<Vector> vectors;
  const Json file = ReadTestJson(data / name);
  if (name.find("multilingual") != std::string::npos) {
    std::map<std::string, std::string> texts;
    const Json inputs = ReadTestJson(data / "cases/tokenizers/multilingual/inputs.json");
    for (const Json& input : inputs) {
      texts[input["id"]] = input["text"];
    }
    for (const Json& entry : file["entries"]) {
      vectors.push_back({texts.at(entry["id"]), entry["input_ids"]});
    }
  } else if (name.find("sentencepiece") != std::string::npos) {
    for (const Json& one : file["cases"]) vectors.push_back({one["text"], one["ids"]});
  } else if (name.find("swift") != std::string::npos) {
    for (const Json& one : file[key]) {
      vectors.push_back({one["input"], one["encoded"]["input_ids"]});
    }
  } else {
    for (const Json& one : file[key]) {
      if (one.contains("text_pair") && !one["text_pair"].is_null()) continue;
      vectors.push_back({one["text"], one["ids"]});
    }
  }
  return vectors;
}

/// Vectors that say something else than the tokenizer's file does, with the reason.
const std::set<std::pair<std::string, std::string>> kOtherTruth = {
    // The recorded tokenizer has tokens of its own for an ellipsis with no-break spaces.
    {"restricted/llama-2", "you\u2026\u00a0\u00a0"},
    {"restricted/llama-2", "you\u2026\u00a0\u00a0you\u2026\u00a0\u00a0"},
};

}  // namespace

TEST_CASE("recorded vectors of real tokenizers") {
  const auto data = SharedData();
  if (!data.has_value()) return;
  int count = 0;
  const Json pairs = ReadTestJson(*data / "cases/tokenizers/pairs.json");
  for (const Json& pair : pairs["pairs"]) {
    const std::string folder = pair["tokenizer"];
    const std::string name = pair["vectors"];
    // Made with another prompt prefix than the file's; whisper-large-v3 covers the same code.
    if (folder == "tokenizers/whisper-tiny") continue;
    const Tokenizer tokenizer = TokenizerIn(*data / folder);
    // SentencePiece and llama.cpp take special tokens in a text as text.
    const bool parse_special = name.find("sentencepiece") == std::string::npos;
    const EncodeOptions options{.add_special_tokens = pair["add_special_tokens"],
                                .parse_special = parse_special};
    INFO(folder << " " << name);
    for (const Vector& vector :
         ReadVectors(*data, name, pair["key"].is_null() ? "" : pair["key"].get<std::string>())) {
      if (kOtherTruth.contains({folder, vector.text})) continue;
      INFO(vector.text);
      REQUIRE(Ids(tokenizer, vector.text, options) == WithoutDoubledStart(tokenizer, vector.ids));
      ++count;
    }
  }
  CHECK(count > 1000);
}

TEST_CASE("recorded cases of the small trained models") {
  const auto data = SharedData();
  if (!data.has_value()) return;
  for (const char* name : {"stories260k", "tinystories-656k"}) {
    const std::filesystem::path folder = *data / "models" / name;
    const Tokenizer tokenizer = TokenizerIn(folder);
    const Json reference = ReadTestJson(folder / "reference.json");
    INFO(name);
    for (const Json& one : reference["tokenizer_cases"]) {
      CHECK(Ids(tokenizer, one["text"].get<std::string>(), {}) == one["ids"].get<TokenIds>());
    }
    TokenIds ids = reference["prompt_ids"];
    CHECK(Ids(tokenizer, reference["prompt"].get<std::string>(), {}) == ids);
    const TokenIds generated = reference["ids"];
    ids.insert(ids.end(), generated.begin(), generated.end());
    CHECK(Text(tokenizer, ids, true).starts_with(reference["text"].get<std::string>()));
  }
}

TEST_CASE("the demo model's tokenizer") {
  for (const char* name : {"demo-model", "demo-draft"}) {
    const std::filesystem::path folder = std::filesystem::path("configs") / name;
    const Tokenizer tokenizer = TokenizerIn(folder);
    const Json reference = ReadTestJson(folder / "reference.json");
    for (const Json& one : reference["tokenizer_cases"]) {
      const std::string text = one["text"];
      const bool parse_special = one["parse_special"];
      INFO(name << ": " << one.dump());
      const TokenIds ids = one["ids"];
      CHECK(Ids(tokenizer, text, {.add_special_tokens = false, .parse_special = parse_special}) ==
            ids);
      TokenIds with_start = one["ids_with_bos"];
      if (parse_special) with_start = WithoutDoubledStart(tokenizer, with_start);
      CHECK(Ids(tokenizer, text, {.parse_special = parse_special}) == with_start);
      CHECK(Text(tokenizer, ids, false) == one["decoded"].get<std::string>());
      CHECK(Text(tokenizer, ids, true) == one["decoded_skip_special"].get<std::string>());
    }
    for (const Json& prompt : reference["prompts"]) {
      CHECK(Text(tokenizer, prompt["greedy_ids"].get<TokenIds>(), false) ==
            prompt["greedy_text"].get<std::string>());
    }
    CHECK(tokenizer.eos_id() == reference["eos_token_id"].get<int64_t>());
    CHECK(tokenizer.bos_id() == 0);
  }
}

}  // namespace qeff
