// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/normalizer.h"

#include <vector>

#include "lib/tokenizer/byte_level.h"
#include "lib/tokenizer/component_table.h"
#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/pattern.h"
#include "lib/tokenizer/precompiled_map.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

using NormalizerResult = Result<std::unique_ptr<Normalizer>>;

/// Rewrites a piece character by character: `rewrite(character, out)` appends what it becomes.
template <typename Rewrite>
void RewriteCharacters(Piece& piece, Rewrite rewrite) {
  std::string out;
  out.reserve(piece.text.size());
  for (size_t position = 0; position < piece.text.size();) {
    rewrite(NextCharacter(piece.text, position), out);
    if (out.empty()) piece.is_at_start = false;
  }
  piece.text = std::move(out);
}

class Unicode final : public Normalizer {
 public:
  explicit Unicode(NormalForm form) : form_(form) {}
  Status Apply(Piece& piece) const override {
    piece.text = ToNormalForm(form_, piece.text);
    return Status::Ok();
  }

 private:
  NormalForm form_;
};

template <NormalForm kForm>
NormalizerResult MakeUnicode(const ConfigNode&) {
  return {std::make_unique<Unicode>(kForm)};
}

class Lowercase final : public Normalizer {
 public:
  Status Apply(Piece& piece) const override {
    RewriteCharacters(piece, AppendLowerCase);
    return Status::Ok();
  }
};

class StripAccents final : public Normalizer {
 public:
  Status Apply(Piece& piece) const override {
    RewriteCharacters(piece, [](char32_t character, std::string& out) {
      if (!IsMark(character)) AppendCharacter(character, out);
    });
    return Status::Ok();
  }
};

class Prepend final : public Normalizer {
 public:
  struct Options {
    std::string prefix;
    bool only_at_start = false;  ///< of the user's text, not of each piece
    bool is_once = false;        ///< not if the text starts with it
  };
  explicit Prepend(Options options) : options_(std::move(options)) {}
  Status Apply(Piece& piece) const override {
    const bool is_left_out = piece.text.empty() || (options_.only_at_start && !piece.is_at_start) ||
                             (options_.is_once && piece.text.starts_with(options_.prefix));
    if (!is_left_out) piece.text.insert(0, options_.prefix);
    return Status::Ok();
  }

 private:
  Options options_;
};

/// "sentencepiece": {"is_once": ...} is ours: the blank that SentencePiece puts in front of a text.
NormalizerResult MakePrepend(const ConfigNode& node) {
  Prepend::Options options;
  QEFF_ASSIGN_OR_RETURN(options.prefix, node.Member("prepend").String());
  const ConfigNode dummy = node.Member("sentencepiece");
  options.only_at_start = !dummy.is_absent();
  QEFF_ASSIGN_OR_RETURN(options.is_once, dummy.Member("is_once").BooleanOr(false));
  return {std::make_unique<Prepend>(std::move(options))};
}

class Replace final : public Normalizer {
 public:
  explicit Replace(Replacement replacement) : replacement_(std::move(replacement)) {}
  Status Apply(Piece& piece) const override {
    QEFF_ASSIGN_OR_RETURN(Replacement::Output output, replacement_.Apply(piece.text));
    piece.text = std::move(output.text);
    if (output.removed_start) piece.is_at_start = false;
    return Status::Ok();
  }

 private:
  Replacement replacement_;
};

NormalizerResult MakeReplace(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(Replacement replacement, Replacement::FromConfig(node));
  return {std::make_unique<Replace>(std::move(replacement))};
}

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  Status Apply(Piece& piece) const override {
    size_t begin = 0;
    while (left_ && begin < piece.text.size()) {
      size_t next = begin;
      if (!IsWhiteSpace(NextCharacter(piece.text, next))) break;
      begin = next;
    }
    size_t end = piece.text.size();
    while (right_ && end > begin) {
      size_t last = end - 1;
      while ((piece.text[last] & 0xC0) == 0x80) --last;
      size_t next = last;
      if (!IsWhiteSpace(NextCharacter(piece.text, next))) break;
      end = last;
    }
    if (begin > 0) piece.is_at_start = false;
    piece.text = piece.text.substr(begin, end - begin);
    return Status::Ok();
  }

 private:
  bool left_;
  bool right_;
};

NormalizerResult MakeStrip(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(const bool left, node.Member("strip_left").BooleanOr(true));
  QEFF_ASSIGN_OR_RETURN(const bool right, node.Member("strip_right").BooleanOr(true));
  return {std::make_unique<Strip>(left, right)};
}

/// What BERT does before it splits words.
class Bert final : public Normalizer {
 public:
  struct Options {
    bool clean_text;
    bool separate_cjk;
    bool strip_accents;
    bool lower_case;
  };
  explicit Bert(Options options) : options_(options) {}

  Status Apply(Piece& piece) const override {
    if (options_.clean_text || options_.separate_cjk) {
      RewriteCharacters(piece, [this](char32_t c, std::string& out) { Clean(c, out); });
    }
    if (options_.strip_accents) {
      piece.text = ToNormalForm(NormalForm::kNfd, piece.text);
      RewriteCharacters(piece, [](char32_t character, std::string& out) {
        if (!IsNonSpacingMark(character)) AppendCharacter(character, out);
      });
    }
    if (options_.lower_case) RewriteCharacters(piece, AppendLowerCase);
    return Status::Ok();
  }

 private:
  void Clean(char32_t character, std::string& out) const {
    if (options_.clean_text) {
      const bool is_blank = character == '\t' || character == '\n' || character == '\r';
      if (character == 0 || character == 0xFFFD || (IsControl(character) && !is_blank)) return;
      if (is_blank || IsWhiteSpace(character)) character = ' ';
    }
    if (options_.separate_cjk && IsCjkIdeograph(character)) {
      out += ' ';
      AppendCharacter(character, out);
      out += ' ';
    } else {
      AppendCharacter(character, out);
    }
  }

  Options options_;
};

NormalizerResult MakeBert(const ConfigNode& node) {
  Bert::Options options;
  QEFF_ASSIGN_OR_RETURN(options.clean_text, node.Member("clean_text").BooleanOr(true));
  QEFF_ASSIGN_OR_RETURN(options.separate_cjk, node.Member("handle_chinese_chars").BooleanOr(true));
  QEFF_ASSIGN_OR_RETURN(options.lower_case, node.Member("lowercase").BooleanOr(true));
  QEFF_ASSIGN_OR_RETURN(options.strip_accents,
                        node.Member("strip_accents").BooleanOr(options.lower_case));
  return {std::make_unique<Bert>(options)};
}

/// The cleaning of neural machine translation data that SentencePiece models start with.
class Nmt final : public Normalizer {
 public:
  Status Apply(Piece& piece) const override {
    RewriteCharacters(piece, [](char32_t c, std::string& out) {
      const bool is_dropped = (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) ||
                              c == 0x7F || c == 0x8F || c == 0x9F;
      if (is_dropped) return;
      const bool is_space = c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1680 ||
                            (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
                            c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      AppendCharacter(is_space ? U' ' : c, out);
    });
    return Status::Ok();
  }
};

class ByteLevel final : public Normalizer {
 public:
  Status Apply(Piece& piece) const override {
    piece.text = BytesToSymbols(piece.text);
    return Status::Ok();
  }
};

class Precompiled final : public Normalizer {
 public:
  Precompiled(PrecompiledMap map, bool takes_longest)
      : map_(std::move(map)), takes_longest_(takes_longest) {}
  Status Apply(Piece& piece) const override {
    std::string text = takes_longest_ ? map_.ApplyLongest(piece.text) : map_.Apply(piece.text);
    if (text.empty() && !piece.text.empty()) piece.is_at_start = false;
    piece.text = std::move(text);
    return Status::Ok();
  }

 private:
  PrecompiledMap map_;
  bool takes_longest_;
};

/// "sentencepiece": true is ours: its own rule in place of the reference's.
NormalizerResult MakePrecompiled(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(PrecompiledMap map,
                        PrecompiledMap::FromConfig(node.Member("precompiled_charsmap")));
  QEFF_ASSIGN_OR_RETURN(const bool is_sentencepiece, node.Member("sentencepiece").BooleanOr(false));
  return {std::make_unique<Precompiled>(std::move(map), is_sentencepiece)};
}

class Sequence final : public Normalizer {
 public:
  Sequence(std::vector<std::unique_ptr<Normalizer>> steps, std::string file)
      : steps_(std::move(steps)), file_(std::move(file)) {}
  Status Apply(Piece& piece) const override {
    for (const auto& step : steps_) {
      QEFF_RETURN_IF_ERROR(step->Apply(piece));
      QEFF_RETURN_IF_ERROR(CheckTextSize(piece.text.size(), file_));
    }
    return Status::Ok();
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
  std::string file_;
};

NormalizerResult MakeSequence(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(auto steps, MakeSteps(node.Member("normalizers"), MakeNormalizer));
  return {std::make_unique<Sequence>(std::move(steps), node.file())};
}

constexpr ComponentEntry<Normalizer> kNormalizers[] = {
    {"BertNormalizer", MakeBert},
    {"ByteLevel", MakeDefault<Normalizer, ByteLevel>},
    {"Lowercase", MakeDefault<Normalizer, Lowercase>},
    {"NFC", MakeUnicode<NormalForm::kNfc>},
    {"NFD", MakeUnicode<NormalForm::kNfd>},
    {"NFKC", MakeUnicode<NormalForm::kNfkc>},
    {"NFKD", MakeUnicode<NormalForm::kNfkd>},
    {"Nmt", MakeDefault<Normalizer, Nmt>},
    {"Precompiled", MakePrecompiled},
    {"Prepend", MakePrepend},
    {"Replace", MakeReplace},
    {"Sequence", MakeSequence},
    {"Strip", MakeStrip},
    {"StripAccents", MakeDefault<Normalizer, StripAccents>},
};

}  // namespace

Result<std::unique_ptr<Normalizer>> MakeNormalizer(const ConfigNode& node) {
  return MakeComponent<Normalizer>(node, "normalizer", kNormalizers);
}

}  // namespace qeff
