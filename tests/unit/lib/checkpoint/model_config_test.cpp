// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/model_config.h"

#include <catch2/catch.hpp>
#include <iostream>

#include "lib/checkpoint/rope.h"
#include "tests/unit/lib/checkpoint/test_files.h"

namespace qeff::checkpoint {
namespace {

namespace fs = std::filesystem;

ConfigReader Parsed(const std::string& text) {
  Result<ConfigReader> reader = ConfigReader::Parse(text, "config.json");
  if (!reader.ok()) FAIL(reader.diagnostic().ToString());
  return std::move(*reader);
}

template <typename T>
std::string ErrorText(const Result<T>& result) {
  REQUIRE_FALSE(result.ok());
  return result.diagnostic().ToString();
}

TEST_CASE("values are read with their types") {
  const ConfigReader config = Parsed(R"({"i": 7, "f": 1e-6, "whole": 1e6, "b": true, "s": "silu",
      "list": [1, 2], "mixed": [1, 2.5], "flags": [true, false], "names": ["a", "b"], "null": null})");
  REQUIRE(*config.Int("i") == 7);
  REQUIRE(*config.Int("whole") == 1000000);
  REQUIRE(*config.Float("i") == 7.0);
  REQUIRE(*config.Float("f") == 1e-6);
  REQUIRE(*config.Bool("b"));
  REQUIRE(*config.String("s") == "silu");
  REQUIRE(*config.Ints("list") == std::vector<int64_t>{1, 2});
  REQUIRE(*config.Ints("i") == std::vector<int64_t>{7});
  REQUIRE(config.Ints("absent")->empty());
  REQUIRE(*config.Floats("mixed") == std::vector<double>{1, 2.5});
  REQUIRE(*config.Bools("flags") == std::vector<bool>{true, false});
  REQUIRE(*config.Strings("names") == std::vector<std::string>{"a", "b"});
  REQUIRE_FALSE(config.Has("null"));
  REQUIRE(config.Contains("null"));
  REQUIRE_FALSE(config.Contains("absent"));
  REQUIRE(*config.IntOr("null", 3) == 3);
  REQUIRE(*config.FloatOr("absent", 0.5) == 0.5);
  REQUIRE(*config.BoolOr("absent", true));
  REQUIRE(*config.StringOr("s", "gelu") == "silu");
  REQUIRE(*config.OptionalInt("i") == 7);
  REQUIRE_FALSE(config.OptionalBool("null")->has_value());
}

TEST_CASE("bad_config values name the file, the key's path, what was expected and what is there") {
  const ConfigReader config =
      Parsed(R"({"s": "x", "neg": -1, "big": 18446744073709551615, "half": 0.5,
      "o": {"p": {"q": []}}, "list": [1, "2"], "null": null, "long": ")" +
             std::string(100, 'x') + "\"}");
  REQUIRE(ErrorText(config.Int("none")) == "config.json: error: key 'none' is missing");
  REQUIRE(ErrorText(config.Float("null")) == "config.json: error: key 'null' is missing");
  REQUIRE(ErrorText(config.Int("s")) ==
          "config.json: error: key 's': expected an integer, got \"x\"");
  REQUIRE(ErrorText(config.Int("half")) ==
          "config.json: error: key 'half': expected an integer, got 0.5");
  REQUIRE(ErrorText(config.Int("big")) ==
          "config.json: error: key 'big': expected an integer, got 18446744073709551615");
  REQUIRE(ErrorText(config.Int("neg", kNotNegative)) ==
          "config.json: error: key 'neg': expected 0 to 2147483648, got -1");
  REQUIRE(ErrorText(config.IntOr("neg", 0, {.minimum = 1})) ==
          "config.json: error: key 'neg': expected at least 1, got -1");
  REQUIRE(ErrorText(config.Float("neg", kPositiveFloat)) ==
          "config.json: error: key 'neg': expected more than 0, got -1");
  REQUIRE(ErrorText(config.Bool("s")) ==
          "config.json: error: key 's': expected true or false, got \"x\"");
  REQUIRE(ErrorText(config.String("o")) ==
          "config.json: error: key 'o': expected a string, got an object");
  REQUIRE(ErrorText(config.Float("long")) ==
          "config.json: error: key 'long': expected a number, got a long string");
  REQUIRE(ErrorText(config.Ints("list")) ==
          "config.json: error: key 'list[1]': expected an integer, got \"2\"");
  REQUIRE(ErrorText(config.Section("s")) ==
          "config.json: error: key 's': expected an object, got \"x\"");
  Result<ConfigReader> p = config.Section("o")->Section("p");
  REQUIRE(ErrorText(p->Int("q")) ==
          "config.json: error: key 'o.p.q': expected an integer, got a list");
  REQUIRE(p->ErrorAt(ErrorCode::kUnsupported, "q", "why", {"do that"}).diagnostic().ToString() ==
          "config.json: error: key 'o.p.q': why\nnote: do that");
}

TEST_CASE("bad_config files") {
  REQUIRE(ErrorText(ConfigReader::Parse("[1]", "config.json")) ==
          "config.json: error: expected a JSON object, got a list");
  REQUIRE(ErrorText(ConfigReader::Parse("{\n \"a\": }", "config.json"))
              .starts_with("config.json:2:7: error: "));
  REQUIRE(ErrorText(ConfigReader::Parse(R"({"a": 1, "a": 2})", "config.json"))
              .find("'a' appears twice") != std::string::npos);
  Result<ConfigReader> missing = ConfigReader::Read("no-such/config.json");
  REQUIRE(missing.diagnostic().code == ErrorCode::kIo);
}

TEST_CASE("keys that nobody reads are reported once, harmless ones are not") {
  const ConfigReader config = Parsed(
      R"({"architectures": ["A"], "model_type": "a", "hidden_size": 4, "mystery": 1, "use_mrope": false, "is_encoder_decoder": true,
      "attention_dropout": 0.1, "summary_first_dropout": 0.1, "resid_pdrop": 0.0, "torch_dtype": "float32",
      "unknown_null": null, "vision_config": {"deep": 1},
      "text_config": {"layers": 2, "rope_scaling": {"rope_type": "x", "strange": 1}, "use_cache": true}})");
  Result<ConfigReader> text = config.TextConfig();
  REQUIRE(text.ok());
  REQUIRE(*text->Int("layers") == 2);
  REQUIRE(*config.Int("hidden_size") == 4);
  REQUIRE(text->Section("rope_scaling")->String("rope_type").ok());
  REQUIRE(config.UnreadKeys() == std::vector<std::string>{"mystery", "is_encoder_decoder",
                                                          "vision_config",
                                                          "text_config.rope_scaling.strange"});
  Diagnostics findings;
  text->ReportUnread(findings);
  REQUIRE(findings.findings().size() == 1);
  REQUIRE(findings.findings()[0].message ==
          "keys nobody reads: 'mystery', 'is_encoder_decoder', 'vision_config', "
          "'text_config.rope_scaling.strange'");
  config.MarkRead("mystery");
  config.MarkRead("is_encoder_decoder");
  config.MarkRead("vision_config");
  text->Section("rope_scaling")->MarkRead("strange");
  Diagnostics none;
  config.ReportUnread(none);
  REQUIRE(none.findings().empty());
}

TEST_CASE("a config without text_config is its own text config") {
  REQUIRE(*Parsed(R"({"layers": 3})").TextConfig()->Int("layers") == 3);
}

TEST_CASE("dtype is read from both spellings") {
  REQUIRE(**ReadDType(Parsed(R"({"torch_dtype": "bfloat16"})")) == DType::kBf16);
  REQUIRE(**ReadDType(Parsed(R"({"dtype": "torch.float16"})")) == DType::kF16);
  REQUIRE(**ReadDType(Parsed(R"({"torch_dtype": "float16", "dtype": "float32"})")) == DType::kF32);
  REQUIRE_FALSE(ReadDType(Parsed("{}"))->has_value());
  REQUIRE_FALSE(ReadDType(Parsed(R"({"dtype": null})"))->has_value());
  REQUIRE(ErrorText(ReadDType(Parsed(R"({"dtype": "int9"})"))) ==
          "config.json: error: key 'dtype': expected float32, bfloat16, float16 or float64, got "
          "'int9'");
}

TEST_CASE("real configs of the shared data parse, and the plain families' keys are known") {
  const fs::path shared = SharedFolder();
  if (shared.empty()) {
    std::cout << "SKIPPED: no folder ../shared\n";
    return;
  }
  int count = 0;
  for (const auto& entry : fs::directory_iterator(shared / "data/configs")) {
    const fs::path path = entry.path() / "config.json";
    if (!fs::exists(path)) continue;
    CAPTURE(path.string());
    Result<ConfigReader> config = ConfigReader::Read(path);
    // Python writes the infinity in this family's time_step_limit in a way that is not JSON.
    if (entry.path().filename().string().starts_with("Nemotron-H")) {
      REQUIRE(ErrorText(config).find("not valid JSON") != std::string::npos);
      continue;
    }
    if (!config.ok()) FAIL(config.diagnostic().ToString());
    REQUIRE(ReadDType(*config).ok());
    ++count;
    const std::string model_type = *config->StringOr("model_type", "");
    if (model_type != "llama" && model_type != "mistral" && model_type != "qwen2" &&
        model_type != "qwen3") {
      continue;
    }
    Result<RopeConfig> rope = ReadRope(*config);
    if (!rope.ok()) FAIL(rope.diagnostic().ToString());
    for (const char* key :
         {"attention_bias", "head_dim", "hidden_act", "hidden_size", "intermediate_size",
          "layer_types", "max_position_embeddings", "max_window_layers", "mlp_bias",
          "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "quantization_config",
          "rms_norm_eps", "sliding_window", "tie_word_embeddings", "use_sliding_window",
          "vocab_size"}) {
      config->MarkRead(key);
    }
    std::string unread;
    for (const std::string& key : config->UnreadKeys()) unread += key + " ";
    CAPTURE(unread);
    REQUIRE(unread.empty());
  }
  REQUIRE(count > 40);
}

}  // namespace
}  // namespace qeff::checkpoint
