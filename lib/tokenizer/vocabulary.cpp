// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/vocabulary.h"

#include <algorithm>

#include "lib/tokenizer/config_node.h"

namespace qeff {

Result<Vocabulary> Vocabulary::Make(std::span<const std::pair<std::string_view, int64_t>> entries,
                                    const ConfigNode& where) {
  Vocabulary vocabulary;
  size_t text_bytes = 0;
  for (const auto& [token, id] : entries) text_bytes += token.size();
  vocabulary.text_.reserve(text_bytes);  // so that the views stay valid
  vocabulary.by_id_.reserve(entries.size());
  vocabulary.by_token_.reserve(entries.size());
  for (const auto& [token, id] : entries) {
    const char* begin = vocabulary.text_.data() + vocabulary.text_.size();
    vocabulary.text_.insert(vocabulary.text_.end(), token.begin(), token.end());
    const std::string_view copy(begin, token.size());
    vocabulary.by_id_.push_back({id, copy});
    vocabulary.by_token_.insert_or_assign(copy, id);
    vocabulary.largest_token_bytes_ = std::max(vocabulary.largest_token_bytes_, token.size());
  }
  std::ranges::sort(vocabulary.by_id_, {}, &Entry::id);
  const auto twin = std::ranges::adjacent_find(vocabulary.by_id_, {}, &Entry::id);
  if (twin != vocabulary.by_id_.end()) {
    return where.Invalid(fmt::format("expected one token for each id, got '{}' and '{}' with id {}",
                                     twin->token, std::next(twin)->token, twin->id));
  }
  return vocabulary;
}

std::optional<int64_t> Vocabulary::Find(std::string_view token) const {
  const auto found = by_token_.find(token);
  if (found == by_token_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string_view> Vocabulary::Token(int64_t id) const {
  // Most vocabularies have no gaps: then the place is the id.
  if (id >= 0 && id < std::ssize(by_id_) && by_id_[static_cast<size_t>(id)].id == id) {
    return by_id_[static_cast<size_t>(id)].token;
  }
  const auto found = std::ranges::lower_bound(by_id_, id, {}, &Entry::id);
  if (found == by_id_.end() || found->id != id) return std::nullopt;
  return found->token;
}

}  // namespace qeff
