// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/batch_plan.h"

#include <algorithm>
#include <numeric>

#include "lib/support/status.h"

namespace qeff {
namespace {

size_t Calls(size_t texts, const BatchShape& shape) {
  const auto rows = static_cast<size_t>(shape.rows);
  return (texts + rows - 1) / rows;
}

}  // namespace

std::vector<Batch> PlanBatches(std::span<const int64_t> lengths, std::span<const BatchShape> shapes,
                               int64_t most_tokens) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t item) { return lengths[item]; });
  std::vector<std::vector<size_t>> groups(shapes.size());
  for (const size_t item : order) {
    const auto fits = std::ranges::find_if(
        shapes, [&](const BatchShape& shape) { return shape.tokens >= lengths[item]; });
    QEFF_CHECK(fits != shapes.end(), "no shape holds {} tokens", lengths[item]);
    groups[static_cast<size_t>(fits - shapes.begin())].push_back(item);
  }
  std::vector<Batch> batches;
  for (size_t i = 0; i < groups.size(); ++i) {
    std::vector<size_t>& group = groups[i];
    const auto rows = static_cast<size_t>(shapes[i].rows);
    // The longest texts of a group that fill no call of their own go where there is room.
    const size_t rest = group.size() % rows;
    if (rest != 0 && i + 1 < groups.size()) {
      std::vector<size_t>& next = groups[i + 1];
      if (Calls(next.size() + rest, shapes[i + 1]) == Calls(next.size(), shapes[i + 1])) {
        next.insert(next.begin(), group.end() - static_cast<ptrdiff_t>(rest), group.end());
        group.resize(group.size() - rest);
      }
    }
    int64_t tokens = 0;
    for (const size_t item : group) {
      tokens += lengths[item];
      if (item == group.front() || batches.back().items.size() == rows || tokens > most_tokens) {
        batches.push_back({i, {}});
        tokens = lengths[item];
      }
      batches.back().items.push_back(item);
    }
  }
  return batches;
}

}  // namespace qeff
