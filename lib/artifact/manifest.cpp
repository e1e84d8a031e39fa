// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/manifest.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <ranges>

#include "lib/support/file.h"
#include "lib/support/hash.h"
#include "lib/support/json.h"

namespace qeff::artifact {
namespace {

namespace fs = std::filesystem;

constexpr size_t kManifestLimitBytes = size_t{64} << 20;
constexpr size_t kHashPieceBytes = size_t{4} << 20;

std::string_view HashName(HashKind kind) { return kind == HashKind::kSha256 ? "sha256" : "xxh3"; }

// ---- writing ----

Json ToJson(const OptionValue& value) {
  return std::visit([](const auto& content) { return Json(content); }, value);
}

Json ToJson(const InputEntry& input) {
  Json json{{"role", input.role}, {"name", input.name}, {"identity", Json::object()}};
  for (const auto& [key, value] : input.identity) json["identity"][key] = value;
  return json;
}

// ---- reading ----

/// Reads fields of one JSON object; a field of the wrong type is an error that names it, an absent
/// one leaves the default.
class ObjectReader {
 public:
  /// `inside` names the object in errors, e.g. "files.model.onnx."; empty for the top.
  static Result<ObjectReader> Open(const Json& json, std::string inside, std::string_view path) {
    if (!json.is_object()) {
      const std::string what = inside.empty() ? "the top" : fmt::format("'{}'", inside);
      return InvalidInput(Location::File(path), fmt::format("expected {} to be an object, got {}",
                                                            what, json.type_name()));
    }
    if (!inside.empty()) inside += '.';
    return ObjectReader(json, std::move(inside), path);
  }

  Status Read(std::string_view key, std::string& value) const {
    const Json* field = Find(*json_, key);
    if (field == nullptr) return Status::Ok();
    if (!field->is_string()) return WrongType(key, "a string", *field);
    value = field->get<std::string>();
    return Status::Ok();
  }

  Status Read(std::string_view key, int64_t& value) const {
    const Json* field = Find(*json_, key);
    if (field == nullptr) return Status::Ok();
    if (!field->is_number_unsigned() || field->get<uint64_t>() > INT64_MAX) {
      return WrongType(key, "a whole number that is not negative", *field);
    }
    value = field->get<int64_t>();
    return Status::Ok();
  }

  /// Calls `read(element, name of the element)` for each element of the array `key`.
  template <typename ReadElement>
  Status ReadArray(std::string_view key, const ReadElement& read) const {
    const Json* field = Find(*json_, key);
    if (field == nullptr) return Status::Ok();
    if (!field->is_array()) return WrongType(key, "an array", *field);
    for (size_t i = 0; i < field->size(); ++i) {
      QEFF_RETURN_IF_ERROR(read((*field)[i], fmt::format("{}{}[{}]", inside_, key, i)));
    }
    return Status::Ok();
  }

  /// Calls `read(key, value, name of the value)` for each field of the object `key`.
  template <typename ReadField>
  Status ReadObject(std::string_view key, const ReadField& read) const {
    const Json* field = Find(*json_, key);
    if (field == nullptr) return Status::Ok();
    if (!field->is_object()) return WrongType(key, "an object", *field);
    for (const auto& item : field->items()) {
      QEFF_RETURN_IF_ERROR(
          read(item.key(), item.value(), fmt::format("{}{}.{}", inside_, key, item.key())));
    }
    return Status::Ok();
  }

 private:
  ObjectReader(const Json& json, std::string inside, std::string_view path)
      : json_(&json), inside_(std::move(inside)), path_(path) {}

  Status WrongType(std::string_view key, std::string_view expected, const Json& got) const {
    return InvalidInput(
        Location::File(path_),
        fmt::format("expected '{}{}' to be {}, got {}", inside_, key, expected, got.type_name()));
  }

  const Json* json_;
  std::string inside_;
  std::string path_;
};

Result<FormatVersion> ParseVersion(std::string_view text, std::string_view path) {
  FormatVersion version;
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.major);
  if (major.ec == std::errc() && major.ptr != end && *major.ptr == '.') {
    const auto minor = std::from_chars(major.ptr + 1, end, version.minor);
    if (minor.ec == std::errc() && minor.ptr == end) return version;
  }
  return InvalidInput(Location::File(path),
                      fmt::format("expected 'format_version' to be like '1.0', got '{}'", text));
}

/// Returns nothing for a shape of value that only a later minor knows.
std::optional<OptionValue> OptionFromJson(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number_float()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (!json.is_array()) return std::nullopt;
  const auto all = [&json](auto test) { return std::all_of(json.begin(), json.end(), test); };
  if (all([](const Json& element) { return element.is_number_integer(); })) {
    return json.get<std::vector<int64_t>>();
  }
  if (all([](const Json& element) { return element.is_string(); })) {
    return json.get<std::vector<std::string>>();
  }
  return std::nullopt;
}

Result<FileEntry> FileFromJson(const Json& json, const std::string& name, std::string_view path) {
  QEFF_ASSIGN_OR_RETURN(const ObjectReader reader, ObjectReader::Open(json, name, path));
  FileEntry entry;
  QEFF_RETURN_IF_ERROR(reader.Read("bytes", entry.size_bytes));
  for (const HashKind kind : {HashKind::kSha256, HashKind::kXxh3}) {
    if (Find(json, HashName(kind)) == nullptr) continue;
    entry.hash_kind = kind;
    QEFF_RETURN_IF_ERROR(reader.Read(HashName(kind), entry.hash));
    return entry;
  }
  return InvalidInput(Location::File(path),
                      fmt::format("expected 'sha256' or 'xxh3' in '{}', got neither", name));
}

Result<InputEntry> InputFromJson(const Json& json, const std::string& name, std::string_view path) {
  QEFF_ASSIGN_OR_RETURN(const ObjectReader reader, ObjectReader::Open(json, name, path));
  InputEntry entry;
  QEFF_RETURN_IF_ERROR(reader.Read("role", entry.role));
  QEFF_RETURN_IF_ERROR(reader.Read("name", entry.name));
  QEFF_RETURN_IF_ERROR(reader.ReadObject(
      "identity", [&](const std::string& key, const Json& value, const std::string&) {
        if (value.is_string()) entry.identity[key] = value.get<std::string>();
        return Status::Ok();
      }));
  return entry;
}

Result<ModuleEntry> ModuleFromJson(const Json& json, const std::string& name,
                                   const Manifest& manifest, std::string_view path) {
  QEFF_ASSIGN_OR_RETURN(const ObjectReader reader, ObjectReader::Open(json, name, path));
  ModuleEntry entry;
  QEFF_RETURN_IF_ERROR(reader.Read("name", entry.name));
  QEFF_RETURN_IF_ERROR(
      reader.ReadArray("files", [&](const Json& file, const std::string& element) -> Status {
        if (!file.is_string() || !manifest.files.contains(file.get_ref<const std::string&>())) {
          return InvalidInput(
              Location::File(path),
              fmt::format("expected '{}' to be one of 'files', got {}", element, file.dump()));
        }
        entry.files.push_back(file.get<std::string>());
        return Status::Ok();
      }));
  return entry;
}

Status ReadLists(const ObjectReader& top, std::string_view path, Manifest& manifest) {
  QEFF_RETURN_IF_ERROR(top.ReadObject(
      "files", [&](const std::string& file, const Json& value, const std::string& name) -> Status {
        if (!IsInsidePath(file)) {
          return InvalidInput(Location::File(path),
                              fmt::format("expected a path inside the folder, got '{}'", file));
        }
        QEFF_ASSIGN_OR_RETURN(manifest.files[file], FileFromJson(value, name, path));
        return Status::Ok();
      }));
  QEFF_RETURN_IF_ERROR(
      top.ReadArray("inputs", [&](const Json& value, const std::string& name) -> Status {
        QEFF_ASSIGN_OR_RETURN(InputEntry entry, InputFromJson(value, name, path));
        manifest.inputs.push_back(std::move(entry));
        return Status::Ok();
      }));
  QEFF_RETURN_IF_ERROR(
      top.ReadArray("modules", [&](const Json& value, const std::string& name) -> Status {
        QEFF_ASSIGN_OR_RETURN(ModuleEntry entry, ModuleFromJson(value, name, manifest, path));
        manifest.modules.push_back(std::move(entry));
        return Status::Ok();
      }));
  return top.ReadArray("parents", [&](const Json& value, const std::string& name) -> Status {
    QEFF_ASSIGN_OR_RETURN(const ObjectReader reader, ObjectReader::Open(value, name, path));
    ParentEntry& parent = manifest.parents.emplace_back();
    QEFF_RETURN_IF_ERROR(reader.Read("format", parent.format));
    return reader.Read("manifest_sha256", parent.manifest_sha256);
  });
}

}  // namespace

std::string FormatVersion::ToString() const { return fmt::format("{}.{}", major, minor); }

std::string WriteManifest(const Manifest& manifest) {
  Json json{{"format", manifest.format}, {"format_version", manifest.version.ToString()},
            {"tool", manifest.tool},     {"tool_version", manifest.tool_version},
            {"options", Json::object()}, {"inputs", Json::array()},
            {"parents", Json::array()},  {"modules", Json::array()},
            {"files", Json::object()}};
  for (const auto& [name, value] : manifest.options) json["options"][name] = ToJson(value);
  for (const InputEntry& input : manifest.inputs) json["inputs"].push_back(ToJson(input));
  for (const ParentEntry& parent : manifest.parents) {
    json["parents"].push_back(
        {{"format", parent.format}, {"manifest_sha256", parent.manifest_sha256}});
  }
  for (const ModuleEntry& module : manifest.modules) {
    json["modules"].push_back({{"name", module.name}, {"files", module.files}});
  }
  for (const auto& [path, file] : manifest.files) {
    json["files"][path] = {{"bytes", file.size_bytes}, {HashName(file.hash_kind), file.hash}};
  }
  return DumpPretty(json);
}

Result<Manifest> ParseManifest(std::string_view text, std::string_view path) {
  QEFF_ASSIGN_OR_RETURN(const Json json, ParseJson(text, path));
  QEFF_ASSIGN_OR_RETURN(const ObjectReader top, ObjectReader::Open(json, "", path));
  Manifest manifest;
  QEFF_RETURN_IF_ERROR(top.Read("format", manifest.format));
  if (!manifest.format.starts_with("qeff.")) {
    return InvalidInput(
        Location::File(path),
        fmt::format("expected 'format' to start with 'qeff.', got '{}'", manifest.format),
        {"this manifest belongs to another program"});
  }
  QEFF_RETURN_IF_ERROR(top.Read("tool", manifest.tool));
  QEFF_RETURN_IF_ERROR(top.Read("tool_version", manifest.tool_version));
  std::string version;
  QEFF_RETURN_IF_ERROR(top.Read("format_version", version));
  QEFF_ASSIGN_OR_RETURN(manifest.version, ParseVersion(version, path));
  if (manifest.version.major != kFormatVersion.major) {
    return Error(
        ErrorCode::kVersionMismatch, Location::File(path),
        fmt::format("'{}' has version {}, this program reads versions {}.x", manifest.format,
                    manifest.version.ToString(), kFormatVersion.major),
        {fmt::format("make it again with this release, or use the release that made it: {} {}",
                     manifest.tool, manifest.tool_version)});
  }
  QEFF_RETURN_IF_ERROR(
      top.ReadObject("options", [&](const std::string& key, const Json& value, const std::string&) {
        if (std::optional<OptionValue> option = OptionFromJson(value))
          manifest.options[key] = *std::move(option);
        return Status::Ok();
      }));
  QEFF_RETURN_IF_ERROR(ReadLists(top, path, manifest));
  return manifest;
}

Result<Manifest> ReadManifest(const fs::path& folder, std::string_view expected_format) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return IoError(Location::File(folder.string()), fs::exists(folder, error)
                                                        ? "expected an artifact folder, got a file"
                                                        : "there is no such folder");
  }
  const fs::path path = folder / kManifestName;
  const bool has_manifest = fs::exists(path, error);
  if (error) {
    return IoError(Location::File(folder.string()), "cannot look into the folder", error.value());
  }
  if (!has_manifest) {
    return InvalidInput(Location::File(folder.string()),
                        "expected an artifact, got a folder without 'manifest.json'",
                        {"name the folder that a qeff stage printed as its output"});
  }
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kManifestLimitBytes));
  QEFF_ASSIGN_OR_RETURN(Manifest manifest, ParseManifest(text, path.string()));
  if (!expected_format.empty() && manifest.format != expected_format) {
    return InvalidInput(
        Location::File(folder.string()),
        fmt::format("expected an artifact of format '{}', got '{}'", expected_format,
                    manifest.format),
        {fmt::format("'{}' made this folder: run the stages between first", manifest.tool)});
  }
  for (const auto& [name, file] : manifest.files) {
    const fs::path file_path = folder / name;
    const uintmax_t size_bytes = fs::file_size(file_path, error);
    if (error) {
      return InvalidInput(Location::File(file_path.string()),
                          "the manifest names this file, but it cannot be read",
                          {"the artifact is damaged: make it again"});
    }
    if (size_bytes != static_cast<uintmax_t>(file.size_bytes)) {
      return InvalidInput(Location::File(file_path.string()),
                          fmt::format("expected {} bytes, got {}", file.size_bytes, size_bytes),
                          {"the artifact is damaged: make it again"});
    }
  }
  return manifest;
}

void VerifyFiles(const fs::path& folder, const Manifest& manifest, Diagnostics& findings) {
  for (const auto& [name, file] : manifest.files) {
    const fs::path path = folder / name;
    Result<FileEntry> actual = HashFile(path, file.hash_kind);
    if (!actual.ok()) {
      findings.Add(actual.diagnostic());
    } else if (actual->size_bytes != file.size_bytes) {
      findings.AddError(
          Location::File(path.string()),
          fmt::format("expected {} bytes, got {}", file.size_bytes, actual->size_bytes));
    } else if (actual->hash != file.hash) {
      findings.AddError(
          Location::File(path.string()),
          fmt::format("expected {} {}, got {}", HashName(file.hash_kind), file.hash, actual->hash));
    }
  }
}

Result<ParentEntry> DescribeParent(const fs::path& folder) {
  const fs::path path = folder / kManifestName;
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kManifestLimitBytes));
  QEFF_ASSIGN_OR_RETURN(const Manifest manifest, ParseManifest(text, path.string()));
  return ParentEntry{.format = manifest.format, .manifest_sha256 = Sha256Hex(text)};
}

bool IsInsidePath(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) return false;
  for (const auto part : std::views::split(path, '/')) {
    const std::string_view name(part.begin(), part.end());
    if (name.empty() || name == "." || name == "..") return false;
  }
  return !path.empty();
}

Result<FileEntry> HashFile(const fs::path& path, HashKind kind) {
  QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  Sha256 sha256;
  Xxh3 xxh3;
  for (size_t offset = 0; offset < file.bytes().size(); offset += kHashPieceBytes) {
    const size_t piece_bytes = std::min(kHashPieceBytes, file.bytes().size() - offset);
    const auto piece = file.bytes().subspan(offset, piece_bytes);
    if (kind == HashKind::kSha256) {
      sha256.Update(piece);
    } else {
      xxh3.Update(piece);
    }
    file.Release(offset, piece_bytes);
  }
  return FileEntry{.size_bytes = static_cast<int64_t>(file.bytes().size()),
                   .hash_kind = kind,
                   .hash = kind == HashKind::kSha256 ? sha256.HexDigest() : xxh3.HexDigest()};
}

}  // namespace qeff::artifact
