// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/external_data.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostNameBytes = 4095;  // PATH_MAX without the NUL

struct Entries {
  std::string location;
  uint64_t offset_bytes = 0;
  std::optional<uint64_t> length_bytes;
};

/// What a message shows of a text from the file.
std::string Shown(const std::string& text) {
  constexpr size_t kMostShownBytes = 200;
  return IsPlainText(text) && text.size() <= kMostShownBytes ? text : "(not a short text)";
}

std::optional<uint64_t> ParseNumber(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<Entries> ReadEntries(const onnx::TensorProto& tensor, const Location& where) {
  std::map<std::string, std::string> values;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    const std::string& key = entry.key();
    if (key != "location" && key != "offset" && key != "length" && key != "checksum") {
      return InvalidInput(where, fmt::format("expected external data entries 'location', 'offset', "
                                             "'length', 'checksum', got '{}'",
                                             Shown(key)));
    }
    if (!values.emplace(key, entry.value()).second) {
      return InvalidInput(where, fmt::format("external data entry '{}' is given twice", key));
    }
  }
  Entries entries;
  entries.location = values["location"];
  for (const char* key : {"offset", "length"}) {
    const auto found = values.find(key);
    if (found == values.end()) continue;
    const std::optional<uint64_t> number = ParseNumber(found->second);
    if (!number) {
      return InvalidInput(where, fmt::format("external data '{}': expected a number of bytes, got "
                                             "'{}'",
                                             key, Shown(found->second)));
    }
    if (key[0] == 'o') {
      entries.offset_bytes = *number;
    } else {
      entries.length_bytes = *number;
    }
  }
  return entries;
}

/// Refuses names that could leave the folder, before any of them reaches the file system.
Status CheckName(const std::string& location, const Location& where) {
  const auto refuse = [&](std::string_view why) {
    return InvalidInput(where,
                        fmt::format("external data location '{}' {}", location.substr(0, 200), why),
                        {"expected a path below the folder of the .onnx file"});
  };
  if (location.empty()) return refuse("is empty");
  if (location.size() > kMostNameBytes) return refuse("is too long");
  if (!IsPlainText(location)) {
    return InvalidInput(where, "external data location is not UTF-8 text");
  }
  if (location.find('\\') != std::string::npos) return refuse("contains a backslash");
  const fs::path path(location);
  if (path.is_absolute()) return refuse("is absolute");
  if (std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; })) {
    return refuse("contains '..'");
  }
  return Status::Ok();
}

bool IsBelow(const fs::path& path, const fs::path& folder) {
  const auto [left, right] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return left == folder.end() && right != path.end();
}

/// blobs/ of the Hugging Face cache entry that `folder` is a snapshot of.
std::optional<fs::path> BlobsOf(const fs::path& folder) {
  for (fs::path at = folder; at.has_relative_path(); at = at.parent_path()) {
    const fs::path repo = at.parent_path();
    if (at.filename() == "snapshots" && repo.filename().string().starts_with("models--")) {
      return repo / "blobs";
    }
  }
  return std::nullopt;
}

}  // namespace

ExternalData::ExternalData(fs::path model_path) {
  std::error_code error;
  folder_ = model_path.parent_path();
  if (folder_.empty()) folder_ = ".";
  const fs::path named = fs::canonical(folder_, error);
  if (!error) {
    allowed_folders_.push_back(named);
    if (const auto blobs = BlobsOf(named)) allowed_folders_.push_back(*blobs);
  }
  const fs::path real = fs::canonical(model_path, error);
  if (!error) allowed_folders_.push_back(real.parent_path());
}

bool ExternalData::IsAllowed(const fs::path& canonical) const {
  return std::any_of(allowed_folders_.begin(), allowed_folders_.end(),
                     [&](const fs::path& folder) { return IsBelow(canonical, folder); });
}

Result<ir::MappedFilePtr> ExternalData::Open(const std::string& location, const Location& where) {
  if (const auto found = files_.find(location); found != files_.end()) return found->second;
  QEFF_RETURN_IF_ERROR(CheckName(location, where));
  const std::string named = (folder_ / location).string();
  std::error_code error;
  const fs::path canonical = fs::canonical(named, error);
  if (error) {
    return IoError(where, fmt::format("cannot find the data file '{}'", named), error.value(),
                   {"a model with external data is copied together with its data files"});
  }
  const auto refuse = [&](std::string_view why) {
    return InvalidInput(where, fmt::format("external data location '{}' {}", location, why),
                        {fmt::format("copy the data file itself into '{}'", folder_.string())});
  };
  if (!IsAllowed(canonical)) return refuse("leads out of the model's folder");
  if (!fs::is_regular_file(canonical, error)) return refuse("is not a regular file");
  // The file can be exchanged between the checks above and this open; so what was opened is
  // checked again, through its descriptor.
  const int descriptor =
      ::open(canonical.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return IoError(where, fmt::format("cannot open '{}'", named), errno);
  const auto check_and_map = [&]() -> Result<MappedFile> {
    struct stat info {};
    if (::fstat(descriptor, &info) != 0) {
      return IoError(where, fmt::format("cannot read the size of '{}'", named), errno);
    }
    if (!S_ISREG(info.st_mode)) return refuse("is not a regular file");
    if (info.st_nlink > 1) return refuse("has hard links, which other ONNX readers refuse");
    const fs::path opened = fs::read_symlink(fmt::format("/proc/self/fd/{}", descriptor), error);
    if (!error && !IsAllowed(opened)) return refuse("leads out of the model's folder");
    return MappedFile::OpenDescriptor(descriptor, named);
  };
  Result<MappedFile> mapped = check_and_map();
  ::close(descriptor);
  if (!mapped.ok()) return std::move(mapped).status();
  return files_[location] = std::make_shared<const MappedFile>(std::move(mapped).value());
}

Result<ir::WeightPtr> ExternalData::Read(const onnx::TensorProto& tensor, DType dtype,
                                         std::vector<int64_t> dims, const Location& where) {
  QEFF_ASSIGN_OR_RETURN(const Entries entries, ReadEntries(tensor, where));
  QEFF_ASSIGN_OR_RETURN(const ir::MappedFilePtr file, Open(entries.location, where));
  const auto wanted_bytes = static_cast<uint64_t>(DTypeBytes(dtype, ir::ElementCount(dims)));
  if (entries.length_bytes.value_or(wanted_bytes) != wanted_bytes) {
    return InvalidInput(
        where, fmt::format("expected {} bytes of external data for {} [{}], got {}", wanted_bytes,
                           DTypeName(dtype), fmt::join(dims, ", "), *entries.length_bytes));
  }
  const uint64_t file_bytes = file->bytes().size();
  if (entries.offset_bytes > file_bytes || wanted_bytes > file_bytes - entries.offset_bytes) {
    return InvalidInput(where,
                        fmt::format("expected {} bytes at byte {} of '{}', which has {} bytes",
                                    wanted_bytes, entries.offset_bytes, file->path(), file_bytes),
                        {"the data file is cut short or belongs to another model"});
  }
  return ir::FromFile(file, static_cast<int64_t>(entries.offset_bytes), dtype, std::move(dims));
}

}  // namespace qeff::onnx_io
