// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "tools/inspect/report.h"

namespace qeff::inspect {
namespace {

/// 1234567 -> "1.23 M".
std::string HumanNumber(int64_t value, const char* unit) {
  constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T", "P"};
  double scaled = static_cast<double>(value);
  size_t prefix = 0;
  while (scaled >= 999.5 && prefix + 1 < std::size(kPrefixes)) {
    scaled /= 1000;
    ++prefix;
  }
  if (prefix == 0) return fmt::format("{} {}", value, unit);
  const int digits = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}{}", scaled, digits, kPrefixes[prefix], unit);
}

bool IsBytes(const std::string& name) { return name.ends_with("_bytes"); }
/// Offsets are looked up in files, not compared with the size of a disk.
bool IsOffset(const std::string& name) { return name.ends_with("offset_bytes"); }
bool IsCount(const std::string& name) {
  return name.ends_with("parameters") || name.ends_with("elements");
}

/// Control characters of hostile names must not reach a terminal.
std::string Printable(const std::string& text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    result += byte < 0x20 || byte == 0x7f ? fmt::format("\\x{:02x}", byte) : std::string(1, c);
  }
  return result;
}

struct Printer {
  const std::string& name;
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(bool value) const { return value ? "yes" : "no"; }
  std::string operator()(double value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& text) const { return Printable(text); }
  std::string operator()(const std::vector<std::string>& list) const {
    return Printable(fmt::format("{}", fmt::join(list, ", ")));
  }
  std::string operator()(const ir::Shape& shape) const {
    return Printable(ir::ShapeToString(shape));
  }
  std::string operator()(int64_t value) const {
    if (IsOffset(name)) return fmt::format("{}", value);
    if (IsBytes(name) && value >= 1000) {
      return fmt::format("{} ({})", HumanBytes(value), value);
    }
    if (IsBytes(name)) return HumanBytes(value);
    if (IsCount(name) && value >= 1000) {
      std::string human = HumanNumber(value, "");
      return fmt::format("{} ({})", human, value);
    }
    return fmt::format("{}", value);
  }
};

std::string Title(std::string name) {
  if (IsBytes(name)) name.resize(name.size() - std::string("_bytes").size());
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

/// Columns that a terminal gives to the text: UTF-8 continuation bytes take none.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Pad(const std::string& text, size_t width, bool to_the_right) {
  const std::string space(width - std::min(width, Width(text)), ' ');
  return to_the_right ? space + text : text + space;
}

void TrimEnd(std::string& text) { text.erase(text.find_last_not_of(' ') + 1); }

void PrintFields(const Fields& section, std::string& out) {
  size_t width = 0;
  std::vector<std::pair<std::string, std::string>> lines;
  for (const Field& field : section.fields) {
    std::string value = std::visit(Printer{field.name}, field.value);
    if (value.empty()) continue;
    lines.emplace_back(Printable(Title(field.name)), std::move(value));
    width = std::max(width, Width(lines.back().first));
  }
  if (lines.empty()) return;
  out += section.name.empty() ? "\n" : "\n" + Title(section.name) + "\n";
  for (const auto& [name, value] : lines) {
    std::string line = "  " + Pad(name, width, false) + "  " + value;
    TrimEnd(line);
    out += line + "\n";
  }
}

void PrintTable(const Table& table, const TextOptions& options, std::string& out) {
  if (table.rows.empty()) return;
  const size_t column_count = table.columns.size();
  const size_t row_count =
      options.row_limit == 0 ? table.rows.size() : std::min(options.row_limit, table.rows.size());
  std::vector<std::vector<std::string>> lines(1);
  std::vector<size_t> widths(column_count, 0);
  std::vector<bool> is_number(column_count, true);
  for (const std::string& column : table.columns) lines[0].push_back(Title(column));
  for (size_t row = 0; row < row_count; ++row) {
    lines.emplace_back();
    for (size_t i = 0; i < column_count; ++i) {
      const Cell& cell = table.rows[row][i];
      lines.back().push_back(std::visit(Printer{table.columns[i]}, cell));
      const bool number = std::holds_alternative<int64_t>(cell) ||
                          std::holds_alternative<double>(cell) ||
                          std::holds_alternative<std::monostate>(cell);
      is_number[i] = is_number[i] && number;
    }
  }
  for (const auto& line : lines) {
    for (size_t i = 0; i < column_count; ++i) widths[i] = std::max(widths[i], Width(line[i]));
  }
  out += fmt::format("\n{} ({})\n", Title(table.name), table.rows.size());
  for (const auto& line : lines) {
    std::string text = " ";
    for (size_t i = 0; i < column_count; ++i)
      text += " " + Pad(line[i], widths[i], is_number[i]) + " ";
    TrimEnd(text);
    out += text + "\n";
  }
  if (row_count < table.rows.size())
    out += fmt::format("  ... {} more: --all\n", table.rows.size() - row_count);
}

}  // namespace

std::string HumanBytes(int64_t size_bytes) {
  if (size_bytes == 1) return "1 byte";
  return size_bytes < 1000 ? fmt::format("{} bytes", size_bytes) : HumanNumber(size_bytes, "B");
}

std::string PrintText(const Report& report, const TextOptions& options) {
  std::string out = fmt::format("{}: {}\n", Printable(report.path), Title(report.kind));
  for (const auto& section : report.sections) {
    if (const auto* fields = std::get_if<Fields>(&section)) PrintFields(*fields, out);
    if (const auto* table = std::get_if<Table>(&section)) PrintTable(*table, options, out);
  }
  return out;
}

}  // namespace qeff::inspect
