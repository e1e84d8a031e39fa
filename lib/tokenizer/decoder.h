// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The "decoder" of tokenizer.json: tokens to text. Each decoder is a stage of a stream that hands
// text on as soon as no later token can change it, so that a text that is decoded at once and one
// that is shown token by token come from the same code.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

class ConfigNode;

/// Takes tokens, each as fragments of text and an end, and hands tokens to the next stage.
/// Fragments are UTF-8 and never end inside a character. A stage belongs to one stream.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  virtual Status Text(std::string_view fragment) = 0;
  virtual Status EndToken() = 0;
  /// No more tokens: hands on what is held back, then finishes the next stage. A new stream may
  /// start afterwards.
  virtual Status Finish() = 0;

 protected:
  DecodeStage& next() { return *next_; }

 private:
  friend class DecodeStream;
  DecodeStage* next_ = nullptr;
};

/// What the file says; makes stages for streams. Safe from several threads.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void AddStages(std::vector<std::unique_ptr<DecodeStage>>& stages) const = 0;
};

/// Returns, for an absent node, the decoder that joins tokens by blanks. Errors: kInvalidInput;
/// kUnsupported for an unknown type.
Result<std::unique_ptr<Decoder>> MakeDecoder(const ConfigNode& node);

/// What transformers does to a text that the file's decoder has made.
struct DecodedTextRules {
  /// Not empty: stands for a blank wherever it is left, and white space at the ends goes (CLIP).
  std::string word_suffix;
  /// Takes away the blanks that stand before punctuation and in English contractions.
  bool cleans_up_spaces = false;
};
/// Returns a decoder that does both.
std::unique_ptr<Decoder> WithTextRules(std::unique_ptr<Decoder> decoder, DecodedTextRules rules);

/// Tokens in, text out.
class DecodeStream {
 public:
  explicit DecodeStream(const Decoder& decoder);
  DecodeStream(DecodeStream&&) = default;
  DecodeStream& operator=(DecodeStream&&) = default;

  /// `token` is UTF-8. Errors: kInvalidInput if an expression of the file gives up.
  Status Push(std::string_view token);
  Status Finish();
  /// Returns the text that came out since the last call.
  std::string Take();

 private:
  class Collector;
  std::vector<std::unique_ptr<DecodeStage>> stages_;
  Collector* collector_;  ///< the last stage
};

}  // namespace qeff
