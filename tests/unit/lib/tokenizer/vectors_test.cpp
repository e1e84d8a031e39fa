// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Whole tokenizers against ids that other implementations have recorded.
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <sstream>

#include "tests/unit/lib/tokenizer/tokenizer_testing.h"

namespace qeff {
namespace {

struct Vector {
  std::string text;
  std::optional<std::string> second_text;
  TokenIds ids;
  std::optional<std::string> decoded;  ///< with special tokens
  std::optional<std::string> decoded_without_special;
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

/// Blocks "EncodingName: `key`", "Sample: ...", "Encoded: [...]".
std::vector<Vector> ReadTiktokenVectors(const std::filesystem::path& path, const std::string& key) {
  const std::string content = ReadText(path);
  const std::string start = "EncodingName: " + key + "\nSample: ";
  const std::string middle = "\nEncoded: ";
  std::vector<Vector> vectors;
  for (size_t at = 0; (at = content.find(start, at)) != std::string::npos;) {
    at += start.size();
    const size_t end = content.find(middle, at);
    const size_t ids = end + middle.size();
    vectors.push_back({.text = content.substr(at, end - at),
                       .ids = Json::parse(content.substr(ids, content.find(']', ids) + 1 - ids))});
    at = ids;
  }
  return vectors;
}

/// `key` names the tokenizer in files that hold several.
std::vector<Vector> ReadVectors(const std::filesystem::path& data, const std::string& name,
                                const std::string& key) {
  if (name.ends_with(".gguf")) return ReadLlamaCppVectors(data / name);
  if (name.ends_with("TestPlans.txt")) return ReadTiktokenVectors(data / name, key);
  std::vector<Vector> vectors;
  const Json file = ReadTestJson(data / name);
  if (name.find("multilingual") != std::string::npos) {
    std::map<std::string, std::string> texts;
    const Json inputs = ReadTestJson(data / "cases/tokenizers/multilingual/inputs.json");
    for (const Json& input : inputs) {
      texts[input["id"]] = input["text"];
    }
    for (const Json& entry : file["entries"]) {
      vectors.push_back(
          {.text = texts.at(entry["id"]),
           .ids = entry["input_ids"],
           .decoded = entry["decoded_with_special"].get<std::string>(),
           .decoded_without_special = entry["decoded_skip_special"].get<std::string>()});
    }
  } else if (name.find("sentencepiece") != std::string::npos) {
    for (const Json& one : file["cases"]) {
      vectors.push_back(
          {.text = one["text"], .ids = one["ids"], .decoded = one["decoded"].get<std::string>()});
    }
  } else if (name.ends_with("tokenizer_tests.json")) {
    for (const Json& one : file[key]) {
      vectors.push_back(
          {.text = one["input"],
           .ids = one["encoded"]["input_ids"],
           .decoded = one["decoded_with_special"].get<std::string>(),
           .decoded_without_special = one["decoded_without_special"].get<std::string>()});
    }
  } else if (name.find("swift") != std::string::npos) {
    vectors.push_back({.text = file["text"],
                       .ids = file["token_ids"],
                       .decoded = file["decoded_text"].get<std::string>()});
  } else {
    for (const Json& one : file[key]) {
      Vector vector{
          .text = one["text"], .ids = one["ids"], .decoded = one["decoded"].get<std::string>()};
      if (one.contains("text_pair") && !one["text_pair"].is_null()) {
        vector.second_text = one["text_pair"].get<std::string>();
      }
      vectors.push_back(std::move(vector));
    }
  }
  return vectors;
}

constexpr const char* kWhisperVectors = "cases/tokenizers/transformers.js/whisper.json";

/// Vectors that say something else than the tokenizer's files do, with the reason.
struct OtherTruth {
  std::string folder;
  std::string vectors;  ///< empty: all
  std::string text;
  bool only_decoded;
};
const OtherTruth kOtherTruth[] = {
    // This tokenizer.json has lost the tokens with no-break spaces, which tokenizer.model has.
    {"restricted/llama-2", "", "you\u2026\u00a0\u00a0", false},
    {"restricted/llama-2", "", "you\u2026\u00a0\u00a0you\u2026\u00a0\u00a0", false},
    // Recorded by versions that clean up decoded texts unless told not to; the multilingual vectors
    // of the same tokenizer are by one that does not.
    {"tokenizers/gpt2", "", "A\n'll !!to?'d''d of, can't.", true},
    // Blanks in front of words are tokens of their own here, which the file's merges do not give.
    {"tokenizers/whisper-tiny", kWhisperVectors, "You should've done this", false},
    {"tokenizers/whisper-tiny", kWhisperVectors,
     "test $1 R2 #3 \u20ac4 \u00a35 \u00a56 \u20a37 \u20b98 \u20b19 test", false},
    {"tokenizers/whisper-tiny", kWhisperVectors, "I bought an apple for $1.00 at the store.",
     false},
};

/// What vectors are for which tokenizer: those of pairs.json, and others that hold what the files
/// of these folders say.
Json AllPairs(const std::filesystem::path& data) {
  Json pairs = ReadTestJson(data / "cases/tokenizers/pairs.json")["pairs"];
  const auto add = [&pairs](const char* folder, const char* vectors, const char* key) {
    pairs.push_back({{"tokenizer", folder},
                     {"vectors", std::string("cases/tokenizers/") + vectors},
                     {"key", key},
                     {"add_special_tokens", true}});
  };
  const char* swift = "swift-transformers/tokenizer_tests.json";
  add("tokenizers/gpt2", swift, "distilgpt2");
  add("restricted/llama-2", swift, "coreml-projects/Llama-2-7b-chat-coreml");
  add("tokenizers/bert-base-uncased", swift, "google-bert/bert-base-uncased");
  add("tokenizers/whisper-tiny", swift, "openai/whisper-large-v2");
  add("tokenizers/gpt2", "swift-transformers/gpt2_encoded_tokens.json", "");
  add("restricted/llama-2", "swift-transformers/llama_encoded.json", "");
  add("restricted/llama-3", "swift-transformers/llama_3.2_encoded.json", "");
  add("tokenizers/bert-base-uncased", "swift-transformers/bert_uncased_encoded.json", "");
  add("tokenizers/whisper-tiny", "swift-transformers/whisper_large_v2_encoded.json", "");
  add("tokenizers/gpt2", "tiktoken/TestPlans.txt", "r50k_base");
  add("tokenizers/gpt-oss", "tiktoken/TestPlans.txt", "o200k_base");
  add("tokenizers/cl100k", "tiktoken/TestPlans.txt", "cl100k_base");
  add("tokenizers/cl100k", "transformers.js/gpt2.json", "Xenova/gpt-4");
  add("tokenizers/sentencepiece-unigram-1k", "sentencepiece/unigram-1k.json", "");
  return pairs;
}

/// Checks the vectors of a pair with the files of `folder`; returns how many there were.
int CheckVectors(const std::filesystem::path& data, const Json& pair,
                 const std::filesystem::path& folder, bool has_tokenizer_json) {
  const std::string tokenizer_name = pair["tokenizer"];
  const std::string name = pair["vectors"];
  const Tokenizer tokenizer = TokenizerIn(folder);
  // SentencePiece and llama.cpp take special tokens in a text as text.
  const EncodeOptions options{.add_special_tokens = pair["add_special_tokens"],
                              .parse_special = name.find("sentencepiece/") == std::string::npos};
  // These have the language and the task in front, which the file has not.
  const bool has_other_prefix =
      tokenizer_name == "tokenizers/whisper-tiny" && name == kWhisperVectors;
  int count = 0;
  for (const Vector& vector :
       ReadVectors(data, name, pair["key"].is_null() ? "" : pair["key"].get<std::string>())) {
    const auto other = std::ranges::find_if(kOtherTruth, [&](const OtherTruth& one) {
      return (has_tokenizer_json || one.only_decoded) && one.folder == tokenizer_name &&
             one.text == vector.text && (one.vectors.empty() || one.vectors == name);
    });
    const bool is_other = other != std::end(kOtherTruth);
    if (is_other && !other->only_decoded) continue;
    INFO(folder << " " << name << ": " << vector.text);
    const TextPair text{.first = vector.text, .second = vector.second_text};
    const auto batch = tokenizer.EncodeBatch(std::span(&text, 1), {.encode = options});
    REQUIRE(batch.ok());
    TokenIds ids = batch->front().ids;
    TokenIds expected = WithoutDoubledStart(tokenizer, vector.ids);
    if (has_other_prefix) {
      ids.erase(ids.begin(), ids.begin() + 2);
      expected.erase(expected.begin(), expected.begin() + 4);
    }
    REQUIRE(ids == expected);
    ++count;
    if (is_other) continue;
    if (vector.decoded.has_value()) REQUIRE(Text(tokenizer, vector.ids, false) == *vector.decoded);
    if (vector.decoded_without_special.has_value()) {
      REQUIRE(Text(tokenizer, vector.ids, true) == *vector.decoded_without_special);
    }
  }
  return count;
}

}  // namespace

TEST_CASE("recorded vectors of real tokenizers, encoded and decoded") {
  const auto data = SharedData();
  if (!data.has_value()) return;
  int count = 0;
  for (const Json& pair : AllPairs(*data)) {
    count += CheckVectors(*data, pair, *data / pair["tokenizer"].get<std::string>(), true);
  }
  CHECK(count > 1600);
}

TEST_CASE("recorded vectors of real tokenizers, from the files of before tokenizer.json") {
  const auto data = SharedData();
  if (!data.has_value()) return;
  int count = 0;
  for (const Json& pair : AllPairs(*data)) {
    const std::filesystem::path source = *data / pair["tokenizer"].get<std::string>();
    TestFolder folder;
    bool has_older = false;
    for (const auto& file : std::filesystem::directory_iterator(source)) {
      const std::string name = file.path().filename().string();
      if (name == "tokenizer.json") continue;
      std::filesystem::create_symlink(std::filesystem::absolute(file.path()), folder.path() / name);
      has_older = has_older || name == "vocab.json" || name == "vocab.txt" ||
                  name.ends_with(".model") || name.ends_with(".tiktoken");
    }
    if (has_older) count += CheckVectors(*data, pair, folder.path(), false);
  }
  CHECK(count > 1000);
}

TEST_CASE("a text in pieces is the text at once, for 100,000 random lists of ids") {
  std::vector<std::filesystem::path> folders = {"configs/demo-model"};
  if (const auto data = SharedData()) {
    for (const char* name : {"tokenizers/gpt2", "tokenizers/mistral-v1", "tokenizers/clip",
                             "tokenizers/bert-base-uncased", "restricted/llama-3",
                             "tokenizers/sentencepiece-unigram-1k"}) {
      folders.push_back(*data / name);
    }
  }
  std::mt19937 generator(11);
  for (const std::filesystem::path& folder : folders) {
    const Tokenizer tokenizer = TokenizerIn(folder);
    INFO(folder);
    for (size_t i = 0; i < 100'000 / folders.size(); ++i) {
      TokenIds ids(generator() % 16);
      for (int64_t& id : ids) {
        do id = static_cast<int64_t>(generator() % static_cast<uint32_t>(tokenizer.vocab_size()));
        while (!tokenizer.IdToToken(id).has_value());
      }
      Text(tokenizer, ids, i % 2 == 0);
    }
  }
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
