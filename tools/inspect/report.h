// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What qeff-inspect found, as data: sections of named values and tables. Readers of each kind of
// file fill it; it is printed as aligned text or as JSON, both from the same names, so that nothing
// is said twice. Names are snake_case; those of sizes end in "_bytes".
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lib/ir/type.h"

namespace qeff::inspect {

/// A value. Nothing (monostate) is null in JSON and left out of text.
using Cell = std::variant<std::monostate, bool, int64_t, double, std::string,
                          std::vector<std::string>, ir::Shape>;

struct Field {
  std::string name;
  Cell value;
};

/// Named values under a title; an empty name means the top of the report.
struct Fields {
  std::string name;
  std::vector<Field> fields;
  void Add(std::string field_name, Cell value) {
    fields.push_back({std::move(field_name), std::move(value)});
  }
};

struct Table {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;  ///< one cell for each column
};

struct Report {
  std::string kind;  ///< "checkpoint", "onnx", ...
  std::string path;  ///< as the user gave it
  std::vector<std::variant<Fields, Table>> sections;

  void Add(Fields fields) { sections.emplace_back(std::move(fields)); }
  void Add(Table table) { sections.emplace_back(std::move(table)); }
};

struct TextOptions {
  /// Longer tables are cut with a line that says how many rows are left out; 0: never.
  size_t row_limit = 24;
};

/// Aligned columns, sizes for people next to the exact number. Ends in a line end.
std::string PrintText(const Report& report, const TextOptions& options);

/// One object: "kind", "path", the top fields, then a member for each section: an object of fields,
/// or a list with an object for each row. Ends in a line end.
std::string PrintJson(const Report& report);

/// "2.5 MB", decimal.
std::string HumanBytes(int64_t size_bytes);

}  // namespace qeff::inspect
