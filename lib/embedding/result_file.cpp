// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/result_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "lib/embedding/npy.h"
#include "lib/support/hash.h"
#include "lib/support/json.h"

namespace qeff {
namespace {

constexpr int64_t kVersion = 1;

}  // namespace

ResultFile::ResultFile(ResultFile&& other) noexcept
    : options_(std::move(other.options_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      rows_(other.rows_),
      saved_rows_(other.saved_rows_),
      saved_bytes_(other.saved_bytes_),
      resumed_rows_(other.resumed_rows_),
      digest_(std::move(other.digest_)),
      resumed_digest_(std::move(other.resumed_digest_)),
      unsaved_(std::move(other.unsaved_)) {}

ResultFile::~ResultFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<ResultFile> ResultFile::Open(const ResultFileOptions& options) {
  ResultFile file(options);
  std::error_code error;
  const bool resumes = options.resumes && std::filesystem::exists(file.state_path(), error);
  if (resumes) QEFF_RETURN_IF_ERROR(file.ReadState());
  const std::string path = file.part_path();
  file.descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file.descriptor_ < 0) return IoError(Location::File(path), "cannot create the file", errno);
  const int64_t header_bytes =
      options.format == ResultFormat::kNpy ? static_cast<int64_t>(kNpyHeaderBytes) : 0;
  if (!resumes) file.saved_bytes_ = header_bytes;
  const off_t size = ::lseek(file.descriptor_, 0, SEEK_END);
  if (resumes && size < file.saved_bytes_) {
    return InvalidInput(Location::File(path),
                        fmt::format("expected at least the {} bytes that '{}' speaks of, got {}",
                                    file.saved_bytes_, file.state_path(), size),
                        {"start anew without --resume"});
  }
  // Whatever was written after the last saved row.
  if (::ftruncate(file.descriptor_, file.saved_bytes_) != 0)
    return IoError(Location::File(path), "cannot change the size of the file", errno);
  QEFF_RETURN_IF_ERROR(file.Save());
  return file;
}

Status ResultFile::ReadState() {
  const std::string path = state_path();
  const Location where = Location::File(path);
  QEFF_ASSIGN_OR_RETURN(const Json state, ReadJsonFile(path));
  const auto number = [&](std::string_view key) {
    const Json* value = Find(state, key);
    return value != nullptr && value->is_number_integer() ? value->get<int64_t>() : -1;
  };
  const auto text = [&](std::string_view key) {
    const Json* value = Find(state, key);
    return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
  };
  rows_ = resumed_rows_ = number("rows");
  saved_bytes_ = number("bytes");
  resumed_digest_ = text("texts");
  const int64_t least =
      options_.format == ResultFormat::kNpy ? static_cast<int64_t>(kNpyHeaderBytes) : int64_t{0};
  if (number("version") != kVersion || rows_ < 0 || saved_bytes_ < least)
    return InvalidInput(where, "damaged", {"start anew without --resume"});
  if (text("settings") != options_.settings) {
    return InvalidInput(where,
                        "what is there was made by another program or with other options, so it "
                        "cannot be resumed",
                        {"start anew without --resume"});
  }
  return Status::Ok();
}

void ResultFile::AddToDigest(std::string_view text) {
  Xxh3 hash;
  hash.Update(std::as_bytes(std::span(digest_)));
  hash.Update(std::as_bytes(std::span(text)));
  digest_ = hash.HexDigest();
}

Status ResultFile::CheckResumed() const {
  if (digest_ == resumed_digest_) return Status::Ok();
  return InvalidInput(
      Location::File(state_path()),
      fmt::format("the first {} texts are not those that the rows were made from", resumed_rows_),
      {"start anew without --resume"});
}

void ResultFile::AppendRow(std::string_view text, std::span<const std::byte> row) {
  AddToDigest(text);
  unsaved_.append(reinterpret_cast<const char*>(row.data()), row.size());
  ++rows_;
}

Status ResultFile::WriteAt(int64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return IoError(Location::Byte(part_path(), offset), "cannot write", errno);
    bytes.remove_prefix(static_cast<size_t>(written));
    offset += written;
  }
  return Status::Ok();
}

Status ResultFile::Save() {
  QEFF_RETURN_IF_ERROR(WriteAt(saved_bytes_, unsaved_));
  saved_bytes_ += static_cast<int64_t>(unsaved_.size());
  unsaved_.clear();
  if (options_.format == ResultFormat::kNpy)
    QEFF_RETURN_IF_ERROR(WriteAt(0, NpyHeader(rows_, options_.columns)));
  const std::string& digest = rows_ == resumed_rows_ ? resumed_digest_ : digest_;
  const Json state = {{"version", kVersion},
                      {"rows", rows_},
                      {"bytes", saved_bytes_},
                      {"texts", digest},
                      {"settings", options_.settings}};
  QEFF_RETURN_IF_ERROR(WriteFileAtomically(state_path(), DumpPretty(state)));
  saved_rows_ = rows_;
  return Status::Ok();
}

Status ResultFile::Finish() {
  QEFF_RETURN_IF_ERROR(Save());
  if (::close(std::exchange(descriptor_, -1)) != 0)
    return IoError(Location::File(part_path()), "cannot write", errno);
  std::error_code error;
  std::filesystem::rename(part_path(), options_.path, error);
  if (error)
    return IoError(Location::File(options_.path.string()), "cannot rename the file", error.value());
  std::filesystem::remove(state_path(), error);
  return Status::Ok();
}

}  // namespace qeff
