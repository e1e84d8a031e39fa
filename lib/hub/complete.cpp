// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Is everything of a snapshot there? Asked before a stage starts, so that an interrupted download
// is one clear message instead of a missing tensor later.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>

#include "lib/hub/cache.h"
#include "lib/hub/file_list.h"
#include "lib/support/byte_reader.h"
#include "lib/support/file.h"
#include "lib/support/json.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSingleWeights = "model.safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";

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

/// Compares with the listing of the commit, trees/<commit>.json beside snapshots/, as far as there
/// is one.
void CompareWithTree(const Snapshot& snapshot, const Contents& contents,
                     std::set<std::string>& missing) {
  const std::optional<std::vector<RepoFile>> files = ListedFiles(snapshot);
  if (!files) return;
  const bool has_weights = contents.Has(kSingleWeights) || contents.Has(kIndexName);
  for (const RepoFile& file : *files) {
    const bool is_weights = file.path == kSingleWeights || file.path == kIndexName;
    if (!contents.Has(file.path)) {
      if (IsNeeded(file.path) || (is_weights && !has_weights)) missing.insert(file.path);
      continue;
    }
    std::error_code error;
    const uintmax_t got_bytes = fs::file_size(snapshot.folder / file.path, error);
    if (!error && static_cast<uintmax_t>(file.size_bytes) != got_bytes) {
      missing.insert(fmt::format("{} ({} of {} bytes)", file.path, got_bytes, file.size_bytes));
    }
  }
}

bool IsGguf(std::string_view name) { return name.ends_with(".gguf"); }

/// Checks the start of a GGUF file, and that the parts which its name counts are there.
Status CheckGguf(const fs::path& folder, const std::string& name, const Contents& contents,
                 std::set<std::string>& missing) {
  const fs::path path = folder / name;
  QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  ByteReader reader(file.bytes(), path.string());
  QEFF_ASSIGN_OR_RETURN(const auto magic, reader.ReadBytes(4, "the mark 'GGUF'"));
  if (std::memcmp(magic.data(), "GGUF", 4) != 0) {
    return InvalidInput(Location::Byte(path.string(), 0),
                        "expected a GGUF file to begin with 'GGUF'");
  }
  QEFF_ASSIGN_OR_RETURN(const uint32_t version, reader.Read<uint32_t>("the version"));
  if (version < 2 || version > 3) {
    return Unsupported(Location::Byte(path.string(), 4),
                       fmt::format("expected GGUF version 2 or 3, got {}", version));
  }
  // "name-00001-of-00003.gguf"
  constexpr size_t kTail = std::string_view("00001-of-00003.gguf").size();
  if (name.size() <= kTail || name[name.size() - kTail - 1] != '-') return Status::Ok();
  const std::string_view tail = std::string_view(name).substr(name.size() - kTail);
  int count = 0;
  const auto [end, error] = std::from_chars(tail.data() + 9, tail.data() + 14, count);
  if (tail.substr(5, 4) != "-of-" || error != std::errc() || end != tail.data() + 14) {
    return Status::Ok();
  }
  for (int part = 1; part <= count; ++part) {
    std::string other = name.substr(0, name.size() - kTail) + fmt::format("{:05}", part) +
                        std::string(tail.substr(5));
    if (!contents.Has(other)) missing.insert(std::move(other));
  }
  return Status::Ok();
}

}  // namespace

std::optional<std::vector<RepoFile>> ListedFiles(const Snapshot& snapshot) {
  if (snapshot.commit.empty()) return std::nullopt;
  fs::path root = snapshot.folder;
  const std::string below = snapshot.subfolder.empty() ? "" : snapshot.subfolder + "/";
  for (const char c : below) {
    if (c == '/') root = root.parent_path();
  }
  const fs::path repo_folder = root.parent_path().parent_path();
  std::optional<std::vector<RepoFile>> files =
      ReadFileList(repo_folder / "trees" / (snapshot.commit + ".json"));
  if (!files) return std::nullopt;
  std::erase_if(*files, [&](const RepoFile& file) { return !file.path.starts_with(below); });
  for (RepoFile& file : *files) file.path.erase(0, below.size());
  return files;
}

Status CheckComplete(const Snapshot& snapshot) {
  QEFF_ASSIGN_OR_RETURN(const Contents contents, ReadContents(snapshot.folder));
  std::set<std::string> missing(contents.dead_links.begin(), contents.dead_links.end());
  const bool is_gguf = !contents.Has("config.json") &&
                       std::any_of(contents.files.begin(), contents.files.end(), IsGguf);
  if (is_gguf) {
    for (const std::string& name : contents.files) {
      if (IsGguf(name)) QEFF_RETURN_IF_ERROR(CheckGguf(snapshot.folder, name, contents, missing));
    }
  } else if (!contents.Has("config.json")) {
    missing.insert("config.json");
  }
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
  const std::string note =
      snapshot.repo.empty()
          ? "copy the missing files into the folder"
          : fmt::format("get the rest with 'qeff-fetch {}@{}'", snapshot.repo, snapshot.commit);
  return IoError(Location::File(snapshot.folder.string()), std::move(message), 0, {note});
}

}  // namespace qeff::hub
