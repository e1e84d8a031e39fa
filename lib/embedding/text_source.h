// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Texts one after the other, from the command line, a file or standard input: lines, or a field of
// JSON lines. Memory does not grow with the input.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

struct TextSourceOptions {
  std::string field;      ///< not empty: each line is a JSON object, and this member is the text
  bool is_lossy = false;  ///< bytes that are not UTF-8 become U+FFFD instead of an error
};

/// Movable.
class TextSource {
 public:
  static TextSource FromTexts(std::vector<std::string> texts, const TextSourceOptions& options);
  /// "-" is standard input. Errors: kIo.
  static Result<TextSource> Open(const std::filesystem::path& path,
                                 const TextSourceOptions& options);

  /// Reads the next text into `text`, an empty line as the empty text; false at the end. A final
  /// line end starts no further line; a carriage return before a line end belongs to it. Errors:
  /// kIo; kInvalidInput with the line: bytes that are not UTF-8, a line above 64 MiB, a line that
  /// is not a JSON object with the field.
  Result<bool> Next(std::string& text);

  int64_t line() const { return line_; }  ///< 1-based, of the last text; 0 before the first
  int64_t bytes_read() const { return bytes_read_; }
  /// Size of the file; 0 if it is not known.
  int64_t size_bytes() const { return size_bytes_; }
  const std::string& name() const { return name_; }

 private:
  explicit TextSource(TextSourceOptions options) : options_(std::move(options)) {}
  Result<bool> NextLine(std::string& line);
  Status TakeField(std::string& text) const;
  Status CheckUtf8(std::string& text) const;

  struct CloseFile {
    void operator()(std::FILE* file) const;
  };
  TextSourceOptions options_;
  std::string name_;
  std::vector<std::string> texts_;  ///< without a file
  std::unique_ptr<std::FILE, CloseFile> file_;
  std::vector<char> buffer_;
  size_t buffer_begin_ = 0;
  size_t buffer_end_ = 0;
  int64_t line_ = 0;
  int64_t bytes_read_ = 0;
  int64_t size_bytes_ = 0;
};

}  // namespace qeff
