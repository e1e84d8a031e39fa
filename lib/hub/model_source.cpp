// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/model_source.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "lib/hub/file_list.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHubScheme = "hf://";

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Decodes %XX; what is no such code stays as it is.
std::string UrlDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexValue(text[i + 1]) >= 0 &&
        HexValue(text[i + 2]) >= 0) {
      out += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// True for what can only be meant as a path.
bool LooksLikePath(std::string_view typed) {
  return typed.starts_with("/") || typed.starts_with("./") || typed.starts_with("../") ||
         typed.starts_with("~") || typed.ends_with("/") || typed == "." || typed == "..";
}

Result<ModelSource> ParseFolder(const fs::path& path, std::string_view typed) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return ModelSource{.folder = path};
  if (fs::exists(path, ignored)) {
    return UsageError(
        Location::Flag("MODEL"),
        fmt::format("'{}' is a file, expected a checkpoint folder or a model id", typed));
  }
  return IoError(Location::File(typed), "no such folder", 0,
                 {"give a checkpoint folder, or a model id such as 'org/name'"});
}

Result<ModelSource> ParseFileUri(std::string_view typed) {
  std::string_view rest = typed.substr(std::string_view("file:").size());
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    const std::string_view host = rest.substr(0, rest.find('/'));
    if (!host.empty() && host != "localhost") {
      return UsageError(Location::Flag("MODEL"),
                        fmt::format("'{}' is on another machine, expected file:///folder", typed));
    }
    rest.remove_prefix(host.size());
  }
  const std::string path = UrlDecode(rest);
  if (path.empty() || path.find('\0') != path.npos) {
    return UsageError(Location::Flag("MODEL"), fmt::format("'{}' names no folder", typed));
  }
  return ParseFolder(path, typed);
}

Status OnlyModels(std::string_view typed) {
  return UsageError(Location::Flag("MODEL"),
                    fmt::format("'{}' is no model, expected a model repository", typed));
}

/// Takes a revision off the front of `rest`: "refs/pr/N" and "refs/convert/NAME" whole, else up to
/// the next slash.
std::string TakeRevision(std::string_view& rest) {
  size_t end = rest.find('/');
  for (const std::string_view special : {"refs/pr/", "refs/convert/"}) {
    if (rest.starts_with(special)) end = rest.find('/', special.size());
  }
  end = std::min(end, rest.size());
  const std::string revision = UrlDecode(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return revision;
}

Result<ModelSource> ParseHubUri(std::string_view typed) {
  std::string_view rest = typed.substr(kHubScheme.size());
  for (const std::string_view other : {"datasets/", "spaces/", "kernels/", "buckets/"}) {
    if (rest.starts_with(other)) return OnlyModels(typed);
  }
  if (rest.starts_with("models/")) rest.remove_prefix(7);
  // The name ends at '@', or at its second slash.
  const size_t slash = rest.find('/');
  size_t end = slash == rest.npos ? rest.size() : std::min(rest.find('/', slash + 1), rest.size());
  end = std::min(end, rest.find('@'));
  std::string id(rest.substr(0, end));
  rest.remove_prefix(end);
  if (rest.starts_with("@")) {
    rest.remove_prefix(1);
    id += "@" + TakeRevision(rest);
  } else if (rest.starts_with("/")) {
    rest.remove_prefix(1);
  }
  ModelSource source;
  QEFF_ASSIGN_OR_RETURN(source.repo, ParseRepoId(id));
  while (rest.ends_with("/")) rest.remove_suffix(1);
  source.subfolder = UrlDecode(rest);
  if (!source.subfolder.empty()) {
    const Status status = CheckFileName(source.subfolder, Location::Flag("MODEL"));
    if (!status.ok()) {
      return UsageError(Location::Flag("MODEL"), fmt::format("'{}' is no folder of a repository",
                                                             Printable(source.subfolder)));
    }
  }
  return source;
}

Result<ModelSource> ParseHubUrl(std::string_view typed) {
  const size_t host = typed.find("://") + 3;
  std::string_view path = typed.substr(0, typed.find_first_of("?#"));
  while (path.ends_with("/")) path.remove_suffix(1);
  std::string revision;
  if (const size_t tree = path.find("/tree/", host); tree != path.npos) {
    std::string_view rest = path.substr(tree + 6);
    revision = "@" + TakeRevision(rest);
    if (!rest.empty()) {
      return UsageError(Location::Flag("MODEL"),
                        fmt::format("'{}' goes on after the revision", typed),
                        {fmt::format("leave '/{}' away and give --subfolder {}", rest, rest)});
    }
    path = path.substr(0, tree);
  }
  // The last two parts are the model, and the revision may have slashes of its own.
  const size_t name_end = std::min(path.find('@', path.find('/', host)), path.size());
  const size_t last = path.rfind('/', name_end - 1);
  const size_t before = last == path.npos ? path.npos : path.rfind('/', last - 1);
  if (last == path.npos || before == path.npos || before < host) {
    return UsageError(Location::Flag("MODEL"),
                      fmt::format("'{}' names no model, expected https://HOST/org/name", typed));
  }
  const std::string_view endpoint = path.substr(0, before);
  if (endpoint.ends_with("/datasets") || endpoint.ends_with("/spaces")) return OnlyModels(typed);
  ModelSource source;
  source.endpoint = endpoint;
  QEFF_ASSIGN_OR_RETURN(source.repo, ParseRepoId(std::string(path.substr(before + 1)) + revision));
  return source;
}

}  // namespace

Result<ModelSource> ParseModelSource(std::string_view typed) {
  std::error_code ignored;
  if (typed.starts_with("file:")) return ParseFileUri(typed);
  if (typed.starts_with(kHubScheme)) return ParseHubUri(typed);
  if (typed.starts_with("http://") || typed.starts_with("https://")) return ParseHubUrl(typed);
  if (LooksLikePath(typed) || fs::exists(fs::path(typed), ignored)) {
    return ParseFolder(fs::path(typed), typed);
  }
  ModelSource source;
  QEFF_ASSIGN_OR_RETURN(source.repo, ParseRepoId(typed));
  return source;
}

}  // namespace qeff::hub
