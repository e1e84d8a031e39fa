// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/hub_api.h"

#include <set>

#include "lib/hub/client/http.h"

namespace qeff::hub {
namespace {

constexpr size_t kMaxPageBytes = size_t{64} << 20;
constexpr size_t kMaxFiles = 1000000;
constexpr int64_t kMaxFileBytes = int64_t{1} << 50;
constexpr size_t kCommitDigits = 40;
constexpr size_t kSha256Digits = 64;

bool IsHex(std::string_view text, size_t digits) {
  return text.size() == digits && IsContentHash(text);
}

Result<Json> ParseAnswer(const Response& response) {
  Result<Json> json = ParseJson(response.body, PublicUrl(response.url));
  if (json.ok()) return json;
  return std::move(json).WithNote(
      "expected the answer of a Hugging Face compatible hub: a proxy, or the sign-in page of a "
      "network, may have answered instead; check HF_ENDPOINT");
}

std::string Text(const Json& object, std::string_view key) {
  const Json* value = Find(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

/// Reads one entry of a page. Folders have no content and leave `files` as it is.
Status ReadEntry(const Json& entry, const Location& where, std::vector<RepoFile>& files) {
  if (!entry.is_object()) return InvalidInput(where, "expected an object for each file");
  if (Text(entry, "type") == "directory") return Status::Ok();
  RepoFile file{.path = Text(entry, "path"), .git_sha1 = Text(entry, "oid")};
  QEFF_RETURN_IF_ERROR(CheckFileName(file.path, where));
  const Json* size = Find(entry, "size");
  if (const Json* lfs = Find(entry, "lfs"); lfs != nullptr && lfs->is_object()) {
    file.sha256 = Text(*lfs, "oid");
    if (const Json* content_size = Find(*lfs, "size")) size = content_size;
    if (!IsHex(file.sha256, kSha256Digits)) {
      return InvalidInput(where, fmt::format("expected a SHA-256 for '{}', got '{}'", file.path,
                                             Printable(file.sha256)));
    }
  }
  if (!IsHex(file.git_sha1, kCommitDigits)) {
    return InvalidInput(where, fmt::format("expected git's SHA-1 for '{}', got '{}'", file.path,
                                           Printable(file.git_sha1)));
  }
  if (size == nullptr || !size->is_number_unsigned() ||
      size->get<uint64_t>() > static_cast<uint64_t>(kMaxFileBytes)) {
    return InvalidInput(
        where, fmt::format("expected the size of '{}', 0 to {} bytes", file.path, kMaxFileBytes));
  }
  file.size_bytes = size->get<int64_t>();
  // Only carried along for other programs: what is malformed is left out.
  if (const std::string xet = Text(entry, "xetHash"); IsHex(xet, kSha256Digits))
    file.xet_hash = xet;
  files.push_back(std::move(file));
  return Status::Ok();
}

/// Returns the target of a header `Link: <url>; rel="next"`; "" if there is none.
std::string NextPage(const Headers& headers) {
  std::string_view link = HeaderValue(headers, "link");
  while (!link.empty()) {
    const size_t open = link.find('<');
    const size_t close = link.find('>', open == link.npos ? 0 : open);
    if (open == link.npos || close == link.npos) return "";
    const size_t end = std::min(link.find(',', close), link.size());
    if (link.substr(close, end - close).find("rel=\"next\"") != link.npos) {
      return std::string(link.substr(open + 1, close - open - 1));
    }
    link.remove_prefix(std::min(end + 1, link.size()));
  }
  return "";
}

}  // namespace

Result<std::string> AskCommit(const HubSettings& settings, const RepoId& repo, int attempts,
                              bool* no_contact) {
  const std::string url = fmt::format("{}/api/models/{}/revision/{}", settings.endpoint, repo.name,
                                      UrlEncode(repo.revision));
  const Subject subject{.repo = repo.name, .revision = repo.revision};
  QEFF_ASSIGN_OR_RETURN(const Response response,
                        Get(settings, url, subject, kMaxPageBytes, attempts, no_contact));
  QEFF_ASSIGN_OR_RETURN(const Json info, ParseAnswer(response));
  const std::string commit = Text(info, "sha");
  if (IsHex(commit, kCommitDigits)) return commit;
  return InvalidInput(Location::File(PublicUrl(url)),
                      fmt::format("expected a commit of {} hex digits in 'sha', got '{}'",
                                  kCommitDigits, Printable(commit)),
                      {"this is no Hugging Face compatible hub: check HF_ENDPOINT"});
}

Result<std::vector<RepoFile>> AskFiles(const HubSettings& settings, const RepoId& repo,
                                       const std::string& commit, int attempts, bool* no_contact) {
  const Subject subject{.repo = repo.name, .revision = commit};
  std::string url = fmt::format("{}/api/models/{}/tree/{}?recursive=true&expand=false",
                                settings.endpoint, repo.name, commit);
  const Location where = Location::File(PublicUrl(url));
  std::vector<RepoFile> files;
  std::set<std::string> seen;
  while (!url.empty()) {
    if (!seen.insert(url).second) {
      return InvalidInput(where, "the pages of the listing lead in a circle");
    }
    QEFF_ASSIGN_OR_RETURN(const Response response,
                          Get(settings, url, subject, kMaxPageBytes, attempts, no_contact));
    QEFF_ASSIGN_OR_RETURN(const Json page, ParseAnswer(response));
    if (!page.is_array()) return InvalidInput(where, "expected a list of files");
    for (const Json& entry : page) QEFF_RETURN_IF_ERROR(ReadEntry(entry, where, files));
    if (files.size() > kMaxFiles) {
      return InvalidInput(where, fmt::format("expected at most {} files, got more", kMaxFiles));
    }
    url = NextPage(response.headers);
    if (url.starts_with('/')) {
      const size_t path = settings.endpoint.find('/', settings.endpoint.find("://") + 3);
      url = settings.endpoint.substr(0, path) + url;
    }
    // The hub writes its own name into the link, also behind a mirror: ask where we asked before.
    if (!url.empty() && Origin(url) != Origin(settings.endpoint)) {
      const size_t query = url.find('?');
      if (Origin(url).empty() || query == url.npos) {
        return InvalidInput(where, fmt::format("expected the next page of the listing at this hub, "
                                               "got '{}'",
                                               PublicUrl(url)));
      }
      url = fmt::format("{}/api/models/{}/tree/{}{}", settings.endpoint, repo.name, commit,
                        url.substr(query));
    }
  }
  QEFF_RETURN_IF_ERROR(SortAndCheck(files, where));
  return files;
}

std::string FileUrl(const HubSettings& settings, const RepoId& repo, const std::string& commit,
                    const std::string& path) {
  return fmt::format("{}/{}/resolve/{}/{}", settings.endpoint, repo.name, commit,
                     UrlEncode(path, "/"));
}

}  // namespace qeff::hub
