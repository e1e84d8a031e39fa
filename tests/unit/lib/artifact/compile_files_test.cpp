// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/compile_files.h"

#include <catch2/catch.hpp>
#include <iostream>

#include "lib/artifact/qconfig.h"
#include "tests/unit/lib/artifact/recorded.h"

namespace qeff::artifact {
namespace {

namespace fs = std::filesystem;

/// Returns the custom IO of a text model: keys before values, each input before its output.
std::vector<CustomIo> TextCustomIo(int layers, const std::string& precision,
                                   const std::string& suffix = "") {
  std::vector<CustomIo> entries;
  for (int layer = 0; layer < layers; ++layer) {
    for (const char* kind : {"past_key", "past_value"}) {
      const std::string name = fmt::format("{}.{}{}", kind, layer, suffix);
      entries.push_back({name, precision});
      entries.push_back({name + "_RetainedState", precision});
    }
  }
  return entries;
}

TEST_CASE("Python's JSON style is met byte for byte") {
  const Result<Json> value = ReadJsonFile(LocalData() / "python_style_input.json");
  REQUIRE(value.ok());
  CHECK(DumpPythonStyle(*value) == Recorded(LocalData() / "python_style_expected.json"));
}

TEST_CASE("custom_io.yaml is that of the original") {
  CHECK(*WriteCustomIo(TextCustomIo(2, "float16")) ==
        Recorded(LocalData() / "compile/llama_basic/custom_io.yaml"));
  CHECK(WriteCustomIo({})->empty());
}

TEST_CASE("bad_io_name: a name that YAML would read as something else") {
  for (const char* name :
       {"", "a\nb", "a: b", "- a", "a#b", "\"a\"", "a:", "{a}", "*a", "\xC3\xA9"}) {
    const Result<std::string> text = WriteCustomIo({{name, "float16"}});
    REQUIRE_FALSE(text.ok());
    CHECK(text.diagnostic().message ==
          fmt::format("expected a name of letters, digits and '_.:/-+$@', got '{}'", name));
  }
}

TEST_CASE("mdp_ts_4.json is that of the original") {
  CHECK(WriteTensorSlicing(4, 16) ==
        Recorded(LocalData() / "compile/llama_4_devices/mdp_ts_4.json"));
}

TEST_CASE("specializations of both dialects are read, and written as they were") {
  for (const char* name : {"llama_basic", "llama_ccl_lists", "llama_tlm_cb"}) {
    const fs::path path = LocalData() / "compile" / name / "specializations.json";
    const auto specializations = ReadSpecializations(path);
    REQUIRE(specializations.ok());
    CHECK(WriteSpecializations(*specializations) == Recorded(path));
  }
  const auto legacy =
      ReadSpecializations(LocalData() / "compile/cli_pass_through/specializations.json");
  REQUIRE(legacy.ok());
  REQUIRE(legacy->size() == 1);
  CHECK(legacy->at(0).graph_name == "Decode");
  CHECK(legacy->at(0).Find("ctx_len") == 128);
  CHECK_FALSE(legacy->at(0).Find("full_batch_size"));

  const auto flat = ParseSpecializations(
      R"({"specializations": [{"batch_size": "1", "seq_len": "128"}, {"batch_size": 1, "seq_len": 1},
          {"seq_len": "64"}, {"encoder_ctx_len": "1500"}, {"sequence_length": "8"}, {"x": "8"}, {}]})",
      "specializations.json");
  REQUIRE(flat.ok());
  std::vector<std::string> names;
  for (const Specialization& specialization : *flat) names.push_back(specialization.graph_name);
  CHECK(names == std::vector<std::string>{"Prefill_0", "Decode", "Prefill_1", "Encoder",
                                          "Embedding", "Graph_5", "Graph_6"});
}

TEST_CASE("bad_specializations: each wrong shape is named") {
  const auto message = [](std::string_view text) {
    const auto specializations = ParseSpecializations(text, "specializations.json");
    REQUIRE_FALSE(specializations.ok());
    CHECK(specializations.diagnostic().where.file == "specializations.json");
    return specializations.diagnostic().message;
  };
  const char* no_list = "expected an object with a list 'specializations' that is not empty";
  CHECK(message("[]") == no_list);
  CHECK(message(R"({"specializations": {}})") == no_list);
  CHECK(message(R"({"specializations": []})") == no_list);
  CHECK(message(R"({"specializations": [1]})") ==
        "expected 'specializations[0]' to be an object, got number");
  CHECK(message(R"({"specializations": [{"symbols": {}}]})") ==
        "expected 'specializations[0]' to have a string 'name' and an object 'symbols'");
  CHECK(message(R"({"specializations": [{"name": "a", "symbols": 1}]})") ==
        "expected 'specializations[0]' to have a string 'name' and an object 'symbols'");
  for (const char* value : {"\"\"", "\"1x\"", "\"-1\"", "0", "-5", "1.5", "null",
                            "\"99999999999999999999\"", "18446744073709551615", "[1]"}) {
    CHECK(message(fmt::format(R"({{"specializations": [{{"seq_len": {}}}]}})", value))
              .starts_with(
                  "expected 'specializations[0].seq_len' to be a whole number from 1 on, got "));
  }
  CHECK(
      message(
          R"({"specializations": [{"name": "a", "symbols": {}}, {"name": "a", "symbols": {}}]})") ==
      "specialization 'a' is there twice");
  CHECK(ReadSpecializations("/nowhere/specializations.json").diagnostic().code == ErrorCode::kIo);
}

/// Returns the qconfig of a recorded case of the tiny Llama model from its own parts, except for
/// `specializations`.
std::string QconfigFor(std::vector<Specialization> specializations, const Json& more_options,
                       int64_t device_count) {
  Qconfig qconfig;
  const Result<Json> config = ReadJsonFile(LocalData() / "llama_config.json");
  REQUIRE(config.ok());
  qconfig.huggingface_config =
      HuggingFaceConfigDict(*config, {.name_or_path = "{CHECKPOINTS}/llama"});
  qconfig.onnx_path = "{ONNX_DIR}/LlamaForCausalLM.onnx";
  qconfig.graph_transforms = {"AwqToMatmulNbitsTransform",
                              "GPTQToMatmulNbitsTransform",
                              "FP8DeQuantLinearToLinearTransform",
                              "PackQuantizedInt4ToMatMulNBitsTransform",
                              "Mxfp4GptOssExpertDequantizeTransform",
                              "CustomOpsTransform",
                              "KVCacheTransform",
                              "SplitGateUpWeightsTransform",
                              "KVCacheExternalModuleMapperTransform"};
  qconfig.specializations_path = "{QPC_DIR}/specializations.json";
  qconfig.specializations = std::move(specializations);
  qconfig.device_count = device_count;
  qconfig.compile_options = {{"aic_num_cores", 16},      {"convert_to_fp16", true},
                             {"enable_chunking", false}, {"kv_cache_prefix", nullptr},
                             {"mxfp6_matmul", false},    {"moe_prefill_packed_chunk_size", 256},
                             {"mxint8_kv_cache", false}, {"offload_pt_weights", true},
                             {"prefill_only", nullptr},  {"retain_full_kv", nullptr},
                             {"retained_state", true},   {"use_onnx_subfunctions", false}};
  qconfig.compile_options.update(more_options);
  return WriteQconfig(qconfig);
}

std::vector<Specialization> SpecializationsOf(const fs::path& folder) {
  auto specializations = ReadSpecializations(folder / "specializations.json");
  REQUIRE(specializations.ok());
  return *std::move(specializations);
}

TEST_CASE("qconfig.json is that of the original") {
  for (const char* name : {"llama_basic", "llama_cb"}) {
    const fs::path folder = LocalData() / "compile" / name;
    CHECK(QconfigFor(SpecializationsOf(folder), Json::object(), 1) ==
          Recorded(folder / "qconfig.json"));
  }
}

TEST_CASE("the configuration of an older checkpoint gets the newer spelling") {
  // Expected: vars(AutoConfig.from_pretrained(...)) of transformers 5.5.4 for the rope and dtype
  // fields of this file.
  const Json old = {{"model_type", "llama"},
                    {"rope_theta", 500000.0},
                    {"rope_scaling",
                     {{"factor", 8.0},
                      {"rope_type", "llama3"},
                      {"low_freq_factor", 1.0},
                      {"high_freq_factor", 4.0},
                      {"original_max_position_embeddings", 64}}},
                    {"torch_dtype", "bfloat16"}};
  const Json config = HuggingFaceConfigDict(old, {.name_or_path = "x", .dtype = "bfloat16"});
  CHECK(DumpPythonStyle(config.at("rope_parameters")) ==
        DumpPythonStyle({{"factor", 8.0},
                         {"high_freq_factor", 4.0},
                         {"low_freq_factor", 1.0},
                         {"original_max_position_embeddings", 64},
                         {"rope_theta", 500000.0},
                         {"rope_type", "llama3"}}));
  CHECK(config.at("dtype") == "torch.bfloat16");
  for (const char* gone : {"rope_theta", "rope_scaling", "torch_dtype"})
    CHECK_FALSE(config.contains(gone));
  const Json plain =
      HuggingFaceConfigDict({{"rope_theta", 10000.0}, {"rope_scaling", nullptr}}, {});
  CHECK(plain.at("rope_parameters").dump() == R"({"rope_theta":10000.0,"rope_type":"default"})");
}

TEST_CASE("all recorded custom IO, slicing and qconfig files are met") {
  const fs::path cases = SharedData() / "goldens/qefficient/compile";
  if (SharedData().empty()) {
    std::cout << "SKIPPED: no shared data\n";
    return;
  }
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(cases)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("llama_")) continue;
    INFO(name);
    const Result<Json> command = ReadJsonFile(entry.path() / "cmd.json");
    REQUIRE(command.ok());
    const Json& call = command->at("compile_call");
    if (fs::exists(entry.path() / "custom_io.yaml")) {
      const std::string precision = call.value("mxint8_kv_cache", false) ? "mxint8" : "float16";
      const std::string suffix = call.contains("kv_cache_prefix") ? "_vllm" : "";
      CHECK(*WriteCustomIo(TextCustomIo(2, precision, suffix)) ==
            Recorded(entry.path() / "custom_io.yaml"));
      ++compared;
    }
    if (fs::exists(entry.path() / "mdp_ts_4.json")) {
      CHECK(WriteTensorSlicing(call.at("num_devices"), call.at("num_cores")) ==
            Recorded(entry.path() / "mdp_ts_4.json"));
      ++compared;
    }
    if (fs::exists(entry.path() / "qconfig.json")) {
      Json more = Json::object();
      if (call.contains("mdp_num_partitions"))
        more["mdp_num_partitions"] = call["mdp_num_partitions"];
      CHECK(QconfigFor(SpecializationsOf(entry.path()), more, call.value("num_devices", 1)) ==
            Recorded(entry.path() / "qconfig.json"));
      ++compared;
    }
  }
  CHECK(compared >= 35);
}

TEST_CASE("all recorded specializations survive reading and writing") {
  if (SharedData().empty()) {
    std::cout << "SKIPPED: no shared data\n";
    return;
  }
  int compared = 0;
  for (const auto& entry :
       fs::recursive_directory_iterator(SharedData() / "goldens/qefficient/compile")) {
    const std::string name = entry.path().string();
    // The legacy command line writes another JSON style.
    if (!name.ends_with("specializations.json") || name.find("cli_") != std::string::npos) continue;
    INFO(name);
    const auto specializations = ReadSpecializations(entry.path());
    REQUIRE(specializations.ok());
    CHECK(WriteSpecializations(*specializations) == Recorded(entry.path()));
    ++compared;
  }
  CHECK(compared >= 40);
}

}  // namespace
}  // namespace qeff::artifact
