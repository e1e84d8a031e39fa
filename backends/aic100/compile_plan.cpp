// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/compile_plan.h"

#include <algorithm>
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
               {"enable_chunking", false},
               {"kv_cache_prefix", nullptr},
               {"moe_prefill_packed_chunk_size", 256},
               {"mxfp6_matmul", card.mxfp6_matmul},
               {"mxint8_kv_cache", card.mxint8_kv_cache},
               {"offload_pt_weights", true},
               {"prefill_only", program.prefill_only ? Json(*program.prefill_only) : Json(nullptr)},
               {"retain_full_kv", nullptr},
               {"use_onnx_subfunctions", !program.model->functions.empty()}};
  if (has_state) call["retained_state"] = true;
  if (card.mdp_partitions > 1) call["mdp_num_partitions"] = card.mdp_partitions;
  for (const std::string& option : card.compiler_options) {
    const size_t equals = option.find('=');
    std::string name = option.substr(1, equals == std::string::npos ? equals : equals - 1);
    std::replace(name.begin(), name.end(), '-', '_');
    call[name] = equals == std::string::npos ? Json(true) : OptionValue(option.substr(equals + 1));
  }
  return call;
}

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');) parts.push_back(part);
  return parts;
}

std::string QconfigOf(const OnnxProgram& program, const BackendCompileOptions& options,
                      const std::filesystem::path& folder, bool has_state) {
  artifact::Qconfig qconfig;
  qconfig.huggingface_config =
      artifact::HuggingFaceConfigDict(*program.config, {.name_or_path = program.name_or_path});
  qconfig.onnx_path = program.onnx.string();
  const auto transforms = program.model->metadata.find("qeff_transforms");
  if (transforms != program.model->metadata.end())
    qconfig.graph_transforms = SplitAtCommas(transforms->second);
  qconfig.specializations_path = (folder / artifact::kSpecializationsName).string();
  qconfig.specializations = program.specializations;
  qconfig.device_count = options.card.num_devices;
  qconfig.num_speculative_tokens = program.num_speculative_tokens;
  qconfig.compile_options = CompileCall(program, options, has_state);
  const SdkVersions versions = ReadSdkVersions(options.card.sdk);
  qconfig.sdk_apps_version = versions.apps;
  qconfig.sdk_platform_version = versions.platform;
  return artifact::WriteQconfig(qconfig);
}

}  // namespace

std::vector<artifact::CustomIo> ListStateIo(const ir::Graph& graph, bool mxint8) {
  std::vector<artifact::CustomIo> entries;
  for (const ir::Value* input : graph.inputs()) {
    const std::string output = input->name() + std::string(ir::kRetainedStateSuffix);
    if (graph.FindOutput(output) == nullptr) continue;
    const std::string precision = mxint8                                ? "mxint8"
                                  : input->type().dtype == DType::kBf16 ? "bfloat16"
                                                                        : "float16";
    entries.push_back({input->name(), precision});
    entries.push_back({output, precision});
  }
  return entries;
}

Result<OnnxCompilePlan> PlanCompile(const OnnxProgram& program,
                                    const BackendCompileOptions& options, const Compiler& compiler,
                                    const std::filesystem::path& folder,
                                    const std::filesystem::path& shown_folder) {
  const CardCompileOptions& card = options.card;
  QEFF_ASSIGN_OR_RETURN(const Partition partition, ChoosePartition(program.onnx, options));
  const std::vector<artifact::CustomIo> state =
      ListStateIo(program.model->graph, card.mxint8_kv_cache);
  // bfloat16 is what such a model has anyway: the original lists nothing then.
  const bool lists_state = std::any_of(
      state.begin(), state.end(), [](const auto& entry) { return entry.precision != "bfloat16"; });
  const auto compose = [&](const std::filesystem::path& where) {
    CompilerCall call{.compiler = compiler,
                      .hardware_version = card.hardware_version,
                      .onnx = program.onnx,
                      .partition_file = card.mdp_load_partition_config,
                      .retained_state = !state.empty(),
                      .mxfp6_matmul = card.mxfp6_matmul,
                      .num_cores = options.num_cores,
                      .further = card.compiler_options,
                      .sub_functions = !program.model->functions.empty(),
                      .slicing_file = {},
                      .specializations_file = where / artifact::kSpecializationsName,
                      .custom_io_file = {},
                      .binary_folder = where / kBinaryFolder};
    if (!partition.name.empty())
      (card.mdp_partitions > 1 ? call.partition_file : call.slicing_file) = where / partition.name;
    if (lists_state) call.custom_io_file = where / artifact::kCustomIoName;
    return ComposeCommand(call);
  };
  OnnxCompilePlan plan{.command = compose(folder), .files = {}};
  plan.files.emplace_back(artifact::kSpecializationsName,
                          artifact::WriteSpecializations(program.specializations));
  if (lists_state) {
    QEFF_ASSIGN_OR_RETURN(std::string custom_io, artifact::WriteCustomIo(state));
    plan.files.emplace_back(artifact::kCustomIoName, std::move(custom_io));
  }
  if (!partition.name.empty()) plan.files.emplace_back(partition.name, partition.content);
  plan.files.emplace_back(
      artifact::kCompileParamsName,
      artifact::WriteCompileParams(
          {.command = compose(shown_folder),
           .custom_io = state,
           .specializations = program.specializations,
           .device_count = card.num_devices,
           .partition = partition.json,
           .partition_count = card.mdp_partitions,
           .partition_strategy = card.mdp_compiler_dump.empty() ? "onnx" : "intersection",
           .num_speculative_tokens = program.num_speculative_tokens,
           .prefill_only = program.prefill_only}));
  if (program.config) {
    plan.files.emplace_back(artifact::kQconfigName,
                            QconfigOf(program, options, shown_folder, !state.empty()));
  }
  return plan;
}

}  // namespace qeff::aic100
