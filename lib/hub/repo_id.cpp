// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/repo_id.h"

#include <algorithm>

namespace qeff::hub {
namespace {

constexpr size_t kMaxNameLength = 96;       // the hub's own limit
constexpr size_t kMaxRevisionLength = 255;  // a file name of the cache

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

/// One part of a name: not empty, no dots or dashes at its ends.
bool IsNamePart(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), IsNameCharacter) &&
         part.front() != '-' && part.front() != '.' && part.back() != '-' && part.back() != '.' &&
         part.find("--") == part.npos && part.find("..") == part.npos;
}

bool IsName(std::string_view name) {
  if (name.size() > kMaxNameLength) return false;
  const size_t slash = name.find('/');
  if (slash == name.npos) return IsNamePart(name);
  return IsNamePart(name.substr(0, slash)) && IsNamePart(name.substr(slash + 1));
}

/// Revisions may have slashes, as "refs/pr/1" has; they become a path below the cache's refs
/// folder.
bool IsRevision(std::string_view revision) {
  return !revision.empty() && revision.size() <= kMaxRevisionLength &&
         std::all_of(revision.begin(), revision.end(),
                     [](char c) { return IsNameCharacter(c) || c == '/' || c == '+'; }) &&
         revision.find("..") == revision.npos && revision.find("//") == revision.npos &&
         revision.front() != '/' && revision.back() != '/' && revision.front() != '.';
}

}  // namespace

std::string RepoId::CacheFolderName() const {
  std::string folder = fmt::format("models--{}", name);
  if (const size_t slash = folder.find('/'); slash != folder.npos) folder.replace(slash, 1, "--");
  return folder;
}

Result<RepoId> ParseRepoId(std::string_view text) {
  std::string_view rest = text;
  if (rest.starts_with("hf://")) rest.remove_prefix(5);
  const size_t at = rest.find('@');
  const std::string_view name = rest.substr(0, at);
  const std::string_view revision = at == rest.npos ? "main" : rest.substr(at + 1);
  const std::vector<std::string> notes = {
      "give a checkpoint folder, or a model id such as 'org/name' or 'org/name@revision'"};
  if (!IsName(name)) {
    return UsageError(Location::Flag("MODEL"), fmt::format("'{}' is not a model id", text), notes);
  }
  if (!IsRevision(revision)) {
    return UsageError(Location::Flag("MODEL"),
                      fmt::format("'{}' is not a revision in '{}'", revision, text), notes);
  }
  return RepoId{.name = std::string(name), .revision = std::string(revision)};
}

}  // namespace qeff::hub
