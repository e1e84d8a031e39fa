// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/encoding.h"

#include <algorithm>

#include "lib/tokenizer/config_node.h"

namespace qeff {
namespace {

/// A file must not ask for more memory than any model could use; contexts end at a few millions.
constexpr int64_t kMaxFileTokens = int64_t{1} << 24;

Result<TextSide> SideFromConfig(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(const std::string name, node.StringOr("Right"));
  if (name == "Left") return TextSide::kLeft;
  if (name == "Right") return TextSide::kRight;
  return node.Expected("Left or Right");
}

Result<TruncationStrategy> StrategyFromConfig(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(const std::string name, node.StringOr("LongestFirst"));
  if (name == "LongestFirst") return TruncationStrategy::kLongestFirst;
  if (name == "OnlyFirst") return TruncationStrategy::kOnlyFirst;
  if (name == "OnlySecond") return TruncationStrategy::kOnlySecond;
  return node.Expected("LongestFirst, OnlyFirst or OnlySecond");
}

void Keep(int64_t count_tokens, TextSide cut_side, std::vector<int64_t>& ids) {
  const int64_t surplus = std::ssize(ids) - count_tokens;
  if (surplus <= 0) return;
  const auto begin = cut_side == TextSide::kLeft ? ids.begin() : ids.end() - surplus;
  ids.erase(begin, begin + surplus);
}

/// Cuts the longer text until it is as long as the shorter one, then both alike; the longer one
/// keeps the odd token.
void KeepOfBoth(int64_t room_tokens, TextSide side, std::vector<int64_t>& first,
                std::vector<int64_t>& second) {
  const bool first_is_longer = first.size() > second.size();
  std::vector<int64_t>& shorter = first_is_longer ? second : first;
  std::vector<int64_t>& longer = first_is_longer ? first : second;
  const int64_t half = room_tokens / 2;
  const int64_t shorter_tokens = std::min(std::ssize(shorter), half);
  Keep(shorter_tokens, side, shorter);
  Keep(room_tokens - shorter_tokens, side, longer);
}

void PadTo(int64_t length_tokens, const Padding& padding, Encoding& encoding) {
  const int64_t missing = length_tokens - std::ssize(encoding.ids);
  if (missing <= 0) return;
  const auto count = static_cast<size_t>(missing);
  const auto fill = [&](std::vector<int64_t>& values, int64_t value) {
    values.insert(padding.side == TextSide::kLeft ? values.begin() : values.end(), count, value);
  };
  fill(encoding.ids, padding.id);
  fill(encoding.type_ids, padding.type_id);
  fill(encoding.special_tokens_mask, 1);
  fill(encoding.attention_mask, 0);
}

}  // namespace

Result<std::optional<Truncation>> TruncationFromConfig(const ConfigNode& node) {
  if (node.is_absent()) return {std::nullopt};
  if (!node.is_object()) return node.Expected("an object");
  Truncation truncation;
  QEFF_ASSIGN_OR_RETURN(truncation.max_tokens, node.Member("max_length").Integer(0, INT64_MAX));
  QEFF_ASSIGN_OR_RETURN(truncation.strategy, StrategyFromConfig(node.Member("strategy")));
  QEFF_ASSIGN_OR_RETURN(truncation.side, SideFromConfig(node.Member("direction")));
  return {truncation};
}

Result<std::optional<Padding>> PaddingFromConfig(const ConfigNode& node) {
  if (node.is_absent()) return {std::nullopt};
  if (!node.is_object()) return node.Expected("an object");
  Padding padding;
  // "BatchLongest", or {"Fixed": length}
  const ConfigNode strategy = node.Member("strategy");
  if (const ConfigNode fixed = strategy.Member("Fixed"); !fixed.is_absent()) {
    QEFF_ASSIGN_OR_RETURN(padding.length_tokens, fixed.Integer(0, kMaxFileTokens));
  } else {
    QEFF_ASSIGN_OR_RETURN(const std::string name, strategy.StringOr("BatchLongest"));
    if (name != "BatchLongest") return strategy.Expected("BatchLongest or {\"Fixed\": ...}");
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t multiple,
                        node.Member("pad_to_multiple_of").IntegerOr(0, kMaxFileTokens, 1));
  padding.multiple_of_tokens = std::max<int64_t>(multiple, 1);  // 0 is none, as in the reference
  QEFF_ASSIGN_OR_RETURN(padding.side, SideFromConfig(node.Member("direction")));
  QEFF_ASSIGN_OR_RETURN(padding.id, node.Member("pad_id").IntegerOr(0, INT32_MAX, 0));
  QEFF_ASSIGN_OR_RETURN(padding.type_id, node.Member("pad_type_id").IntegerOr(0, INT32_MAX, 0));
  return {padding};
}

Status Truncate(const Truncation& truncation, int64_t added_tokens, std::vector<int64_t>& first,
                std::vector<int64_t>* second) {
  const int64_t room = truncation.max_tokens - added_tokens;
  if (room < 0) {
    return InvalidInput(Location(),
                        fmt::format("expected a maximum of at least {} tokens, as many as the "
                                    "special ones, got {}",
                                    added_tokens, truncation.max_tokens));
  }
  const int64_t total = std::ssize(first) + (second != nullptr ? std::ssize(*second) : 0);
  const int64_t surplus = total - room;
  if (surplus <= 0) return Status::Ok();
  if (room == 0) {  // whatever the strategy says, as in the reference
    first.clear();
    if (second != nullptr) second->clear();
    return Status::Ok();
  }
  if (truncation.strategy == TruncationStrategy::kLongestFirst) {
    if (second == nullptr) {
      Keep(room, truncation.side, first);
    } else {
      KeepOfBoth(room, truncation.side, first, *second);
    }
    return Status::Ok();
  }
  const bool cuts_first = truncation.strategy == TruncationStrategy::kOnlyFirst;
  if (!cuts_first && second == nullptr) {
    return InvalidInput(Location(),
                        "truncation of only the second text of a pair, but there is "
                        "only one text");
  }
  std::vector<int64_t>& ids = cuts_first ? first : *second;
  if (std::ssize(ids) <= surplus) {
    return InvalidInput(Location(),
                        fmt::format("cannot take {} tokens from the {} text, which has {}", surplus,
                                    cuts_first ? "first" : "second", ids.size()),
                        {"truncate the longest text first, or allow more tokens"});
  }
  Keep(std::ssize(ids) - surplus, truncation.side, ids);
  return Status::Ok();
}

void Pad(const Padding& padding, std::span<Encoding> batch) {
  int64_t length = padding.length_tokens.value_or(0);
  if (!padding.length_tokens.has_value()) {
    for (const Encoding& encoding : batch) length = std::max(length, std::ssize(encoding.ids));
  }
  const int64_t multiple = padding.multiple_of_tokens;
  length = (length + multiple - 1) / multiple * multiple;
  for (Encoding& encoding : batch) PadTo(length, padding, encoding);
}

}  // namespace qeff
