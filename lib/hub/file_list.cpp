// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/file_list.h"

#include <algorithm>
#include <set>

namespace qeff::hub {
namespace {

constexpr size_t kMaxPartBytes = 255;   // a file name of all usual file systems
constexpr size_t kMaxPathBytes = 1024;  // leaves room for the folder it is joined to
constexpr int64_t kFormat = 1;          // the only one known of huggingface_hub's listings
constexpr int64_t kMaxFileBytes = int64_t{1} << 50;

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

/// True if the bytes from `i` on are one of U+0080 to U+009f: two bytes, which terminals obey, too.
bool IsLateControl(std::string_view text, size_t i) {
  return i + 1 < text.size() && static_cast<unsigned char>(text[i]) == 0xc2 &&
         static_cast<unsigned char>(text[i + 1]) < 0xa0;
}

bool HasControl(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsControl(text[i]) || IsLateControl(text, i)) return true;
  }
  return false;
}

bool IsHexOf(std::string_view text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Returns what is wrong with one part of a path; nothing if it is harmless.
std::string_view ProblemOfPart(std::string_view part) {
  if (part.empty()) return "an empty part";
  if (part == "." || part == "..") return "a part '.' or '..'";
  if (part.size() > kMaxPartBytes) return "a part of more than 255 bytes";
  if (part.size() >= 2 && part[1] == ':' && IsLetter(part[0])) return "a drive";
  if (part.size() == 4 && part[0] == '.' && (part[1] | 0x20) == 'g' && (part[2] | 0x20) == 'i' &&
      (part[3] | 0x20) == 't') {
    return "a part '.git'";
  }
  return "";
}

std::string_view ProblemOf(std::string_view path) {
  if (path.empty()) return "nothing";
  if (path.front() == '/') return "a root";
  if (path.size() > kMaxPathBytes) return "more than 1024 bytes";
  if (HasControl(path)) return "a control character";
  if (path.find('\\') != path.npos) return "a backslash";
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (const auto problem = ProblemOfPart(path.substr(begin, end - begin)); !problem.empty()) {
      return problem;
    }
    begin = end + 1;
  }
  return "";
}

/// Returns the entry of the listing; nothing if any of it is wrong.
std::optional<RepoFile> ReadEntry(const std::string& path, const Json& entry) {
  const auto text = [&](std::string_view key) {
    const Json* value = Find(entry, key);
    return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
  };
  const Json* size = Find(entry, Find(entry, "lfs_size") != nullptr ? "lfs_size" : "size");
  if (size == nullptr || !size->is_number_unsigned()) return std::nullopt;
  RepoFile file{.path = path,
                .size_bytes = static_cast<int64_t>(
                    std::min<uint64_t>(size->get<uint64_t>(), uint64_t{kMaxFileBytes} + 1)),
                .git_sha1 = text("blob_id"),
                .sha256 = text("lfs_sha256"),
                .xet_hash = text("xet_hash")};
  if (file.size_bytes > kMaxFileBytes || !IsHexOf(file.git_sha1, 40)) return std::nullopt;
  if (!file.sha256.empty() && !IsHexOf(file.sha256, 64)) return std::nullopt;
  if (!file.xet_hash.empty() && !IsHexOf(file.xet_hash, 64)) return std::nullopt;
  return file;
}

}  // namespace

std::string Printable(std::string_view text, size_t limit_bytes) {
  std::string out;
  const size_t end = std::min(text.size(), limit_bytes);
  for (size_t i = 0; i < end; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool is_late = IsLateControl(text, i);
    if (is_late || IsControl(text[i])) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += text[i];
      continue;
    }
    if (is_late) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[++i]));
  }
  if (text.size() > limit_bytes) out += "...";
  return out;
}

bool IsContentHash(std::string_view text) { return IsHexOf(text, 40) || IsHexOf(text, 64); }

Status CheckFileName(std::string_view path, const Location& where) {
  const std::string_view problem = ProblemOf(path);
  if (problem.empty()) return Status::Ok();
  return InvalidInput(
      where, fmt::format("expected a file name, got '{}' with {}", Printable(path), problem),
      {"such a name could lead out of the folder, so nothing was fetched; tell the owner of the "
       "repository"});
}

Status SortAndCheck(std::vector<RepoFile>& files, const Location& where) {
  std::sort(files.begin(), files.end(),
            [](const RepoFile& a, const RepoFile& b) { return a.path < b.path; });
  std::set<std::string_view> folders;
  for (const RepoFile& file : files) {
    for (size_t slash = file.path.find('/'); slash != file.path.npos;
         slash = file.path.find('/', slash + 1)) {
      folders.insert(std::string_view(file.path).substr(0, slash));
    }
  }
  for (size_t i = 0; i < files.size(); ++i) {
    if (i > 0 && files[i].path == files[i - 1].path) {
      return InvalidInput(where, fmt::format("'{}' is listed twice", files[i].path));
    }
    if (folders.contains(files[i].path)) {
      return InvalidInput(where, fmt::format("'{}' is both a file and a folder", files[i].path));
    }
  }
  return Status::Ok();
}

std::string DumpFileList(const std::vector<RepoFile>& files) {
  Json entries = Json::object();
  auto& object = entries.get_ref<Json::object_t&>();
  for (const RepoFile& file : files) {
    Json entry = {{"size", file.size_bytes}, {"blob_id", file.git_sha1}};
    if (!file.sha256.empty()) {
      entry["lfs_sha256"] = file.sha256;
      entry["lfs_size"] = file.size_bytes;
    }
    if (!file.xet_hash.empty()) entry["xet_hash"] = file.xet_hash;
    // Paths are unique, so the linear search for each key is left out.
    static_cast<std::vector<Json::object_t::value_type>&>(object).emplace_back(file.path,
                                                                               std::move(entry));
  }
  Json list = {{"format_version", kFormat}};
  list["files"] = std::move(entries);
  return list.dump(1, ' ', true);
}

std::optional<std::vector<RepoFile>> ReadFileList(const std::filesystem::path& path) {
  const Result<Json> list = ReadJsonFile(path);
  if (!list.ok()) return std::nullopt;
  const Json* version = Find(*list, "format_version");
  const Json* entries = Find(*list, "files");
  if (version == nullptr || *version != kFormat || entries == nullptr || !entries->is_object()) {
    return std::nullopt;
  }
  const Location where = Location::File(path.string());
  std::vector<RepoFile> files;
  for (const auto& item : entries->items()) {
    std::optional<RepoFile> file = ReadEntry(item.key(), item.value());
    if (!file || !CheckFileName(item.key(), where).ok()) return std::nullopt;
    files.push_back(std::move(*file));
  }
  if (!SortAndCheck(files, where).ok()) return std::nullopt;
  return files;
}

}  // namespace qeff::hub
