// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Where rows of an encoder go: JSON lines on stdout, or a file that can be resumed, JSON lines or
// .npy by its name.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/embedding/result_file.h"
#include "lib/support/status.h"

namespace qeff::tools {

class EncoderOutputFile {
 public:
  /// `path` empty: stdout. `columns` is the size of a row. Errors: those of ResultFile.
  static Result<EncoderOutputFile> Open(const std::string& path, int64_t columns,
                                        std::string settings, bool resumes);

  bool is_npy() const { return is_npy_; }
  /// Null for stdout.
  ResultFile* file() { return file_ ? &*file_ : nullptr; }
  int64_t rows() const { return rows_; }  ///< those that an earlier run has left included

  /// One of the two, as is_npy() says.
  void AddLine(std::string_view text, std::string line);
  void AddRow(std::string_view text, std::span<const float> row);
  /// Makes what was added visible. Errors: kIo.
  Status EndWindow();
  Status Finish();

 private:
  bool is_npy_ = false;
  int64_t rows_ = 0;
  std::optional<ResultFile> file_;
  std::string lines_;  ///< for stdout, until the window ends
};

}  // namespace qeff::tools
