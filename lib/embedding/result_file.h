// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A result that grows for hours and is not lost: rows are appended to FILE.part, whose state is in
// FILE.part.json (rows, bytes, what made them, a digest of the texts they were made from), and
// Finish gives the file its name. After an interruption, kill -9 included, the same call goes on
// after the last saved row, if inputs and settings are the same. Not a protection against the loss
// of power: nothing waits for the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff {

enum class ResultFormat {
  kLines,  ///< text, a line a row
  kNpy,    ///< float32 [rows, columns], see npy.h
};

struct ResultFileOptions {
  std::filesystem::path path;
  ResultFormat format = ResultFormat::kLines;
  int64_t columns = 0;   ///< of kNpy
  std::string settings;  ///< everything but the texts that the rows depend on
  bool resumes = false;  ///< go on with what is there; else start anew
};

/// Movable. Without Finish, what was saved stays in FILE.part.
class ResultFile {
 public:
  /// Errors: kIo; kInvalidInput if there is a part to resume that other settings have made.
  static Result<ResultFile> Open(const ResultFileOptions& options);
  ResultFile(ResultFile&& other) noexcept;
  ResultFile& operator=(ResultFile&&) = delete;
  ~ResultFile();

  /// Rows that an earlier run has left; their texts must be given to SkipInput, in order.
  int64_t resumed_rows() const { return resumed_rows_; }
  void SkipInput(std::string_view text) { AddToDigest(text); }
  /// Errors: kInvalidInput if the texts skipped are not those of the rows.
  Status CheckResumed() const;

  /// Appends one row that was made from `text`; Save writes it.
  void AppendRow(std::string_view text, std::span<const std::byte> row);
  /// Writes the rows so far and remembers them as done. Errors: kIo.
  Status Save();
  /// Saves and gives the file its name. Errors: kIo.
  Status Finish();

  int64_t rows() const { return rows_; }
  /// Those that a later run finds, whatever happens now.
  int64_t saved_rows() const { return saved_rows_; }
  std::string part_path() const { return options_.path.string() + ".part"; }

 private:
  explicit ResultFile(ResultFileOptions options) : options_(std::move(options)) {}
  Status ReadState();
  Status WriteAt(int64_t offset, std::string_view bytes);
  void AddToDigest(std::string_view text);
  std::string state_path() const { return part_path() + ".json"; }

  ResultFileOptions options_;
  int descriptor_ = -1;
  int64_t rows_ = 0;
  int64_t saved_rows_ = 0;
  int64_t saved_bytes_ = 0;
  int64_t resumed_rows_ = 0;
  std::string digest_;  ///< of the texts of all rows so far, in order
  std::string resumed_digest_;
  std::string unsaved_;
};

}  // namespace qeff
