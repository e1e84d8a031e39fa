// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/support/json.h"
#include "tools/inspect/report.h"

namespace qeff::inspect {
namespace {

struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(const ir::Shape& shape) const {
    Json list = Json::array();
    for (const ir::Dim& dim : shape) {
      if (dim.is_number()) {
        list.push_back(dim.value());
      } else if (dim.is_symbol()) {
        list.push_back(dim.symbol());
      } else {
        list.push_back(nullptr);
      }
    }
    return list;
  }
  template <typename T>
  Json operator()(const T& value) const {
    return value;
  }
};

}  // namespace

std::string PrintJson(const Report& report) {
  Json root = {{"kind", report.kind}, {"path", report.path}};
  for (const auto& section : report.sections) {
    if (const auto* fields = std::get_if<Fields>(&section)) {
      Json& target = fields->name.empty() ? root : root[fields->name] = Json::object();
      for (const Field& field : fields->fields)
        target[field.name] = std::visit(ToJson(), field.value);
    } else if (const auto* table = std::get_if<Table>(&section)) {
      Json rows = Json::array();
      for (const auto& row : table->rows) {
        Json object = Json::object();
        for (size_t i = 0; i < row.size(); ++i)
          object[table->columns[i]] = std::visit(ToJson(), row[i]);
        rows.push_back(std::move(object));
      }
      root[table->name] = std::move(rows);
    }
  }
  return DumpPretty(root);
}

}  // namespace qeff::inspect
