// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/text_specializations.h"

#include <catch2/catch.hpp>
#include <iostream>
#include <set>

#include "lib/support/json.h"
#include "tests/unit/lib/artifact/recorded.h"

namespace qeff::artifact {
namespace {

namespace fs = std::filesystem;

/// What a recorded case's graph was exported with; the call alone does not tell.
TextSpecializationOptions GraphOf(const std::string& name) {
  static const std::set<std::string> kContinuous = {
      "llama_cb",           "llama_cb_all",     "llama_cb_missing_fbs",
      "llama_cb_prefill_1", "llama_sampler_cb", "llama_tlm_cb"};
  TextSpecializationOptions options;
  options.has_continuous_batching = kContinuous.contains(name);
  options.keeps_speculative_logits = name.starts_with("llama_tlm");
  options.has_compute_context_lengths = name.starts_with("llama_ccl");
  if (name.starts_with("gpt_oss")) options.sliding_window = 128;
  if (name.starts_with("gemma4_text")) options.sliding_window = 32;
  return options;
}

TextSpecializationOptions OptionsFrom(const std::string& name, const Json& call) {
  TextSpecializationOptions options = GraphOf(name);
  options.prefill_seq_len = call.value("prefill_seq_len", options.prefill_seq_len);
  options.ctx_len = call.value("ctx_len", options.ctx_len);
  options.batch_size = call.value("batch_size", options.batch_size);
  if (call.contains("full_batch_size"))
    options.full_batch_size = call["full_batch_size"].get<int64_t>();
  if (call.contains("prefill_only")) options.prefill_only = call["prefill_only"].get<bool>();
  if (call.contains("num_speculative_tokens"))
    options.num_speculative_tokens = {call["num_speculative_tokens"]};
  const std::vector<int64_t> none;
  options.comp_ctx_lengths_prefill = call.value("comp_ctx_lengths_prefill", none);
  options.comp_ctx_lengths_decode = call.value("comp_ctx_lengths_decode", none);
  return options;
}

/// Compares one recorded case: its file, or that both refuse the call.
void CompareCase(const fs::path& folder) {
  const std::string name = folder.filename().string();
  INFO(name);
  const Result<Json> command = ReadJsonFile(folder / "cmd.json");
  REQUIRE(command.ok());
  const auto specializations =
      BuildTextSpecializations(OptionsFrom(name, command->at("compile_call")));
  REQUIRE(specializations.ok() == !command->contains("error"));
  if (specializations.ok()) {
    CHECK(WriteSpecializations(*specializations) == Recorded(folder / "specializations.json"));
  } else {
    CHECK(specializations.diagnostic().code == ErrorCode::kUsage);
  }
}

TEST_CASE("specializations.json is that of the original") {
  for (const char* name : {"llama_basic", "llama_cb", "llama_ccl_lists", "llama_tlm_cb"}) {
    CompareCase(LocalData() / "compile" / name);
  }
}

TEST_CASE("specializations.json is that of the original in all recorded text cases") {
  if (SharedData().empty()) {
    std::cout << "SKIPPED: no shared data\n";
    return;
  }
  int compared = 0;
  for (const auto& entry : fs::directory_iterator(SharedData() / "goldens/qefficient/compile")) {
    const std::string name = entry.path().filename().string();
    bool is_text = false;
    for (const char* prefix : {"llama_", "gpt", "gemma4_text", "lora"})
      is_text |= name.starts_with(prefix);
    if (!is_text) continue;
    CompareCase(entry.path());
    ++compared;
  }
  CHECK(compared >= 40);
}

/// Returns e.g. "Prefill batch_size=1 seq_len=32 ctx_len=128" for each entry.
std::vector<std::string> Lines(const TextSpecializationOptions& options) {
  const auto specializations = BuildTextSpecializations(options);
  REQUIRE(specializations.ok());
  std::vector<std::string> lines;
  for (const Specialization& specialization : *specializations) {
    std::string line = specialization.graph_name;
    for (const auto& [symbol, value] : specialization.symbols)
      line += fmt::format(" {}={}", symbol, value);
    lines.push_back(line);
  }
  return lines;
}

TEST_CASE("several counts of guessed tokens give one decode entry each, sorted and once") {
  CHECK(Lines({.keeps_speculative_logits = true, .num_speculative_tokens = {5, 3, 5}}) ==
        std::vector<std::string>{"Prefill batch_size=1 seq_len=32 ctx_len=128 num_logits_to_keep=1",
                                 "Decode batch_size=1 seq_len=4 ctx_len=128 num_logits_to_keep=4",
                                 "Decode batch_size=1 seq_len=6 ctx_len=128 num_logits_to_keep=6"});
}

TEST_CASE("a cache with more slots than sequences that run together") {
  CHECK(Lines({.full_batch_size = 4, .kv_cache_batch_size = 16, .has_continuous_batching = true}) ==
        std::vector<std::string>{
            "Prefill batch_size=1 seq_len=32 ctx_len=128 full_batch_size=16 full_batch_exec_size=1",
            "Decode batch_size=4 seq_len=1 ctx_len=128 full_batch_size=16"});
}

/// Returns the generated compute context lengths, prefill then decode, of a context.
std::pair<std::vector<int64_t>, std::vector<int64_t>> GeneratedLengths(int64_t prefill_seq_len,
                                                                       int64_t ctx_len) {
  const auto specializations = BuildTextSpecializations({.prefill_seq_len = prefill_seq_len,
                                                         .ctx_len = ctx_len,
                                                         .has_compute_context_lengths = true});
  REQUIRE(specializations.ok());
  std::pair<std::vector<int64_t>, std::vector<int64_t>> lengths;
  for (const Specialization& specialization : *specializations) {
    auto& list = specialization.graph_name == "Prefill" ? lengths.first : lengths.second;
    list.push_back(*specialization.Find("comp_ctx_lengths"));
  }
  return lengths;
}

TEST_CASE("generated compute context lengths follow the contract's ranges") {
  using Lengths = std::vector<int64_t>;
  CHECK(GeneratedLengths(32, 4096) == std::pair(Lengths{4064}, Lengths{4096}));
  CHECK(GeneratedLengths(32, 32768) ==
        std::pair(Lengths{4000, 8000, 16000, 32736}, Lengths{4096, 8192, 16384, 32768}));
  CHECK(GeneratedLengths(32, 65536) ==
        std::pair(Lengths{8000, 16000, 32000, 65504}, Lengths{8192, 16384, 32768, 65536}));
  CHECK(GeneratedLengths(32, 131072) ==
        std::pair(Lengths{16000, 32000, 64000, 131040}, Lengths{16384, 32768, 65536, 131072}));
  CHECK(GeneratedLengths(1, 131072).first == Lengths{4096, 8192, 16384, 32768, 65536, 131072});
  CHECK(GeneratedLengths(1, 131072).second.empty());
  // Five at most; ten when prefill and decode share them.
  CHECK(GeneratedLengths(32, 1 << 20).second == Lengths{16384, 32768, 65536, 131072, 1 << 20});
  CHECK(GeneratedLengths(1, 1 << 22).first.size() == 10);
}

TEST_CASE("bad_options: each names its flag") {
  const auto error = [](const TextSpecializationOptions& options) {
    const auto specializations = BuildTextSpecializations(options);
    REQUIRE_FALSE(specializations.ok());
    CHECK(specializations.diagnostic().code == ErrorCode::kUsage);
    return specializations.diagnostic().where.flag + ": " + specializations.diagnostic().message;
  };
  CHECK(error({.prefill_seq_len = 0}) ==
        "--prefill-seq-len: expected a number from 1 to 2147483648, got 0");
  CHECK(error({.ctx_len = INT64_MAX}) ==
        "--ctx-len: expected a number from 1 to 2147483648, got 9223372036854775807");
  CHECK(error({.prefill_seq_len = 129}) ==
        "--prefill-seq-len: expected at most the 128 tokens of --ctx-len, got 129");
  CHECK(error({.batch_size = -1}) ==
        "--batch-size: expected a number from 1 to 2147483648, got -1");
  CHECK(error({.has_continuous_batching = true}) ==
        "--full-batch-size: expected a number, got none: the graph has continuous batching");
  CHECK(error({.kv_cache_batch_size = 4}) == "--kv-cache-batch-size: needs --full-batch-size");
  CHECK(error({.keeps_speculative_logits = true}) ==
        "--num-speculative-tokens: expected a number, got none: the graph verifies guessed tokens");
  CHECK(error({.num_speculative_tokens = {3}}) ==
        "--num-speculative-tokens: the graph does not verify guessed tokens");
  CHECK(error({.prefill_seq_len = 4,
               .keeps_speculative_logits = true,
               .num_speculative_tokens = {4}}) ==
        "--num-speculative-tokens: expected less than the 4 tokens of --prefill-seq-len, got 4");
  CHECK(error({.comp_ctx_lengths_decode = {1024}}) ==
        "--comp-ctx-lengths: the graph has no compute context lengths");
  CHECK(error({.has_compute_context_lengths = true, .comp_ctx_lengths_decode = {0}}) ==
        "--comp-ctx-lengths: expected a number from 1 to 2147483648, got 0");
}

}  // namespace
}  // namespace qeff::artifact
