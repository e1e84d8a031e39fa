// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The toolchain from C++, in the shape that users of QEfficient know:
//
//   auto model = qeff::AutoModelForCausalLM::FromPretrained("./my-model");
//   if (!model.ok()) { std::cerr << model.diagnostic().ToString(); return 1; }
//   if (auto qpc = model->Compile({.num_cores = 16, .ctx_len = 1024}); !qpc.ok()) ...
//   auto texts = model->Generate({"My name is"}, {.max_new_tokens = 50});
//
// and, for embeddings and scores of texts:
//
//   auto embedder = qeff::AutoModel::FromPretrained("./all-MiniLM-L6-v2");
//   if (auto qpc = embedder->Compile(); !qpc.ok()) ...
//   auto vectors = embedder->Encode({"A text", "Another one"});
//
// Each step runs the same stage as the program of its name (qeff-export, qeff-compile, qeff-run)
// and reuses what is there already. Nothing throws: every call returns a value or a diagnostic.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/support/status.h"

namespace qeff {

struct PretrainedOptions {
  bool continuous_batching = false;
  bool speculative_target = false;
};

struct ExportSettings {
  std::string output;         ///< ONNX folder; empty: one in the cache
  std::string dtype = "f32";  ///< "f32", "f16" or "bf16"
  bool use_onnx_subfunctions = false;
  bool reference_weights = false;  ///< leave the weights in the checkpoint
};

struct CompileSettings {
  int num_cores = 1;
  int64_t prefill_seq_len = 32;
  int64_t ctx_len = 128;
  int64_t batch_size = 1;
  std::optional<int64_t> full_batch_size;
  std::string backend = "cpu";
  std::string output;  ///< QPC folder; empty: one in the cache
};

struct GenerateSettings {
  std::optional<int64_t> max_new_tokens;
  std::optional<double> temperature;
  std::optional<int64_t> top_k;
  std::optional<double> top_p;
  uint64_t seed = 0;
  std::vector<std::string> stop;
  /// Gets pieces of text as they are made, with the index of their prompt.
  std::function<void(size_t prompt, std::string_view text)> on_text;
};

struct GeneratedText {
  std::vector<int64_t> prompt_ids;
  std::vector<int64_t> generated_ids;
  std::string text;
  std::string stop_reason;  ///< "eos", "stop", "length" or "context"
};

/// A causal language model on its way from checkpoint to text. Movable; one thread at a time.
class AutoModelForCausalLM {
 public:
  /// `model` is a folder, or "org/name[@revision]" that is in the Hugging Face cache. Errors: kIo,
  /// kInvalidInput.
  static Result<AutoModelForCausalLM> FromPretrained(const std::string& model,
                                                     const PretrainedOptions& options = {});
  AutoModelForCausalLM(AutoModelForCausalLM&&) noexcept;
  AutoModelForCausalLM& operator=(AutoModelForCausalLM&&) noexcept;
  ~AutoModelForCausalLM();

  /// Returns the ONNX folder.
  Result<std::string> Export(const ExportSettings& settings = {});
  /// Returns the QPC folder; exports first, leaving the weights in the checkpoint, if Export was
  /// not called.
  Result<std::string> Compile(const CompileSettings& settings = {});
  /// Errors: kUsage before Compile; those of the run stage.
  Result<std::vector<GeneratedText>> Generate(const std::vector<std::string>& prompts,
                                              const GenerateSettings& settings = {});

 private:
  struct State;
  explicit AutoModelForCausalLM(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct EmbeddingModelOptions {
  /// "mean", "cls", "max", "last" or "none"; empty: as the checkpoint's modules.json says, else
  /// none.
  std::string pooling;
  bool normalize = false;               ///< vectors of length 1
  std::optional<int64_t> truncate_dim;  ///< elements that are kept of a vector
};

struct EncoderCompileSettings {
  int num_cores = 1;
  /// Tokens of a text, one compiled shape for each; empty: 32, 128 and the model's longest, up to
  /// 512.
  std::vector<int64_t> seq_len;
  int64_t batch_size = 1;
  std::string backend = "cpu";
  std::string output;  ///< QPC folder; empty: one in the cache
};

struct EncodeSettings {
  std::string prompt_name;  ///< empty: the model's default prompt, if it has one
  bool truncate = true;     ///< cut texts that are too long; else they are errors
};

/// An embedding model on its way from checkpoint to vectors. Movable; one thread at a time.
class AutoModel {
 public:
  /// As AutoModelForCausalLM::FromPretrained.
  static Result<AutoModel> FromPretrained(const std::string& model,
                                          const EmbeddingModelOptions& options = {});
  AutoModel(AutoModel&&) noexcept;
  AutoModel& operator=(AutoModel&&) noexcept;
  ~AutoModel();

  /// Returns the ONNX folder.
  Result<std::string> Export(const ExportSettings& settings = {});
  /// Returns the QPC folder; exports first if Export was not called.
  Result<std::string> Compile(const EncoderCompileSettings& settings = {});
  /// Returns a vector [D] for each text; without pooling, the vectors of its tokens, [T * D].
  /// Errors: kUsage before Compile; those of the run stage.
  Result<std::vector<std::vector<float>>> Encode(const std::vector<std::string>& texts,
                                                 const EncodeSettings& settings = {});

 private:
  struct State;
  explicit AutoModel(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Scores of one text, as transformers' pipelines give them.
struct Classification {
  std::string label;  ///< the one with the highest score
  float score = 0;
  std::vector<std::pair<std::string, float>> scores;  ///< of all labels, in the model's order
};

/// A classifier or reranker on its way from checkpoint to scores. Movable; one thread at a time.
class AutoModelForSequenceClassification {
 public:
  static Result<AutoModelForSequenceClassification> FromPretrained(const std::string& model);
  AutoModelForSequenceClassification(AutoModelForSequenceClassification&&) noexcept;
  AutoModelForSequenceClassification& operator=(AutoModelForSequenceClassification&&) noexcept;
  ~AutoModelForSequenceClassification();

  Result<std::string> Export(const ExportSettings& settings = {});
  Result<std::string> Compile(const EncoderCompileSettings& settings = {});
  Result<std::vector<Classification>> Classify(const std::vector<std::string>& texts);
  /// Returns how well each document fits the query, for models of one label. Errors: kUsage for
  /// others.
  Result<std::vector<float>> Score(const std::string& query,
                                   const std::vector<std::string>& documents);

 private:
  struct State;
  explicit AutoModelForSequenceClassification(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace qeff
