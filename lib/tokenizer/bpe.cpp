// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Byte-pair encoding: a word starts as its characters; the neighbours whose merge comes first in
// the list are joined, leftmost first, until none is in the list. A heap of candidates over a
// linked list makes this O(n log n) in the length of the word.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/model.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

struct Merge {
  uint32_t rank;  ///< place in the list
  int32_t id;     ///< of the joined token
};

/// Merges by the ids of their parts: open addressing, as this lookup is most of the work.
class MergeTable {
 public:
  /// Later entries of a pair replace earlier ones.
  void Insert(int64_t left, int64_t right, Merge merge) {
    if ((count_ + 1) * 2 > slots_.size()) Grow();
    Slot& slot = slots_[Place(Key(left, right))];
    if (slot.key == kFree) ++count_;
    slot = {Key(left, right), merge};
  }

  /// Returns null if the pair is not in the list.
  const Merge* Find(int64_t left, int64_t right) const {
    const Slot& slot = slots_[Place(Key(left, right))];
    return slot.key == kFree ? nullptr : &slot.merge;
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};
  struct Slot {
    uint64_t key = kFree;
    Merge merge{};
  };
  static uint64_t Key(int64_t left, int64_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint64_t>(right);
  }
  /// Returns the slot of the key, or the free one where it would go.
  size_t Place(uint64_t key) const {
    // The constant of Fibonacci hashing: 2^64 divided by the golden ratio.
    const uint64_t mixed = (key ^ (key >> 32)) * 0x9E3779B97F4A7C15u;
    size_t at = (mixed >> 20) & (slots_.size() - 1);
    while (slots_[at].key != key && slots_[at].key != kFree) at = (at + 1) & (slots_.size() - 1);
    return at;
  }

  void Grow() {
    constexpr size_t kFirstSlots = 1024;
    const std::vector<Slot> old = std::move(slots_);
    slots_.assign(std::max(kFirstSlots, old.size() * 2), Slot());
    for (const Slot& slot : old) {
      if (slot.key != kFree) slots_[Place(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_{1};  ///< a power of two, at most half full
  size_t count_ = 0;
};

/// Short words and their ids, as texts repeat most of their words. One place for each hash, the
/// last word wins: the memory is bounded, and a text that is made to miss costs a comparison a
/// word. Each thread has one for all models.
class WordCache {
 public:
  static constexpr size_t kMaxWordBytes = 22;
  static constexpr size_t kMaxIds = 8;

  struct Entry {  // a cache line
    uint64_t model = 0;
    uint8_t word_bytes = 0;
    uint8_t id_count = 0;
    char word[kMaxWordBytes];
    int32_t ids[kMaxIds];

    bool Holds(uint64_t wanted_model, std::string_view wanted) const {
      return model == wanted_model && word_bytes == wanted.size() &&
             std::memcmp(word, wanted.data(), wanted.size()) == 0;
    }
  };
  static_assert(sizeof(Entry) == 64);

  /// Requires a word of at most kMaxWordBytes.
  static Entry& Place(std::string_view word) {
    constexpr size_t kEntries = 16384;  // 1 MiB
    thread_local std::vector<Entry> entries(kEntries);
    return entries[std::hash<std::string_view>()(word) % kEntries];
  }
};

class Bpe final : public Model {
 public:
  static Result<std::unique_ptr<Model>> Make(const ConfigNode& node);
  Status Encode(std::string_view word, std::vector<int64_t>& ids) const override;

 private:
  struct Symbol {
    int32_t id;  ///< kGone once it is part of the symbol before it
    int32_t previous;
    int32_t next;
  };
  struct Candidate {
    uint32_t rank;
    int32_t position;
    int32_t id;
    /// For a heap whose top is the first merge of the list, leftmost first.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  /// Reused from word to word.
  struct Scratch {
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };
  static constexpr int32_t kGone = -1;
  static constexpr int32_t kNone = -1;
  static constexpr char32_t kTableEnd = 0x250;  // Latin, and all symbols of byte-level files

  Status EncodeWord(std::string_view word, std::vector<int64_t>& ids) const;
  Status ReadMerges(const ConfigNode& node);
  Status ReadMergeOrder(const ConfigNode& node);
  /// Returns false if the parts and the two joined are not all tokens.
  bool AddMerge(std::string_view left, std::string_view right, uint32_t rank);
  void AddBorder(std::string_view left, std::string_view right);
  void FillTable();
  Status SplitCharacters(std::string_view word, std::vector<Symbol>& symbols) const;
  std::optional<int64_t> CharacterId(std::string_view character, bool is_first, bool is_last,
                                     std::string& text) const;
  void PushCandidate(int32_t position, Scratch& scratch) const;
  void MergeRange(size_t begin, size_t end, Scratch& scratch) const;
  void MergeParts(Scratch& scratch) const;

  /// Tells the words of this model in caches, also after another one took its place in memory.
  static uint64_t NextSerial() {
    static std::atomic<uint64_t> last{0};
    return ++last;
  }

  const uint64_t serial_ = NextSerial();
  MergeTable merges_;
  /// Pairs of characters that stand beside each other in some merge, where the left part ends. Of
  /// use only if `knows_borders_`.
  MergeTable borders_;
  bool knows_borders_ = false;
  std::vector<int32_t> table_;  ///< [kTableEnd] ids of characters without affixes; kNone if none
  std::string subword_prefix_;
  std::string word_suffix_;
  bool has_byte_fallback_ = false;
  bool fuses_unknown_ = false;
  bool ignores_merges_ = false;  ///< a word that is a token is not merged together
};

Result<std::unique_ptr<Model>> Bpe::Make(const ConfigNode& node) {
  auto bpe = std::make_unique<Bpe>();
  bpe->file_ = node.file();
  const ConfigNode vocabulary = node.Member("vocab");
  QEFF_ASSIGN_OR_RETURN(const auto entries, vocabulary.TokenIds());
  QEFF_ASSIGN_OR_RETURN(bpe->vocabulary_, Vocabulary::Make(entries, vocabulary));
  QEFF_ASSIGN_OR_RETURN(bpe->subword_prefix_,
                        node.Member("continuing_subword_prefix").StringOr(""));
  QEFF_ASSIGN_OR_RETURN(bpe->word_suffix_, node.Member("end_of_word_suffix").StringOr(""));
  QEFF_ASSIGN_OR_RETURN(bpe->has_byte_fallback_, node.Member("byte_fallback").BooleanOr(false));
  QEFF_ASSIGN_OR_RETURN(bpe->fuses_unknown_, node.Member("fuse_unk").BooleanOr(false));
  QEFF_ASSIGN_OR_RETURN(bpe->ignores_merges_, node.Member("ignore_merges").BooleanOr(false));
  const ConfigNode unknown_node = node.Member("unk_token");
  if (!unknown_node.is_absent()) {
    QEFF_ASSIGN_OR_RETURN(const std::string unknown, unknown_node.String());
    bpe->unknown_id_ = bpe->vocabulary_.Find(unknown);
    if (!bpe->unknown_id_.has_value()) return unknown_node.Expected("a token of the vocabulary");
  }
  if (const ConfigNode order = node.Member("merge_order"); !order.is_absent()) {
    QEFF_RETURN_IF_ERROR(bpe->ReadMergeOrder(order));
  } else {
    QEFF_RETURN_IF_ERROR(bpe->ReadMerges(node.Member("merges")));
  }
  bpe->FillTable();
  return {std::move(bpe)};
}

Status Bpe::ReadMerges(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(const auto merges, node.Merges());
  knows_borders_ = subword_prefix_.empty() && word_suffix_.empty();
  uint32_t rank = 0;
  for (const auto& [left, right, line] : merges) {
    bool is_known = line.empty() && AddMerge(left, right, rank);
    // Tokens may hold blanks themselves: the first blank with known tokens around it counts.
    for (size_t blank = line.find(' '); !is_known && blank != std::string_view::npos;
         blank = line.find(' ', blank + 1)) {
      is_known = AddMerge(line.substr(0, blank), line.substr(blank + 1), rank);
    }
    if (!is_known) {
      return node.Invalid(
          fmt::format("merge {} '{}' needs tokens that are not in the vocabulary: expected both "
                      "parts and the two joined",
                      rank, line.empty() ? fmt::format("{} {}", left, right) : line));
    }
    ++rank;
  }
  return Status::Ok();
}

/// "merge_order": {"tokens": [ids], "splits": "equal" or "longest_first"} is ours, for files that
/// have no merges: two tokens merge if the two joined are a token, the first of the list first. The
/// ways to split one token rank the same, or the one with the longest left part goes first.
Status Bpe::ReadMergeOrder(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(const std::string splits, node.Member("splits").String());
  QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> ids, node.Member("tokens").Elements());
  std::vector<std::string_view> tokens;
  for (const ConfigNode& id_node : ids) {
    QEFF_ASSIGN_OR_RETURN(const int64_t id, id_node.Integer(0, INT32_MAX));
    const auto token = vocabulary_.Token(id);
    if (!token.has_value()) return id_node.Expected("the id of a token");
    tokens.push_back(*token);
  }
  knows_borders_ = true;
  uint32_t rank = 0;
  for (const std::string_view token : tokens) {
    for (size_t at = token.size(); at-- > 1;) {
      if ((token[at] & 0xC0) == 0x80) continue;
      const bool is_merge = AddMerge(token.substr(0, at), token.substr(at), rank);
      if (is_merge && splits == "longest_first") ++rank;
    }
    ++rank;
  }
  return Status::Ok();
}

bool Bpe::AddMerge(std::string_view left, std::string_view right, uint32_t rank) {
  const bool has_prefix = right.starts_with(subword_prefix_);
  std::string joined(left);
  joined += has_prefix ? right.substr(subword_prefix_.size()) : right;
  const auto left_id = vocabulary_.Find(left);
  const auto right_id = vocabulary_.Find(right);
  const auto id = vocabulary_.Find(joined);
  if (!left_id.has_value() || !right_id.has_value() || !id.has_value()) return false;
  merges_.Insert(*left_id, *right_id, {rank, static_cast<int32_t>(*id)});
  AddBorder(left, right);
  return true;
}

void Bpe::AddBorder(std::string_view left, std::string_view right) {
  // Byte tokens and the unknown token are symbols that their spelling does not show.
  const auto is_opaque = [this](std::string_view token) {
    return token.empty() || (token.starts_with("<0x") && token.ends_with('>')) ||
           (unknown_id_.has_value() && vocabulary_.Find(token) == unknown_id_);
  };
  if (is_opaque(left) || is_opaque(right)) {
    knows_borders_ = false;
    return;
  }
  size_t last = left.size() - 1;
  while ((left[last] & 0xC0) == 0x80) --last;
  const auto left_id = vocabulary_.Find(left.substr(last));
  const auto right_id = vocabulary_.Find(right.substr(0, CharacterBytes(right[0])));
  // A part with a character that is no token can never come up.
  if (left_id.has_value() && right_id.has_value()) borders_.Insert(*left_id, *right_id, {});
}

void Bpe::FillTable() {
  if (!subword_prefix_.empty()) return;
  table_.assign(kTableEnd, kNone);
  std::string text;
  for (char32_t character = 0; character < kTableEnd; ++character) {
    text.clear();
    AppendCharacter(character, text);
    if (const auto id = vocabulary_.Find(text)) table_[character] = static_cast<int32_t>(*id);
  }
}

/// `text` becomes the character with its affixes, as it is looked up.
std::optional<int64_t> Bpe::CharacterId(std::string_view character, bool is_first, bool is_last,
                                        std::string& text) const {
  text.assign(is_first ? "" : subword_prefix_).append(character);
  if (is_last) text += word_suffix_;
  return vocabulary_.Find(text);
}

Status Bpe::SplitCharacters(std::string_view word, std::vector<Symbol>& symbols) const {
  const auto add = [&symbols](int64_t id) {
    const auto position = static_cast<int32_t>(symbols.size());
    symbols.push_back({static_cast<int32_t>(id), position - 1, position + 1});
  };
  // Unknown characters wait for their neighbours, to be one token with them. Byte tokens do not let
  // them go first; that is the reference's order.
  bool has_waiting = false;
  std::string text;
  for (size_t position = 0; position < word.size();) {
    const size_t begin = position;
    const char32_t character = NextCharacter(word, position);
    const bool is_last = position == word.size();
    std::optional<int64_t> id;
    if (character < table_.size() && (!is_last || word_suffix_.empty())) {
      if (table_[character] != kNone) id = table_[character];
      text.assign(word, begin, position - begin);
    } else {
      id = CharacterId(word.substr(begin, position - begin), begin == 0, is_last, text);
    }
    if (id.has_value()) {
      if (has_waiting) add(*unknown_id_);
      has_waiting = false;
      add(*id);
      continue;
    }
    if (has_byte_fallback_) {
      if (const auto bytes = ByteTokens(text, vocabulary_)) {
        for (const int64_t byte : *bytes) add(byte);
        continue;
      }
    }
    // Without an unknown token the reference leaves the character out.
    if (!unknown_id_.has_value()) continue;
    if (has_waiting && !fuses_unknown_) add(*unknown_id_);
    has_waiting = true;
  }
  if (has_waiting) add(*unknown_id_);
  if (!symbols.empty()) symbols.back().next = kNone;
  return Status::Ok();
}

void Bpe::PushCandidate(int32_t position, Scratch& scratch) const {
  const Symbol& left = scratch.symbols[static_cast<size_t>(position)];
  if (left.next == kNone) return;
  const Symbol& right = scratch.symbols[static_cast<size_t>(left.next)];
  if (const Merge* merge = merges_.Find(left.id, right.id)) {
    scratch.heap.push_back({merge->rank, position, merge->id});
  }
}

/// Merges where no merge reaches over `begin` or `end`.
void Bpe::MergeRange(size_t begin, size_t end, Scratch& scratch) const {
  std::vector<Symbol>& symbols = scratch.symbols;
  std::vector<Candidate>& heap = scratch.heap;
  heap.clear();
  for (size_t i = begin; i + 1 < end; ++i) PushCandidate(static_cast<int32_t>(i), scratch);
  std::make_heap(heap.begin(), heap.end());
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate candidate = heap.back();
    heap.pop_back();
    Symbol& left = symbols[static_cast<size_t>(candidate.position)];
    if (left.id == kGone || left.next == kNone) continue;
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    // The pair may have changed since the candidate was made.
    const Merge* merge = merges_.Find(left.id, right.id);
    if (merge == nullptr || merge->id != candidate.id) continue;
    left.id = candidate.id;
    right.id = kGone;
    left.next = right.next;
    if (left.next != kNone) {
      symbols[static_cast<size_t>(left.next)].previous = candidate.position;
    }
    for (const int32_t position : {left.previous, candidate.position}) {
      if (position == kNone) continue;
      const size_t before = heap.size();
      PushCandidate(position, scratch);
      if (heap.size() > before) std::push_heap(heap.begin(), heap.end());
    }
  }
}

/// A whole text can be one word (SentencePiece's models). Between two characters that are beside
/// each other in no merge it can be cut, which keeps the heaps small.
void Bpe::MergeParts(Scratch& scratch) const {
  constexpr size_t kShortSymbols = 32;
  std::vector<Symbol>& symbols = scratch.symbols;
  size_t begin = 0;
  if (knows_borders_ && symbols.size() > kShortSymbols) {
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (borders_.Find(symbols[i].id, symbols[i + 1].id) != nullptr) continue;
      symbols[i].next = kNone;
      symbols[i + 1].previous = kNone;
      MergeRange(begin, i + 1, scratch);
      begin = i + 1;
    }
  }
  MergeRange(begin, symbols.size(), scratch);
}

Status Bpe::Encode(std::string_view word, std::vector<int64_t>& ids) const {
  if (word.size() > WordCache::kMaxWordBytes) return EncodeWord(word, ids);
  WordCache::Entry& entry = WordCache::Place(word);
  if (entry.Holds(serial_, word)) {
    ids.insert(ids.end(), entry.ids, entry.ids + entry.id_count);
    return Status::Ok();
  }
  const size_t before = ids.size();
  QEFF_RETURN_IF_ERROR(EncodeWord(word, ids));
  const size_t count = ids.size() - before;
  if (count > WordCache::kMaxIds) return Status::Ok();
  entry.model = serial_;
  entry.word_bytes = static_cast<uint8_t>(word.size());
  entry.id_count = static_cast<uint8_t>(count);
  std::memcpy(entry.word, word.data(), word.size());
  for (size_t i = 0; i < count; ++i) entry.ids[i] = static_cast<int32_t>(ids[before + i]);
  return Status::Ok();
}

Status Bpe::EncodeWord(std::string_view word, std::vector<int64_t>& ids) const {
  if (ignores_merges_) {
    if (const auto id = vocabulary_.Find(word)) {
      ids.push_back(*id);
      return Status::Ok();
    }
  }
  thread_local Scratch scratch;
  scratch.symbols.clear();
  QEFF_RETURN_IF_ERROR(SplitCharacters(word, scratch.symbols));
  MergeParts(scratch);
  for (const Symbol& symbol : scratch.symbols) {
    if (symbol.id != kGone) ids.push_back(symbol.id);
  }
  return Status::Ok();
}

}  // namespace

Result<std::unique_ptr<Model>> MakeBpe(const ConfigNode& node) { return Bpe::Make(node); }

}  // namespace qeff
