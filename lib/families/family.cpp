// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/family.h"

#include <algorithm>

namespace qeff::families {

#define FAMILY(file, function, architecture) Result<ir::Graph> function(const FamilyInputs&);
#define ENCODER(file, function, stem) Result<ir::Graph> function(const FamilyInputs&);
#define CACHE_AFTER(file, input)
#define BATCH_INDEX_AFTER(file, input)
#include "lib/families/families.def"
#undef FAMILY
#undef ENCODER
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
/// architecture that they share ("kimi_k2" for DeepSeek V3). Null if it is none of ours.
Result<const FamilyInfo*> LookUpFamily(const checkpoint::ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(const auto model_type, config.OptionalString("model_type"));
  // A file's name has an underscore where "xlm-roberta" has a hyphen.
  std::string file = model_type.value_or("");
  std::replace(file.begin(), file.end(), '-', '_');
  for (const FamilyInfo& family : AllFamilies()) {
    if (family.model_type == file) return &family;
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> architectures,
                        config.Strings("architectures"));
  for (const FamilyInfo& family : AllFamilies()) {
    for (const std::string& architecture : architectures) {
      for (const Task task : AllTasks()) {
        if (family.ArchitectureFor(task) == architecture) return &family;
      }
    }
  }
  return nullptr;
}

/// What computes text in a checkpoint: all of it, or a part with a section of config.json.
struct TextPart {
  const FamilyInfo* family;
  checkpoint::ConfigReader config;
  std::string section;  ///< "text_config" or "llm_config"; empty: all of it
};

Result<TextPart> FindTextPart(const checkpoint::ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(const FamilyInfo* whole, LookUpFamily(config));
  if (whole != nullptr) return TextPart{whole, config, ""};
  for (const char* key : {"text_config", "llm_config"}) {
    if (!config.IsObject(key)) continue;
    QEFF_ASSIGN_OR_RETURN(checkpoint::ConfigReader section, config.Section(key));
    QEFF_ASSIGN_OR_RETURN(const FamilyInfo* part, LookUpFamily(section));
    if (part != nullptr) return TextPart{part, std::move(section), key};
  }
  QEFF_ASSIGN_OR_RETURN(const std::string model_type, config.String("model_type"));
  return config.ErrorAt(ErrorCode::kUnsupported, "model_type",
                        fmt::format("unknown model type '{}'", model_type),
                        UnknownTypeNotes(config, model_type));
}

/// The task that is asked for, else that of the class that the checkpoint was saved from.
Result<Task> ChooseTask(const TextPart& part, const BuildOptions& options,
                        FamilyFindings& findings) {
  const FamilyInfo& family = *part.family;
  QEFF_ASSIGN_OR_RETURN(const std::optional<Task> named, ReadTask(part.config));
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> architectures,
                        part.config.Strings("architectures"));
  if (family.is_encoder && !options.task && !named && !architectures.empty()) {
    findings.notes.push_back(fmt::format("the head of '{}' is left out: hidden states are computed",
                                         architectures.front()));
  }
  const Task fallback = family.is_encoder ? Task::kEmbedding : Task::kCausalLm;
  const Task task = options.task.value_or(named.value_or(fallback));
  if (!family.is_encoder || task != Task::kCausalLm) return task;
  return part.config.ErrorAt(
      ErrorCode::kUnsupported, "architectures",
      fmt::format("'{}' is an encoder: it does not generate text", family.model_type));
}

/// Keys that, if set to something that matters, change what is computed and are not implemented by
/// any family.
Status CheckSpecialKeys(const checkpoint::ConfigReader& config, bool is_encoder) {
  if (config.Has("quantization_config")) {
    return config.ErrorAt(ErrorCode::kUnsupported, "quantization_config",
                          "quantized checkpoints are not supported yet",
                          {"use a checkpoint in f32, f16 or bf16"});
  }
  for (const char* key : {"add_cross_attention", "is_encoder_decoder"}) {
    QEFF_ASSIGN_OR_RETURN(const bool has_encoder, config.BoolOr(key, false));
    // The encoder of such a model is a family of its own.
    if (has_encoder && !(is_encoder && key == std::string_view("is_encoder_decoder"))) {
      return config.ErrorAt(ErrorCode::kUnsupported, key,
                            "layers that attend to an encoder are not supported");
    }
  }
  QEFF_ASSIGN_OR_RETURN(const bool is_causal, config.BoolOr("is_causal", !is_encoder));
  if (is_causal == is_encoder) {
    return config.ErrorAt(ErrorCode::kUnsupported, "is_causal",
                          is_encoder ? "attention to earlier tokens only is not supported"
                                     : "attention to later tokens is not supported");
  }
  return Status::Ok();
}

InputOrder InputOrderOf(std::string_view model_type) {
  InputOrder order;
#define FAMILY(file, function, architecture)
#define ENCODER(file, function, stem)
#define CACHE_AFTER(file, input) \
  if (model_type == #file) order.cache_after = input;
#define BATCH_INDEX_AFTER(file, input) \
  if (model_type == #file) order.batch_index_after = input;
#include "lib/families/families.def"
#undef FAMILY
#undef ENCODER
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

/// Files of a whole model of sentence-transformers number its modules, the first is transformers':
/// without "0.auto_model.", and without the others' tensors, which are read from their own files.
WeightTable OfTransformer(WeightTable all) {
  for (const std::string_view module : {"0.auto_model.", "auto_model."}) {
    WeightTable own{.path = all.path, .weights = {}, .prefix = std::string(module)};
    for (const auto& [name, weight] : all.weights) {
      if (name.starts_with(module)) own.weights.emplace(name.substr(module.size()), weight);
    }
    if (!own.weights.empty()) return own;
  }
  return all;
}

/// The tensors of the text part under the names of a checkpoint of its own. Both spellings of
/// transformers: "language_model.model.norm.weight" (4) and "model.language_model.norm.weight" (5).
WeightTable OfTextPart(const WeightTable& all) {
  constexpr std::string_view kPart = "language_model.";
  WeightTable text{.path = all.path, .weights = {}, .prefix = all.prefix};
  for (const auto& [name, weight] : all.weights) {
    const size_t at = name.find(kPart);
    if (name.starts_with("lm_head.")) text.weights.emplace(name, weight);
    if (at != 0 && !(at == 6 && name.starts_with("model."))) continue;
    text.weights.emplace(name.substr(0, at) + name.substr(at + kPart.size()), weight);
  }
  return text;
}

}  // namespace

std::string FamilyInfo::ArchitectureFor(Task task) const {
  if (is_encoder) return std::string(architecture) + std::string(ClassEnd(task));
  if (task == Task::kCausalLm) return std::string(architecture);
  std::string_view stem = architecture;
  for (const std::string_view end : {"ForCausalLM", "LMHeadModel"}) {
    if (stem.ends_with(end)) stem.remove_suffix(end.size());
  }
  return std::string(stem) + std::string(ClassEnd(task));
}

const std::vector<FamilyInfo>& AllFamilies() {
  static const std::vector<FamilyInfo> families = {
#define FAMILY(file, function, architecture) {#file, architecture, false, function},
#define ENCODER(file, function, stem) {#file, stem, true, function},
#define CACHE_AFTER(file, input)
#define BATCH_INDEX_AFTER(file, input)
#include "lib/families/families.def"
#undef FAMILY
#undef ENCODER
#undef CACHE_AFTER
#undef BATCH_INDEX_AFTER
  };
  return families;
}

Result<BuiltModel> BuildModel(const checkpoint::Checkpoint& checkpoint,
                              const BuildOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const checkpoint::ConfigReader config, checkpoint.OpenConfig());
  QEFF_ASSIGN_OR_RETURN(const TextPart part, FindTextPart(config));
  QEFF_RETURN_IF_ERROR(CheckSpecialKeys(config, part.family->is_encoder));
  QEFF_RETURN_IF_ERROR(CheckSpecialKeys(part.config, part.family->is_encoder));
  FamilyFindings findings;
  QEFF_ASSIGN_OR_RETURN(const Task task, ChooseTask(part, options, findings));
  const WeightTable all = OfTransformer(CollectWeights(checkpoint));
  const WeightTable weights = part.section.empty() ? all : OfTextPart(all);
  QEFF_ASSIGN_OR_RETURN(ir::Graph graph,
                        part.family->build({.config = part.config,
                                            .weights = weights,
                                            .findings = findings,
                                            .max_positions = options.max_positions,
                                            .strict_contract = options.strict_contract,
                                            .task = task}));
  BuiltModel built{.graph = std::move(graph),
                   .architecture = part.family->ArchitectureFor(task),
                   .task = task,
                   .max_tokens = findings.max_tokens,
                   .input_order = InputOrderOf(part.family->model_type),
                   .notes = std::move(findings.notes)};
  if (!part.section.empty()) {
    built.notes.push_back(fmt::format(
        "only the text part is built, as '{}' says; {} tensors of other parts are left out",
        part.section, all.weights.size() - weights.weights.size()));
  }
  Diagnostics unread;
  config.ReportUnread(unread);
  for (const Diagnostic& finding : unread.findings()) built.notes.push_back(finding.ToString());
  for (const Diagnostic& warning : checkpoint.warnings()) built.notes.push_back(warning.ToString());
  return built;
}

}  // namespace qeff::families
