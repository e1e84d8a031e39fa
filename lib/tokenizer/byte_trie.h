// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A set of strings, searched for those that a text starts with.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace qeff {

class ByteTrie {
 public:
  ByteTrie() = default;
  /// Of equal keys the last one counts; empty keys are left out.
  explicit ByteTrie(std::vector<std::pair<std::string_view, int64_t>> entries);

  bool empty() const { return nodes_.size() <= 1; }

  /// Calls visit(length_bytes, value) for each key that `text` starts with, shortest first.
  template <typename Visit>
  void VisitPrefixes(std::string_view text, Visit visit) const {
    if (nodes_.empty()) return;
    uint32_t at = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      at = Child(at, static_cast<unsigned char>(text[i]));
      if (at == 0) return;
      if (nodes_[at].value >= 0) visit(i + 1, nodes_[at].value);
    }
  }

 private:
  struct Node {
    int64_t value = -1;
    uint32_t first_child = 0;
    uint16_t child_count = 0;
    unsigned char label = 0;
  };

  /// Returns the child by its label, 0 if there is none.
  uint32_t Child(uint32_t parent, unsigned char label) const;

  std::vector<Node> nodes_;      ///< children of one node lie together, by label; 0 is the root
  std::vector<uint32_t> start_;  ///< [256] children of the root
};

}  // namespace qeff
