// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/npy.h"

#include <charconv>
#include <limits>

namespace qeff {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kPreambleBytes = 10;  // magic, version, u16 length of the dictionary

/// The text after `key` in a header, which is a Python dictionary of three entries.
std::string_view After(std::string_view header, std::string_view key) {
  const size_t at = header.find(key);
  if (at == std::string_view::npos) return {};
  header.remove_prefix(at + key.size());
  return header.substr(std::min(header.size(), header.find_first_not_of(": ")));
}

/// Reads a number in front of `text`, moves past it and the comma and spaces behind it.
bool TakeNumber(std::string_view& text, int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(", ")));
  return true;
}

}  // namespace

std::string NpyHeader(int64_t rows, int64_t columns) {
  std::string header(kMagic);
  header += '\x01';
  header += '\x00';
  constexpr size_t kDictionaryBytes = kNpyHeaderBytes - kPreambleBytes;
  header += static_cast<char>(kDictionaryBytes & 0xFF);
  header += static_cast<char>(kDictionaryBytes >> 8);
  header +=
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  header.resize(kNpyHeaderBytes - 1, ' ');
  return header + '\n';
}

Result<NpyMatrix> NpyMatrix::Open(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  const Location where = Location::File(path.string());
  if (text.size() < kPreambleBytes || !text.starts_with(kMagic) || text[6] != 1)
    return InvalidInput(where, "expected a .npy file of format 1.0");
  const size_t length = static_cast<unsigned char>(text[8]) +
                        (static_cast<size_t>(static_cast<unsigned char>(text[9])) << 8);
  if (text.size() - kPreambleBytes < length)
    return InvalidInput(where, "the file ends inside its header");
  const std::string_view header = text.substr(kPreambleBytes, length);
  if (!After(header, "'descr'").starts_with("'<f4'") ||
      !After(header, "'fortran_order'").starts_with("False")) {
    return InvalidInput(where, "expected float32 in row-major order ('<f4')",
                        {"in numpy: numpy.save(FILE, numpy.ascontiguousarray(x, 'float32'))"});
  }
  std::string_view shape = After(header, "'shape'");
  NpyMatrix matrix(std::move(file));
  const bool is_matrix = shape.starts_with('(') && (shape.remove_prefix(1), true) &&
                         TakeNumber(shape, matrix.rows_) && TakeNumber(shape, matrix.columns_) &&
                         shape.starts_with(')') && matrix.columns_ >= 1;
  if (!is_matrix) return InvalidInput(where, "expected a matrix: a shape of two numbers");
  matrix.data_offset_ = kPreambleBytes + length;
  const size_t data_bytes = text.size() - matrix.data_offset_;
  const auto columns = static_cast<size_t>(matrix.columns_);
  const bool overflows = columns > std::numeric_limits<size_t>::max() / sizeof(float);
  const size_t row_bytes = overflows ? 0 : columns * sizeof(float);
  if (overflows || matrix.data_offset_ % sizeof(float) != 0 || data_bytes % row_bytes != 0 ||
      data_bytes / row_bytes != static_cast<size_t>(matrix.rows_)) {
    return InvalidInput(where, fmt::format("the header says [{}, {}], but {} bytes follow",
                                           matrix.rows_, matrix.columns_, data_bytes));
  }
  return matrix;
}

std::span<const float> NpyMatrix::Row(int64_t index) const {
  const auto columns = static_cast<size_t>(columns_);
  const std::byte* data = file_.bytes().data() + data_offset_;
  return {reinterpret_cast<const float*>(data) + static_cast<size_t>(index) * columns, columns};
}

void NpyMatrix::Release(int64_t begin, int64_t end) const {
  const size_t row_bytes = static_cast<size_t>(columns_) * sizeof(float);
  file_.Release(data_offset_ + static_cast<size_t>(begin) * row_bytes,
                static_cast<size_t>(end - begin) * row_bytes);
}

}  // namespace qeff
