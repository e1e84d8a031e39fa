// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/compile_plan.h"

#include <algorithm>
#include <array>
#include <sstream>

#include "backends/aic100/compiler_command.h"
#include "backends/aic100/pipeline_stages.h"
#include "lib/artifact/qconfig.h"
#include "lib/support/log.h"

namespace qeff::aic100 {
namespace {

/// The partition of the program over devices: whose file it is and what is in it.
struct Partition {
  std::string name;     ///< of our file; empty: the user's, or none
  std::string content;  ///< of our file
  Json json = nullptr;
};

/// Writes the nodes of each stage down.
Result<std::string> WriteStages(const std::filesystem::path& onnx,
                                const BackendCompileOptions& options) {
  const CardCompileOptions& card = options.card;
  QEFF_ASSIGN_OR_RETURN(const onnx_io::NodeNames nodes, onnx_io::ReadNodeNames(onnx));
  QEFF_ASSIGN_OR_RETURN(std::vector<std::vector<std::string>> stages,
                        AssignStages(nodes, card.mdp_partitions, onnx));
  if (!card.mdp_compiler_dump.empty()) {
    QEFF_ASSIGN_OR_RETURN(const auto dumped, ReadPartitionNodes(card.mdp_compiler_dump));
    for (std::vector<std::string>& names : stages)
      std::erase_if(names, [&](const std::string& name) { return !dumped.contains(name); });
  }
  return artifact::WritePipelinePartition(card.num_devices, options.num_cores, stages);
}

Result<Partition> ChoosePartition(const std::filesystem::path& onnx,
                                  const BackendCompileOptions& options) {
  const CardCompileOptions& card = options.card;
  Partition partition;
  if (!card.mdp_load_partition_config.empty()) {
    QEFF_ASSIGN_OR_RETURN(partition.json, ReadJsonFile(card.mdp_load_partition_config));
    return partition;
  }
  if (card.mdp_partitions > 1) {
    partition.name = fmt::format("mdp_disagg_{}d_{}p.json", card.num_devices, card.mdp_partitions);
    QEFF_ASSIGN_OR_RETURN(partition.content, WriteStages(onnx, options));
  } else if (card.num_devices > 1 && card.mdp_dump_partition_config.empty()) {
    partition.name = fmt::format("mdp_ts_{}.json", card.num_devices);
    partition.content = artifact::WriteTensorSlicing(card.num_devices, options.num_cores);
  } else {
    return partition;
  }
  QEFF_ASSIGN_OR_RETURN(partition.json, ParseJson(partition.content, partition.name));
  return partition;
}

/// "True", "2", ... of a further option as the Python call would have held it.
Json OptionValue(const std::string& text) {
  const bool is_number = !text.empty() && text.size() < 10 &&
                         std::all_of(text.begin(), text.end(),
                                     [](char digit) { return digit >= '0' && digit <= '9'; });
  return is_number ? Json(std::stoll(text)) : Json(text);
}

/// The compile call as QEfficient's qconfig.json lists it. Settings of its exporter that have no
/// counterpart here carry its defaults: readers of the file may look for any of them.
Json CompileCall(const OnnxProgram& program, const BackendCompileOptions& options, bool has_state) {
  const CardCompileOptions& card = options.card;
  Json call = {{"aic_num_cores", options.num_cores},
               {"convert_to_fp16", true},
               {"mxfp6_matmul", card.mxfp6_matmul},
               {"use_onnx_subfunctions", !program.model->functions.empty()}};
  if (has_state) {
    const Json of_text = {
        {"enable_chunking", false},
        {"kv_cache_prefix", nullptr},
        {"moe_prefill_packed_chunk_size", 256},
        {"mxint8_kv_cache", card.mxint8_kv_cache},
        {"offload_pt_weights", true},
        {"prefill_only", program.prefill_only ? Json(*program.prefill_only) : Json(nullptr)},
        {"retain_full_kv", nullptr},
        {"retained_state", true}};
    call.update(of_text);
  }
  if (card.mdp_partitions > 1) call["mdp_num_partitions"] = card.mdp_partitions;
  for (const std::string& option : card.compiler_options) {
    const size_t equals = option.find('=');
    std::string name = option.substr(1, equals == std::string::npos ? equals : equals - 1);
    std::replace(name.begin(), name.end(), '-', '_');
    call[name] = equals == std::string::npos ? Json(true) : OptionValue(option.substr(equals + 1));
  }
  return call;
}

/// QEfficient's names of what it does to the ONNX file, after the export.
bool IsOnnxTransform(std::string_view name) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"FP16ClipTransform", "SplitTensorsTransform", "CustomOpTransform",
       "RenameFunctionOutputsTransform", "AdapterWeightsToInputsTransform"});
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

bool HasRetainedState(const ir::Graph& graph) {
  return std::any_of(graph.inputs().begin(), graph.inputs().end(), [&](const ir::Value* input) {
    return graph.FindOutput(input->name() + std::string(ir::kRetainedStateSuffix)) != nullptr;
  });
}

bool IsImageEncoder(const ir::Graph& graph) {
  return graph.FindInput("pixel_values") != nullptr && !HasRetainedState(graph);
}

/// Tensors are sliced by heads: what does not divide is on every device. Repeating the heads helps
/// only if they are fewer than the devices and divide them, and were not repeated already.
void WarnAboutKvHeads(const ir::Model& model, int64_t devices) {
  const ir::Value* cache = model.graph.FindInput("past_key.0");
  if (cache == nullptr || !cache->type().shape || cache->type().shape->size() != 4) return;
  const ir::Dim heads = (*cache->type().shape)[1];
  if (!heads.is_number() || heads.value() % devices == 0) return;
  const auto passes = model.metadata.find("qeff_transforms");
  const bool is_repeated = passes != model.metadata.end() &&
                           passes->second.find("replicate-kv-heads") != std::string::npos;
  const bool can_help = !is_repeated && heads.value() > 0 && devices % heads.value() == 0;
  LogWarning(
      "{} KV heads do not divide over {} devices: each holds more of the cache than its share{}",
      heads.value(), devices,
      can_help ? fmt::format("; --replicate-kv-heads {} of qeff-export repeats them if the "
                             "query heads can be divided so",
                             devices)
               : "");
}

/// What an encoder sees or hears, or has made of it.
bool IsFeature(std::string_view name) {
  constexpr auto kFeatures = std::to_array<std::string_view>(
      {"pixel_values", "image_masks", "input_features", "vision_embeds", "deepstack_features"});
  return std::any_of(kFeatures.begin(), kFeatures.end(),
                     [name](std::string_view feature) { return name.starts_with(feature); });
}

/// Weights of a LoRA adapter that can be exchanged.
bool IsAdapter(std::string_view name) {
  return name.find(".lora_A.") != std::string_view::npos ||
         name.find(".lora_B.") != std::string_view::npos;
}

bool HasAdapters(const ir::Graph& graph) {
  return std::any_of(graph.inputs().begin(), graph.inputs().end(),
                     [](const ir::Value* input) { return IsAdapter(input->name()); });
}

/// The specializations as hashed_compile_params.json lists them if not by our names: those of the
/// user, or without names, as QEfficient's class for adapters has them.
Json ListedSpecializations(const OnnxProgram& program) {
  if (!program.given_specializations.is_null() || !HasAdapters(program.model->graph))
    return program.given_specializations;
  Json list = Json::array();
  for (const artifact::Specialization& specialization : program.specializations) {
    Json symbols = Json::object();
    for (const auto& [symbol, value] : specialization.symbols) symbols[symbol] = value;
    list.push_back(std::move(symbols));
  }
  return list;
}

}  // namespace

std::string DescribeProgram(const OnnxProgram& program, const BackendCompileOptions& options,
                            const std::filesystem::path& folder, const Json& qnn_config) {
  artifact::Qconfig qconfig;
  qconfig.huggingface_config =
      artifact::HuggingFaceConfigDict(*program.config, {.name_or_path = program.name_or_path});
  qconfig.onnx_path = program.onnx.string();
  const auto transforms = program.model->metadata.find("qeff_transforms");
  if (transforms != program.model->metadata.end())
    for (std::string& name : SplitAtCommas(transforms->second))
      (IsOnnxTransform(name) ? qconfig.onnx_transforms : qconfig.graph_transforms)
          .push_back(std::move(name));
  qconfig.specializations_path = (folder / artifact::kSpecializationsName).string();
  qconfig.specializations = program.specializations;
  qconfig.given_specializations = program.given_specializations;
  qconfig.device_count = options.card.num_devices;
  qconfig.num_speculative_tokens = program.num_speculative_tokens;
  qconfig.compile_options = CompileCall(program, options, HasRetainedState(program.model->graph));
  const SdkVersions versions = ReadSdkVersions(options.card.sdk);
  qconfig.sdk_apps_version = versions.apps;
  qconfig.sdk_platform_version = versions.platform;
  qconfig.enable_qnn = options.card.enable_qnn;
  qconfig.qnn_config = qnn_config;
  return artifact::WriteQconfig(qconfig);
}

std::vector<artifact::CustomIo> ListCustomIo(const ir::Graph& graph, bool mxint8) {
  std::vector<artifact::CustomIo> entries;
  const auto add = [&](const std::string& name, const ir::Value& value) {
    const bool is_cache = !IsFeature(name) && !IsAdapter(name);
    const std::string precision = mxint8 && is_cache                   ? "mxint8"
                                  : value.type().dtype == DType::kBf16 ? "bfloat16"
                                                                       : "float16";
    entries.push_back({name, precision});
  };
  const auto state_of = [](const ir::Value& input) {
    return input.name() + std::string(ir::kRetainedStateSuffix);
  };
  if (IsImageEncoder(graph)) {
    for (const ir::Value* input : graph.inputs())
      if (IsFeature(input->name())) add(input->name(), *input);
    for (const ir::GraphOutput& output : graph.outputs()) add(output.name, *output.value);
    return entries;
  }
  const ir::Value* heard = graph.FindInput("input_features");
  if (heard != nullptr && HasRetainedState(graph)) add(heard->name(), *heard);
  const bool has_adapters = HasAdapters(graph);
  std::vector<const ir::Value*> states;
  for (const ir::Value* input : graph.inputs())
    if (graph.FindOutput(state_of(*input)) != nullptr) states.push_back(input);
  for (const ir::Value* input : states) {
    add(input->name(), *input);
    if (!has_adapters) add(state_of(*input), *input);
  }
  if (!has_adapters) return entries;
  for (const ir::Value* input : states) add(state_of(*input), *input);
  return entries;
}

Result<OnnxCompilePlan> PlanCompile(const OnnxProgram& program,
                                    const BackendCompileOptions& options, const Compiler& compiler,
                                    const std::filesystem::path& folder,
                                    const std::filesystem::path& shown_folder) {
  const CardCompileOptions& card = options.card;
  QEFF_ASSIGN_OR_RETURN(const Partition partition, ChoosePartition(program.onnx, options));
  const ir::Graph& graph = program.model->graph;
  const bool has_state = HasRetainedState(graph);
  const std::vector<artifact::CustomIo> custom_io = ListCustomIo(graph, card.mxint8_kv_cache);
  const bool mxfp6_matmul = card.mxfp6_matmul && !IsImageEncoder(graph);
  if (mxfp6_matmul != card.mxfp6_matmul)
    LogWarning("--mxfp6-matmul is left out: encoders of images are compiled without");
  // bfloat16 is what such a model has anyway: the original lists nothing then.
  const bool lists_io = std::any_of(custom_io.begin(), custom_io.end(), [](const auto& entry) {
    return entry.precision != "bfloat16";
  });
  if (card.num_devices > 1 && card.mdp_partitions == 1)
    WarnAboutKvHeads(*program.model, card.num_devices);
  const auto compose = [&](const std::filesystem::path& where) {
    CompilerCall call{.compiler = compiler,
                      .hardware_version = card.hardware_version,
                      .onnx = program.onnx,
                      .partition_file = card.mdp_load_partition_config,
                      .retained_state = has_state,
                      .mxfp6_matmul = mxfp6_matmul,
                      .num_cores = options.num_cores,
                      .further = card.compiler_options,
                      .sub_functions = !program.model->functions.empty(),
                      .slicing_file = {},
                      .specializations_file = where / artifact::kSpecializationsName,
                      .custom_io_file = {},
                      .binary_folder = where / kBinaryFolder};
    if (!partition.name.empty())
      (card.mdp_partitions > 1 ? call.partition_file : call.slicing_file) = where / partition.name;
    if (lists_io) call.custom_io_file = where / artifact::kCustomIoName;
    return ComposeCommand(call);
  };
  OnnxCompilePlan plan{.commands = {compose(folder)}, .files = {}};
  plan.files.emplace_back(artifact::kSpecializationsName,
                          artifact::WriteSpecializations(program.specializations));
  if (lists_io) {
    QEFF_ASSIGN_OR_RETURN(std::string text, artifact::WriteCustomIo(custom_io));
    plan.files.emplace_back(artifact::kCustomIoName, std::move(text));
  }
  if (!partition.name.empty()) plan.files.emplace_back(partition.name, partition.content);
  plan.files.emplace_back(
      artifact::kCompileParamsName,
      artifact::WriteCompileParams(
          {.command = compose(shown_folder),
           .custom_io = custom_io,
           .specializations = program.specializations,
           .given_specializations = ListedSpecializations(program),
           .device_count = card.num_devices,
           .partition = partition.json,
           .partition_count = card.mdp_partitions,
           .partition_strategy = card.mdp_compiler_dump.empty() ? "onnx" : "intersection",
           .num_speculative_tokens = program.num_speculative_tokens,
           .prefill_only = program.prefill_only}));
  if (program.config) {
    plan.files.emplace_back(artifact::kQconfigName, DescribeProgram(program, options, shown_folder,
                                                                    /*qnn_config=*/nullptr));
  }
  return plan;
}

}  // namespace qeff::aic100
