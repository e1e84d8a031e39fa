// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/pre_tokenizer.h"

#include <iterator>
#include <optional>

#include "lib/tokenizer/byte_level.h"
#include "lib/tokenizer/component_table.h"
#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/metaspace.h"
#include "lib/tokenizer/pattern.h"
#include "lib/tokenizer/split.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

using PreTokenizerResult = Result<std::unique_ptr<PreTokenizer>>;

/// GPT-2's words: contractions, then runs of letters, digits or others with a blank before them.
constexpr std::string_view kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(bool adds_prefix_space, std::optional<Pattern> words)
      : adds_prefix_space_(adds_prefix_space), words_(std::move(words)) {}

  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    if (adds_prefix_space_ && !piece.text.starts_with(' '))
      piece.text.insert(piece.text.begin(), ' ');
    const size_t first = pieces.size();
    if (words_.has_value()) {
      QEFF_ASSIGN_OR_RETURN(const std::vector<Match> matches, words_->FindAll(piece.text));
      SplitPiece(piece, matches, SplitBehavior::kIsolated, false, pieces);
    } else {
      pieces.push_back(std::move(piece));
    }
    for (size_t i = first; i < pieces.size(); ++i) pieces[i].text = BytesToSymbols(pieces[i].text);
    return Status::Ok();
  }

 private:
  bool adds_prefix_space_;
  std::optional<Pattern> words_;
};

PreTokenizerResult MakeByteLevel(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(const bool adds_space, node.Member("add_prefix_space").BooleanOr(true));
  QEFF_ASSIGN_OR_RETURN(const bool uses_regex, node.Member("use_regex").BooleanOr(true));
  std::optional<Pattern> words;
  if (uses_regex) {
    QEFF_ASSIGN_OR_RETURN(words, Pattern::FromRegex(kGpt2Words, node));
  }
  return {std::make_unique<ByteLevel>(adds_space, std::move(words))};
}

class Split final : public PreTokenizer {
 public:
  Split(Pattern pattern, SplitBehavior behavior, bool is_inverted)
      : pattern_(std::move(pattern)), behavior_(behavior), is_inverted_(is_inverted) {}

  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    QEFF_ASSIGN_OR_RETURN(const std::vector<Match> matches, pattern_.FindAll(piece.text));
    SplitPiece(piece, matches, behavior_, is_inverted_, pieces);
    return Status::Ok();
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool is_inverted_;
};

PreTokenizerResult MakeSplit(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(Pattern pattern, Pattern::FromConfig(node.Member("pattern")));
  const ConfigNode behavior_node = node.Member("behavior");
  if (behavior_node.is_absent()) return behavior_node.Expected("the name of a behaviour");
  QEFF_ASSIGN_OR_RETURN(const SplitBehavior behavior,
                        SplitBehaviorFromConfig(behavior_node, SplitBehavior::kRemoved));
  QEFF_ASSIGN_OR_RETURN(const bool is_inverted, node.Member("invert").BooleanOr(false));
  return {std::make_unique<Split>(std::move(pattern), behavior, is_inverted)};
}

class Metaspace final : public PreTokenizer {
 public:
  explicit Metaspace(MetaspaceOptions options) : options_(std::move(options)) {}

  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    std::string text;
    text.reserve(piece.text.size() * 2);
    for (const char byte : piece.text) {
      if (byte == ' ') {
        text += options_.replacement;
      } else {
        text += byte;
      }
    }
    const bool wants_prefix = options_.prepend == PrependScheme::kAlways ||
                              (options_.prepend == PrependScheme::kFirst && piece.is_at_start);
    if (wants_prefix && !text.starts_with(options_.replacement)) {
      text.insert(0, options_.replacement);
    }
    piece.text = std::move(text);
    if (!options_.splits) {
      pieces.push_back(std::move(piece));
      return Status::Ok();
    }
    size_t position = 0;
    const char32_t replacement = NextCharacter(options_.replacement, position);
    SplitPiece(piece, FindCharacters(piece.text, [&](char32_t c) { return c == replacement; }),
               SplitBehavior::kMergedWithNext, false, pieces);
    return Status::Ok();
  }

 private:
  MetaspaceOptions options_;
};

PreTokenizerResult MakeMetaspace(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(MetaspaceOptions options, MetaspaceOptionsFromConfig(node));
  return {std::make_unique<Metaspace>(std::move(options))};
}

/// Cuts at single characters of a class.
class CharacterSplit final : public PreTokenizer {
 public:
  using Predicate = bool (*)(char32_t character);
  CharacterSplit(Predicate predicate, SplitBehavior behavior)
      : predicate_(predicate), behavior_(behavior) {}

  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    SplitPiece(piece, FindCharacters(piece.text, predicate_), behavior_, false, pieces);
    return Status::Ok();
  }

 private:
  Predicate predicate_;
  SplitBehavior behavior_;
};

PreTokenizerResult MakeWhitespaceSplit(const ConfigNode&) {
  return {std::make_unique<CharacterSplit>(IsWhiteSpace, SplitBehavior::kRemoved)};
}

PreTokenizerResult MakeDigits(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(const bool individual, node.Member("individual_digits").BooleanOr(false));
  return {std::make_unique<CharacterSplit>(
      IsNumeric, individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous)};
}

PreTokenizerResult MakePunctuation(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(const SplitBehavior behavior,
                        SplitBehaviorFromConfig(node.Member("behavior"), SplitBehavior::kIsolated));
  return {std::make_unique<CharacterSplit>(IsPunctuation, behavior)};
}

class CharDelimiterSplit final : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(std::string delimiter) : delimiter_(std::move(delimiter)) {}

  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    size_t position = 0;
    const char32_t delimiter = NextCharacter(delimiter_, position);
    SplitPiece(piece, FindCharacters(piece.text, [&](char32_t c) { return c == delimiter; }),
               SplitBehavior::kRemoved, false, pieces);
    return Status::Ok();
  }

 private:
  std::string delimiter_;
};

PreTokenizerResult MakeCharDelimiterSplit(const ConfigNode& node) {
  const ConfigNode delimiter_node = node.Member("delimiter");
  if (delimiter_node.is_absent()) return delimiter_node.Expected("one character");
  QEFF_ASSIGN_OR_RETURN(std::string delimiter, delimiter_node.CharacterOr(""));
  return {std::make_unique<CharDelimiterSplit>(std::move(delimiter))};
}

/// Keeps runs of word characters and runs of other visible characters.
class Whitespace final : public PreTokenizer {
 public:
  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    enum class Kind { kSpace, kWord, kOther };
    const auto kind_of = [](char32_t c) {
      return IsWord(c) ? Kind::kWord : IsWhiteSpace(c) ? Kind::kSpace : Kind::kOther;
    };
    std::vector<Match> runs;
    Kind previous = Kind::kSpace;
    for (size_t position = 0; position < piece.text.size();) {
      const size_t begin = position;
      const Kind kind = kind_of(NextCharacter(piece.text, position));
      if (kind != Kind::kSpace && kind == previous) {
        runs.back().end = position;
      } else if (kind != Kind::kSpace) {
        runs.push_back({begin, position});
      }
      previous = kind;
    }
    SplitPiece(piece, runs, SplitBehavior::kRemoved, true, pieces);
    return Status::Ok();
  }
};

/// Words between white space; each punctuation character alone.
class Bert final : public PreTokenizer {
 public:
  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    std::vector<Piece> words;
    SplitPiece(piece, FindCharacters(piece.text, IsWhiteSpace), SplitBehavior::kRemoved, false,
               words);
    for (const Piece& word : words) {
      SplitPiece(word, FindCharacters(word.text, IsPunctuation), SplitBehavior::kIsolated, false,
                 pieces);
    }
    return Status::Ok();
  }
};

/// Cuts where the script changes. Characters without one stay with what is before them; at the
/// start of a text they are lost, as in the reference.
class UnicodeScripts final : public PreTokenizer {
 public:
  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    std::vector<Match> runs;
    std::optional<int> previous;
    for (size_t position = 0; position < piece.text.size();) {
      const size_t begin = position;
      const std::optional<int> script = ScriptOf(NextCharacter(piece.text, position));
      if (script.has_value() && script != previous) {
        runs.push_back({begin, position});
        previous = script;
      } else if (!runs.empty()) {
        runs.back().end = position;
      }
    }
    SplitPiece(piece, runs, SplitBehavior::kRemoved, true, pieces);
    return Status::Ok();
  }
};

/// Pieces of a fixed number of characters; the last one may be shorter.
class FixedLength final : public PreTokenizer {
 public:
  explicit FixedLength(int64_t length_characters) : length_characters_(length_characters) {}

  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    std::vector<Match> parts;
    int64_t count = 0;
    for (const Match& character : FindCharacters(piece.text, [](char32_t) { return true; })) {
      if (count++ % length_characters_ == 0) parts.push_back(character);
      parts.back().end = character.end;
    }
    SplitPiece(piece, parts, SplitBehavior::kIsolated, false, pieces);
    return Status::Ok();
  }

 private:
  int64_t length_characters_;
};

PreTokenizerResult MakeFixedLength(const ConfigNode& node) {
  constexpr int64_t kDefaultLength = 5;
  QEFF_ASSIGN_OR_RETURN(const int64_t length,
                        node.Member("length").IntegerOr(1, INT32_MAX, kDefaultLength));
  return {std::make_unique<FixedLength>(length)};
}

class Sequence final : public PreTokenizer {
 public:
  Sequence(std::vector<std::unique_ptr<PreTokenizer>> steps, std::string file)
      : steps_(std::move(steps)), file_(std::move(file)) {}

  Status Apply(Piece piece, std::vector<Piece>& pieces) const override {
    std::vector<Piece> current;
    current.push_back(std::move(piece));
    for (const auto& step : steps_) {
      std::vector<Piece> next;
      next.reserve(current.size());
      for (Piece& part : current) QEFF_RETURN_IF_ERROR(step->Apply(std::move(part), next));
      current = std::move(next);
      size_t size_bytes = 0;
      for (const Piece& part : current) size_bytes += part.text.size();
      QEFF_RETURN_IF_ERROR(CheckTextSize(size_bytes, file_));
    }
    std::move(current.begin(), current.end(), std::back_inserter(pieces));
    return Status::Ok();
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
  std::string file_;
};

PreTokenizerResult MakeSequence(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(auto steps, MakeSteps(node.Member("pretokenizers"), MakePreTokenizer));
  return {std::make_unique<Sequence>(std::move(steps), node.file())};
}

constexpr ComponentEntry<PreTokenizer> kPreTokenizers[] = {
    {"BertPreTokenizer", MakeDefault<PreTokenizer, Bert>},
    {"ByteLevel", MakeByteLevel},
    {"CharDelimiterSplit", MakeCharDelimiterSplit},
    {"Digits", MakeDigits},
    {"FixedLength", MakeFixedLength},
    {"Metaspace", MakeMetaspace},
    {"Punctuation", MakePunctuation},
    {"Sequence", MakeSequence},
    {"Split", MakeSplit},
    {"UnicodeScripts", MakeDefault<PreTokenizer, UnicodeScripts>},
    {"Whitespace", MakeDefault<PreTokenizer, Whitespace>},
    {"WhitespaceSplit", MakeWhitespaceSplit},
};

}  // namespace

Result<std::unique_ptr<PreTokenizer>> MakePreTokenizer(const ConfigNode& node) {
  return MakeComponent<PreTokenizer>(node, "pre-tokenizer", kPreTokenizers);
}

}  // namespace qeff
