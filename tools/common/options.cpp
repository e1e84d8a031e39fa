// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/options.h"

#include <charconv>
#include <thread>

namespace qeff::tools {

void AddTransformOptions(CLI::App& app, stages::TransformOptions& options) {
  const std::string group = "Model options";
  app.add_flag(
         "--kv-cache,!--no-kv-cache", options.kv_cache,
         "Keep keys and values between calls (default on; off gives the logits of a whole text)")
      ->group(group);
  app.add_flag("--continuous-batching", options.continuous_batching,
               "Let each row of a call choose its cache slot")
      ->group(group);
  app.add_flag("--ccl", options.compute_context_length,
               "Attend to the first n cache slots only, n by an input's length")
      ->group(group);
  app.add_flag("--speculative-target", options.speculative_target,
               "Keep the logits of the last n tokens, n by an input's length")
      ->group(group);
  app.add_flag("--strict-contract", options.strict_contract,
               "Shape caches as QEfficient's files have them where ours differ on purpose, as "
               "docs/contract-differences.md lists")
      ->group(group);
  app.add_flag("--latent-cache", options.latent_cache,
               "Let latent attention keep its latents instead of keys and values of all heads")
      ->group(group);
  app.add_option("--max-positions", options.max_positions,
                 "Rows of position tables (default: max_position_embeddings)")
      ->check(CLI::Range(1, 1 << 26))
      ->group(group);
}

void AddExportOptions(CLI::App& app, ExportArguments& arguments) {
  const std::string group = "Export options";
  app.add_option("--dtype", arguments.dtype, "Float type of the graph: f32, f16 or bf16")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}))
      ->capture_default_str()
      ->group(group);
  app.add_option("--weights", arguments.weights,
                 "external: write them beside the graph; reference: leave them in the checkpoint")
      ->check(CLI::IsMember({"external", "reference"}))
      ->capture_default_str()
      ->group(group);
  app.add_flag("--subfunctions", arguments.subfunctions,
               "One ONNX function for each repeated layer")
      ->group(group);
}

stages::ExportOptions ToExportOptions(const ExportArguments& arguments,
                                      const stages::TransformOptions& transform) {
  return {.dtype = *DTypeFromName(arguments.dtype),
          .subfunctions = arguments.subfunctions,
          .weights = arguments.weights == "reference" ? stages::WeightPlacement::kReference
                                                      : stages::WeightPlacement::kExternal,
          .transform = transform};
}

namespace {

/// "vision_size=256".
std::pair<std::string, int64_t> ParseDim(const std::string& text) {
  const size_t equals = text.find('=');
  int64_t size = 0;
  const char* begin = text.data() + std::min(text.size(), equals + 1);
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(begin, end, size);
  constexpr int64_t kLargest = int64_t{1} << 31;
  if (equals == std::string::npos || equals == 0 || error != std::errc() || rest != end ||
      size < 1 || size > kLargest) {
    throw CLI::ValidationError(
        "--dim",
        fmt::format("expected NAME=NUMBER, a number from 1 to {}, got '{}'", kLargest, text));
  }
  return {text.substr(0, equals), size};
}

}  // namespace

void AddCompileOptions(CLI::App& app, CompileArguments& arguments) {
  const std::string group = "Compile options";
  stages::CompileOptions& options = arguments.options;
  std::vector<std::string> backends;
  for (const Backend* backend : AllBackends()) backends.emplace_back(backend->name());
  app.add_option("--backend", options.backend, fmt::format("Target: {}", fmt::join(backends, ", ")))
      ->check(CLI::IsMember(backends))
      ->capture_default_str()
      ->group(group);
  const auto positive = [&](std::string name, int64_t& value, std::string help) {
    app.add_option(std::move(name), value, std::move(help))
        ->check(CLI::Range(1, 1 << 30))
        ->capture_default_str()
        ->group(group);
  };
  positive("--prefill-seq-len", options.prefill_seq_len, "Prompt tokens in one call");
  positive("--ctx-len", options.ctx_len, "Tokens that the cache holds: prompt and text together");
  positive("--batch-size", options.batch_size, "Prompts in one call");
  app.add_option("--full-batch-size", options.full_batch_size,
                 "Prompts that decode together in a graph with continuous batching")
      ->check(CLI::Range(1, 1 << 20))
      ->group(group);
  app.add_option("--kv-cache-batch-size", options.kv_cache_batch_size,
                 "Cache slots if there are more than decode together (default: --full-batch-size)")
      ->check(CLI::Range(1, 1 << 20))
      ->group(group);
  app.add_option("--num-speculative-tokens", options.num_speculative_tokens,
                 "Draft tokens that a speculative target checks in one call")
      ->check(CLI::Range(1, 1 << 16))
      ->group(group);
  app.add_option("--ccl-prefill", options.ccl_prefill,
                 "Compute context lengths of prefill, e.g. 512,1024")
      ->delimiter(',')
      ->group(group);
  app.add_option("--ccl-decode", options.ccl_decode, "Compute context lengths of decode")
      ->delimiter(',')
      ->group(group);
  app.add_option_function<std::vector<std::string>>(
         "--dim",
         [&arguments](const std::vector<std::string>& values) {
           for (const std::string& value : values) arguments.dims.push_back(ParseDim(value));
         },
         "Number of a further symbol of the graph, in all specializations, e.g. vision_size=256")
      ->type_name("NAME=NUMBER")
      ->delimiter(',')
      ->group(group);
  options.target.num_cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  app.add_option("--num-cores", options.target.num_cores, "Threads on a CPU (default: all)")
      ->check(CLI::Range(1, 1024))
      ->group(group);
  app.add_option("--weight-storage", arguments.weight_storage,
                 "How matrices are kept: auto (as the checkpoint has them if that loses nothing), "
                 "f32, bf16")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str()
      ->group(group);
}

stages::CompileOptions ToCompileOptions(const CompileArguments& arguments) {
  stages::CompileOptions options = arguments.options;
  options.dims = arguments.dims;
  options.target.weight_storage = arguments.weight_storage == "f32"    ? WeightStorage::kF32
                                  : arguments.weight_storage == "bf16" ? WeightStorage::kBf16
                                                                       : WeightStorage::kAuto;
  return options;
}

}  // namespace qeff::tools
