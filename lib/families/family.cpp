// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/family.h"

namespace qeff::families {

#define FAMILY(file, function, architecture) Result<ir::Graph> function(const FamilyInputs&);
#define CACHE_AFTER(file, input)
#define BATCH_INDEX_AFTER(file, input)
#include "lib/families/families.def"
#undef FAMILY
#undef CACHE_AFTER
#undef BATCH_INDEX_AFTER

namespace {

/// What to do about a model type that is none of ours.
std::vector<std::string> UnknownTypeNotes(const checkpoint::ConfigReader& config,
                                          const std::string& model_type) {
  std::vector<std::string> known;
  for (const FamilyInfo& family : AllFamilies()) known.emplace_back(family.model_type);
  std::vector<std::string> notes;
  if (const auto nearest = Nearest(model_type, known))
    notes.push_back(fmt::format("the nearest family is '{}'", *nearest));
  notes.push_back(fmt::format("supported: {}", fmt::join(known, ", ")));
  if (config.Has("auto_map")) {
    notes.emplace_back(
        "the checkpoint brings code of its own (auto_map); it is never run: only what a family "
        "says is computed");
  }
  notes.push_back(
      fmt::format("a new family is one file, lib/families/{}.cpp, and a line in families.def: "
                  "lib/families/README.md shows how",
                  model_type));
  return notes;
}

/// By model_type, else by architecture: files of the hub may have a type of their own for an
/// architecture that they share ("kimi_k2" for DeepSeek V3).
Result<const FamilyInfo*> FindFamily(const checkpoint::ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(const std::string model_type, config.String("model_type"));
  for (const FamilyInfo& family : AllFamilies()) {
    if (family.model_type == model_type) return &family;
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> architectures,
                        config.Strings("architectures"));
  for (const FamilyInfo& family : AllFamilies()) {
    for (const std::string& architecture : architectures) {
      if (family.architecture == architecture) return &family;
    }
  }
  return config.ErrorAt(ErrorCode::kUnsupported, "model_type",
                        fmt::format("unknown model type '{}'", model_type),
                        UnknownTypeNotes(config, model_type));
}

/// Keys that, if set to something that matters, change what is computed and are not implemented by
/// any family.
Status CheckSpecialKeys(const checkpoint::ConfigReader& config) {
  if (config.Has("quantization_config")) {
    return config.ErrorAt(ErrorCode::kUnsupported, "quantization_config",
                          "quantized checkpoints are not supported yet",
                          {"use a checkpoint in f32, f16 or bf16"});
  }
  for (const char* key : {"add_cross_attention", "is_encoder_decoder"}) {
    QEFF_ASSIGN_OR_RETURN(const bool has_encoder, config.BoolOr(key, false));
    if (has_encoder) {
      return config.ErrorAt(ErrorCode::kUnsupported, key,
                            "layers that attend to an encoder are not supported");
    }
  }
  QEFF_ASSIGN_OR_RETURN(const bool is_causal, config.BoolOr("is_causal", true));
  if (!is_causal) {
    return config.ErrorAt(ErrorCode::kUnsupported, "is_causal",
                          "attention to later tokens is not supported");
  }
  return Status::Ok();
}

InputOrder InputOrderOf(std::string_view model_type) {
  InputOrder order;
#define FAMILY(file, function, architecture)
#define CACHE_AFTER(file, input) \
  if (model_type == #file) order.cache_after = input;
#define BATCH_INDEX_AFTER(file, input) \
  if (model_type == #file) order.batch_index_after = input;
#include "lib/families/families.def"
#undef FAMILY
#undef CACHE_AFTER
#undef BATCH_INDEX_AFTER
  return order;
}

WeightTable CollectWeights(const checkpoint::Checkpoint& checkpoint) {
  WeightTable table{.path = checkpoint.folder().string(), .weights = {}};
  for (const checkpoint::TensorRef& tensor : checkpoint.tensors()) {
    table.weights.emplace(
        tensor.name, ir::FromFile(tensor.file, tensor.offset_bytes, tensor.dtype, tensor.shape));
  }
  return table;
}

}  // namespace

const std::vector<FamilyInfo>& AllFamilies() {
  static const std::vector<FamilyInfo> families = {
#define FAMILY(file, function, architecture) {#file, architecture, function},
#define CACHE_AFTER(file, input)
#define BATCH_INDEX_AFTER(file, input)
#include "lib/families/families.def"
#undef FAMILY
#undef CACHE_AFTER
#undef BATCH_INDEX_AFTER
  };
  return families;
}

Result<BuiltModel> BuildModel(const checkpoint::Checkpoint& checkpoint,
                              const BuildOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const checkpoint::ConfigReader config, checkpoint.OpenConfig());
  QEFF_ASSIGN_OR_RETURN(const FamilyInfo* family, FindFamily(config));
  QEFF_RETURN_IF_ERROR(CheckSpecialKeys(config));
  const WeightTable weights = CollectWeights(checkpoint);
  QEFF_ASSIGN_OR_RETURN(ir::Graph graph, family->build({config, weights, options.max_positions,
                                                        options.strict_contract}));
  BuiltModel built{.graph = std::move(graph),
                   .architecture = std::string(family->architecture),
                   .input_order = InputOrderOf(family->model_type),
                   .notes = {}};
  Diagnostics findings;
  config.ReportUnread(findings);
  for (const Diagnostic& finding : findings.findings()) built.notes.push_back(finding.ToString());
  for (const Diagnostic& warning : checkpoint.warnings()) built.notes.push_back(warning.ToString());
  return built;
}

}  // namespace qeff::families
