// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/decoder.h"

#include <optional>

#include "lib/tokenizer/byte_level.h"
#include "lib/tokenizer/component_table.h"
#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/metaspace.h"
#include "lib/tokenizer/pattern.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

using DecoderResult = Result<std::unique_ptr<Decoder>>;

/// A stage that looks at whole tokens.
class TokenStage : public DecodeStage {
 public:
  Status Text(std::string_view fragment) override {
    token_ += fragment;
    return Status::Ok();
  }
  Status EndToken() override { return Token(std::exchange(token_, std::string())); }
  Status Finish() override { return next().Finish(); }

 protected:
  virtual Status Token(std::string token) = 0;
  Status Emit(std::string_view token) {
    QEFF_RETURN_IF_ERROR(next().Text(token));
    return next().EndToken();
  }

 private:
  std::string token_;
};

/// A decoder whose stage is made from one value.
template <typename Stage, typename Options>
class OptionsDecoder final : public Decoder {
 public:
  explicit OptionsDecoder(Options options) : options_(std::move(options)) {}
  void AddStages(std::vector<std::unique_ptr<DecodeStage>>& stages) const override {
    stages.push_back(std::make_unique<Stage>(options_));
  }

 private:
  Options options_;
};

template <typename Stage, typename Options>
DecoderResult MakeOptionsDecoder(Options options) {
  return {std::make_unique<OptionsDecoder<Stage, Options>>(std::move(options))};
}

template <typename Stage>
class PlainDecoder final : public Decoder {
 public:
  void AddStages(std::vector<std::unique_ptr<DecodeStage>>& stages) const override {
    stages.push_back(std::make_unique<Stage>());
  }
};

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  if (from.empty()) return std::string(text);
  std::string out;
  size_t done = 0;
  for (size_t at; (at = text.find(from, done)) != std::string_view::npos; done = at + from.size()) {
    out.append(text, done, at - done).append(to);
  }
  return out.append(text, done);
}

/// The blanks that splitting English text has left, in the order in which they are undone.
constexpr std::string_view kDoNot = " do not";
constexpr std::pair<std::string_view, std::string_view> kCleanUpRules[] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {kDoNot, " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

std::string CleanUp(std::string text) {
  for (const auto& [from, to] : kCleanUpRules) text = ReplaceAll(text, from, to);
  return text;
}

/// All tokens are bytes of one text.
class ByteLevelStage final : public TokenStage {
 public:
  Status Finish() override {
    std::string text;
    TakeDecidedUtf8(true, pending_, text);
    QEFF_RETURN_IF_ERROR(Emit(text));
    return next().Finish();
  }

 protected:
  Status Token(std::string token) override {
    pending_ += SymbolsToBytes(token).value_or(token);
    std::string text;
    TakeDecidedUtf8(false, pending_, text);
    return next().Text(text);
  }

 private:
  std::string pending_;
};

/// Runs of tokens "<0xE2>" become the characters that they spell.
class ByteFallbackStage final : public TokenStage {
 public:
  Status Finish() override {
    QEFF_RETURN_IF_ERROR(EmitBytes());
    return next().Finish();
  }

 protected:
  Status Token(std::string token) override {
    if (const auto byte = ByteOf(token)) {
      bytes_ += *byte;
      return Status::Ok();
    }
    QEFF_RETURN_IF_ERROR(EmitBytes());
    return Emit(token);
  }

 private:
  static std::optional<char> ByteOf(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
    int value = 0;
    for (const char digit : token.substr(3, 2)) {
      const char lower = static_cast<char>(digit | 0x20);
      if (digit >= '0' && digit <= '9') {
        value = value * 16 + digit - '0';
      } else if (lower >= 'a' && lower <= 'f') {
        value = value * 16 + lower - 'a' + 10;
      } else {
        return std::nullopt;
      }
    }
    return static_cast<char>(value);
  }

  Status EmitBytes() {
    const std::string bytes = std::exchange(bytes_, std::string());
    if (bytes.empty()) return Status::Ok();
    if (!FindInvalidUtf8(bytes).has_value()) return Emit(bytes);
    for (size_t i = 0; i < bytes.size(); ++i) {
      QEFF_RETURN_IF_ERROR(Emit(kReplacementCharacter));
    }
    return Status::Ok();
  }

  std::string bytes_;
};

/// All tokens become one.
class FuseStage final : public DecodeStage {
 public:
  Status Text(std::string_view fragment) override { return next().Text(fragment); }
  Status EndToken() override { return Status::Ok(); }
  Status Finish() override {
    QEFF_RETURN_IF_ERROR(next().EndToken());
    return next().Finish();
  }
};

struct StripOptions {
  std::string content;  ///< one character
  int64_t start = 0;    ///< most that are taken from the start of a token
  int64_t stop = 0;     ///< most that are taken from its end
};

class StripStage final : public DecodeStage {
 public:
  explicit StripStage(StripOptions options) : options_(std::move(options)) {}

  Status Text(std::string_view fragment) override {
    std::string out;
    for (size_t position = 0; position < fragment.size();) {
      const std::string_view character =
          fragment.substr(position, CharacterBytes(fragment[position]));
      position += character.size();
      if (character != options_.content) {
        AppendHeld(held_, out);
        out += character;
        held_ = 0;
        is_in_start_ = false;
      } else if (is_in_start_ && taken_ < options_.start) {
        ++taken_;
      } else {
        ++held_;  // the token may end with it
      }
    }
    if (options_.stop == 0) AppendHeld(std::exchange(held_, 0), out);
    return next().Text(out);
  }

  Status EndToken() override {
    std::string out;
    AppendHeld(held_ - options_.stop, out);
    held_ = 0;
    taken_ = 0;
    is_in_start_ = true;
    QEFF_RETURN_IF_ERROR(next().Text(out));
    return next().EndToken();
  }

  Status Finish() override { return next().Finish(); }

 private:
  void AppendHeld(int64_t count, std::string& out) const {
    for (int64_t i = 0; i < count; ++i) out += options_.content;
  }

  StripOptions options_;
  bool is_in_start_ = true;
  int64_t taken_ = 0;
  int64_t held_ = 0;
};

DecoderResult MakeStrip(const ConfigNode& node) {
  StripOptions options;
  QEFF_ASSIGN_OR_RETURN(options.content, node.Member("content").CharacterOr(" "));
  QEFF_ASSIGN_OR_RETURN(options.start, node.Member("start").IntegerOr(0, INT64_MAX, 0));
  QEFF_ASSIGN_OR_RETURN(options.stop, node.Member("stop").IntegerOr(0, INT64_MAX, 0));
  return MakeOptionsDecoder<StripStage>(std::move(options));
}

class ReplaceStage final : public TokenStage {
 public:
  explicit ReplaceStage(Replacement replacement) : replacement_(std::move(replacement)) {}

 protected:
  Status Token(std::string token) override {
    QEFF_ASSIGN_OR_RETURN(const Replacement::Output output, replacement_.Apply(token));
    return Emit(output.text);
  }

 private:
  Replacement replacement_;
};

DecoderResult MakeReplace(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(Replacement replacement, Replacement::FromConfig(node));
  return MakeOptionsDecoder<ReplaceStage>(std::move(replacement));
}

class MetaspaceStage final : public TokenStage {
 public:
  explicit MetaspaceStage(MetaspaceOptions options) : options_(std::move(options)) {}
  Status Finish() override {
    is_first_ = true;
    return next().Finish();
  }

 protected:
  Status Token(std::string token) override {
    const bool drops = is_first_ && options_.prepend != PrependScheme::kNever;
    is_first_ = false;
    return Emit(ReplaceAll(token, options_.replacement, drops ? "" : " "));
  }

 private:
  MetaspaceOptions options_;
  bool is_first_ = true;
};

DecoderResult MakeMetaspace(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(MetaspaceOptions options, MetaspaceOptionsFromConfig(node));
  return MakeOptionsDecoder<MetaspaceStage>(std::move(options));
}

/// The suffix marks the end of a word: a blank, but not at the end of the text.
class BpeStage final : public TokenStage {
 public:
  explicit BpeStage(std::string suffix) : suffix_(std::move(suffix)) {}
  Status Finish() override {
    if (held_.has_value()) QEFF_RETURN_IF_ERROR(Emit(ReplaceAll(*held_, suffix_, "")));
    held_.reset();
    return next().Finish();
  }

 protected:
  Status Token(std::string token) override {
    const auto previous = std::exchange(held_, std::move(token));
    return previous.has_value() ? Emit(ReplaceAll(*previous, suffix_, " ")) : Status::Ok();
  }

 private:
  std::string suffix_;
  std::optional<std::string> held_;
};

DecoderResult MakeBpeDecoder(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(std::string suffix, node.Member("suffix").StringOr("</w>"));
  return MakeOptionsDecoder<BpeStage>(std::move(suffix));
}

struct WordPieceOptions {
  std::string prefix;
  bool cleans_up = true;
};

class WordPieceStage final : public TokenStage {
 public:
  explicit WordPieceStage(WordPieceOptions options) : options_(std::move(options)) {}
  Status Finish() override {
    is_first_ = true;
    return next().Finish();
  }

 protected:
  Status Token(std::string token) override {
    if (!is_first_) {
      if (token.starts_with(options_.prefix)) {
        token.erase(0, options_.prefix.size());
      } else {
        token.insert(token.begin(), ' ');
      }
    }
    is_first_ = false;
    return Emit(options_.cleans_up ? CleanUp(std::move(token)) : token);
  }

 private:
  WordPieceOptions options_;
  bool is_first_ = true;
};

DecoderResult MakeWordPieceDecoder(const ConfigNode& node) {
  WordPieceOptions options;
  QEFF_ASSIGN_OR_RETURN(options.prefix, node.Member("prefix").StringOr("##"));
  QEFF_ASSIGN_OR_RETURN(options.cleans_up, node.Member("cleanup").BooleanOr(true));
  return MakeOptionsDecoder<WordPieceStage>(std::move(options));
}

struct CtcOptions {
  std::string pad_token;
  std::string word_delimiter;
  bool cleans_up = true;
};

/// Repeated tokens count once; the padding token separates real repetitions.
class CtcStage final : public TokenStage {
 public:
  explicit CtcStage(CtcOptions options) : options_(std::move(options)) {}
  Status Finish() override {
    previous_.reset();
    return next().Finish();
  }

 protected:
  Status Token(std::string token) override {
    if (previous_ == token) return Status::Ok();
    previous_ = token;
    std::string text = ReplaceAll(token, options_.pad_token, "");
    if (options_.cleans_up) {
      text = ReplaceAll(CleanUp(std::move(text)), options_.word_delimiter, " ");
    }
    return text.empty() ? Status::Ok() : Emit(text);
  }

 private:
  CtcOptions options_;
  std::optional<std::string> previous_;
};

DecoderResult MakeCtc(const ConfigNode& node) {
  CtcOptions options;
  QEFF_ASSIGN_OR_RETURN(options.pad_token, node.Member("pad_token").StringOr("<pad>"));
  QEFF_ASSIGN_OR_RETURN(options.word_delimiter, node.Member("word_delimiter_token").StringOr("|"));
  QEFF_ASSIGN_OR_RETURN(options.cleans_up, node.Member("cleanup").BooleanOr(true));
  return MakeOptionsDecoder<CtcStage>(std::move(options));
}

/// Files without a decoder: a blank between tokens.
class JoinStage final : public TokenStage {
 public:
  Status Finish() override {
    is_first_ = true;
    return next().Finish();
  }

 protected:
  Status Token(std::string token) override {
    if (!std::exchange(is_first_, false)) token.insert(token.begin(), ' ');
    return Emit(token);
  }

 private:
  bool is_first_ = true;
};

class Sequence final : public Decoder {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Decoder>> steps) : steps_(std::move(steps)) {}
  void AddStages(std::vector<std::unique_ptr<DecodeStage>>& stages) const override {
    for (const auto& step : steps_) step->AddStages(stages);
  }

 private:
  std::vector<std::unique_ptr<Decoder>> steps_;
};

DecoderResult MakeSequence(const ConfigNode& node) {
  QEFF_ASSIGN_OR_RETURN(auto steps, MakeSteps(node.Member("decoders"), MakeDecoder));
  return {std::make_unique<Sequence>(std::move(steps))};
}

constexpr ComponentEntry<Decoder> kDecoders[] = {
    {"BPEDecoder", MakeBpeDecoder},
    {"ByteFallback", MakeDefault<Decoder, PlainDecoder<ByteFallbackStage>>},
    {"ByteLevel", MakeDefault<Decoder, PlainDecoder<ByteLevelStage>>},
    {"CTC", MakeCtc},
    {"Fuse", MakeDefault<Decoder, PlainDecoder<FuseStage>>},
    {"Metaspace", MakeMetaspace},
    {"Replace", MakeReplace},
    {"Sequence", MakeSequence},
    {"Strip", MakeStrip},
    {"WordPiece", MakeWordPieceDecoder},
};

}  // namespace

Result<std::unique_ptr<Decoder>> MakeDecoder(const ConfigNode& node) {
  if (node.is_absent()) return {std::make_unique<PlainDecoder<JoinStage>>()};
  return MakeComponent<Decoder>(node, "decoder", kDecoders);
}

namespace {

/// Replaces a string in the whole text, without regard to tokens.
class TextReplaceStage final : public DecodeStage {
 public:
  /// `from` is ASCII and not empty.
  TextReplaceStage(std::string_view from, std::string_view to) : from_(from), to_(to) {}

  Status Text(std::string_view fragment) override {
    if (pending_.empty() && fragment.find(from_[0]) == std::string_view::npos) {
      return next().Text(fragment);
    }
    pending_ += fragment;
    std::string out;
    size_t done = 0;
    for (size_t at; (at = pending_.find(from_, done)) != std::string::npos;
         done = at + from_.size()) {
      out.append(pending_, done, at - done).append(to_);
    }
    size_t held = std::min(from_.size() - 1, pending_.size() - done);
    while (!std::string_view(pending_).ends_with(std::string_view(from_).substr(0, held))) --held;
    out.append(pending_, done, pending_.size() - held - done);
    pending_.erase(0, pending_.size() - held);
    return next().Text(out);
  }
  Status EndToken() override { return Status::Ok(); }
  Status Finish() override {
    QEFF_RETURN_IF_ERROR(next().Text(std::exchange(pending_, std::string())));
    return next().Finish();
  }

 private:
  std::string from_;
  std::string to_;
  std::string pending_;  ///< the end of the text, if `from` may start there
};

/// Leaves out white space at both ends of the whole text.
class TextStripStage final : public DecodeStage {
 public:
  Status Text(std::string_view fragment) override {
    std::string out;
    for (size_t position = 0; position < fragment.size();) {
      const size_t begin = position;
      const char32_t character = NextCharacter(fragment, position);
      const std::string_view bytes = fragment.substr(begin, position - begin);
      if (IsPythonSpace(character)) {
        if (has_started_) held_ += bytes;
        continue;
      }
      has_started_ = true;
      out.append(std::exchange(held_, std::string())).append(bytes);
    }
    return next().Text(out);
  }
  Status EndToken() override { return Status::Ok(); }
  Status Finish() override {
    has_started_ = false;
    held_.clear();
    return next().Finish();
  }

 private:
  /// str.isspace: four separators more than White_Space.
  static bool IsPythonSpace(char32_t character) {
    return IsWhiteSpace(character) || (character >= 0x1C && character <= 0x1F);
  }

  bool has_started_ = false;
  std::string held_;  ///< white space that the text may end with
};

class TextRulesDecoder final : public Decoder {
 public:
  TextRulesDecoder(std::unique_ptr<Decoder> decoder, DecodedTextRules rules)
      : decoder_(std::move(decoder)), rules_(std::move(rules)) {}
  void AddStages(std::vector<std::unique_ptr<DecodeStage>>& stages) const override {
    decoder_->AddStages(stages);
    if (!rules_.word_suffix.empty()) {
      stages.push_back(std::make_unique<TextReplaceStage>(rules_.word_suffix, " "));
      stages.push_back(std::make_unique<TextStripStage>());
    }
    if (!rules_.cleans_up_spaces) return;
    for (const auto& [from, to] : kCleanUpRules) {
      if (from == kDoNot) continue;  // of the file's decoders only
      stages.push_back(std::make_unique<TextReplaceStage>(from, to));
    }
  }

 private:
  std::unique_ptr<Decoder> decoder_;
  DecodedTextRules rules_;
};

}  // namespace

std::unique_ptr<Decoder> WithTextRules(std::unique_ptr<Decoder> decoder, DecodedTextRules rules) {
  return std::make_unique<TextRulesDecoder>(std::move(decoder), std::move(rules));
}

/// The end of a stream.
class DecodeStream::Collector final : public DecodeStage {
 public:
  Status Text(std::string_view fragment) override {
    text += fragment;
    return Status::Ok();
  }
  Status EndToken() override { return Status::Ok(); }
  Status Finish() override { return Status::Ok(); }

  std::string text;
};

DecodeStream::DecodeStream(const Decoder& decoder) {
  decoder.AddStages(stages_);
  auto collector = std::make_unique<Collector>();
  collector_ = collector.get();
  stages_.push_back(std::move(collector));
  for (size_t i = 0; i + 1 < stages_.size(); ++i) stages_[i]->next_ = stages_[i + 1].get();
}

Status DecodeStream::Push(std::string_view token) {
  QEFF_RETURN_IF_ERROR(stages_.front()->Text(token));
  return stages_.front()->EndToken();
}

Status DecodeStream::Finish() { return stages_.front()->Finish(); }

std::string DecodeStream::Take() { return std::exchange(collector_->text, std::string()); }

}  // namespace qeff
