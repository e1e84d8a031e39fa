// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/options.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "backends/aic100/compiler_command.h"
#include "lib/support/log.h"

namespace qeff::tools {

std::vector<int> ParseDevices(std::string text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  std::vector<int> devices;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const std::string number = part.substr(std::min(part.size(), part.find_first_not_of(' ')));
    constexpr size_t kMostDigits = 4;
    const bool is_number = !number.empty() && number.size() <= kMostDigits &&
                           number.find_first_not_of("0123456789") == std::string::npos;
    const int device = is_number ? std::stoi(number) : -1;
    if (device < 0 || std::find(devices.begin(), devices.end(), device) != devices.end())
      throw CLI::ValidationError(
          "--devices", fmt::format("expected device ids like 0,1, each once, got '{}'", text));
    devices.push_back(device);
  }
  if (devices.empty())
    throw CLI::ValidationError("--devices", "expected device ids like 0,1, got none");
  return devices;
}

void AddTransformOptions(CLI::App& app, stages::TransformOptions& options) {
  const std::string group = "Model options";
  std::vector<std::string> tasks;
  for (const families::Task task : families::AllTasks())
    tasks.emplace_back(families::TaskName(task));
  app.add_option_function<std::string>(
         "--task", [&options](const std::string& name) { options.task = families::FindTask(name); },
         "What the model is for (default: what its config.json says): " +
             fmt::format("{}", fmt::join(tasks, ", ")))
      ->check(CLI::IsMember(tasks))
      ->type_name("TASK")
      ->group(group);
  app.add_flag("!--no-kv-cache", options.kv_cache,
               "Keep no keys and values between calls: gives the logits of a whole text")
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
               "Caches and inputs as QEfficient's files have them where ours "
               "differ on purpose, as docs/contract-differences.md lists")
      ->group(group);
  app.add_flag("--latent-cache", options.latent_cache,
               "Let latent attention keep its latents instead of keys and values of all heads")
      ->group(group);
  app.add_option("--replicate-kv-heads", options.replicate_kv_heads,
                 "Repeat KV heads so that they divide over so many devices")
      ->type_name("DEVICES")
      ->check(CLI::Range(2, 1024))
      ->group(group);
  app.add_option("--pooling", options.embedding.pooling,
                 "One vector of the states of a text's tokens: mean, cls, max, last, avg (the same "
                 "as mean) or none (default: what modules.json says, else none)")
      ->check(CLI::IsMember(stages::PoolingNames()))
      ->type_name("MODE")
      ->group(group);
  app.add_flag("--normalize", options.embedding.normalize, "Vectors of length 1")->group(group);
  app.add_option("--truncate-dim", options.embedding.truncate_dim,
                 "Keep this many elements of a vector")
      ->check(CLI::Range(1, 1 << 20))
      ->group(group);
  app.add_option("--max-positions", options.max_positions,
                 "Rows of position tables (default: max_position_embeddings)")
      ->check(CLI::Range(1, 1 << 26))
      ->group(group);
}

void AddExportOptions(CLI::App& app, ExportArguments& arguments,
                      const std::string& weights_option) {
  const std::string group = "Export options";
  app.add_option("--dtype", arguments.dtype, "Float type of the graph: f32, f16 or bf16")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}))
      ->capture_default_str()
      ->group(group);
  app.add_option(weights_option, arguments.weights,
                 "external: write them beside the graph; reference: leave them in the checkpoint")
      ->check(CLI::IsMember({"external", "reference"}))
      ->capture_default_str()
      ->group(group);
  app.add_flag("--subfunctions", arguments.subfunctions,
               "One ONNX function for each repeated layer")
      ->group(group);
  app.add_flag_function(
         "--clip-to-f16,!--no-clip-to-f16",
         [&arguments](int64_t count) { arguments.clip_to_f16 = count > 0; },
         "Bring constants into the range of f16, which a card computes in (default: on for "
         "the task embedding)")
      ->group(group);
}

stages::ExportOptions ToExportOptions(const ExportArguments& arguments,
                                      const stages::TransformOptions& transform) {
  return {.dtype = *DTypeFromName(arguments.dtype),
          .subfunctions = arguments.subfunctions,
          .clip_to_f16 = arguments.clip_to_f16,
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

/// Appends an option that goes to the compiler as it is.
void PassOn(const std::string& argument, std::vector<std::string>& further) {
  const Result<std::optional<std::string>> checked = aic100::CheckCompilerArgument(argument);
  if (!checked.ok()) {
    const Diagnostic& diagnostic = checked.diagnostic();
    throw CLI::ValidationError(
        diagnostic.where.flag,
        fmt::format("{}; {}", diagnostic.message, fmt::join(diagnostic.notes, "; ")));
  }
  if (*checked)
    further.push_back(**checked);
  else
    LogWarning("'{}' is not needed: it is dropped", argument);
}

void AddPipelineOptions(CLI::App& app, const std::string& group, CardCompileOptions& card) {
  app.add_option("--mdp-partitions,--mdp-num-partitions,--mdp_num_partitions", card.mdp_partitions,
                 "Stages of a pipeline over the devices, each with some of the layers")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->group(group);
  app.add_option("--mdp-compiler-dump,--mdp-compiler-dump-path,--mdp_compiler_dump_path",
                 card.mdp_compiler_dump,
                 "Partition that the compiler has dumped: stages list only nodes that are in it")
      ->type_name("FILE")
      ->check(CLI::ExistingFile)
      ->needs("--mdp-partitions")
      ->group(group);
}

void AddQnnOptions(CLI::App& app, const std::string& group, CardCompileOptions& card) {
  app.add_option_function<std::vector<std::string>>(
         "--enable-qnn,--enable_qnn",
         [&card](const std::vector<std::string>& values) {
           card.enable_qnn = true;
           // The parser's word for an option without its value.
           if (values.empty() || values.front().empty() || values.front() == "true") return;
           const std::string problem = CLI::ExistingFile(values.front());
           if (!problem.empty()) throw CLI::ValidationError("--enable-qnn", problem);
           card.qnn_config = values.front();
         },
         "Compile through the QNN SDK; CONFIG has settings of its programs")
      ->type_name("[CONFIG]")
      ->expected(0, 1)
      ->group(group);
  app.add_option("--qnn-sdk", card.qnn_sdk, "Folder of the QNN SDK")
      ->type_name("DIR")
      ->envname("QNN_SDK_ROOT")
      ->group(group);
}

/// What only a card's compiler understands. Options that the compiler sees in the user's order are
/// taken when they are parsed.
void AddCardOptions(CLI::App& app, CompileArguments& arguments) {
  const std::string group = "Card options (--backend aic100)";
  CardCompileOptions& card = arguments.options.target.card;
  std::vector<std::string>& further = card.compiler_options;
  app.add_option("--sdk", card.sdk, "Folder of the vendor's SDK")
      ->type_name("DIR")
      ->capture_default_str()
      ->group(group);
  app.add_option("--aic-hw-version,--aic_hw_version", card.hardware_version,
                 "Generation of the card: ai100, ai200 (default: of the card in this machine)")
      ->group(group);
  CLI::Option* count = app.add_option("--num-devices,--num_devices", card.num_devices,
                                      "Devices that the tensors are sliced over")
                           ->check(CLI::Range(0, 1024))
                           ->capture_default_str()
                           ->group(group);
  app.add_option_function<std::string>(
         "--devices,--device-group,--device_group",
         [&arguments](const std::string& text) {
           arguments.devices = ParseDevices(text);
           arguments.options.target.card.num_devices =
               static_cast<int64_t>(arguments.devices.size());
         },
         "The same as a list, e.g. 0,1; qeff-run says anew which devices it runs on")
      ->type_name("IDS")
      ->excludes(count)
      ->group(group);
  app.add_flag("--mxfp6-matmul,--mxfp6_matmul,--mxfp6", card.mxfp6_matmul,
               "Weights of matrix products in MXFP6")
      ->group(group);
  app.add_flag("--mxint8-kv-cache,--mxint8_kv_cache,--mxint8", card.mxint8_kv_cache,
               "Keys and values in MXINT8")
      ->group(group);
  app.add_option("--mdp-load-partition-config,--mdp_load_partition_config",
                 card.mdp_load_partition_config, "Partition over devices, written by hand")
      ->type_name("FILE")
      ->check(CLI::ExistingFile)
      ->group(group);
  AddPipelineOptions(app, group, card);
  AddQnnOptions(app, group, card);
  const auto flag = [&](const std::string& names, std::string token, std::string help) {
    app.add_flag_callback(
           names, [&further, token = std::move(token)] { further.push_back(token); },
           std::move(help))
        ->trigger_on_parse()
        ->group(group);
  };
  flag("--aic-enable-depth-first,--aic_enable_depth_first", "-aic-enable-depth-first",
       "Schedule depth first: less on-chip memory");
  flag("--allow-mxint8-mdp-io,--allow_mxint8_mdp_io", "-allow-mxint8-mdp-io",
       "MXINT8 between devices");
  flag("--io-encrypt,--io_encrypt", "-io-encrypt", "Encrypted inputs and outputs");
  app.add_option_function<int>(
         "--mos",
         [&further](int effort) {
           // QEfficient's default, -1, means that the compiler decides.
           if (effort > 0) further.push_back(fmt::format("-mos={}", effort));
         },
         "Effort to save on-chip memory, 1 to the number of cores")
      ->check(CLI::Range(-1, 16))
      ->trigger_on_parse()
      ->group(group);
  app.add_option_function<std::string>(
         "--node-precision-info,--node_precision_info",
         [&card, &further](const std::string& file) {
           card.node_precision_info = std::filesystem::absolute(file).lexically_normal();
           further.push_back("-node-precision-info=" + card.node_precision_info.string());
         },
         "YAML file with the nodes that keep f32")
      ->type_name("FILE")
      ->check(CLI::ExistingFile)
      ->trigger_on_parse()
      ->group(group);
  app.add_option_function<std::string>(
         "--mdp-dump-partition-config,--mdp_dump_partition_config",
         [&card, &further](const std::string& file) {
           card.mdp_dump_partition_config = std::filesystem::absolute(file).lexically_normal();
           further.push_back("-mdp-dump-partition-config=" +
                             card.mdp_dump_partition_config.string());
         },
         "Where the compiler writes the partition that it chose")
      ->type_name("FILE")
      ->trigger_on_parse()
      ->group(group);
  app.add_option_function<std::string>(
         "--compiler-arg", [&further](const std::string& argument) { PassOn(argument, further); },
         "Passed on to the compiler as it is; several times if needed")
      ->type_name("-OPTION[=VALUE]")
      ->trigger_on_parse()
      ->group(group);
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
  app.add_option(
         "--prefill-seq-len,--prefill_seq_len,--prompt-len,--prompt_len", options.prefill_seq_len,
         fmt::format("Prompt tokens in one call (default: {})", stages::kDefaultPrefillSeqLen))
      ->check(CLI::Range(1, 1 << 30))
      ->group(group);
  app.add_option("--ctx-len,--ctx_len", options.ctx_len,
                 fmt::format("Tokens that the cache holds: prompt and text together (default: {})",
                             stages::kDefaultCtxLen))
      ->check(CLI::Range(1, 1 << 30))
      ->group(group);
  app.add_option("--batch-size,--batch_size", options.batch_size, "Prompts or texts in one call")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str()
      ->group(group);
  app.add_option("--seq-len,--seq_len", options.seq_lens,
                 "Tokens of a text for models that read it at once (default: 32); several, e.g. "
                 "32,128,512, for texts of different lengths")
      ->delimiter(',')
      ->check(CLI::Range(1, 1 << 20))
      ->group(group);
  app.add_option("--full-batch-size,--full_batch_size", options.full_batch_size,
                 "Prompts that decode together in a graph with continuous batching")
      ->check(CLI::Range(1, 1 << 20))
      ->group(group);
  app.add_option("--kv-cache-batch-size,--kv_cache_batch_size", options.kv_cache_batch_size,
                 "Cache slots if there are more than decode together (default: --full-batch-size)")
      ->check(CLI::Range(1, 1 << 20))
      ->group(group);
  app.add_option("--num-speculative-tokens,--num_speculative_tokens",
                 options.num_speculative_tokens,
                 "Draft tokens that a speculative target checks in one call")
      ->check(CLI::Range(1, 1 << 16))
      ->group(group);
  app.add_option("--ccl-prefill,--comp-ctx-lengths-prefill,--comp_ctx_lengths_prefill",
                 options.ccl_prefill, "Compute context lengths of prefill, e.g. 512,1024")
      ->delimiter(',')
      ->group(group);
  app.add_option("--ccl-decode,--comp-ctx-lengths-decode,--comp_ctx_lengths_decode",
                 options.ccl_decode, "Compute context lengths of decode")
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
  CLI::Option* given =
      app.add_option("--specializations", options.specializations,
                     "File like specializations.json: the lengths and sizes to compile for")
          ->type_name("FILE")
          ->check(CLI::ExistingFile)
          ->group(group);
  for (const char* computed_from :
       {"--prefill-seq-len", "--ctx-len", "--seq-len", "--batch-size", "--full-batch-size",
        "--kv-cache-batch-size", "--num-speculative-tokens", "--ccl-prefill", "--ccl-decode",
        "--dim"}) {
    given->excludes(computed_from);
  }
  app.add_flag_callback(
         "--prefill-only,--prefill_only", [&options] { options.prefill_only = true; },
         "A program that only reads prompts")
      ->group(group);
  app.add_flag_callback(
         "--decode-only", [&options] { options.prefill_only = false; },
         "A program that only continues")
      ->excludes("--prefill-only")
      ->group(group);
  app.add_option("--num-cores,--num_cores", arguments.num_cores,
                 "Threads on a CPU (default: all), cores of each device of a card (default: 16)")
      ->check(CLI::Range(1, 1024))
      ->group(group);
  app.add_option("--weights", arguments.weights,
                 "How matrices are kept on a CPU: auto (as the checkpoint has them if that loses "
                 "nothing), f32, bf16, f16, int8, int4, mxfp6")
      ->check(CLI::IsMember(
          std::vector<std::string>(std::begin(kWeightStorageNames), std::end(kWeightStorageNames))))
      ->capture_default_str()
      ->group(group);
  app.add_option("--compute", arguments.compute,
                 "Precision of matrix products on a CPU: f32 (the numbers of Hugging Face in "
                 "float32), bf16 (factors rounded where weights are bf16, sums in f32: faster)")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str()
      ->group(group);
  app.add_option("--kv-cache", arguments.kv_cache,
                 "How keys and values of earlier tokens are kept on a CPU: f32, bf16, f16, mxint8 "
                 "(8 bits and a scale for each 32: a quarter of the memory)")
      ->check(CLI::IsMember(
          std::vector<std::string>(std::begin(kKvCacheNames), std::end(kKvCacheNames))))
      ->capture_default_str()
      ->group(group);
  AddCardOptions(app, arguments);
}

namespace {

/// The enumerator whose name stands at its place in `names`.
template <typename Enum>
Enum ByName(std::span<const std::string_view> names, std::string_view option,
            std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  QEFF_CHECK(found != names.end(), "the parser accepted {} '{}'", option, name);
  return static_cast<Enum>(found - names.begin());
}

}  // namespace

stages::CompileOptions ToCompileOptions(const CompileArguments& arguments) {
  stages::CompileOptions options = arguments.options;
  options.dims = arguments.dims;
  const Result<const Backend*> backend = FindBackend(options.backend);
  QEFF_CHECK(backend.ok(), "the parser accepted backend '{}'", options.backend);
  options.target.num_cores = arguments.num_cores.value_or((*backend)->DefaultCores());
  options.target.weight_storage =
      ByName<WeightStorage>(kWeightStorageNames, "--weights", arguments.weights);
  options.target.kv_cache = ByName<KvCacheType>(kKvCacheNames, "--kv-cache", arguments.kv_cache);
  options.target.compute = arguments.compute == "bf16" ? ComputeType::kBf16 : ComputeType::kF32;
  return options;
}

}  // namespace qeff::tools
