// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/tokenizer.h"

#include <algorithm>

#include "lib/support/file.h"
#include "lib/tokenizer/added_tokens.h"
#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/decoder.h"
#include "lib/tokenizer/legacy_files.h"
#include "lib/tokenizer/model.h"
#include "lib/tokenizer/normalizer.h"
#include "lib/tokenizer/post_processor.h"
#include "lib/tokenizer/pre_tokenizer.h"
#include "lib/tokenizer/token_spans.h"
#include "lib/tokenizer/unicode.h"

namespace qeff {
namespace {

constexpr size_t kMaxFileBytes = size_t{128} << 20;  // the largest known has 35 MiB

/// What the files beside tokenizer.json say: roles of tokens, and how decoded texts are finished.
struct Companions {
  std::optional<std::string> bos;
  std::optional<std::string> pad;
  std::optional<std::string> unknown;
  std::optional<std::string> mask;
  std::vector<std::string> eos;
  std::optional<bool> cleans_up_spaces;
};

/// Reads "token" or {"content": "token", ...}; none if absent.
Result<std::optional<std::string>> ReadRole(const ConfigNode& node) {
  if (node.is_absent()) return {std::nullopt};
  const ConfigNode content = node.is_object() ? node.Member("content") : node;
  QEFF_ASSIGN_OR_RETURN(std::string token, content.String());
  return {std::move(token)};
}

/// Adds what `path` says and what is not there yet.
Status ReadCompanion(const std::filesystem::path& path, Companions& companions) {
  if (!std::filesystem::exists(path)) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  QEFF_ASSIGN_OR_RETURN(const ConfigDocument document, ConfigDocument::Parse(text, path.string()));
  const ConfigNode root = document.root();
  if (!root.is_object()) return root.Expected("an object");
  const auto fill = [&root](std::string_view key, std::optional<std::string>& role) -> Status {
    QEFF_ASSIGN_OR_RETURN(auto token, ReadRole(root.Member(key)));
    if (!role.has_value()) role = std::move(token);
    return Status::Ok();
  };
  QEFF_RETURN_IF_ERROR(fill("bos_token", companions.bos));
  QEFF_RETURN_IF_ERROR(fill("pad_token", companions.pad));
  QEFF_RETURN_IF_ERROR(fill("unk_token", companions.unknown));
  QEFF_RETURN_IF_ERROR(fill("mask_token", companions.mask));
  std::optional<std::string> eos;
  QEFF_RETURN_IF_ERROR(fill("eos_token", eos));
  if (eos.has_value()) companions.eos.push_back(*std::move(eos));
  const ConfigNode cleans_up = root.Member("clean_up_tokenization_spaces");
  if (!cleans_up.is_absent() && !companions.cleans_up_spaces.has_value()) {
    QEFF_ASSIGN_OR_RETURN(companions.cleans_up_spaces, cleans_up.BooleanOr(false));
  }
  return Status::Ok();
}

/// Gives a role to a token if no file has.
void AddDefaultRole(const std::string& key, const std::string& token, Companions& companions) {
  if (key == "eos_token" && companions.eos.empty()) companions.eos.push_back(token);
  const auto fill = [&](std::string_view name, std::optional<std::string>& role) {
    if (key == name && !role.has_value()) role = token;
  };
  fill("bos_token", companions.bos);
  fill("pad_token", companions.pad);
  fill("unk_token", companions.unknown);
  fill("mask_token", companions.mask);
}

}  // namespace

struct Tokenizer::Data {
  std::unique_ptr<Normalizer> normalizer;       ///< may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;  ///< may be null
  std::unique_ptr<Model> model;
  std::unique_ptr<Decoder> decoder;
  AddedTokens added;
  PostProcessor post_processor;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
  Companions companions;
  SpanRules span_rules;
  std::string path;

  std::optional<std::string_view> Token(int64_t id) const {
    const auto token = added.Token(id);
    return token.has_value() ? token : model->vocabulary().Token(id);
  }
  std::optional<int64_t> Find(std::string_view token) const {
    const auto id = added.Find(token);
    return id.has_value() ? id : model->vocabulary().Find(token);
  }
  std::optional<int64_t> Find(const std::optional<std::string>& token) const {
    return token.has_value() ? Find(std::string_view(*token)) : std::nullopt;
  }

  static Result<std::shared_ptr<Data>> Read(const ConfigDocument& document);
  /// Finishes decoded texts as transformers does.
  Status AddTextRules(const ConfigNode& root);
  Result<std::vector<int64_t>> EncodeText(std::string_view text, bool parse_special) const;
  Status EncodePiece(Piece piece, bool parse_special, std::vector<int64_t>& ids) const;
  Result<Encoding> EncodePair(const TextPair& texts, const BatchOptions& options) const;
  Status PushId(int64_t id, const DecodeOptions& options, DecodeStream& stream) const;
};

Result<std::shared_ptr<Tokenizer::Data>> Tokenizer::Data::Read(const ConfigDocument& document) {
  const ConfigNode root = document.root();
  if (!root.is_object()) return root.Expected("an object");
  auto data = std::make_shared<Data>();
  data->path = root.file();
  QEFF_ASSIGN_OR_RETURN(data->normalizer, MakeNormalizer(root.Member("normalizer")));
  QEFF_ASSIGN_OR_RETURN(data->pre_tokenizer, MakePreTokenizer(root.Member("pre_tokenizer")));
  QEFF_ASSIGN_OR_RETURN(data->model, MakeModel(root.Member("model")));
  QEFF_ASSIGN_OR_RETURN(data->decoder, MakeDecoder(root.Member("decoder")));
  QEFF_ASSIGN_OR_RETURN(
      data->added, AddedTokens::FromConfig(root.Member("added_tokens"), data->model->vocabulary(),
                                           data->normalizer.get()));
  QEFF_ASSIGN_OR_RETURN(
      data->post_processor,
      PostProcessor::FromConfig(root.Member("post_processor"),
                                [&data](int64_t id) { return data->Token(id).has_value(); }));
  QEFF_ASSIGN_OR_RETURN(data->span_rules, SpanRulesFromConfig(root));
  QEFF_ASSIGN_OR_RETURN(data->truncation, TruncationFromConfig(root.Member("truncation")));
  QEFF_ASSIGN_OR_RETURN(data->padding, PaddingFromConfig(root.Member("padding")));
  return data;
}

Status Tokenizer::Data::AddTextRules(const ConfigNode& root) {
  QEFF_ASSIGN_OR_RETURN(const std::string type, root.Member("decoder").Member("type").StringOr(""));
  DecodedTextRules rules;
  if (type == "ByteLevel") {
    QEFF_ASSIGN_OR_RETURN(rules.word_suffix,
                          root.Member("model").Member("end_of_word_suffix").StringOr(""));
  }
  // Without a word from a file, the texts that come out as words with blanks between them.
  rules.cleans_up_spaces =
      companions.cleans_up_spaces.value_or(type == "WordPiece" || !rules.word_suffix.empty());
  if (rules.cleans_up_spaces || !rules.word_suffix.empty()) {
    decoder = WithTextRules(std::move(decoder), std::move(rules));
  }
  return Status::Ok();
}

Result<Tokenizer> Tokenizer::FromJson(std::string_view tokenizer_json, std::string_view path) {
  QEFF_ASSIGN_OR_RETURN(const ConfigDocument document, ConfigDocument::Parse(tokenizer_json, path));
  QEFF_ASSIGN_OR_RETURN(std::shared_ptr<Data> data, Data::Read(document));
  return Tokenizer(std::move(data));
}

Result<Tokenizer> Tokenizer::Load(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "tokenizer.json";
  LegacyTokenizer source;
  if (std::filesystem::exists(path)) {
    QEFF_ASSIGN_OR_RETURN(const std::string json, ReadSmallFile(path, kMaxFileBytes));
    QEFF_ASSIGN_OR_RETURN(source.file, ConfigDocument::Parse(json, path.string()));
  } else {
    QEFF_ASSIGN_OR_RETURN(source, ReadLegacyTokenizer(folder));
  }
  QEFF_ASSIGN_OR_RETURN(const std::shared_ptr<Data> data, Data::Read(source.file));
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    QEFF_RETURN_IF_ERROR(ReadCompanion(folder / name, data->companions));
  }
  for (const auto& [key, token] : source.roles) AddDefaultRole(key, token, data->companions);
  QEFF_RETURN_IF_ERROR(data->AddTextRules(source.file.root()));
  return Tokenizer(data);
}

Status Tokenizer::Data::EncodePiece(Piece piece, bool parse_special,
                                    std::vector<int64_t>& ids) const {
  if (normalizer != nullptr) QEFF_RETURN_IF_ERROR(normalizer->Apply(piece));
  std::vector<Piece> parts;
  added.SplitNormalized(std::move(piece), parse_special, parts);
  std::vector<Piece> words;
  for (Piece& part : parts) {
    if (part.token_id >= 0) {
      ids.push_back(part.token_id);
      continue;
    }
    if (pre_tokenizer == nullptr) {
      QEFF_RETURN_IF_ERROR(model->Encode(part.text, ids));
      continue;
    }
    words.clear();
    QEFF_RETURN_IF_ERROR(pre_tokenizer->Apply(std::move(part), words));
    for (const Piece& word : words) {
      if (!word.text.empty()) QEFF_RETURN_IF_ERROR(model->Encode(word.text, ids));
    }
  }
  return Status::Ok();
}

Result<std::vector<int64_t>> Tokenizer::Data::EncodeText(std::string_view text,
                                                         bool parse_special) const {
  if (text.size() > kMaxTextBytes) {
    return InvalidInput(
        Location::Byte("", kMaxTextBytes),
        fmt::format("expected a text of at most {} bytes, got {}", kMaxTextBytes, text.size()));
  }
  if (const auto offset = FindInvalidUtf8(text)) {
    return InvalidInput(Location::Byte("", static_cast<int64_t>(*offset)), "the text is not UTF-8",
                        {"convert the text to UTF-8"});
  }
  std::vector<int64_t> ids;
  for (Piece& piece : added.SplitText(text, parse_special)) {
    if (piece.token_id >= 0) {
      ids.push_back(piece.token_id);
    } else {
      QEFF_RETURN_IF_ERROR(EncodePiece(std::move(piece), parse_special, ids));
    }
  }
  return ids;
}

Result<Encoding> Tokenizer::Data::EncodePair(const TextPair& texts,
                                             const BatchOptions& options) const {
  const bool parse_special = options.encode.parse_special;
  std::vector<PostProcessor::Part> parts = post_processor.single();
  std::vector<int64_t> second;
  if (texts.second.has_value()) {
    QEFF_ASSIGN_OR_RETURN(parts, post_processor.pair());
    QEFF_ASSIGN_OR_RETURN(second, EncodeText(*texts.second, parse_special));
  }
  QEFF_ASSIGN_OR_RETURN(std::vector<int64_t> first, EncodeText(texts.first, parse_special));
  if (!options.encode.add_special_tokens) {
    parts = OnlyTexts(std::move(parts));
  } else if (parse_special && !options.encode.doubles_start) {
    parts = WithoutSecondStart(std::move(parts), first);
  }
  if (options.truncation.has_value()) {
    QEFF_RETURN_IF_ERROR(Truncate(*options.truncation, CountTokens(parts), first,
                                  texts.second.has_value() ? &second : nullptr));
  }
  return Join(parts, first, second);
}

Result<std::vector<int64_t>> Tokenizer::Encode(std::string_view text,
                                               const EncodeOptions& options) const {
  QEFF_ASSIGN_OR_RETURN(Encoding encoding, data_->EncodePair({.first = text}, {.encode = options}));
  return std::move(encoding.ids);
}

Result<std::vector<Encoding>> Tokenizer::EncodeBatch(std::span<const TextPair> texts,
                                                     const BatchOptions& options) const {
  std::vector<Encoding> batch;
  batch.reserve(texts.size());
  for (const TextPair& text : texts) {
    QEFF_ASSIGN_OR_RETURN(Encoding encoding, data_->EncodePair(text, options));
    batch.push_back(std::move(encoding));
  }
  if (options.padding.has_value()) Pad(*options.padding, batch);
  return batch;
}

const std::optional<Truncation>& Tokenizer::truncation() const { return data_->truncation; }
const std::optional<Padding>& Tokenizer::padding() const { return data_->padding; }

Status Tokenizer::Data::PushId(int64_t id, const DecodeOptions& options,
                               DecodeStream& stream) const {
  const auto token = Token(id);
  if (!token.has_value()) {
    const int64_t largest = std::max(model->vocabulary().largest_id(), added.largest_id());
    return InvalidInput(Location::File(path),
                        fmt::format("no token has id {}; the largest id is {}", id, largest),
                        {"the ids may come from another model's vocabulary"});
  }
  if (options.skip_special_tokens && added.IsSpecial(id)) return Status::Ok();
  return stream.Push(*token);
}

Result<std::vector<TokenSpan>> Tokenizer::Spans(std::string_view text,
                                                std::span<const int64_t> ids) const {
  const std::optional<int64_t> unknown = unk_id();
  std::vector<std::optional<std::string>> tokens;
  for (const int64_t id : ids) tokens.push_back(id == unknown ? std::nullopt : IdToToken(id));
  Status status = Status::Ok();
  const auto normalize = [&](std::string_view character) {
    Piece piece{.text = std::string(character)};
    if (data_->normalizer != nullptr && status.ok()) status = data_->normalizer->Apply(piece);
    return piece.text;
  };
  std::vector<TokenSpan> spans = AlignTokens(text, tokens, data_->span_rules, normalize);
  if (!status.ok()) return status;
  return spans;
}

Result<std::string> Tokenizer::Decode(std::span<const int64_t> ids,
                                      const DecodeOptions& options) const {
  DecodeStream stream(*data_->decoder);
  for (const int64_t id : ids) QEFF_RETURN_IF_ERROR(data_->PushId(id, options, stream));
  QEFF_RETURN_IF_ERROR(stream.Finish());
  return stream.Take();
}

int64_t Tokenizer::vocab_size() const {
  return std::max(data_->model->vocabulary().largest_id(), data_->added.largest_id()) + 1;
}

std::optional<int64_t> Tokenizer::bos_id() const { return data_->Find(data_->companions.bos); }

std::optional<int64_t> Tokenizer::eos_id() const {
  const std::vector<int64_t> ids = eos_ids();
  if (ids.empty()) return std::nullopt;
  return ids.front();
}

std::optional<int64_t> Tokenizer::pad_id() const { return data_->Find(data_->companions.pad); }

std::optional<int64_t> Tokenizer::unk_id() const {
  const auto id = data_->Find(data_->companions.unknown);
  return id.has_value() ? id : data_->model->unknown_id();
}

std::optional<int64_t> Tokenizer::mask_id() const { return data_->Find(data_->companions.mask); }

std::vector<int64_t> Tokenizer::eos_ids() const {
  std::vector<int64_t> ids;
  for (const std::string& token : data_->companions.eos) {
    const auto id = data_->Find(std::string_view(token));
    if (id.has_value() && std::ranges::find(ids, *id) == ids.end()) ids.push_back(*id);
  }
  return ids;
}

std::optional<std::string> Tokenizer::IdToToken(int64_t id) const {
  const auto token = data_->Token(id);
  if (!token.has_value()) return std::nullopt;
  return std::string(*token);
}

std::optional<int64_t> Tokenizer::TokenToId(std::string_view token) const {
  return data_->Find(token);
}

bool Tokenizer::IsSpecial(int64_t id) const { return data_->added.IsSpecial(id); }

struct IncrementalDecoder::State {
  std::shared_ptr<const Tokenizer::Data> data;
  DecodeOptions options;
  DecodeStream stream;
};

IncrementalDecoder::IncrementalDecoder(const Tokenizer& tokenizer, const DecodeOptions& options)
    : state_(std::make_unique<State>(
          State{tokenizer.data_, options, DecodeStream(*tokenizer.data_->decoder)})) {}

IncrementalDecoder::IncrementalDecoder(IncrementalDecoder&&) noexcept = default;
IncrementalDecoder& IncrementalDecoder::operator=(IncrementalDecoder&&) noexcept = default;
IncrementalDecoder::~IncrementalDecoder() = default;

Result<std::string> IncrementalDecoder::Push(int64_t id) {
  QEFF_RETURN_IF_ERROR(state_->data->PushId(id, state_->options, state_->stream));
  return state_->stream.Take();
}

Result<std::string> IncrementalDecoder::Flush() {
  QEFF_RETURN_IF_ERROR(state_->stream.Finish());
  return state_->stream.Take();
}

}  // namespace qeff
