// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The run stage for embedding models, rerankers and classifiers: texts in, a row of numbers for
// each out, on a program of any backend. Called by qeff-run, qeff-infer and the C++ API.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/checkpoint/sentence_transformers.h"
#include "lib/embedding/batch_run.h"
#include "lib/embedding/encoder_program.h"
#include "lib/embedding/similarity.h"
#include "lib/embedding/text_source.h"
#include "lib/support/status.h"
#include "lib/tokenizer/tokenizer.h"
#include "stages/stages.h"
#include "stages/token_results.h"

namespace qeff::stages {

struct EncodeSettings {
  /// What stands before each text; see EncoderModel::Prompt.
  std::string prompt;
  /// RunAll makes pairs of this and each text, for rerankers.
  std::optional<std::string> query;
  bool truncates = true;  ///< cut texts that are too long; else they are errors
  /// Of programs that predict tokens: rows are [M, V], of a text's M masks alone. A text without a
  /// mask is an error.
  bool keeps_only_masks = false;
};

/// Where texts come from, for messages: text i is line first_line + i of `name`.
struct TextOrigin {
  std::string name = "texts";
  int64_t first_line = 1;
};

/// What makes probabilities of the logits of a classifier.
enum class ScoreFunction { kSoftmax, kSigmoid, kNone };

/// Applies it in place to the logits of one text.
void ApplyScoreFunction(ScoreFunction function, std::span<float> logits);

/// Called for each text in order, with its row: [D], [T, D], [L] or [T, L] as EncoderOutput says, T
/// the text's own tokens.
using OnRow = std::function<Status(const EncodedRow& row)>;

/// The most tokens that texts of the model in `folder` can have, special ones included: what
/// sentence-transformers or the tokenizer's settings say. Nothing if no file says it. Errors: kIo,
/// kInvalidInput.
Result<std::optional<int64_t>> MaxTextTokens(const std::filesystem::path& folder);

/// Lengths to compile the model in the ONNX folder `onnx` for if nobody says: a short and a medium
/// one, and the longest that its texts and its tables of positions can have, up to 512 tokens.
/// Errors: as MaxTextTokens and onnx_io::ReadOnnxHeader.
Result<std::vector<int64_t>> DefaultSeqLens(const std::filesystem::path& onnx);

/// A QPC folder with everything that encoding needs from it. Movable; one thread at a time.
class EncoderModel {
 public:
  /// Errors: kIo, kInvalidInput (damaged files, a tokenizer that has more tokens than the model,
  /// labels that are not as many as the outputs), kVersionMismatch, kUnsupported (a program that
  /// generates text, no tokenizer).
  static Result<EncoderModel> Open(const std::filesystem::path& qpc,
                                   const BackendOpenOptions& options);

  EncoderOutput output() const { return program_->output(); }
  int64_t features() const { return program_->features(); }  ///< D or L
  int64_t max_tokens() const { return max_tokens_; }         ///< longer texts are cut
  Similarity similarity() const { return similarity_; }
  /// Names of the L labels, for classifiers.
  const std::vector<std::string>& labels() const { return labels_; }
  /// Token logits that are not of labels, but of all V tokens: a masked language model.
  bool predicts_tokens() const { return predicts_tokens_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  /// How transformers' pipelines score: by `problem_type`, else sigmoid for one label and softmax
  /// for several.
  ScoreFunction score_function() const { return score_function_; }
  /// How sentence-transformers' CrossEncoder scores: as its config says, else sigmoid.
  ScoreFunction rerank_function() const { return rerank_function_; }

  /// The text of a prompt of the model; for an empty name the default one, if there is any. Errors:
  /// kUsage; kUnsupported if pooling would have to leave the prompt's tokens out.
  Result<std::string> Prompt(const std::string& name) const;

  /// Runs `texts` and gives their rows in order; batches are formed over all of them, so give many
  /// at once, but not more than memory holds. An error in a text, also one that only the program
  /// finds, stops after the rows of those before it. Errors: those of Tokenizer and Session;
  /// kInvalidInput at the text's line (too long, no token at all, no mask where one is needed, a
  /// result that is not a finite number); those of `on_row`.
  Status Run(std::span<const TextPair> texts, const EncodeSettings& settings,
             const TextOrigin& origin, const OnRow& on_row);

  /// Runs everything that `source` has left, in windows of bounded size; `on_window` is called
  /// after the rows of each. An error in the source, too, comes after the rows before it.
  Status RunAll(TextSource& source, const EncodeSettings& settings, const OnRow& on_row,
                const std::function<Status()>& on_window);

  int64_t cut_texts() const { return cut_texts_; }  ///< how many were too long so far

 private:
  EncoderModel() = default;
  Status ReadSettings();
  /// Appends encodings of the texts, up to the first that has an error.
  Status Encode(std::span<const TextPair> texts, const EncodeSettings& settings,
                const TextOrigin& origin, std::vector<Encoding>& encodings);
  Result<Encoding> EncodeOne(const TextPair& text, const EncodeSettings& settings,
                             const Location& where);
  /// Runs texts that have encodings; a refused one is named in a note.
  BatchRun RunEncoded(std::span<const Encoding> encodings, const EncodeSettings& settings,
                      const TextOrigin& origin);

  std::filesystem::path folder_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unique_ptr<EncoderProgram> program_;
  checkpoint::SentenceTexts texts_;
  bool pools_prompt_ = true;
  bool has_token_types_ = true;  ///< false: all tokens are of type 0
  Similarity similarity_ = Similarity::kCosine;
  std::vector<std::string> labels_;
  bool predicts_tokens_ = false;
  ScoreFunction score_function_ = ScoreFunction::kSoftmax;
  ScoreFunction rerank_function_ = ScoreFunction::kSigmoid;
  int64_t max_tokens_ = 0;
  int64_t call_tokens_ = 0;  ///< of a batch of several texts, at most
  int64_t cut_texts_ = 0;
};

}  // namespace qeff::stages
