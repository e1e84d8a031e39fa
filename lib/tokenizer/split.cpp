// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/split.h"

#include "lib/tokenizer/config_node.h"

namespace qeff {
namespace {

struct Part {
  size_t begin;
  size_t end;
  bool is_match;
};

/// Returns matches and the text between them, which cover all of the text.
std::vector<Part> Cover(const std::vector<Match>& matches, size_t text_bytes, bool is_inverted) {
  std::vector<Part> parts;
  parts.reserve(matches.size() * 2 + 1);
  size_t done = 0;
  for (const Match& match : matches) {
    if (match.begin > done) parts.push_back({done, match.begin, is_inverted});
    parts.push_back({match.begin, match.end, !is_inverted});
    done = match.end;
  }
  if (done < text_bytes) parts.push_back({done, text_bytes, is_inverted});
  return parts;
}

/// Joins each part with the one before it where `joins(part, previous)`, both as they were.
template <typename Joins>
std::vector<Part> JoinParts(const std::vector<Part>& parts, Joins joins) {
  std::vector<Part> joined;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0 && joins(parts[i], parts[i - 1])) {
      joined.back().end = parts[i].end;
    } else {
      joined.push_back(parts[i]);
    }
  }
  return joined;
}

}  // namespace

Result<SplitBehavior> SplitBehaviorFromConfig(const ConfigNode& node, SplitBehavior value) {
  if (node.is_absent()) return value;
  QEFF_ASSIGN_OR_RETURN(const std::string name, node.String());
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return node.Expected("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

void SplitPiece(const Piece& piece, const std::vector<Match>& matches, SplitBehavior behavior,
                bool is_inverted, std::vector<Piece>& pieces) {
  std::vector<Part> parts = Cover(matches, piece.text.size(), is_inverted);
  switch (behavior) {
    case SplitBehavior::kRemoved:
      std::erase_if(parts, [](const Part& part) { return part.is_match; });
      break;
    case SplitBehavior::kIsolated:
      break;
    case SplitBehavior::kMergedWithPrevious:
      parts = JoinParts(parts, [](const Part& part, const Part& previous) {
        return part.is_match && !previous.is_match;
      });
      break;
    case SplitBehavior::kMergedWithNext:
      parts = JoinParts(parts, [](const Part& part, const Part& previous) {
        return previous.is_match && !part.is_match;
      });
      break;
    case SplitBehavior::kContiguous:
      parts = JoinParts(parts, [](const Part& part, const Part& previous) {
        return part.is_match == previous.is_match;
      });
      break;
  }
  for (const Part& part : parts) {
    if (part.begin == part.end) continue;
    pieces.push_back({.text = piece.text.substr(part.begin, part.end - part.begin),
                      .is_at_start = piece.is_at_start && part.begin == 0});
  }
}

}  // namespace qeff
