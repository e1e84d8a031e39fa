// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/oniguruma.h"

#include <algorithm>
#include <vector>

#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

constexpr int kMaxClassDepth = 30;

// Members of character classes, as Oniguruma's Unicode tables have them. PCRE2's own \s has U+180E
// too, and its \w has no marks.
constexpr std::string_view kSpace =
    R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
// Outside of a class, \w has the superscripts and fractions of Latin-1 as well.
constexpr std::string_view kLatinWord = R"(\x{b2}\x{b3}\x{b9}\x{bc}-\x{be})";
constexpr std::string_view kDigit = R"(\p{Nd})";
constexpr std::string_view kHexDigit = "0-9a-fA-F";

struct PosixBracket {
  std::string_view name;
  std::string_view members;
};
constexpr PosixBracket kPosixBrackets[] = {
    {"[:alpha:]", R"(\p{Alphabetic})"},
    {"[:alnum:]", R"(\p{Alphabetic}\p{Nd})"},
    {"[:digit:]", kDigit},
    {"[:space:]", kSpace},
    {"[:word:]", kWord},
    {"[:punct:]", R"(\p{P}\p{S})"},
    {"[:xdigit:]", kHexDigit},
    {"[:upper:]", R"(\p{Uppercase})"},
    {"[:lower:]", R"(\p{Lowercase})"},
};

/// The members that a class escape stands for; empty if `letter` is none. Capitals are complements.
std::string_view ClassEscape(char letter) {
  switch (letter) {
    case 's':
    case 'S':
      return kSpace;
    case 'w':
    case 'W':
      return kWord;
    case 'd':
    case 'D':
      return kDigit;
    case 'h':
    case 'H':
      return kHexDigit;
    default:
      return {};
  }
}

bool IsCapital(char letter) { return letter >= 'A' && letter <= 'Z'; }
bool IsDigit(char byte) { return byte >= '0' && byte <= '9'; }

class Translator {
 public:
  Translator(std::string_view expression, const ConfigNode& where)
      : in_(expression), where_(where) {}

  Result<std::string> Run() {
    while (position_ < in_.size()) QEFF_RETURN_IF_ERROR(Step());
    return std::move(out_);
  }

 private:
  Status Step() {
    const char next = in_[position_];
    if (next == '[') {
      ++position_;
      QEFF_ASSIGN_OR_RETURN(const std::string matcher, Class(0));
      BeginAtom();
      out_ += matcher;
    } else if (next == '\\') {
      BeginAtom();
      out_ += Escape(false);
    } else if (next == '(') {
      OpenGroup();
    } else if (next == ')') {
      ++position_;
      out_ += ')';
      if (!groups_.empty()) {
        atom_ = groups_.back();
        groups_.pop_back();
      }
    } else if (next == '{') {
      Interval();
    } else {
      if (next != '*' && next != '+' && next != '?') BeginAtom();
      CopyCharacter(out_);
    }
    return Status::Ok();
  }

  void BeginAtom() { atom_ = out_.size(); }

  void CopyCharacter(std::string& to) {
    const size_t length = std::min(CharacterBytes(in_[position_]), in_.size() - position_);
    to.append(in_, position_, length);
    position_ += length;
  }

  /// A class escape as a class of its own, or an escape that reads the same everywhere.
  std::string Escape(bool is_in_class) {
    const char letter = position_ + 1 < in_.size() ? in_[position_ + 1] : '\0';
    if (const std::string_view members = ClassEscape(letter); !members.empty()) {
      position_ += 2;
      const bool is_word = letter == 'w' || letter == 'W';
      return fmt::format("[{}{}{}]", IsCapital(letter) ? "^" : "", members,
                         is_word && !is_in_class ? kLatinWord : "");
    }
    return PlainEscape();
  }

  std::string PlainEscape() {
    const std::string_view rest = in_.substr(position_);
    const auto is_hex = [](char c) {
      return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    };
    if (rest.starts_with("\\u") && rest.size() >= 6 &&
        std::ranges::all_of(rest.substr(2, 4), is_hex)) {
      position_ += 6;
      return fmt::format("\\x{{{}}}", rest.substr(2, 4));
    }
    std::string copied;
    if (rest.size() > 2 && rest[2] == '{' && (rest[1] == 'p' || rest[1] == 'P' || rest[1] == 'x')) {
      const size_t close = std::min(rest.find('}'), rest.size() - 1);
      position_ += close + 1;
      std::string escape(rest.substr(0, close + 1));
      const size_t name = escape.starts_with("\\x") ? escape.size() : escape[3] == '^' ? 4 : 3;
      // PCRE2 takes the name of a script for the property Script_Extensions, Oniguruma for Script.
      if (name < close && IsScriptName(std::string_view(escape).substr(name, close - name))) {
        escape.insert(name, "sc:");
      }
      return escape;
    }
    copied = '\\';
    ++position_;
    if (position_ < in_.size()) CopyCharacter(copied);
    return copied;
  }

  void OpenGroup() {
    groups_.push_back(out_.size());
    out_ += '(';
    ++position_;
    if (position_ >= in_.size() || in_[position_] != '?') return;
    out_ += '?';
    ++position_;
    const size_t end = in_.find_first_not_of("imx-", position_);
    if (end == std::string_view::npos || (in_[end] != ':' && in_[end] != ')')) return;
    for (; position_ < end; ++position_) out_ += in_[position_] == 'm' ? 's' : in_[position_];
  }

  /// {n}, {n,}, {,m}, {n,m}; anything else is an ordinary brace.
  void Interval() {
    size_t end = position_ + 1;
    const auto read_digits = [&] {
      const size_t begin = end;
      while (end < in_.size() && IsDigit(in_[end])) ++end;
      return in_.substr(begin, end - begin);
    };
    const std::string_view low = read_digits();
    const bool has_comma = end < in_.size() && in_[end] == ',';
    if (has_comma) ++end;
    const std::string_view high = has_comma ? read_digits() : low;
    if (end >= in_.size() || in_[end] != '}' || (low.empty() && high.empty())) {
      BeginAtom();
      out_ += "\\{";
      ++position_;
      return;
    }
    position_ = end + 1;
    const std::string interval =
        fmt::format("{{{}{}{}}}", low.empty() ? "0" : low, has_comma ? "," : "",
                    has_comma ? high : std::string_view());
    // A second quantifier repeats the repetition; PCRE2 would read "possessive".
    const bool is_repeated = position_ < in_.size() && in_[position_] == '+';
    if (is_repeated) out_.insert(atom_, "(?:");
    out_ += interval;
    if (is_repeated) out_ += ')';
  }

  /// One side of &&: members of an ordinary class, and what can not be written as such.
  struct Union {
    std::string members;
    std::vector<std::string> matchers;

    std::string Matcher() const {
      std::string text = members.empty() ? "" : fmt::format("[{}]", members);
      for (const std::string& matcher : matchers) text += (text.empty() ? "" : "|") + matcher;
      return text.empty() ? "(?!)" : fmt::format("(?:{})", text);
    }
  };

  /// Reads a class behind its opening bracket; returns an expression for one character.
  Result<std::string> Class(int depth) {
    if (depth > kMaxClassDepth) {
      return Unsupported(
          Location::File(where_.file()),
          fmt::format("'{}': classes nested deeper than {}", where_.path(), kMaxClassDepth));
    }
    const bool is_negated = position_ < in_.size() && in_[position_] == '^';
    if (is_negated) ++position_;
    std::vector<Union> sides(1);
    for (bool is_first = true; position_ < in_.size() && (is_first || in_[position_] != ']');
         is_first = false) {
      QEFF_RETURN_IF_ERROR(ClassMember(depth, is_first, sides));
    }
    if (position_ >= in_.size()) {
      return where_.Invalid("expected ']' at the end of a character class, got the end");
    }
    ++position_;
    if (sides.size() == 1 && sides[0].matchers.empty()) {
      return fmt::format("[{}{}]", is_negated ? "^" : "", sides[0].members);
    }
    std::string all;
    for (size_t i = 0; i + 1 < sides.size(); ++i) {
      all += fmt::format("(?={})", sides[i].Matcher());
    }
    all += sides.back().Matcher();
    return is_negated ? fmt::format("(?:(?!{})(?s:.))", all) : fmt::format("(?:{})", all);
  }

  Status ClassMember(int depth, bool is_first, std::vector<Union>& sides) {
    const std::string_view rest = in_.substr(position_);
    Union& side = sides.back();
    if (rest.starts_with("&&")) {
      position_ += 2;
      sides.emplace_back();
      return Status::Ok();
    }
    if (rest[0] == '[') {
      for (const PosixBracket& bracket : kPosixBrackets) {
        if (rest.starts_with(bracket.name)) {
          position_ += bracket.name.size();
          side.members += bracket.members;
          return Status::Ok();
        }
      }
      if (rest.starts_with("[:") && rest.find(":]") != std::string_view::npos) {
        return Unsupported(Location::File(where_.file()),
                           fmt::format("'{}': bracket '{}' is not supported", where_.path(),
                                       rest.substr(0, rest.find(":]") + 2)));
      }
      ++position_;
      QEFF_ASSIGN_OR_RETURN(std::string matcher, Class(depth + 1));
      side.matchers.push_back(std::move(matcher));
      return Status::Ok();
    }
    if (rest[0] == '\\') {
      const char letter = rest.size() > 1 ? rest[1] : '\0';
      const std::string_view members = ClassEscape(letter);
      if (members.empty()) {
        side.members += PlainEscape();
      } else if (IsCapital(letter)) {
        side.matchers.push_back(Escape(true));
      } else {
        position_ += 2;
        side.members += members;
      }
      return Status::Ok();
    }
    if (is_first && rest[0] == ']') side.members += '\\';
    CopyCharacter(side.members);
    return Status::Ok();
  }

  std::string_view in_;
  const ConfigNode& where_;
  size_t position_ = 0;
  std::string out_;
  size_t atom_ = 0;             ///< where the last atom starts in out_
  std::vector<size_t> groups_;  ///< where the open groups start in out_
};

}  // namespace

Result<std::string> TranslateOniguruma(std::string_view expression, const ConfigNode& where) {
  return Translator(expression, where).Run();
}

}  // namespace qeff
