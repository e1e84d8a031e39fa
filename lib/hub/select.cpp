// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/select.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>

namespace qeff::hub {
namespace {

constexpr std::string_view kSafetensors = ".safetensors";
constexpr std::string_view kGguf = ".gguf";

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

/// Splits "model-00001-of-00003" into "model" and its number of parts; false if it is no such name.
bool SplitShard(std::string_view stem, std::string_view& base, std::string_view& count) {
  constexpr size_t kDigits = 5;
  constexpr std::string_view kBetween = "-of-";
  constexpr size_t kTail = 1 + kDigits + kBetween.size() + kDigits;  // "-00001-of-00003"
  if (stem.size() <= kTail) return false;
  const std::string_view tail = stem.substr(stem.size() - kTail);
  if (tail[0] != '-' || !IsDigits(tail.substr(1, kDigits)) ||
      tail.substr(1 + kDigits, kBetween.size()) != kBetween ||
      !IsDigits(tail.substr(1 + kDigits + kBetween.size()))) {
    return false;
  }
  base = stem.substr(0, stem.size() - kTail);
  count = tail.substr(tail.size() - kDigits);
  return true;
}

std::string_view Stem(std::string_view name, std::string_view suffix) {
  return name.substr(0, name.size() - suffix.size());
}

/// Configs, tokenizers and templates in the folder of the model.
bool IsSmallFile(std::string_view name) {
  // Indexes of weights in other formats, and of weights in another precision.
  if (name.ends_with(".index.json")) return name == "model.safetensors.index.json";
  constexpr std::string_view kSuffixes[] = {".json", ".jinja", ".tiktoken", ".model", ".txt"};
  constexpr std::string_view kNotes[] = {"LICENSE.txt", "NOTICE.txt", "requirements.txt"};
  if (std::find(std::begin(kNotes), std::end(kNotes), name) != std::end(kNotes)) return false;
  return std::any_of(std::begin(kSuffixes), std::end(kSuffixes),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

using RepoFiles = std::map<std::string, const RepoFile*>;

/// A folder that modules.json of sentence-transformers may list, usually called like "1_Pooling".
/// What it lists is read when it is here (lib/checkpoint); a folder too many costs little.
bool IsModuleFolder(const RepoFiles& names, const std::string& folder) {
  return names.contains("modules.json") && names.contains(folder + "/config.json");
}

/// Small files of one folder down: how to pool embeddings ("1_Pooling/config.json") and further
/// chat templates.
bool IsSmallFileBelow(const RepoFiles& names, const std::string& name) {
  const size_t slash = name.find('/');
  const std::string folder = name.substr(0, slash);
  const std::string rest = name.substr(slash + 1);
  if (folder == "additional_chat_templates") return rest.ends_with(".jinja");
  return rest == "config.json" && IsModuleFolder(names, folder);
}

/// The GGUF files to take, as names; several models to choose from are an error.
Result<std::vector<std::string>> ChooseGguf(const RepoFiles& names, std::string_view repo) {
  std::map<std::string, std::vector<std::string>> models;  // files that belong together
  std::map<std::string, int64_t> sizes_bytes;
  for (const auto& [name, file] : names) {
    if (!name.ends_with(kGguf) || name.find('/') != name.npos) continue;
    std::string_view base = Stem(name, kGguf);
    std::string_view count;
    SplitShard(base, base, count);
    models[std::string(base)].push_back(name);
    sizes_bytes[std::string(base)] += file->size_bytes;
  }
  if (models.empty()) return std::vector<std::string>();
  if (models.size() == 1) return models.begin()->second;
  std::vector<std::string> choices;
  for (const auto& [base, size_bytes] : sizes_bytes) {
    choices.push_back(fmt::format("{} ({:.2f} GB)", base, static_cast<double>(size_bytes) * 1e-9));
  }
  return UsageError(Location::Flag("--include"),
                    fmt::format("'{}' has {} GGUF models to choose from", repo, models.size()),
                    {fmt::format("they are: {}", fmt::join(choices, ", ")),
                     fmt::format("choose one with --include '{}*.gguf'", models.begin()->first)});
}

std::vector<std::string> ChooseSafetensors(const RepoFiles& names) {
  constexpr std::string_view kSingle = "model.safetensors";
  std::vector<std::string> all;
  std::vector<std::string> shards;
  std::vector<std::string> others;   // adapters and the like, which stand beside a model
  std::vector<std::string> modules;  // dense layers behind the pooling of an embedding model
  for (const auto& [name, file] : names) {
    if (!name.ends_with(kSafetensors)) continue;
    if (const size_t slash = name.find('/'); slash != name.npos) {
      if (name.substr(slash + 1) == kSingle && IsModuleFolder(names, name.substr(0, slash)))
        modules.push_back(name);
      continue;
    }
    all.push_back(name);
    std::string_view base;
    std::string_view count;
    if (SplitShard(Stem(name, kSafetensors), base, count)) {
      if (base == "model") shards.push_back(name);
    } else if (name.starts_with("adapter_model")) {
      others.push_back(name);
    }
  }
  std::vector<std::string> chosen = others;
  if (names.contains(std::string(kSingle))) {
    chosen.push_back(std::string(kSingle));
  } else if (!shards.empty()) {
    chosen.insert(chosen.end(), shards.begin(), shards.end());
  } else {
    chosen = all;
  }
  if (!chosen.empty()) chosen.insert(chosen.end(), modules.begin(), modules.end());
  return chosen;
}

Status OnlyUnreadable(const RepoFiles& names, std::string_view repo) {
  std::vector<std::string> found;
  for (const auto& [name, file] : names) {
    constexpr std::string_view kUnreadable[] = {".bin", ".pt",      ".pth", ".ckpt",
                                                ".h5",  ".msgpack", ".pkl"};
    if (std::any_of(std::begin(kUnreadable), std::end(kUnreadable),
                    [&](std::string_view suffix) { return name.ends_with(suffix); })) {
      found.push_back(name);
    }
  }
  if (found.empty()) {
    return Unsupported(Location::File(repo), "there are no weights, expected *.safetensors",
                       {"see what is there with --all --dry-run; take other files with --include"});
  }
  return Unsupported(
      Location::File(repo),
      fmt::format("expected weights as safetensors, got only '{}'{}, which can hold code and is "
                  "never read",
                  found[0], found.size() > 1 ? fmt::format(" and {} more", found.size() - 1) : ""),
      {fmt::format("look for a pull request that adds safetensors and fetch it as '{}@refs/pr/N', "
                   "or for another repository of the same model",
                   repo),
       "or convert it where PyTorch may run: load it with transformers, then "
       "save_pretrained(FOLDER, safe_serialization=True), and give that folder"});
}

bool MatchesAny(const std::string& path, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return MatchesPattern(path, pattern); });
}

}  // namespace

bool MatchesPattern(const std::string& path, std::string pattern) {
  if (pattern.ends_with("/")) pattern += "*";
  return ::fnmatch(pattern.c_str(), path.c_str(), FNM_NOESCAPE) == 0;
}

Result<std::vector<RepoFile>> SelectFiles(const std::vector<RepoFile>& files,
                                          const Selection& selection, std::string_view repo) {
  const std::string below = selection.subfolder.empty() ? "" : selection.subfolder + "/";
  RepoFiles names;  // as they are called below the subfolder
  for (const RepoFile& file : files) {
    if (file.path.starts_with(below)) names[file.path.substr(below.size())] = &file;
  }
  if (names.empty()) {
    return UsageError(Location::Flag(below.empty() ? "MODEL" : "--subfolder"),
                      below.empty() ? fmt::format("'{}' has no files", repo)
                                    : fmt::format("'{}' has no folder '{}'", repo,
                                                  Printable(selection.subfolder)),
                      {"see what is there with --all --dry-run"});
  }
  const bool by_default = !selection.all && selection.include.empty();
  std::vector<std::string> weights;
  if (by_default) {
    weights = ChooseSafetensors(names);
    if (weights.empty()) {
      QEFF_ASSIGN_OR_RETURN(weights, ChooseGguf(names, repo));
    }
    if (weights.empty()) return OnlyUnreadable(names, repo);
  }
  std::vector<RepoFile> chosen;
  for (const auto& [name, file] : names) {
    bool take = selection.all;
    if (!selection.include.empty()) take = MatchesAny(file->path, selection.include);
    if (by_default) {
      take = name.find('/') == name.npos ? IsSmallFile(name) : IsSmallFileBelow(names, name);
      take = take || std::find(weights.begin(), weights.end(), name) != weights.end();
    }
    if (take && !MatchesAny(file->path, selection.exclude)) chosen.push_back(*file);
  }
  if (chosen.empty()) {
    return UsageError(Location::Flag(selection.include.empty() ? "--exclude" : "--include"),
                      fmt::format("no file of '{}' is left by these patterns", repo),
                      {"see what is there with --all --dry-run"});
  }
  return chosen;
}

}  // namespace qeff::hub
