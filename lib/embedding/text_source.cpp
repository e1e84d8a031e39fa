// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/text_source.h"

#include <cerrno>
#include <cstring>

#include "lib/support/json.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

constexpr size_t kBufferBytes = size_t{1} << 18;
constexpr size_t kMostLineBytes = size_t{64} << 20;

}  // namespace

void TextSource::CloseFile::operator()(std::FILE* file) const {
  if (file != stdin) std::fclose(file);
}

TextSource TextSource::FromTexts(std::vector<std::string> texts, const TextSourceOptions& options) {
  TextSource source(options);
  source.options_.field.clear();
  source.name_ = "command line";
  source.texts_ = std::move(texts);
  return source;
}

Result<TextSource> TextSource::Open(const std::filesystem::path& path,
                                    const TextSourceOptions& options) {
  TextSource source(options);
  source.buffer_.resize(kBufferBytes);
  if (path == "-") {
    source.name_ = "standard input";
    source.file_.reset(stdin);
    return source;
  }
  source.name_ = path.string();
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return IoError(Location::File(source.name_), "expected a file, got a folder");
  source.file_.reset(std::fopen(path.c_str(), "rb"));
  if (source.file_ == nullptr)
    return IoError(Location::File(source.name_), "cannot open the file", errno);
  const auto size = std::filesystem::file_size(path, error);
  if (!error) source.size_bytes_ = static_cast<int64_t>(size);
  return source;
}

Result<bool> TextSource::NextLine(std::string& line) {
  line.clear();
  bool has_line = false;
  while (true) {
    if (buffer_begin_ == buffer_end_) {
      buffer_begin_ = 0;
      buffer_end_ = std::fread(buffer_.data(), 1, buffer_.size(), file_.get());
      if (std::ferror(file_.get()) != 0)
        return IoError(Location::File(name_), "cannot read the file", errno);
      if (buffer_end_ == 0) break;
    }
    has_line = true;
    const char* begin = buffer_.data() + buffer_begin_;
    const size_t size = buffer_end_ - buffer_begin_;
    const void* newline = std::memchr(begin, '\n', size);
    const size_t length =
        newline == nullptr ? size : static_cast<size_t>(static_cast<const char*>(newline) - begin);
    if (line.size() + length > kMostLineBytes) {
      return InvalidInput(Location::Line(name_, line_ + 1, 0),
                          fmt::format("the line is longer than {} MiB", kMostLineBytes >> 20));
    }
    line.append(begin, length);
    const size_t taken = length + (newline == nullptr ? 0 : 1);
    buffer_begin_ += taken;
    bytes_read_ += static_cast<int64_t>(taken);
    if (newline != nullptr) break;
  }
  if (line.ends_with('\r')) line.pop_back();
  return has_line;
}

Status TextSource::TakeField(std::string& text) const {
  const Location where = Location::Line(name_, line_, 0);
  Result<Json> value = ParseJson(text, name_);
  if (!value.ok()) {
    return InvalidInput(where, value.diagnostic().message,
                        {"each line must be a JSON object of its own"});
  }
  const Json* member = Find(*value, options_.field);
  if (member == nullptr || !member->is_string()) {
    return InvalidInput(where, fmt::format("expected an object with a text '{}'", options_.field),
                        {"--field names the member that holds the text"});
  }
  text = member->get<std::string>();
  return Status::Ok();
}

Status TextSource::CheckUtf8(std::string& text) const {
  const std::optional<size_t> offset = FindInvalidUtf8(text);
  if (!offset) return Status::Ok();
  if (!options_.is_lossy) {
    return InvalidInput(
        Location::Line(name_, line_, static_cast<int64_t>(*offset) + 1),
        fmt::format("byte 0x{:02X} is not UTF-8", static_cast<unsigned char>(text[*offset])),
        {"--lossy replaces such bytes by U+FFFD"});
  }
  std::string replaced;
  TakeDecidedUtf8(/*at_end=*/true, text, replaced);
  text = std::move(replaced);
  return Status::Ok();
}

Result<bool> TextSource::Next(std::string& text) {
  if (file_ == nullptr) {
    if (static_cast<size_t>(line_) == texts_.size()) return false;
    text = texts_[static_cast<size_t>(line_++)];
  } else {
    QEFF_ASSIGN_OR_RETURN(const bool has_line, NextLine(text));
    if (!has_line) return false;
    ++line_;
  }
  QEFF_RETURN_IF_ERROR(CheckUtf8(text));
  if (!options_.field.empty()) QEFF_RETURN_IF_ERROR(TakeField(text));
  return true;
}

}  // namespace qeff
