// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/checkpoint.h"

#include <algorithm>
#include <map>

#include "lib/checkpoint/safetensors.h"
#include "lib/checkpoint/sentence_transformers.h"
#include "lib/support/json.h"

namespace qeff::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr std::string_view kIncompleteNote = "the download is incomplete: run qeff-fetch again";

/// Files that are carried through the stages whatever the model; tokenizer*.json, *.model and *.txt
/// come on top.
constexpr std::string_view kCarriedNames[] = {
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "config.json",
    "generation_config.json",
    "image_processor_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "sentencepiece.bpe.model",
    "special_tokens_map.json",
    "spiece.model",
    "video_preprocessor_config.json",
    "vocab.json",
    "vocab.txt",
};

bool IsCarried(std::string_view name) {
  if (std::find(std::begin(kCarriedNames), std::end(kCarriedNames), name) !=
      std::end(kCarriedNames)) {
    return true;
  }
  return name.starts_with("tokenizer") &&
         (name.ends_with(".json") || name.ends_with(".model") || name.ends_with(".txt"));
}

/// Returns the sorted names in a folder.
Result<std::vector<std::string>> ListFolder(const fs::path& folder) {
  std::error_code error;
  fs::directory_iterator iterator(folder, error);
  std::vector<std::string> names;
  for (; !error && iterator != fs::directory_iterator(); iterator.increment(error)) {
    names.push_back(iterator->path().filename().string());
  }
  if (error) {
    return IoError(Location::File(folder.string()), "cannot read the folder", error.value());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// A shard is a file of the same folder: nothing that an index says may lead elsewhere.
bool IsPlainFileName(std::string_view name) {
  return !name.empty() && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos &&
         name.ends_with(".safetensors");
}

/// weight_map of an index, checked: tensor -> shard.
struct ShardIndex {
  std::map<std::string, std::string> shard_of;
  std::vector<std::string> shards;  // sorted
  std::optional<int64_t> total_bytes;
};

Result<ShardIndex> ReadShardIndex(const fs::path& path) {
  QEFF_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(path));
  const Location where = Location::File(path.string());
  const Json* weight_map = Find(root, "weight_map");
  if (weight_map == nullptr || !weight_map->is_object() || weight_map->empty()) {
    return InvalidInput(where, "key 'weight_map' must be an object that maps tensors to files");
  }
  ShardIndex index;
  for (const auto& item : weight_map->items()) {
    if (!item.value().is_string() || !IsPlainFileName(item.value().get<std::string>())) {
      return InvalidInput(
          where,
          fmt::format("key 'weight_map.{}': expected the name of a .safetensors file in the same "
                      "folder, got {}",
                      item.key(),
                      item.value().dump(-1, ' ', false, Json::error_handler_t::replace)));
    }
    index.shard_of[item.key()] = item.value().get<std::string>();
    index.shards.push_back(item.value().get<std::string>());
  }
  std::sort(index.shards.begin(), index.shards.end());
  index.shards.erase(std::unique(index.shards.begin(), index.shards.end()), index.shards.end());
  if (const Json* metadata = Find(root, "metadata"); metadata != nullptr) {
    if (const Json* total = Find(*metadata, "total_size"); total != nullptr && total->is_number()) {
      index.total_bytes = total->get<int64_t>();
    }
  }
  return index;
}

void AppendTensors(const SafetensorsFile& file, size_t file_index,
                   std::vector<TensorRef>& tensors) {
  for (const StoredTensor& tensor : file.tensors()) {
    tensors.push_back({.name = tensor.name,
                       .file_index = file_index,
                       .file = file.file(),
                       .offset_bytes = tensor.offset_bytes,
                       .size_bytes = tensor.size_bytes,
                       .dtype = tensor.dtype,
                       .shape = tensor.shape});
  }
}

Status NoWeights(const fs::path& folder, const std::vector<std::string>& names) {
  const auto has_suffix = [&](std::string_view suffix) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return name.ends_with(suffix); });
  };
  const Location where = Location::File(folder.string());
  if (has_suffix(".bin") || has_suffix(".pt") || has_suffix(".pth")) {
    return Unsupported(
        where,
        "expected weights in *.safetensors, got only PyTorch files, which are never read: they can "
        "run code",
        {"look for a revision with safetensors on the hub (often refs/pr/1), or convert once in "
         "Python: "
         "AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW_DIR)"});
  }
  return InvalidInput(where, "the folder holds no weights, expected 'model.safetensors'",
                      {std::string(kIncompleteNote)});
}

}  // namespace

Result<Checkpoint> Checkpoint::Open(const fs::path& folder) {
  Checkpoint checkpoint(folder);
  QEFF_RETURN_IF_ERROR(checkpoint.FindCarriedFiles());
  Result<ConfigReader> config = checkpoint.OpenConfig();
  if (!config.ok()) return std::move(config).status();
  if (checkpoint.has_generation_config_) {
    QEFF_ASSIGN_OR_RETURN(const ConfigReader ignored,
                          ConfigReader::Read(folder / "generation_config.json"));
  }
  QEFF_RETURN_IF_ERROR(checkpoint.OpenWeights());
  return checkpoint;
}

Status Checkpoint::FindCarriedFiles() {
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder_));
  for (const std::string& name : names) {
    if (!IsCarried(name)) continue;
    std::error_code error;
    if (!fs::exists(folder_ / name, error)) {
      return IoError(Location::File((folder_ / name).string()), "the file is a link to nothing", 0,
                     {std::string(kIncompleteNote)});
    }
    if (fs::is_regular_file(folder_ / name, error)) carried_files_.push_back(name);
  }
  const auto has = [&](std::string_view name) {
    return std::binary_search(carried_files_.begin(), carried_files_.end(), name);
  };
  has_generation_config_ = has("generation_config.json");
  if (!has("config.json")) {
    return IoError(
        Location::File((folder_ / "config.json").string()), "the file is missing", 0,
        {"a checkpoint folder holds config.json, *.safetensors and the tokenizer's files"});
  }
  return Status::Ok();
}

Result<ConfigReader> Checkpoint::OpenConfig() const {
  return ConfigReader::Read(folder_ / "config.json");
}

Status Checkpoint::OpenWeights() {
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListFolder(folder_));
  const auto has = [&](std::string_view name) {
    return std::binary_search(names.begin(), names.end(), name);
  };
  if (has("model.safetensors")) return OpenSingle("model.safetensors");
  if (has(kIndexName)) return OpenShards(folder_ / kIndexName);
  std::vector<std::string> candidates;
  for (const std::string& name : names) {
    if (name.ends_with(".safetensors") && !name.starts_with("adapter_")) candidates.push_back(name);
  }
  if (candidates.empty()) return NoWeights(folder_, names);
  const bool is_shard = candidates[0].find("-of-") != std::string::npos;
  if (candidates.size() == 1 && !is_shard) return OpenSingle(candidates[0]);
  return InvalidInput(Location::File(folder_.string()),
                      fmt::format("{} safetensors files ('{}', ...), but no '{}'",
                                  candidates.size(), candidates[0], kIndexName),
                      {std::string(kIncompleteNote)});
}

Status Checkpoint::OpenSingle(const std::string& name) {
  QEFF_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(folder_ / name));
  weight_files_.push_back(folder_ / name);
  AppendTensors(file, 0, tensors_);
  IndexTensors();
  return Status::Ok();
}

Status Checkpoint::OpenShards(const fs::path& index_path) {
  QEFF_ASSIGN_OR_RETURN(const ShardIndex index, ReadShardIndex(index_path));
  Diagnostics findings;
  int64_t total_bytes = 0;
  for (size_t i = 0; i < index.shards.size(); ++i) {
    const fs::path path = folder_ / index.shards[i];
    Result<SafetensorsFile> shard = SafetensorsFile::Open(path);
    if (!shard.ok()) {
      const bool is_missing = shard.diagnostic().code == ErrorCode::kIo;
      Status status = std::move(shard).status().WithNote(
          fmt::format("it is file {} of {} in '{}'", i + 1, index.shards.size(), kIndexName));
      if (is_missing) return std::move(status).WithNote(std::string(kIncompleteNote));
      return status;
    }
    for (const StoredTensor& tensor : shard->tensors()) {
      total_bytes += tensor.size_bytes;
      const auto mapped = index.shard_of.find(tensor.name);
      const Location where = Location::Tensor(path.string(), tensor.name);
      if (mapped == index.shard_of.end()) {
        findings.AddError(where, fmt::format("'{}' does not list this tensor", kIndexName));
      } else if (mapped->second != index.shards[i]) {
        findings.AddError(where, fmt::format("'{}' says that this tensor is in '{}'", kIndexName,
                                             mapped->second));
      }
    }
    weight_files_.push_back(path);
    AppendTensors(*shard, i, tensors_);
  }
  IndexTensors();
  for (const auto& [name, shard] : index.shard_of) {
    const TensorRef* found = Find(name);
    // One that lies in another shard has its finding already.
    if (found == nullptr) {
      findings.AddError(Location::Tensor(index_path.string(), name),
                        fmt::format("expected the tensor in '{}', it is in no shard", shard));
    }
  }
  if (findings.error_count() > 0) {
    return findings.ToStatus().WithNote(
        "index and shards are of different versions: fetch the checkpoint again");
  }
  if (index.total_bytes && *index.total_bytes != total_bytes) {
    findings.AddWarning(Location::File(index_path.string()),
                        fmt::format("'metadata.total_size' is {}, but the shards hold {} bytes",
                                    *index.total_bytes, total_bytes));
    warnings_ = findings.findings();
  }
  return Status::Ok();
}

void Checkpoint::IndexTensors() {
  std::sort(tensors_.begin(), tensors_.end(),
            [](const TensorRef& a, const TensorRef& b) { return a.name < b.name; });
  index_.reserve(tensors_.size());
  for (size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
}

const TensorRef* Checkpoint::Find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::vector<InputFile> Checkpoint::input_files() const {
  std::vector<InputFile> files;
  for (const std::string& name : carried_files_) {
    const bool is_config = name == "config.json" || name == "generation_config.json";
    files.push_back({.role = is_config ? "config" : "tokenizer", .path = folder_ / name});
  }
  std::error_code error;  // without the folder, the model has one chat template at most
  std::vector<fs::path> templates;
  for (const auto& entry : fs::directory_iterator(folder_ / "additional_chat_templates", error)) {
    if (entry.path().extension() == ".jinja") templates.push_back(entry.path());
  }
  std::sort(templates.begin(), templates.end());
  for (const fs::path& path : templates) files.push_back({.role = "tokenizer", .path = path});
  for (const fs::path& path : weight_files_) files.push_back({.role = "weights", .path = path});
  for (const std::string& name : SentenceFiles(folder_)) {
    files.push_back({.role = "modules", .path = folder_ / name});
    const fs::path weights = (folder_ / name).parent_path() / "model.safetensors";
    if (name.find('/') != name.npos && fs::is_regular_file(weights, error))
      files.push_back({.role = "weights", .path = weights});
  }
  return files;
}

}  // namespace qeff::checkpoint
