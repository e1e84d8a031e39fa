// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/text.h"

#include "backends/aic100/compile_plan.h"
#include "backends/program_file.h"
#include "lib/artifact/qpc.h"
#include "lib/checkpoint/safetensors.h"

namespace qeff::stages {
namespace {

/// Collects the rows that tokens were chosen from and writes them as one file.
class LogitsDump {
 public:
  explicit LogitsDump(size_t prompt_count) : rows_(prompt_count) {}

  Status Add(size_t prompt, std::span<const float> logits) {
    rows_[prompt].insert(rows_[prompt].end(), logits.begin(), logits.end());
    vocabulary_ = logits.size();
    return Status::Ok();
  }

  Status Write(const std::filesystem::path& path) const {
    std::vector<checkpoint::TensorToWrite> tensors;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const size_t columns = std::max<size_t>(vocabulary_, 1);
      tensors.push_back({.name = fmt::format("logits.{}", i),
                         .dtype = DType::kF32,
                         .shape = {static_cast<int64_t>(rows_[i].size() / columns),
                                   static_cast<int64_t>(vocabulary_)},
                         .data = std::as_bytes(std::span(rows_[i]))});
    }
    return checkpoint::WriteSafetensors(path, tensors);
  }

 private:
  std::vector<std::vector<float>> rows_;
  size_t vocabulary_ = 0;
};

/// The vocabulary of tokenizer and program must fit: an id of the tokenizer that the embedding
/// lacks cannot be run.
Status CheckVocabulary(const Tokenizer& tokenizer, const Session& session, int64_t added_vocab_size,
                       const std::filesystem::path& folder) {
  for (const TensorInfo& output : session.specializations().front().outputs) {
    if (output.name != "logits" || output.dims.empty() ||
        tokenizer.vocab_size() <= output.dims.back() + added_vocab_size)
      continue;
    return InvalidInput(
        Location::File((folder / "tokenizer.json").string()),
        fmt::format("the tokenizer has ids up to {}, the model a vocabulary of {}",
                    tokenizer.vocab_size() - 1, output.dims.back() + added_vocab_size),
        {"tokenizer and weights are not of the same model"});
  }
  return Status::Ok();
}

/// Programs that generate text know the places of tokens; those that read whole texts have a mask.
Status CheckGeneratesText(const Session& session, const std::filesystem::path& folder) {
  for (const TensorInfo& input : session.specializations().front().inputs) {
    if (input.name != "attention_mask") continue;
    return Unsupported(Location::File(folder.string()),
                       "the program gives embeddings or classes of whole texts, it generates none",
                       {"use --embed, --classify, --fill-mask or --rerank"});
  }
  return Status::Ok();
}

/// True for programs of the stand-in for a card's compiler, whatever else is wrong with them.
bool IsSimulatedCard(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::path program = folder / aic100::kBinaryFolder / kProgramFileName;
  if (!std::filesystem::exists(program, error)) return false;
  const Result<artifact::QpcFile> file = artifact::QpcFile::Open(program);
  return file.ok() && file->Find(artifact::kSimulatedSegment) != nullptr;
}

/// An error of the tokenizer at the place of the prompt: it knows only the byte of the text.
Status AtPrompt(Diagnostic diagnostic, const Location& where, size_t index) {
  if (!diagnostic.where.file.empty()) return Status(std::move(diagnostic));
  if (diagnostic.where.byte_offset >= 0) {
    diagnostic.notes.push_back(
        fmt::format("at byte {} of prompt {}", diagnostic.where.byte_offset, index));
  }
  diagnostic.where = where;
  return Status(std::move(diagnostic));
}

}  // namespace

Json TextResult::ToJson() const {
  Json outputs = Json::array();
  for (size_t i = 0; i < generation.outputs.size(); ++i) {
    const GenerationOutput& output = generation.outputs[i];
    outputs.push_back({{"prompt_ids", prompts[i].ids},
                       {"generated_ids", output.ids},
                       {"text", output.text},
                       {"stop_reason", std::string(StopReasonName(output.stop_reason))}});
  }
  const GenerationMetrics& m = generation.metrics;
  Json json = {{"outputs", outputs},
               {"metrics",
                {{"prefill_s", m.prefill_s},
                 {"prefill_tokens", m.prefill_tokens},
                 {"prefill_tok_s", m.prefill_tok_s},
                 {"decode_s", m.decode_s},
                 {"decode_tokens", m.decode_tokens},
                 {"decode_tok_s", m.decode_tok_s},
                 {"time_to_first_token_s", m.time_to_first_token_s},
                 {"total_s", m.total_s},
                 {"total_tok_s", m.total_tok_s}}}};
  if (is_simulated) json["simulated_card"] = true;
  return json;
}

Result<TextModel> TextModel::Open(const std::filesystem::path& qpc,
                                  const BackendOpenOptions& options) {
  TextModel model;
  model.folder_ = qpc;
  QEFF_ASSIGN_OR_RETURN(model.session_, OpenProgram(qpc, options));
  QEFF_RETURN_IF_ERROR(CheckGeneratesText(*model.session_, qpc));
  std::error_code error;
  if (std::filesystem::exists(qpc / "tokenizer.json", error)) {
    QEFF_ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::Load(qpc));
    model.tokenizer_ = std::make_unique<Tokenizer>(std::move(tokenizer));
  }
  QEFF_ASSIGN_OR_RETURN(model.config_, LoadGenerationConfig(qpc, model.tokenizer_.get()));
  if (model.tokenizer_ != nullptr) {
    QEFF_RETURN_IF_ERROR(
        CheckVocabulary(*model.tokenizer_, *model.session_, model.config_.added_vocab_size, qpc));
  }
  return model;
}

Result<std::vector<Prompt>> TextModel::Encode(const TextRequest& request) const {
  const EncodeOptions options = {
      .add_special_tokens = !request.prompts_are_rendered,
      .parse_special = request.parse_special || request.prompts_are_rendered};
  std::vector<Prompt> prompts;
  for (const auto& [content, where] : request.prompts) {
    if (const auto* ids = std::get_if<std::vector<int64_t>>(&content)) {
      prompts.push_back({*ids, where});
      continue;
    }
    if (tokenizer_ == nullptr) {
      return UsageError(Location::File(folder_.string()),
                        "the model has no tokenizer.json, so text cannot be encoded",
                        {"give token ids: --input-ids 5,17,9"});
    }
    Result<std::vector<int64_t>> ids = tokenizer_->Encode(std::get<std::string>(content), options);
    if (!ids.ok()) return AtPrompt(ids.diagnostic(), where, prompts.size());
    prompts.push_back({std::move(ids).value(), where});
  }
  return prompts;
}

Result<TextResult> TextModel::Run(const TextRequest& request,
                                  const std::function<Status(const TokenEvent&)>& on_token) {
  TextResult result;
  result.is_simulated = IsSimulatedCard(folder_);
  QEFF_ASSIGN_OR_RETURN(result.prompts, Encode(request));
  QEFF_ASSIGN_OR_RETURN(const ResolvedSampling sampling,
                        ResolveSampling(config_, request.sampling));
  result.sampling_note = sampling.note;
  GenerationOptions options{
      .sampling = sampling.options,
      .eos_ids = request.ignore_eos ? std::vector<int64_t>() : config_.eos_ids,
      .pad_id = config_.pad_id.value_or(0),
      .added_vocab_size = config_.added_vocab_size,
      .stop_strings = request.stop_strings,
      .max_new_tokens = request.max_new_tokens,
      .show_special_tokens = request.show_special};
  LogitsDump dump(result.prompts.size());
  GenerationCallbacks callbacks{.on_token = on_token, .on_logits = {}};
  if (!request.dump_logits.empty()) {
    callbacks.on_logits = [&dump](size_t prompt, std::span<const float> logits) {
      return dump.Add(prompt, logits);
    };
  }
  QEFF_ASSIGN_OR_RETURN(result.generation,
                        Generate(*session_, tokenizer_.get(), result.prompts, options, callbacks));
  if (!request.dump_logits.empty()) QEFF_RETURN_IF_ERROR(dump.Write(request.dump_logits));
  return result;
}

}  // namespace qeff::stages
