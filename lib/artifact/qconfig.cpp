// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/qconfig.h"

#include <utility>

namespace qeff::artifact {
namespace {

Json OrNull(const std::optional<std::string>& value) {
  return value ? Json(*value) : Json(nullptr);
}

/// Moves rope_theta and rope_scaling of older files into rope_parameters.
void UnifyRope(Json& config) {
  if (Find(config, "rope_parameters") == nullptr) {
    const Json* scaling = Find(config, "rope_scaling");
    const Json* theta = Find(config, "rope_theta");
    if (scaling == nullptr && theta == nullptr) return;
    Json rope = scaling != nullptr && scaling->is_object() ? *scaling : Json::object();
    if (theta != nullptr) rope["rope_theta"] = *theta;
    const Json* old_type = Find(rope, "type");
    if (Find(rope, "rope_type") == nullptr)
      rope["rope_type"] = old_type != nullptr ? Json(*old_type) : Json("default");
    config["rope_parameters"] = std::move(rope);
  }
  config.erase("rope_scaling");
  config.erase("rope_theta");
}

Json SpecializationsForConfig(const std::vector<Specialization>& specializations,
                              const Json& given) {
  if (!given.is_null()) return given;
  Json entries = Json::array();
  for (const Specialization& specialization : specializations) {
    Json entry{{"_graph_name", specialization.graph_name}};
    for (const auto& [symbol, value] : specialization.symbols) entry[symbol] = value;
    entries.push_back(std::move(entry));
  }
  return entries;
}

Json SpeculativeTokens(const std::vector<int64_t>& counts) {
  if (counts.empty()) return nullptr;
  return counts.size() == 1 ? Json(counts.front()) : Json(counts);
}

}  // namespace

Json HuggingFaceConfigDict(const Json& config, const HuggingFaceConfigOptions& options) {
  Json result = config.is_object() ? config : Json::object();
  const Json base_fields{{"_commit_hash", nullptr},
                         {"_output_attentions", false},
                         {"architectures", nullptr},
                         {"chunk_size_feed_forward", 0},
                         {"id2label", {{"0", "LABEL_0"}, {"1", "LABEL_1"}}},
                         {"is_encoder_decoder", false},
                         {"label2id", {{"LABEL_0", 0}, {"LABEL_1", 1}}},
                         {"max_seq_len_cached", nullptr},
                         {"output_hidden_states", false},
                         {"problem_type", nullptr},
                         {"return_dict", true},
                         {"transformers_version", nullptr}};
  for (const auto& field : base_fields.items()) {
    if (Find(result, field.key()) == nullptr) result[field.key()] = field.value();
  }
  result["_attn_implementation_internal"] = "eager";
  result["_experts_implementation_internal"] = "eager";
  result["_name_or_path"] = options.name_or_path;
  result["dtype"] = "torch." + options.dtype;
  result.erase("torch_dtype");
  UnifyRope(result);
  return result;
}

std::string WriteQconfig(const Qconfig& qconfig) {
  Json compiler = qconfig.compile_options;
  compiler["compile_dir"] = OrNull(qconfig.compile_dir);
  compiler["enable_qnn"] = qconfig.enable_qnn;
  compiler["mdp_ts_num_devices"] = qconfig.device_count;
  compiler["num_speculative_tokens"] = SpeculativeTokens(qconfig.num_speculative_tokens);
  compiler["specializations"] =
      SpecializationsForConfig(qconfig.specializations, qconfig.given_specializations);
  compiler["specializations_file_path"] = qconfig.specializations_path;
  const Json exporter{{"onnx_path", qconfig.onnx_path},
                      {"onnx_transforms", qconfig.onnx_transforms},
                      {"pytorch_transforms", qconfig.graph_transforms}};
  const Json sdk{{"qaic_apps_version", OrNull(qconfig.sdk_apps_version)},
                 {"qaic_platform_version", OrNull(qconfig.sdk_platform_version)}};
  Json qpc{
      {"QEff_config", exporter}, {"aic_sdk_config", sdk}, {"compiler_config", std::move(compiler)}};
  if (!qconfig.qnn_config.is_null()) qpc["qnn_config"] = qconfig.qnn_config;
  return DumpPythonStyle(
      {{"huggingface_config", qconfig.huggingface_config}, {"qpc_config", std::move(qpc)}});
}

std::string WriteCompileParams(const CompileParams& params) {
  Json custom_io = Json::object();
  for (const CustomIo& entry : params.custom_io) custom_io[entry.io_name] = entry.precision;
  return DumpPythonStyle(
      {{"command", params.command},
       {"custom_io", params.custom_io.empty() ? Json(nullptr) : std::move(custom_io)},
       {"mdp_num_partitions", params.partition_count},
       {"mdp_strategy", params.partition_strategy},
       {"mdp_ts_json", params.partition},
       {"mdp_ts_num_devices", params.device_count},
       {"num_speculative_tokens", SpeculativeTokens(params.num_speculative_tokens)},
       {"prefill_only", params.prefill_only ? Json(*params.prefill_only) : Json(nullptr)},
       {"specializations",
        SpecializationsForConfig(params.specializations, params.given_specializations)}});
}

}  // namespace qeff::artifact
