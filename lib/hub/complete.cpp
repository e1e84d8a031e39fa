// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Is everything of a snapshot there? Asked before a stage starts, so that an interrupted download
// is one clear message instead of a missing tensor later.
#include <algorithm>
#include <set>

#include "lib/hub/cache.h"
#include "lib/support/json.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSingleWeights = "model.safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr int64_t kTreeFormat = 1;  // the only one known of huggingface_hub's listings

struct Contents {
  std::set<std::string> files;  // regular files, links followed; paths relative to the folder
  std::vector<std::string> dead_links;  // sorted
  bool Has(std::string_view name) const { return files.contains(std::string(name)); }
};

Result<Contents> ReadContents(const fs::path& folder) {
  Contents contents;
  std::error_code error;
  fs::recursive_directory_iterator iterator(folder, error);
  for (; !error && iterator != fs::recursive_directory_iterator(); iterator.increment(error)) {
    const std::string name = iterator->path().lexically_relative(folder).string();
    std::error_code ignored;
    if (fs::is_regular_file(iterator->path(), ignored)) {
      contents.files.insert(name);
    } else if (iterator->is_symlink(ignored) && !fs::exists(iterator->path(), ignored)) {
      contents.dead_links.push_back(name);
    }
  }
  if (error) {
    return IoError(Location::File(folder.string()), "cannot read the folder", error.value());
  }
  std::sort(contents.dead_links.begin(), contents.dead_links.end());
  return contents;
}

/// Adds the shards that the index names and the folder lacks.
Status AddMissingShards(const fs::path& folder, const Contents& contents,
                        std::set<std::string>& missing) {
  QEFF_ASSIGN_OR_RETURN(const Json index, ReadJsonFile(folder / kIndexName));
  const Json* weight_map = Find(index, "weight_map");
  if (weight_map == nullptr || !weight_map->is_object()) {
    return InvalidInput(Location::File((folder / kIndexName).string()),
                        "key 'weight_map' must be an object that maps tensors to files");
  }
  for (const auto& item : weight_map->items()) {
    if (!item.value().is_string()) {
      return InvalidInput(Location::File((folder / kIndexName).string()),
                          fmt::format("key 'weight_map.{}' must be a file name", item.key()));
    }
    const std::string shard = item.value().get<std::string>();
    if (!contents.Has(shard)) missing.insert(shard);
  }
  return Status::Ok();
}

bool HasSomeWeights(const Contents& contents) {
  // Formats that we cannot read count, too: saying so is the business of whoever opens them.
  constexpr std::string_view kSuffixes[] = {".safetensors", ".bin", ".pt", ".pth", ".gguf"};
  return std::any_of(contents.files.begin(), contents.files.end(), [&](const std::string& name) {
    return std::any_of(std::begin(kSuffixes), std::end(kSuffixes),
                       [&](std::string_view suffix) { return name.ends_with(suffix); });
  });
}

/// Files that no download for running a model leaves out if the repository has them.
bool IsNeeded(std::string_view name) {
  constexpr std::string_view kNames[] = {
      "added_tokens.json", "chat_template.jinja",    "config.json",
      "merges.txt",        "generation_config.json", "special_tokens_map.json",
      "tokenizer.json",    "tokenizer_config.json",  "vocab.json"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

/// Compares with huggingface_hub's listing of the commit, trees/<commit>.json beside snapshots/. A
/// listing that cannot be read is ignored, as huggingface_hub does: it is only a copy of what the
/// hub says.
void CompareWithTree(const Snapshot& snapshot, const Contents& contents,
                     std::set<std::string>& missing) {
  if (snapshot.commit.empty()) return;
  const fs::path path =
      snapshot.folder.parent_path().parent_path() / "trees" / (snapshot.commit + ".json");
  const Result<Json> tree = ReadJsonFile(path);
  if (!tree.ok()) return;
  const Json* version = Find(*tree, "format_version");
  const Json* files = Find(*tree, "files");
  if (version == nullptr || *version != kTreeFormat || files == nullptr || !files->is_object()) {
    return;
  }
  const bool has_weights = contents.Has(kSingleWeights) || contents.Has(kIndexName);
  for (const auto& item : files->items()) {
    const bool is_weights = item.key() == kSingleWeights || item.key() == kIndexName;
    if (!contents.Has(item.key())) {
      if (IsNeeded(item.key()) || (is_weights && !has_weights)) missing.insert(item.key());
      continue;
    }
    const Json* size = Find(item.value(), "lfs_size");
    if (size == nullptr) size = Find(item.value(), "size");
    std::error_code error;
    const uintmax_t got_bytes = fs::file_size(snapshot.folder / item.key(), error);
    if (size != nullptr && size->is_number_unsigned() && !error && *size != got_bytes) {
      missing.insert(
          fmt::format("{} ({} of {} bytes)", item.key(), got_bytes, size->get<uint64_t>()));
    }
  }
}

}  // namespace

Status CheckComplete(const Snapshot& snapshot) {
  QEFF_ASSIGN_OR_RETURN(const Contents contents, ReadContents(snapshot.folder));
  std::set<std::string> missing(contents.dead_links.begin(), contents.dead_links.end());
  if (!contents.Has("config.json")) missing.insert("config.json");
  if (contents.Has(kIndexName) && !contents.Has(kSingleWeights)) {
    QEFF_RETURN_IF_ERROR(AddMissingShards(snapshot.folder, contents, missing));
  } else if (!HasSomeWeights(contents)) {
    missing.insert(std::string(kSingleWeights));
  }
  CompareWithTree(snapshot, contents, missing);
  if (missing.empty()) return Status::Ok();
  constexpr size_t kShown = 8;
  std::vector<std::string> shown(missing.begin(), missing.end());
  const size_t hidden = shown.size() > kShown ? shown.size() - kShown : 0;
  shown.resize(shown.size() - hidden);
  std::string message =
      fmt::format("the checkpoint is incomplete, missing: {}", fmt::join(shown, ", "));
  if (hidden > 0) message += fmt::format(" and {} more", hidden);
  const std::string note = snapshot.repo.empty()
                               ? "copy the missing files into the folder"
                               : fmt::format("get the rest with 'hf download {} --revision {}'",
                                             snapshot.repo, snapshot.commit);
  return IoError(Location::File(snapshot.folder.string()), std::move(message), 0, {note});
}

}  // namespace qeff::hub
