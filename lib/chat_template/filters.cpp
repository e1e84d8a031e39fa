// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/filters.h"

#include <algorithm>
#include <array>

namespace qeff::jinja {
namespace {

std::array<std::span<const FilterEntry>, 3> Tables() {
  return {TextFilters(), SequenceFilters(), NumberFilters()};
}

}  // namespace

const FilterEntry* FindFilter(std::string_view name) {
  for (const std::span<const FilterEntry> table : Tables()) {
    const auto found = std::ranges::find(table, name, &FilterEntry::name);
    if (found != table.end()) return &*found;
  }
  return nullptr;
}

Status UnknownFilter(Location where, std::string_view name) {
  std::vector<std::string> names;
  for (const std::span<const FilterEntry> table : Tables()) {
    for (const FilterEntry& entry : table) names.emplace_back(entry.name);
  }
  std::vector<std::string> notes;
  if (const auto near = Nearest(name, names)) {
    notes.push_back(fmt::format("did you mean '{}'?", *near));
  }
  return InvalidInput(std::move(where), fmt::format("no filter named '{}'", name),
                      std::move(notes));
}

}  // namespace qeff::jinja
