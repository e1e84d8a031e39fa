// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/token_output.h"

#include "lib/support/json.h"

namespace qeff::tools {
namespace {

std::string Joined(const std::vector<std::string>& parts, LineStyle style) {
  return fmt::format("{}", fmt::join(parts, style == LineStyle::kTable ? "\n" : ", "));
}

}  // namespace

std::string DescribeEntities(int64_t index, const std::vector<stages::Entity>& entities,
                             stages::Aggregation aggregation, LineStyle style) {
  const bool is_grouped = aggregation == stages::Aggregation::kSimple;
  std::vector<std::string> parts;
  for (const stages::Entity& entity : entities) {
    if (style == LineStyle::kTable) {
      parts.push_back(fmt::format("{}  {}  {:.6f}  {}-{}  {}", index, entity.label, entity.score,
                                  entity.span.begin, entity.span.end, entity.word));
      continue;
    }
    parts.push_back(
        fmt::format(R"({{"{}": {}, "score": {}, {}"word": {}, "start": {}, "end": {}}})",
                    is_grouped ? "entity_group" : "entity", DumpText(entity.label), entity.score,
                    is_grouped ? "" : fmt::format(R"("index": {}, )", entity.index),
                    DumpText(entity.word), entity.span.begin, entity.span.end));
  }
  const std::string text = Joined(parts, style);
  if (style == LineStyle::kTable) return text;
  return fmt::format(R"({{"index": {}, "entities": [{}]}})", index, text);
}

std::string DescribeMasks(int64_t index, const std::vector<std::vector<stages::MaskFill>>& masks,
                          LineStyle style) {
  std::vector<std::string> parts;
  for (size_t mask = 0; mask < masks.size(); ++mask) {
    std::vector<std::string> fills;
    for (const stages::MaskFill& fill : masks[mask]) {
      fills.push_back(
          style == LineStyle::kTable
              ? fmt::format("{}  {}  {:.6f}  {}", index, mask, fill.score, fill.token_str)
              : fmt::format(R"({{"score": {}, "token": {}, "token_str": {}, "sequence": {}}})",
                            fill.score, fill.token, DumpText(fill.token_str),
                            DumpText(fill.sequence)));
    }
    const std::string text = Joined(fills, style);
    parts.push_back(style == LineStyle::kTable ? text : fmt::format("[{}]", text));
  }
  const std::string text = Joined(parts, style);
  if (style == LineStyle::kTable) return text;
  return fmt::format(R"({{"index": {}, "masks": [{}]}})", index, text);
}

}  // namespace qeff::tools
