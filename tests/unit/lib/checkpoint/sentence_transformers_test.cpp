// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/sentence_transformers.h"

#include <catch2/catch.hpp>

#include "tests/unit/lib/checkpoint/test_files.h"

namespace qeff::checkpoint {
namespace {

std::string ModulesJson(const std::vector<std::pair<std::string, std::string>>& modules) {
  std::string text = "[";
  for (const auto& [type, path] : modules) {
    text += fmt::format(R"({}{{"idx": 0, "name": "0", "path": "{}", "type": "{}"}})",
                        text.size() > 1 ? "," : "", path, type);
  }
  return text + "]";
}

const std::string kOld = "sentence_transformers.models.";

/// A Transformer and Pooling with `config`.
void WritePooling(const TemporaryFolder& folder, const std::string& config) {
  WriteText(folder / "modules.json",
            ModulesJson({{kOld + "Transformer", ""}, {kOld + "Pooling", "1_Pooling"}}));
  WriteText(folder / "1_Pooling/config.json", config);
}

std::vector<std::string> Modes(const std::string& config) {
  const TemporaryFolder folder;
  WritePooling(folder, config);
  const auto modules = ReadSentenceModules(folder.path());
  if (!modules.ok()) FAIL(modules.diagnostic().ToString());
  return (*modules)->pooling->modes;
}

std::string ModulesError(const TemporaryFolder& folder) {
  const auto modules = ReadSentenceModules(folder.path());
  REQUIRE_FALSE(modules.ok());
  return modules.diagnostic().message;
}

TEST_CASE("a folder without modules.json has no modules") {
  const TemporaryFolder folder;
  REQUIRE_FALSE(ReadSentenceModules(folder.path())->has_value());
  REQUIRE(SentenceFiles(folder.path()).empty());
}

TEST_CASE("pooling modes are read in both spellings, in the order of their vectors") {
  using List = std::vector<std::string>;
  REQUIRE(Modes(R"({"pooling_mode_cls_token": true})") == List{"cls"});
  REQUIRE(Modes(R"({"pooling_mode_lasttoken": true, "pooling_mode_weightedmean_tokens": true,
                    "pooling_mode_mean_sqrt_len_tokens": true, "pooling_mode_mean_tokens": true,
                    "pooling_mode_max_tokens": true, "pooling_mode_cls_token": true})") ==
          List{"cls", "max", "mean", "mean_sqrt_len", "weightedmean", "last"});
  REQUIRE(Modes(R"({"pooling_mode_mean_tokens": false})") == List{"mean"});
  REQUIRE(Modes(R"({"pooling_mode": "lasttoken"})") == List{"last"});
  REQUIRE(Modes(R"({"pooling_mode": ["max", "cls"]})") == List{"max", "cls"});
  // The newer key wins.
  REQUIRE(Modes(R"({"pooling_mode": "cls", "pooling_mode_mean_tokens": true})") == List{"cls"});
}

TEST_CASE("dense and normalize modules follow pooling") {
  const TemporaryFolder folder;
  WriteText(folder / "modules.json",
            ModulesJson({{"sentence_transformers.base.modules.transformer.Transformer", ""},
                         {kOld + "Pooling", "1_Pooling/"},
                         {kOld + "Dropout", "2_Dropout"},
                         {kOld + "Dense", "3_Dense"},
                         {kOld + "Normalize", "4_Normalize"}}));
  WriteText(folder / "1_Pooling/config.json",
            R"({"word_embedding_dimension": 8, "include_prompt": false})");
  WriteText(folder / "3_Dense/config.json",
            R"({"in_features": 8, "out_features": 4, "bias": false,
                "activation_function": "torch.nn.modules.linear.Identity"})");
  const auto modules = ReadSentenceModules(folder.path());
  REQUIRE(modules.ok());
  REQUIRE_FALSE((*modules)->pooling->includes_prompt);
  REQUIRE((*modules)->head.size() == 2);
  const auto& dense = std::get<DenseModule>((*modules)->head[0]);
  REQUIRE(dense.folder == "3_Dense");
  REQUIRE(dense.out_features == 4);
  REQUIRE_FALSE(dense.has_bias);
  REQUIRE(dense.activation == "linear");
  REQUIRE(std::holds_alternative<NormalizeModule>((*modules)->head[1]));
  REQUIRE(SentenceFiles(folder.path()) ==
          std::vector<std::string>{"1_Pooling/config.json", "3_Dense/config.json", "modules.json"});
}

TEST_CASE("module folders have the names that modules.json says") {
  const TemporaryFolder folder;
  WriteText(folder / "modules.json", ModulesJson({{kOld + "Transformer", ""},
                                                  {kOld + "Pooling", "pooling"},
                                                  {kOld + "Dense", "10_dense.v2"}}));
  WriteText(folder / "pooling/config.json", R"({"word_embedding_dimension": 8})");
  WriteText(folder / "10_dense.v2/config.json", R"({"in_features": 8, "out_features": 4})");
  WriteText(folder / "1_Pooling/config.json", "{}");  // nobody lists it
  const auto modules = ReadSentenceModules(folder.path());
  REQUIRE(modules.ok());
  REQUIRE(std::get<DenseModule>((*modules)->head[0]).folder == "10_dense.v2");
  REQUIRE(SentenceFiles(folder.path()) == std::vector<std::string>{"10_dense.v2/config.json",
                                                                   "modules.json",
                                                                   "pooling/config.json"});
}

TEST_CASE("bad modules.json") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& text) {
    WriteText(folder / "modules.json", text);
    return ModulesError(folder);
  };
  const std::string transformer = kOld + "Transformer";
  REQUIRE(error("{}") == "expected a list of modules");
  REQUIRE(error("[]") == "the list of modules is empty");
  REQUIRE(error("[{}]") == "module 0: expected strings 'type' and 'path'");
  REQUIRE(error(ModulesJson({{kOld + "Pooling", "1_Pooling"}})) ==
          "expected the first module to be a Transformer, got 'Pooling'");
  REQUIRE(error(ModulesJson({{transformer, "0_Transformer"}})) ==
          "the Transformer lies in '0_Transformer'");
  REQUIRE(error(ModulesJson({{"custom_st.Transformer", ""}})) ==
          "module 0: 'custom_st.Transformer' is code of the checkpoint, which is never run");
  REQUIRE(error(ModulesJson({{transformer, ""}, {kOld + "LSTM", "1_LSTM"}})) ==
          "module 1: kind 'LSTM' is not supported");
  REQUIRE(error(ModulesJson({{transformer, ""}, {kOld + "Normalize", ""}})) ==
          "module 1: expected Pooling before Normalize");
  REQUIRE(error(ModulesJson({{transformer, ""}, {kOld + "Pooling", "../1_Pooling"}})) ==
          "module 1: expected the name of a folder of the model, got '../1_Pooling'");
  WriteText(folder / "1_Pooling/config.json", "{}");
  REQUIRE(
      error(ModulesJson(
          {{transformer, ""}, {kOld + "Pooling", "1_Pooling"}, {kOld + "Pooling", "1_Pooling"}})) ==
      "module 2: Pooling must come once, right after the Transformer");
}

TEST_CASE("bad module configs") {
  const TemporaryFolder folder;
  WritePooling(folder, R"({"pooling_mode_median_tokens": true})");
  REQUIRE(ModulesError(folder) == "key 'pooling_mode_median_tokens': unknown pooling mode");
  WritePooling(folder, R"({"pooling_mode": "median"})");
  REQUIRE(ModulesError(folder) == "key 'pooling_mode': unknown pooling mode 'median'");
  std::filesystem::remove(folder / "1_Pooling/config.json");
  REQUIRE(ReadSentenceModules(folder.path()).diagnostic().code == ErrorCode::kIo);

  WriteText(folder / "modules.json", ModulesJson({{kOld + "Transformer", ""},
                                                  {kOld + "Pooling", "1_Pooling"},
                                                  {kOld + "Dense", "2_Dense"}}));
  WriteText(folder / "1_Pooling/config.json", R"({"word_embedding_dimension": 8})");
  const auto dense = [&](const std::string& rest) {
    WriteText(folder / "2_Dense/config.json",
              fmt::format(R"({{"in_features": 6, "out_features": 4{}}})", rest));
    return ModulesError(folder);
  };
  REQUIRE(dense("") == "module '2_Dense' takes 6 elements, but the one before it gives 8");
  REQUIRE(dense(R"(, "activation_function": "my_code.Swish")") ==
          "key 'activation_function': unknown activation 'my_code.Swish'");
  REQUIRE(dense(R"(, "use_residual": true)") == "key 'use_residual': not supported");
  REQUIRE(dense(R"(, "module_input_name": "token_embeddings")") ==
          "key 'module_input_name': expected 'sentence_embedding', got 'token_embeddings'");
}

TEST_CASE("what is done with texts") {
  const TemporaryFolder folder;
  REQUIRE(ReadSentenceTexts(folder.path())->similarity == "cosine");
  WriteText(folder / "sentence_bert_config.json",
            R"({"max_seq_length": 256, "do_lower_case": true})");
  WriteText(folder / "config_sentence_transformers.json",
            R"({"prompts": {"query": "query: ", "document": null, "empty": ""},
                "default_prompt_name": "query", "similarity_fn_name": "dot"})");
  const auto texts = ReadSentenceTexts(folder.path());
  REQUIRE(texts.ok());
  REQUIRE(texts->max_tokens == 256);
  REQUIRE(texts->lowercases);
  REQUIRE(texts->similarity == "dot");
  REQUIRE(*texts->Prompt("") == "query: ");
  REQUIRE(texts->Prompt("empty")->empty());
  REQUIRE(texts->Prompt("passage").diagnostic().notes ==
          std::vector<std::string>{"it has: query, empty"});
}

TEST_CASE("bad text settings") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& text) {
    WriteText(folder / "config_sentence_transformers.json", text);
    const auto texts = ReadSentenceTexts(folder.path());
    REQUIRE_FALSE(texts.ok());
    return texts.diagnostic().message;
  };
  REQUIRE(error(R"({"default_prompt_name": "query"})") ==
          "key 'default_prompt_name': 'prompts' has no 'query'");
  REQUIRE(error(R"({"similarity_fn_name": "jaccard"})") ==
          "key 'similarity_fn_name': expected cosine, dot, euclidean, manhattan, got 'jaccard'");
  REQUIRE_THAT(error(R"({"prompts": {"query": 7}})"), Catch::Contains("prompts.query"));
  WriteText(folder / "config_sentence_transformers.json", "{}");
  WriteText(folder / "sentence_bert_config.json", R"({"max_seq_length": 0})");
  REQUIRE_THAT(ReadSentenceTexts(folder.path()).diagnostic().message,
               Catch::Contains("max_seq_length"));
}

}  // namespace
}  // namespace qeff::checkpoint
