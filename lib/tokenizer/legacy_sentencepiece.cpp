// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// tokenizer.model to the form of tokenizer.json. Each class of transformers has its own rules; a
// model without a class does what the SentencePiece library does.
#include <algorithm>
#include <numeric>

#include "lib/tokenizer/base64.h"
#include "lib/tokenizer/legacy_settings.h"
#include "lib/tokenizer/sentencepiece_model.h"

namespace qeff {
namespace {

using Piece = SentencePieceModel::Piece;
using Type = SentencePieceModel::Type;
using Algorithm = SentencePieceModel::Algorithm;

constexpr const char* kSpace = "\xE2\x96\x81";
constexpr int kExtraIds = 100;  // T5's sentinels

Json Sequence(const char* key, Json steps) {
  return {{"type", "Sequence"}, {key, std::move(steps)}};
}
Json ReplaceString(const char* from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", std::string(to)}};
}
Json ReplaceRegex(const char* from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"Regex", from}}}, {"content", std::string(to)}};
}
Json Metaspace(const char* scheme, bool splits) {
  return {{"type", "Metaspace"},
          {"replacement", kSpace},
          {"prepend_scheme", scheme},
          {"split", splits}};
}

class SentencePieceConverter {
 public:
  SentencePieceConverter(const LegacySettings& settings, LegacyStyle style,
                         SentencePieceModel model)
      : settings_(settings), style_(style), model_(std::move(model)) {}

  Result<Json> Convert(std::string_view path) {
    QEFF_RETURN_IF_ERROR(CheckSupport(path));
    QEFF_RETURN_IF_ERROR(ReadFlags());
    ArrangePieces();
    for (const Piece& piece : model_.pieces) vocabulary_.Add(piece.text, vocabulary_.next_id());
    Json file = {{"model", ModelJson()}};
    QEFF_ASSIGN_OR_RETURN(file["added_tokens"],
                          settings_.AddedTokens(OwnTokens(), style_, vocabulary_));
    QEFF_ASSIGN_OR_RETURN(file["normalizer"], NormalizerJson());
    QEFF_ASSIGN_OR_RETURN(file["pre_tokenizer"], PreTokenizerJson());
    QEFF_ASSIGN_OR_RETURN(file["post_processor"], PostProcessorJson());
    file["decoder"] = DecoderJson();
    return file;
  }

 private:
  Status CheckSupport(std::string_view path) const {
    const bool is_known =
        model_.algorithm == Algorithm::kUnigram || model_.algorithm == Algorithm::kBpe;
    if (!is_known || model_.treats_space_as_suffix || !model_.escapes_spaces) {
      return Unsupported(Location::File(path),
                         !is_known ? "SentencePiece models of words or characters are not supported"
                                   : "SentencePiece models with blanks behind words, or without "
                                     "escaped blanks, are not supported");
    }
    return Status::Ok();
  }

  Status ReadFlags() {
    QEFF_ASSIGN_OR_RETURN(is_legacy_, settings_.Flag("legacy", true));
    QEFF_ASSIGN_OR_RETURN(adds_prefix_, settings_.Flag("add_prefix_space", true));
    const bool adds_start = style_ == LegacyStyle::kLlama || style_ == LegacyStyle::kGemma;
    QEFF_ASSIGN_OR_RETURN(adds_start_, settings_.Flag("add_bos_token", adds_start));
    QEFF_ASSIGN_OR_RETURN(adds_end_, settings_.Flag("add_eos_token", false));
    return Status::Ok();
  }

  /// Brings the pieces into the order of the model's ids, which is not the file's for all classes.
  void ArrangePieces() {
    std::vector<Piece>& pieces = model_.pieces;
    const auto control = [](std::string_view text) {
      return Piece{.text = std::string(text), .score = 0, .type = Type::kControl};
    };
    if (style_ == LegacyStyle::kXlmRoberta) {
      constexpr size_t kOwn = 3;  // <unk>, <s>, </s>
      pieces.erase(pieces.begin(), pieces.begin() + std::min(kOwn, pieces.size()));
      pieces.insert(pieces.begin(), {control("<s>"), control("<pad>"), control("</s>"),
                                     Piece{.text = "<unk>", .score = 0, .type = Type::kUnknown}});
      pieces.push_back(control("<mask>"));
      model_.unknown_id = 3;
    } else if (style_ == LegacyStyle::kGemma) {
      constexpr std::string_view kFirst[] = {"pad_token", "eos_token", "bos_token"};
      for (size_t i = 0; i < std::min(std::size(kFirst), pieces.size()); ++i) {
        if (const auto token = settings_.Role(kFirst[i], style_)) pieces[i] = control(*token);
      }
      // The first of these models have no token for a tab but its byte.
      const auto byte = std::ranges::find(pieces, "<0x09>", &Piece::text);
      if (byte != pieces.end() && std::ranges::find(pieces, "\t", &Piece::text) == pieces.end()) {
        *byte = {.text = "\t", .score = 0, .type = Type::kNormal};
      }
    } else if (style_ == LegacyStyle::kT5) {
      for (int i = kExtraIds - 1; i >= 0; --i) {
        pieces.push_back(control(fmt::format("<extra_id_{}>", i)));
      }
    } else if (style_ == LegacyStyle::kAlbert) {
      // A number with a comma behind it is to be two tokens.
      for (Piece& piece : pieces) {
        const std::string& text = piece.text;
        const bool has_digit = text.size() >= 2 && text.back() == ',' &&
                               text[text.size() - 2] >= '0' && text[text.size() - 2] <= '9';
        if (has_digit) piece.score -= 100;
      }
    }
  }

  bool IsHidden(const Piece& piece) const {
    return piece.type == Type::kControl || piece.type == Type::kUnknown ||
           piece.type == Type::kByte || piece.type == Type::kUnused;
  }

  Json ModelJson() const {
    // Only these converters of transformers use byte pieces; SentencePiece itself always does.
    const bool uses_bytes = style_ == LegacyStyle::kLlama || style_ == LegacyStyle::kGemma ||
                            (style_ == LegacyStyle::kSentencePiece && model_.has_byte_fallback);
    if (model_.algorithm == Algorithm::kBpe) {
      return {{"type", "BPE"},
              {"unk_token", model_.pieces[static_cast<size_t>(model_.unknown_id)].text},
              {"fuse_unk", true},
              {"byte_fallback", uses_bytes},
              {"vocab", VocabularyJson(vocabulary_)},
              {"merge_order", MergeOrder()}};
    }
    Json vocab = Json::array();
    Json hidden = Json::array();
    for (const Piece& piece : model_.pieces) {
      if (IsHidden(piece)) hidden.push_back(vocab.size());
      vocab.push_back({piece.text, piece.score});
    }
    Json model = {{"type", "Unigram"},
                  {"unk_id", model_.unknown_id},
                  {"byte_fallback", uses_bytes},
                  {"vocab", std::move(vocab)}};
    if (style_ == LegacyStyle::kSentencePiece) model["sentencepiece"] = {{"hidden", hidden}};
    return model;
  }

  /// The pieces that merging can make, best score first.
  Json MergeOrder() const {
    std::vector<int64_t> ids(model_.pieces.size());
    std::iota(ids.begin(), ids.end(), 0);
    const auto piece_of = [this](int64_t id) -> const Piece& {
      return model_.pieces[static_cast<size_t>(id)];
    };
    std::erase_if(ids, [&](int64_t id) { return IsHidden(piece_of(id)); });
    std::ranges::stable_sort(ids, std::greater(), [&](int64_t id) { return piece_of(id).score; });
    const bool is_plain = style_ == LegacyStyle::kSentencePiece;
    return {{"tokens", ids}, {"splits", is_plain ? "equal" : "longest_first"}};
  }

  std::vector<LegacyToken> OwnTokens() const {
    std::vector<LegacyToken> tokens;
    for (const Piece& piece : model_.pieces) {
      if (piece.type != Type::kControl && piece.type != Type::kUserDefined) continue;
      const bool is_turn = style_ == LegacyStyle::kGemma &&
                           (piece.text == "<start_of_turn>" || piece.text == "<end_of_turn>");
      tokens.push_back(
          {.content = piece.text,
           .is_special = piece.type == Type::kControl || is_turn,
           .takes_space_before = style_ == LegacyStyle::kXlmRoberta && piece.text == "<mask>"});
    }
    if (style_ == LegacyStyle::kLlama || style_ == LegacyStyle::kSentencePiece) {
      const Piece& unknown = model_.pieces[static_cast<size_t>(model_.unknown_id)];
      tokens.push_back({.content = unknown.text, .is_special = true});
    }
    return tokens;
  }

  /// Adds the file's map of replacements, if it has one.
  void PushMap(Json& steps) const {
    if (model_.precompiled_map.empty()) return;
    Json map = {{"type", "Precompiled"},
                {"precompiled_charsmap", EncodeBase64(model_.precompiled_map)}};
    if (style_ == LegacyStyle::kSentencePiece) map["sentencepiece"] = true;
    steps.push_back(std::move(map));
  }

  Result<Json> NormalizerJson() const {
    Json steps = Json::array();
    switch (style_) {
      case LegacyStyle::kLlama:
        if (!is_legacy_) return Json();
        if (adds_prefix_) steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
        steps.push_back(ReplaceString(" ", kSpace));
        break;
      case LegacyStyle::kGemma:
        return ReplaceString(" ", kSpace);
      case LegacyStyle::kAlbert: {
        steps = {ReplaceString("``", "\""), ReplaceString("''", "\"")};
        QEFF_ASSIGN_OR_RETURN(const bool keeps_accents, settings_.Flag("keep_accents", false));
        QEFF_ASSIGN_OR_RETURN(const bool lowers_case, settings_.Flag("do_lower_case", true));
        if (!keeps_accents) steps.push_back({{"type", "NFKD"}});
        if (!keeps_accents) steps.push_back({{"type", "StripAccents"}});
        if (lowers_case) steps.push_back({{"type", "Lowercase"}});
        PushMap(steps);
        steps.push_back(ReplaceRegex(" {2,}", " "));
        break;
      }
      case LegacyStyle::kDebertaV2: {
        QEFF_ASSIGN_OR_RETURN(const bool lowers_case, settings_.Flag("do_lower_case", false));
        if (lowers_case) steps.push_back({{"type", "Lowercase"}});
        steps.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
        PushMap(steps);
        steps.push_back(ReplaceRegex(" {2,}", " "));
        break;
      }
      case LegacyStyle::kSentencePiece:
        PushMap(steps);
        if (model_.removes_extra_spaces) {
          // Blanks only: other white space stays what the map makes of it.
          steps.push_back(ReplaceRegex(" {2,}", " "));
          steps.push_back(ReplaceRegex(" \\z", ""));
          if (!model_.adds_dummy_prefix) steps.push_back(ReplaceRegex("\\A ", ""));
        }
        if (model_.adds_dummy_prefix) {
          steps.push_back({{"type", "Prepend"},
                           {"prepend", " "},
                           {"sentencepiece", {{"is_once", model_.removes_extra_spaces}}}});
        }
        steps.push_back(ReplaceString(" ", kSpace));
        break;
      default:
        PushMap(steps);
        steps.push_back({{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}});
        steps.push_back(ReplaceRegex(" {2,}", kSpace));
        break;
    }
    return Sequence("normalizers", std::move(steps));
  }

  const char* PrependScheme() const {
    return !adds_prefix_ ? "never" : is_legacy_ ? "always" : "first";
  }

  Result<Json> PreTokenizerJson() const {
    switch (style_) {
      case LegacyStyle::kSentencePiece:
        return Json();
      case LegacyStyle::kLlama:
        return is_legacy_ ? Json() : Metaspace(PrependScheme(), false);
      case LegacyStyle::kGemma:
        return Json{{"type", "Split"},
                    {"pattern", {{"String", " "}}},
                    {"behavior", "MergedWithPrevious"},
                    {"invert", false}};
      case LegacyStyle::kDebertaV2: {
        QEFF_ASSIGN_OR_RETURN(const bool splits, settings_.Flag("split_by_punct", false));
        Json steps = Json::array();
        if (splits) steps.push_back({{"type", "Punctuation"}, {"behavior", "Isolated"}});
        steps.push_back(Metaspace(PrependScheme(), true));
        return Sequence("pretokenizers", std::move(steps));
      }
      default:
        return Metaspace(PrependScheme(), true);
    }
  }

  Result<Json> PostProcessorJson() const {
    const std::string end = settings_.Role("eos_token", style_).value_or("");
    std::vector<TemplatePart> single = {{"$A", 0}};
    std::vector<TemplatePart> pair = {{"$A", 0}, {"$B", 1}};
    switch (style_) {
      case LegacyStyle::kT5:
        single = {{"$A"}, {"</s>"}};
        pair = {{"$A"}, {"</s>"}, {"$B"}, {"</s>"}};
        break;
      case LegacyStyle::kXlmRoberta:
        single = {{"<s>"}, {"$A"}, {"</s>"}};
        pair = {{"<s>"}, {"$A"}, {"</s>"}, {"</s>"}, {"$B"}, {"</s>"}};
        break;
      case LegacyStyle::kAlbert:
      case LegacyStyle::kDebertaV2:
        single = {{"[CLS]"}, {"$A"}, {"[SEP]"}};
        pair = {{"[CLS]"}, {"$A"}, {"[SEP]"}, {"$B", 1}, {"[SEP]", 1}};
        break;
      default: {
        if (!adds_start_ && !adds_end_) return Json();
        const std::string start = settings_.Role("bos_token", style_).value_or("");
        single.clear();
        pair.clear();
        for (const auto& [text, type_id] : {TemplatePart{"$A", 0}, TemplatePart{"$B", 1}}) {
          if (adds_start_) pair.push_back({start, type_id});
          pair.push_back({text, type_id});
          if (adds_end_) pair.push_back({end, type_id});
          if (single.empty()) single = pair;
        }
        break;
      }
    }
    return MakeTemplate(single, pair, vocabulary_, settings_.folder());
  }

  Json DecoderJson() const {
    const bool strips = style_ == LegacyStyle::kSentencePiece
                            ? model_.adds_dummy_prefix || model_.removes_extra_spaces
                            : style_ == LegacyStyle::kLlama && adds_prefix_;
    if (style_ != LegacyStyle::kSentencePiece && style_ != LegacyStyle::kLlama &&
        style_ != LegacyStyle::kGemma) {
      return Metaspace(PrependScheme(), true);
    }
    Json steps = Json::array();
    if (style_ == LegacyStyle::kSentencePiece) {
      const Piece& unknown = model_.pieces[static_cast<size_t>(model_.unknown_id)];
      steps.push_back(ReplaceString(unknown.text.c_str(), model_.unknown_surface));
    }
    steps.push_back(ReplaceString(kSpace, " "));
    steps.push_back({{"type", "ByteFallback"}});
    steps.push_back({{"type", "Fuse"}});
    if (strips) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    return Sequence("decoders", std::move(steps));
  }

  const LegacySettings& settings_;
  LegacyStyle style_;
  SentencePieceModel model_;
  LegacyVocabulary vocabulary_;
  bool is_legacy_ = true;
  bool adds_prefix_ = true;
  bool adds_start_ = false;
  bool adds_end_ = false;
};

}  // namespace

Result<Json> ConvertSentencePiece(const LegacySettings& settings, LegacyStyle style,
                                  const std::filesystem::path& file, std::string_view content) {
  QEFF_ASSIGN_OR_RETURN(SentencePieceModel model,
                        SentencePieceModel::Parse(content, file.string()));
  return SentencePieceConverter(settings, style, std::move(model)).Convert(file.string());
}

}  // namespace qeff
