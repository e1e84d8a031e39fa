// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Text to token ids and back, as a checkpoint's tokenizer.json says: the file is executed as data,
// and no model is known by name. Gives the ids of Hugging Face's `tokenizers`, except that a start
// token is never doubled. Chat templates are not part of this.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/encoding.h"

namespace qeff {

struct EncodeOptions {
  /// Adds what the file's post-processor adds (BOS, [CLS], ...). With `parse_special`, a text that
  /// starts with the first of these tokens does not get them twice, unless `doubles_start`.
  bool add_special_tokens = true;
  /// Special tokens that stand in the text become their ids; else they are plain text, so that a
  /// user cannot forge them. Added tokens that are not special are always found.
  bool parse_special = false;
  bool doubles_start = false;
};

/// One input of an encoder model. The views must stay valid during the call.
struct TextPair {
  std::string_view first;
  std::optional<std::string_view> second;
};

struct BatchOptions {
  EncodeOptions encode;
  std::optional<Truncation> truncation;  ///< none: texts keep their length
  std::optional<Padding> padding;        ///< none: encodings keep their length
};

/// Characters [begin, end) of a text.
struct TokenSpan {
  int64_t begin = 0;
  int64_t end = 0;
};

struct DecodeOptions {
  bool skip_special_tokens = false;  ///< leaves special added tokens out of the text
};

/// Immutable; copies share their data; safe from several threads.
class Tokenizer {
 public:
  /// Reads `folder`/tokenizer.json, or the files of older tokenizers (legacy_files.h), and
  /// tokenizer_config.json and special_tokens_map.json (both optional) for the names of BOS, EOS,
  /// padding and unknown token. Errors: kIo; kInvalidInput; kUnsupported for a component, or an
  /// older tokenizer's class, that is not implemented.
  static Result<Tokenizer> Load(const std::filesystem::path& folder);
  /// `path` names the text in errors. Errors: kInvalidInput, kUnsupported.
  static Result<Tokenizer> FromJson(std::string_view tokenizer_json, std::string_view path);

  /// Returns the ids of `text`. Errors: kInvalidInput if it is not UTF-8 (with the offset), is
  /// larger than 256 MiB, makes an expression of the file backtrack without bound, or has a
  /// character that the model has no token for.
  Result<std::vector<int64_t>> Encode(std::string_view text, const EncodeOptions& options) const;
  /// Returns for each text, or pair of texts, what a model takes: special tokens and type ids as
  /// the post-processor says, cut and padded as `options` say. Errors: those of Encode;
  /// kInvalidInput for a pair that the file has no place for, and for a length that cannot be
  /// reached.
  Result<std::vector<Encoding>> EncodeBatch(std::span<const TextPair> texts,
                                            const BatchOptions& options) const;
  /// What "truncation" and "padding" of tokenizer.json say, for BatchOptions: they are how the file
  /// was last used, and as in transformers nothing applies them by itself.
  const std::optional<Truncation>& truncation() const;
  const std::optional<Padding>& padding() const;

  /// Returns where in `text` each of `ids` comes from: what Encode gives for it, special tokens
  /// that were added left out. As the offsets of `tokenizers`, except where a normalizer joins
  /// characters or an unknown token stands beside another: there the places are near. Errors: those
  /// of a normalizer.
  Result<std::vector<TokenSpan>> Spans(std::string_view text, std::span<const int64_t> ids) const;

  /// Returns the text of `ids`; bytes that are not UTF-8 come out as U+FFFD. Errors: kInvalidInput
  /// for an id without token.
  Result<std::string> Decode(std::span<const int64_t> ids, const DecodeOptions& options) const;

  int64_t vocab_size() const;             ///< V: the largest id + 1
  std::optional<int64_t> bos_id() const;  ///< none if no file names it, or the token does not exist
  std::optional<int64_t> eos_id() const;
  std::optional<int64_t> pad_id() const;
  std::optional<int64_t> unk_id() const;
  std::optional<int64_t> mask_id() const;
  /// Returns what any of the files calls EOS, without repetition, tokenizer_config.json first.
  std::vector<int64_t> eos_ids() const;

  /// Returns the token as the vocabulary spells it; none if the id has no token.
  std::optional<std::string> IdToToken(int64_t id) const;
  std::optional<int64_t> TokenToId(std::string_view token) const;
  bool IsSpecial(int64_t id) const;  ///< a special added token

 private:
  friend class IncrementalDecoder;
  struct Data;
  explicit Tokenizer(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

/// Text that can be shown as ids arrive: never half a character, and never text that a later id
/// could still change. The results of all Push calls and of Flush, joined, are Decode of all ids.
/// Keeps the tokenizer's data alive. Not safe from several threads.
class IncrementalDecoder {
 public:
  IncrementalDecoder(const Tokenizer& tokenizer, const DecodeOptions& options);
  IncrementalDecoder(IncrementalDecoder&&) noexcept;
  IncrementalDecoder& operator=(IncrementalDecoder&&) noexcept;
  ~IncrementalDecoder();

  /// Returns what can be shown now, often empty. Errors: kInvalidInput for an id without token.
  Result<std::string> Push(int64_t id);
  /// Returns the rest; the decoder then starts anew.
  Result<std::string> Flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qeff
