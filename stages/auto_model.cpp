// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "qeff/auto_model.h"

#include "stages/auto_model_export.h"
#include "stages/stages.h"
#include "stages/text.h"

namespace qeff {

struct AutoModelForCausalLM::State {
  std::filesystem::path checkpoint;
  stages::TransformOptions transform;
  std::filesystem::path onnx;
  std::filesystem::path qpc;
  std::optional<stages::TextModel> text_model;
};

AutoModelForCausalLM::AutoModelForCausalLM(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
AutoModelForCausalLM::AutoModelForCausalLM(AutoModelForCausalLM&&) noexcept = default;
AutoModelForCausalLM& AutoModelForCausalLM::operator=(AutoModelForCausalLM&&) noexcept = default;
AutoModelForCausalLM::~AutoModelForCausalLM() = default;

Result<AutoModelForCausalLM> AutoModelForCausalLM::FromPretrained(
    const std::string& model, const PretrainedOptions& options) {
  auto state = std::make_unique<State>();
  QEFF_ASSIGN_OR_RETURN(state->checkpoint, stages::Fetch(model, {}));
  state->transform.continuous_batching = options.continuous_batching;
  state->transform.speculative_target = options.speculative_target;
  return AutoModelForCausalLM(std::move(state));
}

Result<std::string> AutoModelForCausalLM::Export(const ExportSettings& settings) {
  QEFF_ASSIGN_OR_RETURN(state_->onnx,
                        stages::ExportFor(state_->checkpoint, settings, state_->transform));
  return state_->onnx.string();
}

Result<std::string> AutoModelForCausalLM::Compile(const CompileSettings& settings) {
  if (state_->onnx.empty()) {
    QEFF_ASSIGN_OR_RETURN(const std::string exported, Export({.reference_weights = true}));
    state_->onnx = exported;
  }
  stages::CompileOptions options{.backend = settings.backend,
                                 .prefill_seq_len = settings.prefill_seq_len,
                                 .ctx_len = settings.ctx_len,
                                 .batch_size = settings.batch_size,
                                 .full_batch_size = settings.full_batch_size};
  options.target.num_cores = settings.num_cores;
  state_->text_model.reset();
  QEFF_ASSIGN_OR_RETURN(state_->qpc, stages::Compile(state_->onnx, settings.output, options));
  return state_->qpc.string();
}

Result<std::vector<GeneratedText>> AutoModelForCausalLM::Generate(
    const std::vector<std::string>& prompts, const GenerateSettings& settings) {
  if (state_->qpc.empty())
    return UsageError({}, "generate needs a compiled model", {"call Compile first"});
  if (!state_->text_model) {
    QEFF_ASSIGN_OR_RETURN(stages::TextModel opened, stages::TextModel::Open(state_->qpc, {}));
    state_->text_model.emplace(std::move(opened));
  }
  stages::TextRequest request{.prompts = {},
                              .sampling = {.settings = {.temperature = settings.temperature,
                                                        .top_k = settings.top_k,
                                                        .top_p = settings.top_p,
                                                        .min_p = {},
                                                        .repetition_penalty = {}},
                                           .seed = settings.seed},
                              .max_new_tokens = settings.max_new_tokens,
                              .stop_strings = settings.stop,
                              .dump_logits = {}};
  // Without a place: errors have the index, and flags mean nothing to a caller of the API.
  for (const std::string& prompt : prompts) request.prompts.push_back({prompt, {}});
  const auto on_token = [&settings](const TokenEvent& event) {
    if (settings.on_text && !event.text.empty()) settings.on_text(event.prompt, event.text);
    return Status::Ok();
  };
  QEFF_ASSIGN_OR_RETURN(const stages::TextResult result,
                        state_->text_model->Run(request, on_token));
  std::vector<GeneratedText> texts;
  for (size_t i = 0; i < result.generation.outputs.size(); ++i) {
    const GenerationOutput& output = result.generation.outputs[i];
    texts.push_back({result.prompts[i].ids, output.ids, output.text,
                     std::string(StopReasonName(output.stop_reason))});
  }
  return texts;
}

}  // namespace qeff
