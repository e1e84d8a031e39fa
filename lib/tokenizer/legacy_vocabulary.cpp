// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// vocab.json with merges.txt, vocab.txt and tiktoken's ranks to the form of tokenizer.json.
#include <algorithm>
#include <charconv>
#include <numeric>

#include "lib/support/file.h"
#include "lib/tokenizer/base64.h"
#include "lib/tokenizer/byte_level.h"
#include "lib/tokenizer/legacy_settings.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

// Words of the models, as their tokenizers name them.
constexpr const char* kQwen2Words =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kClipWords = R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
constexpr const char* kGpt2Words =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kCl100kWords =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kO200kWords =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Json ByteLevel(bool adds_prefix_space, bool uses_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", adds_prefix_space},
          {"trim_offsets", false},
          {"use_regex", uses_regex}};
}

Json SplitAt(const char* expression, const char* behavior, bool is_inverted) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", expression}}},
          {"behavior", behavior},
          {"invert", is_inverted}};
}

Json Sequence(const char* key, Json steps) {
  return {{"type", "Sequence"}, {key, std::move(steps)}};
}

/// Calls take(line, number from 1) for each line without its end.
template <typename Take>
Status ForEachLine(std::string_view text, Take take) {
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    QEFF_RETURN_IF_ERROR(take(line, number));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return Status::Ok();
}

Status NotUtf8(const std::filesystem::path& path, size_t offset) {
  return InvalidInput(Location::Byte(path.string(), static_cast<int64_t>(offset)),
                      "expected UTF-8");
}

Result<LegacyVocabulary> ReadVocabularyJson(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(path));
  if (!json.is_object()) {
    return InvalidInput(Location::File(path.string()), "expected an object of tokens and ids");
  }
  LegacyVocabulary vocabulary;
  for (const auto& [token, id] : json.get_ref<const Json::object_t&>()) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX) {
      return InvalidInput(
          Location::File(path.string()),
          fmt::format("'{}': expected an id from 0 to {}, got {}", token, INT32_MAX, id.dump()));
    }
    vocabulary.Add(token, id.get<int64_t>());
  }
  return vocabulary;
}

/// Returns the list for "merges".
Result<Json> ReadMerges(const std::filesystem::path& path, const LegacyVocabulary& vocabulary) {
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  if (const auto offset = FindInvalidUtf8(text)) return NotUtf8(path, *offset);
  Json merges = Json::array();
  QEFF_RETURN_IF_ERROR(ForEachLine(text, [&](std::string_view line, int64_t number) -> Status {
    if (line.empty() || (number == 1 && line.starts_with("#version"))) return Status::Ok();
    const size_t blank = line.find(' ');
    const auto fail = [&](const std::string& message) {
      return InvalidInput(Location::Line(path.string(), number, 1), message);
    };
    if (blank == std::string_view::npos) {
      return fail(fmt::format("expected two tokens with a blank between them, got '{}'", line));
    }
    std::string left(line.substr(0, blank));
    std::string right(line.substr(blank + 1));
    for (const std::string& part : {left, right, left + right}) {
      if (!vocabulary.Find(part).has_value()) {
        return fail(fmt::format("merge '{}' needs the token '{}', which vocab.json does not have",
                                line, part));
      }
    }
    merges.push_back({std::move(left), std::move(right)});
    return Status::Ok();
  }));
  return merges;
}

/// The class that a vocabulary is made for, if no file names one: some tokens have fixed places.
LegacyStyle StyleOf(const LegacyVocabulary& vocabulary) {
  if (vocabulary.Find("<s>") == 0 && vocabulary.Find("<pad>") == 1 &&
      vocabulary.Find("</s>") == 2) {
    return LegacyStyle::kRoberta;
  }
  return vocabulary.Find("<|startoftext|>").has_value() && vocabulary.Find("a</w>").has_value()
             ? LegacyStyle::kClip
             : LegacyStyle::kGpt2;
}

/// The id of the token of a role. Errors: kInvalidInput if there is none.
Result<Json> RoleAndId(const LegacySettings& settings, LegacyStyle style, std::string_view key,
                       const LegacyVocabulary& vocabulary) {
  const std::string token = settings.Role(key, style).value_or("");
  const auto id = vocabulary.Find(token);
  if (!id.has_value()) {
    return InvalidInput(
        Location::File(settings.folder().string()),
        fmt::format("'{}': the class of the tokenizer puts it around texts, but the vocabulary has "
                    "no token '{}'",
                    key, token));
  }
  return Json::array({token, *id});
}

Result<Json> RobertaFrame(const LegacySettings& settings, LegacyStyle style,
                          const LegacyVocabulary& vocabulary) {
  const bool is_clip = style == LegacyStyle::kClip;
  Json frame = {{"type", "RobertaProcessing"}};
  QEFF_ASSIGN_OR_RETURN(
      frame["sep"], RoleAndId(settings, style, is_clip ? "eos_token" : "sep_token", vocabulary));
  QEFF_ASSIGN_OR_RETURN(
      frame["cls"], RoleAndId(settings, style, is_clip ? "bos_token" : "cls_token", vocabulary));
  return frame;
}

/// Normalizer, words and special tokens of the classes with vocab.json and merges.txt.
Status AddBpeComponents(const LegacySettings& settings, LegacyStyle style,
                        const LegacyVocabulary& vocabulary, Json& file) {
  QEFF_ASSIGN_OR_RETURN(const bool adds_space, settings.Flag("add_prefix_space", false));
  file["pre_tokenizer"] = ByteLevel(adds_space, true);
  file["decoder"] = ByteLevel(true, true);
  switch (style) {
    case LegacyStyle::kQwen2:
      file["normalizer"] = {{"type", "NFC"}};
      file["pre_tokenizer"] = Sequence(
          "pretokenizers", {SplitAt(kQwen2Words, "Isolated", false), ByteLevel(adds_space, false)});
      return Status::Ok();
    case LegacyStyle::kClip: {
      const Json blanks = {{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}};
      file["normalizer"] =
          Sequence("normalizers", {Json{{"type", "NFC"}}, blanks, Json{{"type", "Lowercase"}}});
      file["pre_tokenizer"] =
          Sequence("pretokenizers", {SplitAt(kClipWords, "Removed", true), ByteLevel(false, true)});
      QEFF_ASSIGN_OR_RETURN(file["post_processor"], RobertaFrame(settings, style, vocabulary));
      return Status::Ok();
    }
    case LegacyStyle::kRoberta: {
      QEFF_ASSIGN_OR_RETURN(file["post_processor"], RobertaFrame(settings, style, vocabulary));
      return Status::Ok();
    }
    case LegacyStyle::kWhisper: {
      const std::string end = settings.Role("eos_token", style).value_or("");
      const TemplatePart single[] = {
          {"<|startoftranscript|>"}, {"<|notimestamps|>"}, {"$A"}, {end}};
      const TemplatePart pair[] = {
          {"<|startoftranscript|>"}, {"<|notimestamps|>"}, {"$A"}, {"$B", 1}, {end, 1}};
      QEFF_ASSIGN_OR_RETURN(file["post_processor"],
                            MakeTemplate(single, pair, vocabulary, settings.folder()));
      return Status::Ok();
    }
    default: {
      QEFF_ASSIGN_OR_RETURN(const bool adds_start, settings.Flag("add_bos_token", false));
      if (!adds_start) return Status::Ok();
      const std::string start = settings.Role("bos_token", style).value_or("");
      const TemplatePart single[] = {{start}, {"$A"}};
      const TemplatePart pair[] = {{start}, {"$A"}, {"$B", 1}};
      QEFF_ASSIGN_OR_RETURN(file["post_processor"],
                            MakeTemplate(single, pair, vocabulary, settings.folder()));
      return Status::Ok();
    }
  }
}

/// What is known of an encoding of tiktoken by the name of its file.
struct Encoding {
  std::string_view name;
  const char* words;
  std::vector<std::pair<std::string_view, int64_t>> tokens;
};

std::vector<Encoding> KnownEncodings() {
  const std::vector<std::pair<std::string_view, int64_t>> code_tokens = {
      {"<|fim_prefix|>", 50281}, {"<|fim_middle|>", 50282}, {"<|fim_suffix|>", 50283}};
  Encoding edit{"p50k_edit", kGpt2Words, {{"<|endoftext|>", 50256}}};
  edit.tokens.insert(edit.tokens.end(), code_tokens.begin(), code_tokens.end());
  return {
      {"r50k_base", kGpt2Words, {{"<|endoftext|>", 50256}}},
      {"p50k_base", kGpt2Words, {{"<|endoftext|>", 50256}}},
      std::move(edit),
      {"cl100k_base",
       kCl100kWords,
       {{"<|endoftext|>", 100257},
        {"<|fim_prefix|>", 100258},
        {"<|fim_middle|>", 100259},
        {"<|fim_suffix|>", 100260},
        {"<|endofprompt|>", 100276}}},
      {"gpt2", kGpt2Words, {{"<|endoftext|>", 50256}}},
      // Whisper's; which languages follow depends on the model.
      {"multilingual", kGpt2Words, {{"<|endoftext|>", 50257}, {"<|startoftranscript|>", 50258}}},
      {"o200k_base", kO200kWords, {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}}}};
}

/// Reads lines "base64 rank".
Result<LegacyVocabulary> ReadRanks(const std::filesystem::path& path, std::string_view content) {
  LegacyVocabulary vocabulary;
  QEFF_RETURN_IF_ERROR(ForEachLine(content, [&](std::string_view line, int64_t number) -> Status {
    if (line.empty()) return Status::Ok();
    const size_t blank = std::min(line.find(' '), line.size());
    const auto bytes = DecodeBase64(line.substr(0, blank));
    const std::string_view digits = line.substr(std::min(blank + 1, line.size()));
    int32_t rank = -1;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
    const bool is_number = parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size();
    if (!bytes.has_value() || bytes->empty() || !is_number || rank < 0) {
      constexpr size_t kShownBytes = 40;
      return InvalidInput(Location::Line(path.string(), number, 1),
                          fmt::format("expected a token in base64, a blank and its rank, got '{}'",
                                      IsAscii(line) ? line.substr(0, kShownBytes) : "other bytes"));
    }
    vocabulary.Add(BytesToSymbols(*bytes), rank);
    return Status::Ok();
  }));
  return vocabulary;
}

}  // namespace

Result<Json> ConvertBpeFiles(const LegacySettings& settings, LegacyStyle& style) {
  QEFF_ASSIGN_OR_RETURN(LegacyVocabulary vocabulary,
                        ReadVocabularyJson(settings.folder() / "vocab.json"));
  style = settings.style().value_or(StyleOf(vocabulary));
  Json model = {{"type", "BPE"}, {"fuse_unk", false}};
  QEFF_ASSIGN_OR_RETURN(model["merges"], ReadMerges(settings.folder() / "merges.txt", vocabulary));
  model["vocab"] = VocabularyJson(vocabulary);
  if (style == LegacyStyle::kClip) {
    model["end_of_word_suffix"] = "</w>";
    model["unk_token"] = settings.Role("unk_token", style).value_or("");
  }
  Json file = {{"model", std::move(model)}};
  QEFF_ASSIGN_OR_RETURN(file["added_tokens"], settings.AddedTokens({}, style, vocabulary));
  QEFF_RETURN_IF_ERROR(AddBpeComponents(settings, style, vocabulary, file));
  return file;
}

Result<Json> ConvertBertFiles(const LegacySettings& settings) {
  constexpr LegacyStyle kStyle = LegacyStyle::kBert;
  const std::filesystem::path path = settings.folder() / "vocab.txt";
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  if (const auto offset = FindInvalidUtf8(text)) return NotUtf8(path, *offset);
  LegacyVocabulary vocabulary;
  QEFF_RETURN_IF_ERROR(ForEachLine(text, [&](std::string_view line, int64_t number) {
    vocabulary.Add(std::string(line), number - 1);
    return Status::Ok();
  }));
  Json file = {{"model",
                {{"type", "WordPiece"},
                 {"unk_token", settings.Role("unk_token", kStyle).value_or("")},
                 {"continuing_subword_prefix", "##"},
                 {"max_input_chars_per_word", 100},
                 {"vocab", VocabularyJson(vocabulary)}}},
               {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
               {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}}};
  Json normalizer = {{"type", "BertNormalizer"}, {"clean_text", true}};
  QEFF_ASSIGN_OR_RETURN(normalizer["handle_chinese_chars"],
                        settings.Flag("tokenize_chinese_chars", true));
  QEFF_ASSIGN_OR_RETURN(const bool lowers_case, settings.Flag("do_lower_case", true));
  QEFF_ASSIGN_OR_RETURN(normalizer["strip_accents"], settings.Flag("strip_accents", lowers_case));
  normalizer["lowercase"] = lowers_case;
  file["normalizer"] = std::move(normalizer);
  QEFF_ASSIGN_OR_RETURN(file["added_tokens"], settings.AddedTokens({}, kStyle, vocabulary));
  const std::string start = settings.Role("cls_token", kStyle).value_or("");
  const std::string end = settings.Role("sep_token", kStyle).value_or("");
  const TemplatePart single[] = {{start}, {"$A"}, {end}};
  const TemplatePart pair[] = {{start}, {"$A"}, {end}, {"$B", 1}, {end, 1}};
  QEFF_ASSIGN_OR_RETURN(file["post_processor"],
                        MakeTemplate(single, pair, vocabulary, settings.folder()));
  return file;
}

Result<Json> ConvertTiktoken(const LegacySettings& settings, const std::filesystem::path& file,
                             std::string_view content) {
  QEFF_ASSIGN_OR_RETURN(LegacyVocabulary vocabulary, ReadRanks(file, content));
  const char* words = kCl100kWords;  // what transformers takes for a tokenizer.model of this kind
  Json named_tokens = Json::object();
  if (file.extension() == ".tiktoken") {
    const std::vector<Encoding> encodings = KnownEncodings();
    const auto known = std::ranges::find(encodings, file.stem().string(), &Encoding::name);
    if (known == encodings.end()) {
      std::vector<std::string_view> names;
      for (const Encoding& encoding : encodings) names.push_back(encoding.name);
      return Unsupported(Location::File(file.string()),
                         "a tiktoken file does not say how it splits words, and this name is not "
                         "known",
                         {fmt::format("known: {}", fmt::join(names, ", "))});
    }
    words = known->words;
    for (const auto& [token, id] : known->tokens) named_tokens[std::string(token)] = id;
  }
  std::vector<int64_t> order;
  order.reserve(vocabulary.ids().size());
  for (const auto& [token, id] : vocabulary.ids()) order.push_back(id);
  std::ranges::sort(order);
  Json result = {{"model",
                  {{"type", "BPE"},
                   {"ignore_merges", true},
                   {"vocab", VocabularyJson(vocabulary)},
                   {"merge_order", {{"tokens", order}, {"splits", "equal"}}}}},
                 {"pre_tokenizer", Sequence("pretokenizers", {SplitAt(words, "Isolated", false),
                                                              ByteLevel(false, false)})},
                 {"decoder", ByteLevel(true, true)}};
  std::vector<LegacyToken> tokens;
  for (const auto& [token, id] : named_tokens.get_ref<const Json::object_t&>()) {
    vocabulary.Add(token, id.get<int64_t>());
    tokens.push_back({.content = token, .is_special = true});
  }
  QEFF_ASSIGN_OR_RETURN(result["added_tokens"],
                        settings.AddedTokens(tokens, LegacyStyle::kTiktoken, vocabulary));
  // A tokenizer.model of this kind is Llama 3's, whose texts start with BOS.
  const auto start = settings.Role("bos_token", LegacyStyle::kTiktoken);
  const bool is_model = file.extension() != ".tiktoken" && start.has_value();
  QEFF_ASSIGN_OR_RETURN(const bool adds_start, settings.Flag("add_bos_token", is_model));
  if (!adds_start) return result;
  const TemplatePart single[] = {{start.value_or("")}, {"$A"}};
  const TemplatePart pair[] = {{start.value_or("")}, {"$A"}, {start.value_or(""), 1}, {"$B", 1}};
  QEFF_ASSIGN_OR_RETURN(result["post_processor"],
                        MakeTemplate(single, pair, vocabulary, settings.folder()));
  return result;
}

}  // namespace qeff
