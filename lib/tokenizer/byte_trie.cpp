// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/byte_trie.h"

#include <algorithm>

namespace qeff {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, int64_t>> entries) {
  std::erase_if(entries, [](const auto& entry) { return entry.first.empty(); });
  std::ranges::stable_sort(entries, {}, &std::pair<std::string_view, int64_t>::first);
  // The keys below a node are a range of the sorted entries that share depth_bytes bytes.
  struct Range {
    size_t begin;
    size_t end;
    size_t depth_bytes;
  };
  std::vector<Range> ranges = {{0, entries.size(), 0}};
  nodes_.resize(1);
  for (size_t node = 0; node < nodes_.size(); ++node) {
    Range range = ranges[node];
    const size_t depth = range.depth_bytes;
    for (; range.begin < range.end && entries[range.begin].first.size() == depth; ++range.begin) {
      nodes_[node].value = entries[range.begin].second;
    }
    nodes_[node].first_child = static_cast<uint32_t>(nodes_.size());
    while (range.begin < range.end) {
      const char label = entries[range.begin].first[depth];
      size_t end = range.begin;
      while (end < range.end && entries[end].first[depth] == label) ++end;
      nodes_.push_back({.label = static_cast<unsigned char>(label)});
      ranges.push_back({range.begin, end, depth + 1});
      ++nodes_[node].child_count;
      range.begin = end;
    }
  }
  start_.resize(256);
  for (uint32_t i = 0; i < nodes_[0].child_count; ++i) {
    const uint32_t child = nodes_[0].first_child + i;
    start_[nodes_[child].label] = child;
  }
}

uint32_t ByteTrie::Child(uint32_t parent, unsigned char label) const {
  if (parent == 0) return start_[label];
  const Node& node = nodes_[parent];
  const auto begin = nodes_.begin() + node.first_child;
  const auto end = begin + node.child_count;
  const auto found = std::ranges::lower_bound(begin, end, label, {}, &Node::label);
  if (found == end || found->label != label) return 0;
  return static_cast<uint32_t>(found - nodes_.begin());
}

}  // namespace qeff
