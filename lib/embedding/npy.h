// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Matrices as numpy stores them (format 1.0, https://numpy.org/neps/nep-0001-npy-format.html):
// little-endian float32, row-major, two dimensions. The header that we write always has the same
// size, so that the number of rows can be updated while the file grows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "lib/support/file.h"
#include "lib/support/status.h"

namespace qeff {

inline constexpr size_t kNpyHeaderBytes = 128;

/// Returns the kNpyHeaderBytes bytes before the data of a float32 matrix [rows, columns].
std::string NpyHeader(int64_t rows, int64_t columns);

/// A mapped matrix. Movable.
class NpyMatrix {
 public:
  /// Errors: kIo; kInvalidInput for another format, dtype, order or rank, and for data that is not
  /// as long as the header says.
  static Result<NpyMatrix> Open(const std::filesystem::path& path);

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  /// Requires index < rows().
  std::span<const float> Row(int64_t index) const;
  /// Drops the pages of rows [begin, end) from memory: they will not be read again soon.
  void Release(int64_t begin, int64_t end) const;

 private:
  explicit NpyMatrix(MappedFile file) : file_(std::move(file)) {}
  MappedFile file_;
  size_t data_offset_ = 0;
  int64_t rows_ = 0;
  int64_t columns_ = 0;
};

}  // namespace qeff
