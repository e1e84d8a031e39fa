// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/generation_config.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace qeff {
namespace {

/// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "qeff-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder& Add(const std::string& name, std::string_view text) {
    std::ofstream(path_ / name) << text;
    return *this;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

GenerationConfig Load(std::string_view generation, std::string_view config) {
  Folder folder;
  if (!generation.empty()) folder.Add("generation_config.json", generation);
  if (!config.empty()) folder.Add("config.json", config);
  auto result = LoadGenerationConfig(folder.path(), nullptr);
  if (!result.ok()) FAIL(result.diagnostic().ToString());
  return std::move(result).value();
}

/// Returns the error without the folder's own path.
std::string Failure(std::string_view generation, std::string_view config) {
  Folder folder;
  folder.Add("generation_config.json", generation).Add("config.json", config);
  const auto result = LoadGenerationConfig(folder.path(), nullptr);
  if (result.ok()) return "no error";
  return result.diagnostic().ToString().substr(folder.path().string().size() + 1);
}

using Ids = std::vector<int64_t>;

}  // namespace

TEST_CASE("every declared EOS id counts") {
  CHECK(Load(R"({"eos_token_id": [9, 7, 9]})", R"({"eos_token_id": 8})").eos_ids == Ids{7, 8, 9});
  CHECK(Load(R"({"eos_token_id": 3})", "").eos_ids == Ids{3});
  CHECK(Load("", R"({"eos_token_id": null, "text_config": {"eos_token_id": [1, 106]}})").eos_ids ==
        Ids{1, 106});
  CHECK(Load("", "").eos_ids.empty());
}

TEST_CASE("the first source that has it gives bos and pad") {
  const GenerationConfig config =
      Load(R"({"bos_token_id": 1})", R"({"bos_token_id": 2, "pad_token_id": 0, "vocab_size": 5})");
  CHECK(config.bos_id == 1);
  CHECK(config.pad_id == 0);
  CHECK_FALSE(Load("", R"({"pad_token_id": -1, "vocab_size": 5})").pad_id.has_value());
}

TEST_CASE("prompts may hold ids that no text continues with") {
  CHECK(Load("", R"({"vocab_size": 5})").added_vocab_size == 0);
  CHECK(Load("", R"({"additional_vocab_size": 16})").added_vocab_size == 16);
  CHECK(Failure("{}", R"({"additional_vocab_size": -1})") ==
        "config.json: error: 'additional_vocab_size': expected a number of tokens, got -1");
}

TEST_CASE("sampling defaults come from generation_config.json") {
  const GenerationConfig config = Load(
      R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": null,
          "repetition_penalty": 1.05})",
      R"({"temperature": 3.0})");
  CHECK(config.do_sample == true);
  CHECK(config.sampling.temperature == 0.6);
  CHECK(config.sampling.top_k == 20);
  CHECK(config.sampling.top_p == 0.95);
  CHECK_FALSE(config.sampling.min_p.has_value());
  CHECK(config.sampling.repetition_penalty == 1.05);

  const ResolvedSampling resolved = ResolveSampling(config, {.seed = 4}).value();
  CHECK(resolved.options.sample);
  CHECK(resolved.options.temperature == 0.6);
  CHECK(resolved.options.top_k == 20);
  CHECK(resolved.options.seed == 4);
  CHECK(resolved.note ==
        "from generation_config.json: sampling, temperature 0.6, top-k 20, top-p 0.95, "
        "repetition-penalty 1.05");
}

TEST_CASE("what the user sets wins") {
  const GenerationConfig config = {.do_sample = true,
                                   .sampling = {.temperature = 0.6, .top_k = 20, .top_p = 0.9}};
  const ResolvedSampling resolved =
      ResolveSampling(config, {.settings = {.temperature = 1.5, .top_k = 0}}).value();
  CHECK(resolved.options.temperature == 1.5);
  CHECK(resolved.options.top_k == 0);
  CHECK(resolved.options.top_p == 0.9);
  CHECK(resolved.note == "from generation_config.json: top-p 0.9");
}

TEST_CASE("a temperature of 0 is greedy") {
  const GenerationConfig config = {.do_sample = true,
                                   .sampling = {.top_k = 20, .repetition_penalty = 1.2}};
  const ResolvedSampling resolved =
      ResolveSampling(config, {.settings = {.temperature = 0.0}}).value();
  CHECK_FALSE(resolved.options.sample);
  CHECK(resolved.options.repetition_penalty == 1.2);
  CHECK(resolved.note == "from generation_config.json: repetition-penalty 1.2");
}

TEST_CASE("without wishes and without do_sample it is greedy and silent") {
  const GenerationConfig config = {.sampling = {.temperature = 0.6, .top_p = 0.9}};
  const ResolvedSampling resolved = ResolveSampling(config, {}).value();
  CHECK_FALSE(resolved.options.sample);
  CHECK(resolved.note.empty());
}

TEST_CASE("a wish for sampling brings the default top-k of transformers") {
  const ResolvedSampling resolved = ResolveSampling({}, {.settings = {.temperature = 0.8}}).value();
  CHECK(resolved.options.sample);
  CHECK(resolved.options.top_k == 50);
  CHECK(resolved.note == "top-k 50 (default)");
}

TEST_CASE("bad_sampling_flag names the flag and its range") {
  const auto failure = [](const SamplingSettings& settings) {
    const auto result = ResolveSampling({}, {.settings = settings});
    REQUIRE_FALSE(result.ok());
    CHECK(result.diagnostic().code == ErrorCode::kUsage);
    return result.diagnostic().ToString();
  };
  CHECK(failure({.temperature = -1.0}) ==
        "--temperature: error: expected a number not below 0, got -1");
  CHECK(failure({.temperature = std::nan("")}) ==
        "--temperature: error: expected a number not below 0, got nan");
  CHECK(failure({.top_k = -5}) == "--top-k: error: expected a whole number not below 0, got -5");
  CHECK(failure({.top_p = 1.5}) == "--top-p: error: expected a number from 0 to 1, got 1.5");
  CHECK(failure({.min_p = -0.1}) == "--min-p: error: expected a number from 0 to 1, got -0.1");
  CHECK(failure({.repetition_penalty = 0.0}) ==
        "--repetition-penalty: error: expected a number above 0, got 0");
}

TEST_CASE("ids beyond the vocabulary are no ids of this model") {
  CHECK(Load(R"({"eos_token_id": [3, 100]})", R"({"vocab_size": 100})").eos_ids == Ids{3});
  CHECK_FALSE(Load("", R"({"text_config": {"vocab_size": 4, "pad_token_id": 4}})").pad_id);
}

TEST_CASE("bad_token_id names file and key") {
  CHECK(Failure(R"({"eos_token_id": [1, -2]})", R"({"vocab_size": 100})") ==
        "generation_config.json: error: 'eos_token_id': expected a token id not below 0, got -2");
  CHECK(Failure("{}", R"({"bos_token_id": "<s>"})") ==
        "config.json: error: 'bos_token_id': expected a token id not below 0, got \"<s>\"");
  CHECK(Failure(R"({"eos_token_id": 18446744073709551615})", "{}") ==
        "generation_config.json: error: 'eos_token_id': expected a token id not below 0, got "
        "18446744073709551615");
  CHECK(Failure(R"({"eos_token_id": 1.5})", "{}") ==
        "generation_config.json: error: 'eos_token_id': expected a token id not below 0, got 1.5");
  CHECK(Failure("{}", R"({"vocab_size": -4})") ==
        "config.json: error: 'vocab_size': expected a number of tokens, got -4");
}

TEST_CASE("bad_sampling_default names file and key") {
  CHECK(Failure(R"({"do_sample": 1})", "{}") ==
        "generation_config.json: error: 'do_sample': expected true or false, got 1");
  CHECK(Failure(R"({"temperature": -0.5})", "{}") ==
        "generation_config.json: error: 'temperature': expected a number not below 0, got -0.5");
  CHECK(Failure(R"({"top_k": 2.5})", "{}") ==
        "generation_config.json: error: 'top_k': expected a whole number not below 0, got 2.5");
  CHECK(Failure(R"({"top_p": "0.9"})", "{}") ==
        "generation_config.json: error: 'top_p': expected a number from 0 to 1, got \"0.9\"");
  CHECK(Failure(R"({"repetition_penalty": 0})", "{}") ==
        "generation_config.json: error: 'repetition_penalty': expected a number above 0, got 0");
}

TEST_CASE("bad_json in the folder is an error, not a missing file") {
  CHECK(Failure("[]", "{}") == "generation_config.json: error: expected an object, got array");
  CHECK(Failure("{", "{}").starts_with("generation_config.json:1:"));
}

}  // namespace qeff
