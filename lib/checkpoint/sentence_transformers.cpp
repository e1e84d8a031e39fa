// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/sentence_transformers.h"

#include <algorithm>
#include <array>

#include "lib/checkpoint/model_config.h"
#include "lib/support/json.h"

namespace qeff::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kModulesName = "modules.json";
constexpr std::string_view kTextsName = "config_sentence_transformers.json";
/// The file's name follows the model that it was first written for; all have the same keys.
constexpr auto kTransformerNames = std::to_array<std::string_view>(
    {"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json",
     "sentence_camembert_config.json", "sentence_albert_config.json",
     "sentence_xlm-roberta_config.json", "sentence_xlnet_config.json"});
constexpr auto kSimilarities =
    std::to_array<std::string_view>({"cosine", "dot", "euclidean", "manhattan"});

struct ModeName {
  std::string_view flag;    ///< key of the older files, true if the mode is on
  std::string_view theirs;  ///< value of "pooling_mode" in the newer ones
  std::string_view ours;
};
/// In the order in which the library joins the vectors of the older files' modes.
constexpr auto kModes = std::to_array<ModeName>({
    {"pooling_mode_cls_token", "cls", "cls"},
    {"pooling_mode_max_tokens", "max", "max"},
    {"pooling_mode_mean_tokens", "mean", "mean"},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", "mean_sqrt_len"},
    {"pooling_mode_weightedmean_tokens", "weightedmean", "weightedmean"},
    {"pooling_mode_lasttoken", "lasttoken", "last"},
});

bool IsFile(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

Result<PoolingModule> ReadPooling(const fs::path& path) {
  QEFF_ASSIGN_OR_RETURN(const ConfigReader config, ConfigReader::Read(path));
  PoolingModule pooling;
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> named, config.Strings("pooling_mode"));
  for (const std::string& name : named) {
    const auto* mode = std::ranges::find(kModes, name, &ModeName::theirs);
    if (mode == kModes.end()) {
      return config.ErrorAt(ErrorCode::kUnsupported, "pooling_mode",
                            fmt::format("unknown pooling mode '{}'", name));
    }
    pooling.modes.emplace_back(mode->ours);
  }
  for (const std::string& key : config.Keys()) {
    if (!key.starts_with("pooling_mode_")) continue;
    const auto* mode = std::ranges::find(kModes, key, &ModeName::flag);
    QEFF_ASSIGN_OR_RETURN(const bool is_on, config.BoolOr(key, false));
    if (is_on && mode == kModes.end())
      return config.ErrorAt(ErrorCode::kUnsupported, key, "unknown pooling mode");
  }
  for (const ModeName& mode : kModes) {
    QEFF_ASSIGN_OR_RETURN(const bool is_on, config.BoolOr(mode.flag, false));
    if (is_on && named.empty()) pooling.modes.emplace_back(mode.ours);
  }
  if (pooling.modes.empty()) pooling.modes = {"mean"};
  QEFF_ASSIGN_OR_RETURN(pooling.includes_prompt, config.BoolOr("include_prompt", true));
  const char* key =
      config.Has("embedding_dimension") ? "embedding_dimension" : "word_embedding_dimension";
  QEFF_ASSIGN_OR_RETURN(pooling.dimension, config.OptionalInt(key, kPositive));
  return pooling;
}

/// "torch.nn.modules.activation.Tanh" -> "tanh".
Result<std::string> ReadActivation(const ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(const std::string name,
                        config.StringOr("activation_function", "torch.nn.modules.activation.Tanh"));
  struct Activation {
    std::string_view theirs;
    std::string_view ours;
  };
  constexpr auto kActivations = std::to_array<Activation>({{"Identity", "linear"},
                                                           {"Tanh", "tanh"},
                                                           {"ReLU", "relu"},
                                                           {"GELU", "gelu"},
                                                           {"SiLU", "silu"},
                                                           {"Sigmoid", "sigmoid"}});
  const std::string_view kind = std::string_view(name).substr(name.rfind('.') + 1);
  const auto* found = std::ranges::find(kActivations, kind, &Activation::theirs);
  if (!name.starts_with("torch.nn.") || found == kActivations.end()) {
    return config.ErrorAt(ErrorCode::kUnsupported, "activation_function",
                          fmt::format("unknown activation '{}'", name));
  }
  return std::string(found->ours);
}

Result<DenseModule> ReadDense(const fs::path& path, std::string folder) {
  QEFF_ASSIGN_OR_RETURN(const ConfigReader config, ConfigReader::Read(path));
  DenseModule dense{.folder = std::move(folder), .activation = {}};
  QEFF_ASSIGN_OR_RETURN(dense.in_features, config.Int("in_features", kPositive));
  QEFF_ASSIGN_OR_RETURN(dense.out_features, config.Int("out_features", kPositive));
  QEFF_ASSIGN_OR_RETURN(dense.has_bias, config.BoolOr("bias", true));
  QEFF_ASSIGN_OR_RETURN(dense.activation, ReadActivation(config));
  QEFF_ASSIGN_OR_RETURN(const bool use_residual, config.BoolOr("use_residual", false));
  if (use_residual) return config.ErrorAt(ErrorCode::kUnsupported, "use_residual", "not supported");
  constexpr std::string_view kVector = "sentence_embedding";
  for (const char* key : {"module_input_name", "module_output_name"}) {
    QEFF_ASSIGN_OR_RETURN(const std::string name, config.StringOr(key, std::string(kVector)));
    if (name != kVector) {
      return config.ErrorAt(ErrorCode::kUnsupported, key,
                            fmt::format("expected '{}', got '{}'", kVector, name));
    }
  }
  return dense;
}

/// An entry of modules.json.
struct Entry {
  std::string kind;    ///< "Pooling"
  std::string folder;  ///< "1_Pooling"
};

/// A folder of the model: nothing that a file says may lead elsewhere.
bool IsPlainFolder(std::string_view name) {
  return name.find_first_of(std::string_view("/\\\0", 3)) == name.npos && !name.starts_with('.');
}

Result<std::vector<Entry>> ReadEntries(const fs::path& path) {
  QEFF_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(path));
  const Location where = Location::File(path.string());
  if (!root.is_array()) return InvalidInput(where, "expected a list of modules");
  std::vector<Entry> entries;
  for (size_t i = 0; i < root.size(); ++i) {
    const Json* type = Find(root[i], "type");
    const Json* folder = Find(root[i], "path");
    if (type == nullptr || !type->is_string() || folder == nullptr || !folder->is_string()) {
      return InvalidInput(where, fmt::format("module {}: expected strings 'type' and 'path'", i));
    }
    const auto full = type->get<std::string>();
    if (!full.starts_with("sentence_transformers.")) {
      return Unsupported(where, fmt::format("module {}: '{}' is code of the checkpoint, which is "
                                            "never run",
                                            i, full));
    }
    Entry entry{.kind = full.substr(full.rfind('.') + 1), .folder = folder->get<std::string>()};
    while (entry.folder.ends_with('/')) entry.folder.pop_back();
    if (!IsPlainFolder(entry.folder)) {
      return InvalidInput(where,
                          fmt::format("module {}: expected the name of a folder of the model, got "
                                      "'{}'",
                                      i, entry.folder));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

/// Sizes must fit from module to module.
Status CheckSizes(const SentenceModules& modules, const fs::path& path) {
  std::optional<int64_t> size;
  if (modules.pooling && modules.pooling->dimension)
    size = *modules.pooling->dimension * static_cast<int64_t>(modules.pooling->modes.size());
  for (const auto& module : modules.head) {
    const auto* dense = std::get_if<DenseModule>(&module);
    if (dense == nullptr) continue;
    if (size && *size != dense->in_features) {
      return InvalidInput(Location::File(path.string()),
                          fmt::format("module '{}' takes {} elements, but the one before it gives "
                                      "{}",
                                      dense->folder, dense->in_features, *size));
    }
    size = dense->out_features;
  }
  return Status::Ok();
}

Status AddModule(const fs::path& folder, const Entry& entry, size_t index,
                 SentenceModules& modules) {
  const Location where = Location::File((folder / kModulesName).string());
  const fs::path config = folder / entry.folder / "config.json";
  if (entry.kind == "Transformer") {
    if (index != 0)
      return Unsupported(where, fmt::format("module {}: a second Transformer", index));
    if (entry.folder.empty()) return Status::Ok();
    return Unsupported(
        where, fmt::format("the Transformer lies in '{}'", entry.folder),
        {"expected it at the top of the folder, as sentence-transformers 2 and later save it"});
  }
  if (index == 0) {
    return InvalidInput(
        where, fmt::format("expected the first module to be a Transformer, got '{}'", entry.kind));
  }
  if (entry.kind == "Dropout") return Status::Ok();  // does nothing outside of training
  if (entry.kind == "Pooling") {
    if (modules.pooling || !modules.head.empty()) {
      return InvalidInput(where, fmt::format("module {}: Pooling must come once, right after the "
                                             "Transformer",
                                             index));
    }
    QEFF_ASSIGN_OR_RETURN(modules.pooling, ReadPooling(config));
    return Status::Ok();
  }
  if (entry.kind != "Dense" && entry.kind != "Normalize") {
    return Unsupported(where,
                       fmt::format("module {}: kind '{}' is not supported", index, entry.kind),
                       {"supported: Transformer, Pooling, Dense, Normalize, Dropout"});
  }
  if (!modules.pooling) {
    return InvalidInput(where,
                        fmt::format("module {}: expected Pooling before {}", index, entry.kind));
  }
  if (entry.kind == "Normalize") {
    modules.head.emplace_back(NormalizeModule{});
    return Status::Ok();
  }
  QEFF_ASSIGN_OR_RETURN(DenseModule dense, ReadDense(config, entry.folder));
  modules.head.emplace_back(std::move(dense));
  return Status::Ok();
}

Status ReadTransformerSettings(const fs::path& path, SentenceTexts& texts) {
  QEFF_ASSIGN_OR_RETURN(const ConfigReader config, ConfigReader::Read(path));
  QEFF_ASSIGN_OR_RETURN(texts.max_tokens, config.OptionalInt("max_seq_length", kPositive));
  QEFF_ASSIGN_OR_RETURN(texts.lowercases, config.BoolOr("do_lower_case", false));
  return Status::Ok();
}

Status ReadTextSettings(const fs::path& path, SentenceTexts& texts) {
  QEFF_ASSIGN_OR_RETURN(const ConfigReader config, ConfigReader::Read(path));
  if (config.Has("prompts")) {
    QEFF_ASSIGN_OR_RETURN(const ConfigReader prompts, config.Section("prompts"));
    for (const std::string& name : prompts.Keys()) {
      if (!prompts.Has(name)) continue;
      QEFF_ASSIGN_OR_RETURN(std::string text, prompts.String(name));
      texts.prompts.emplace_back(name, std::move(text));
    }
  }
  QEFF_ASSIGN_OR_RETURN(texts.default_prompt, config.OptionalString("default_prompt_name"));
  if (texts.default_prompt && !texts.Prompt(*texts.default_prompt).ok()) {
    return config.ErrorAt(ErrorCode::kInvalidInput, "default_prompt_name",
                          fmt::format("'prompts' has no '{}'", *texts.default_prompt));
  }
  QEFF_ASSIGN_OR_RETURN(texts.similarity, config.StringOr("similarity_fn_name", "cosine"));
  if (std::ranges::find(kSimilarities, texts.similarity) == kSimilarities.end()) {
    return config.ErrorAt(
        ErrorCode::kUnsupported, "similarity_fn_name",
        fmt::format("expected {}, got '{}'", fmt::join(kSimilarities, ", "), texts.similarity));
  }
  return Status::Ok();
}

}  // namespace

Result<std::optional<SentenceModules>> ReadSentenceModules(const fs::path& folder) {
  const fs::path path = folder / kModulesName;
  if (!IsFile(path)) return std::optional<SentenceModules>();
  QEFF_ASSIGN_OR_RETURN(const std::vector<Entry> entries, ReadEntries(path));
  if (entries.empty()) {
    return InvalidInput(Location::File(path.string()), "the list of modules is empty",
                        {"expected a Transformer, then Pooling"});
  }
  SentenceModules modules;
  for (size_t i = 0; i < entries.size(); ++i)
    QEFF_RETURN_IF_ERROR(AddModule(folder, entries[i], i, modules));
  QEFF_RETURN_IF_ERROR(CheckSizes(modules, path));
  return std::optional(std::move(modules));
}

Result<std::string> SentenceTexts::Prompt(const std::string& name) const {
  if (name.empty() && !default_prompt) return std::string();
  const std::string& wanted = name.empty() ? *default_prompt : name;
  std::vector<std::string> names;
  for (const auto& [prompt, text] : prompts) {
    if (prompt == wanted) return text;
    names.push_back(prompt);
  }
  return UsageError(Location::Flag("--prompt-name"),
                    fmt::format("the model has no prompt '{}'", wanted),
                    {names.empty() ? std::string("it has none")
                                   : fmt::format("it has: {}", fmt::join(names, ", "))});
}

Result<SentenceTexts> ReadSentenceTexts(const fs::path& folder) {
  SentenceTexts texts;
  for (const std::string_view name : kTransformerNames) {
    if (!IsFile(folder / name)) continue;
    QEFF_RETURN_IF_ERROR(ReadTransformerSettings(folder / name, texts));
    break;
  }
  if (IsFile(folder / kTextsName))
    QEFF_RETURN_IF_ERROR(ReadTextSettings(folder / kTextsName, texts));
  return texts;
}

std::vector<std::string> SentenceFiles(const fs::path& folder) {
  std::vector<std::string> names;
  for (const std::string_view name : kTransformerNames) names.emplace_back(name);
  names.emplace_back(kTextsName);
  std::erase_if(names, [&](const std::string& name) { return !IsFile(folder / name); });
  if (!IsFile(folder / kModulesName)) return names;
  names.emplace_back(kModulesName);
  const Result<std::vector<Entry>> entries = ReadEntries(folder / kModulesName);
  if (entries.ok()) {  // else ReadSentenceModules says what is wrong
    for (const Entry& entry : *entries) {
      const std::string name = entry.folder + "/config.json";
      if (!entry.folder.empty() && IsFile(folder / name)) names.push_back(name);
    }
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace qeff::checkpoint
