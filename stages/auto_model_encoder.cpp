// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "stages/auto_model_export.h"
#include "stages/encoder.h"

namespace qeff {
namespace stages {
namespace {

/// What both classes have.
struct EncoderSteps {
  std::filesystem::path checkpoint;
  TransformOptions transform;
  std::filesystem::path onnx;
  std::filesystem::path qpc;
  std::optional<EncoderModel> model;

  Result<std::string> Export(const ExportSettings& settings) {
    QEFF_ASSIGN_OR_RETURN(onnx, ExportFor(checkpoint, settings, transform));
    return onnx.string();
  }

  Result<std::string> Compile(const EncoderCompileSettings& settings) {
    if (onnx.empty()) QEFF_RETURN_IF_ERROR(Export({.reference_weights = true}).status());
    CompileOptions options{.backend = settings.backend,
                           .batch_size = settings.batch_size,
                           .seq_lens = settings.seq_len};
    options.target.num_cores = settings.num_cores;
    if (options.seq_lens.empty()) {
      QEFF_ASSIGN_OR_RETURN(options.seq_lens, DefaultSeqLens(onnx));
    }
    model.reset();
    QEFF_ASSIGN_OR_RETURN(qpc, stages::Compile(onnx, settings.output, options));
    return qpc.string();
  }

  Status Open() {
    if (qpc.empty()) return UsageError({}, "this needs a compiled model", {"call Compile first"});
    if (model) return Status::Ok();
    QEFF_ASSIGN_OR_RETURN(EncoderModel opened, EncoderModel::Open(qpc, {}));
    model.emplace(std::move(opened));
    return Status::Ok();
  }

  /// The rows of texts, or of pairs of `query` and each.
  Result<std::vector<std::vector<float>>> Run(const std::vector<std::string>& texts,
                                              const EncodeSettings& settings) {
    std::vector<std::vector<float>> rows;
    TextSource source = TextSource::FromTexts(texts, {});
    QEFF_RETURN_IF_ERROR(model->RunAll(
        source, settings,
        [&](std::string_view, std::span<const float> row) {
          rows.emplace_back(row.begin(), row.end());
          return Status::Ok();
        },
        [] { return Status::Ok(); }));
    return rows;
  }
};

}  // namespace
}  // namespace stages

struct AutoModel::State : stages::EncoderSteps {};
struct AutoModelForSequenceClassification::State : stages::EncoderSteps {};

AutoModel::AutoModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
AutoModel::AutoModel(AutoModel&&) noexcept = default;
AutoModel& AutoModel::operator=(AutoModel&&) noexcept = default;
AutoModel::~AutoModel() = default;

Result<AutoModel> AutoModel::FromPretrained(const std::string& model,
                                            const EmbeddingModelOptions& options) {
  auto state = std::make_unique<State>();
  QEFF_ASSIGN_OR_RETURN(state->checkpoint, stages::Fetch(model, {}));
  state->transform.task = families::Task::kEmbedding;
  stages::EmbeddingOptions& embedding = state->transform.embedding;
  const std::vector<std::string>& names = stages::PoolingNames();
  if (!options.pooling.empty()) {
    if (std::ranges::find(names, options.pooling) == names.end()) {
      return UsageError({}, fmt::format("unknown pooling '{}'", options.pooling),
                        {fmt::format("there is: {}", fmt::join(names, ", "))});
    }
    embedding.pooling = options.pooling;
  }
  embedding.normalize = options.normalize;
  embedding.truncate_dim = options.truncate_dim;
  return AutoModel(std::move(state));
}

Result<std::string> AutoModel::Export(const ExportSettings& settings) {
  return state_->Export(settings);
}

Result<std::string> AutoModel::Compile(const EncoderCompileSettings& settings) {
  return state_->Compile(settings);
}

Result<std::vector<std::vector<float>>> AutoModel::Encode(const std::vector<std::string>& texts,
                                                          const EncodeSettings& settings) {
  QEFF_RETURN_IF_ERROR(state_->Open());
  stages::EncodeSettings all{.truncates = settings.truncate};
  QEFF_ASSIGN_OR_RETURN(all.prompt, state_->model->Prompt(settings.prompt_name));
  return state_->Run(texts, all);
}

AutoModelForSequenceClassification::AutoModelForSequenceClassification(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
AutoModelForSequenceClassification::AutoModelForSequenceClassification(
    AutoModelForSequenceClassification&&) noexcept = default;
AutoModelForSequenceClassification& AutoModelForSequenceClassification::operator=(
    AutoModelForSequenceClassification&&) noexcept = default;
AutoModelForSequenceClassification::~AutoModelForSequenceClassification() = default;

Result<AutoModelForSequenceClassification> AutoModelForSequenceClassification::FromPretrained(
    const std::string& model) {
  auto state = std::make_unique<State>();
  QEFF_ASSIGN_OR_RETURN(state->checkpoint, stages::Fetch(model, {}));
  state->transform.task = families::Task::kSequenceClassification;
  return AutoModelForSequenceClassification(std::move(state));
}

Result<std::string> AutoModelForSequenceClassification::Export(const ExportSettings& settings) {
  return state_->Export(settings);
}

Result<std::string> AutoModelForSequenceClassification::Compile(
    const EncoderCompileSettings& settings) {
  return state_->Compile(settings);
}

Result<std::vector<Classification>> AutoModelForSequenceClassification::Classify(
    const std::vector<std::string>& texts) {
  QEFF_RETURN_IF_ERROR(state_->Open());
  QEFF_ASSIGN_OR_RETURN(auto rows, state_->Run(texts, {}));
  const std::vector<std::string>& labels = state_->model->labels();
  std::vector<Classification> results;
  for (std::vector<float>& row : rows) {
    stages::ApplyScoreFunction(state_->model->score_function(), row);
    const auto best = static_cast<size_t>(std::ranges::max_element(row) - row.begin());
    Classification result{.label = labels[best], .score = row[best], .scores = {}};
    for (size_t i = 0; i < row.size(); ++i) result.scores.emplace_back(labels[i], row[i]);
    results.push_back(std::move(result));
  }
  return results;
}

Result<std::vector<float>> AutoModelForSequenceClassification::Score(
    const std::string& query, const std::vector<std::string>& documents) {
  QEFF_RETURN_IF_ERROR(state_->Open());
  if (state_->model->features() != 1) {
    return UsageError({}, fmt::format("a reranker has one output, this model has {} labels",
                                      state_->model->features()));
  }
  QEFF_ASSIGN_OR_RETURN(const auto rows, state_->Run(documents, {.prompt = {}, .query = query}));
  std::vector<float> scores;
  for (const std::vector<float>& row : rows) scores.push_back(row[0]);
  stages::ApplyScoreFunction(state_->model->rerank_function(), scores);
  return scores;
}

}  // namespace qeff
