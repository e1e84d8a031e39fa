// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/generate.h"

#include <algorithm>
#include <chrono>

#include "lib/generation/sequence.h"
#include "lib/generation/stop_strings.h"
#include "lib/generation/text_program.h"

namespace qeff {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Rate(int64_t tokens, double seconds) { return seconds > 0 ? tokens / seconds : 0.0; }

/// Prompts in slots, and the two kinds of step.
class Scheduler {
 public:
  Scheduler(TextProgram program, const SequenceContext& context, const std::vector<Prompt>& prompts,
            GenerationResult& result)
      : program_(std::move(program)), context_(context), prompts_(prompts), result_(result) {
    slots_.resize(program_.slots());
  }

  Status Run();

 private:
  Status Prefill();
  /// Reads the next tokens of the prompts, which all are read up to `first`; returns up to where
  /// they are now.
  Result<int64_t> PrefillChunk(const std::vector<size_t>& slots, int64_t first);
  Status Decode();
  Status Accept(size_t input, Sequence& sequence);
  std::vector<size_t> StartSequences();
  size_t LiveCount() const;
  bool CanStart() const;

  TextProgram program_;
  const SequenceContext& context_;
  const std::vector<Prompt>& prompts_;
  GenerationResult& result_;
  std::vector<std::optional<Sequence>> slots_;  ///< empty: free
  size_t next_prompt_ = 0;
  Clock::time_point start_ = Clock::now();
};

Status Scheduler::Run() {
  GenerationMetrics& metrics = result_.metrics;
  while (true) {
    const Clock::time_point step_start = Clock::now();
    if (CanStart()) {
      QEFF_RETURN_IF_ERROR(Prefill());
      metrics.prefill_s += SecondsSince(step_start);
    } else if (LiveCount() > 0) {
      QEFF_RETURN_IF_ERROR(Decode());
      metrics.decode_s += SecondsSince(step_start);
    } else {
      break;
    }
  }
  int64_t chosen_tokens = 0;
  for (const GenerationOutput& output : result_.outputs) chosen_tokens += std::ssize(output.ids);
  metrics.total_s = SecondsSince(start_);
  metrics.prefill_tok_s = Rate(metrics.prefill_tokens, metrics.prefill_s);
  metrics.decode_tok_s = Rate(metrics.decode_tokens, metrics.decode_s);
  metrics.total_tok_s = Rate(chosen_tokens, metrics.total_s);
  return Status::Ok();
}

size_t Scheduler::LiveCount() const {
  return std::ranges::count_if(slots_, [](const auto& slot) { return slot.has_value(); });
}

bool Scheduler::CanStart() const {
  if (next_prompt_ == prompts_.size()) return false;
  const size_t live = LiveCount();
  return program_.has_slot_index() ? live < slots_.size() : live == 0;
}

std::vector<size_t> Scheduler::StartSequences() {
  std::vector<size_t> started;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (slots_[slot].has_value()) continue;
    if (next_prompt_ == prompts_.size()) break;
    if (std::ssize(started) == program_.rows(Phase::kPrefill)) break;
    const size_t prompt = next_prompt_++;
    slots_[slot].emplace(context_, prompt, prompts_[prompt].ids, result_.outputs[prompt]);
    result_.metrics.prefill_tokens += std::ssize(prompts_[prompt].ids);
    started.push_back(slot);
  }
  return started;
}

Status Scheduler::Prefill() {
  std::vector<size_t> unread = StartSequences();
  for (int64_t first = 0; !unread.empty();) {
    QEFF_ASSIGN_OR_RETURN(first, PrefillChunk(unread, first));
    // A prompt that was read to its end takes no part in later chunks: its first token is chosen
    // already.
    std::erase_if(unread, [&](size_t slot) {
      return !slots_[slot] || std::ssize(slots_[slot]->prompt()) <= first;
    });
  }
  return Status::Ok();
}

Result<int64_t> Scheduler::PrefillChunk(const std::vector<size_t>& slots, int64_t first) {
  int64_t unread_end = 0;
  for (const size_t slot : slots) {
    unread_end = std::max(unread_end, std::ssize(slots_[slot]->prompt()));
  }
  // Decode reads what lies beyond the positions that prefill can look at.
  const int64_t prefill_end = std::min(first + program_.tokens(Phase::kPrefill), unread_end);
  const Phase phase =
      prefill_end <= program_.context_tokens(Phase::kPrefill) ? Phase::kPrefill : Phase::kDecode;
  const int64_t end = first + program_.tokens(phase);
  std::vector<RowInput> inputs;
  for (const size_t slot : slots) {
    const std::span<const int64_t> prompt = slots_[slot]->prompt();
    inputs.push_back({.slot = static_cast<int64_t>(slot),
                      .ids = prompt.subspan(first, std::min(end, std::ssize(prompt)) - first),
                      .position = first});
  }
  QEFF_RETURN_IF_ERROR(program_.Run(phase, inputs));
  for (size_t i = 0; i < slots.size(); ++i) {
    auto& sequence = slots_[slots[i]];
    if (std::ssize(sequence->prompt()) > end) continue;
    QEFF_RETURN_IF_ERROR(Accept(i, *sequence));
    if (sequence->finished()) sequence.reset();
  }
  return end;
}

Status Scheduler::Decode() {
  std::vector<RowInput> inputs;
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    if (!slots_[slot].has_value()) continue;
    inputs.push_back({.slot = static_cast<int64_t>(slot),
                      .ids = slots_[slot]->last_id(),
                      .position = slots_[slot]->last_position()});
  }
  QEFF_RETURN_IF_ERROR(program_.Run(Phase::kDecode, inputs));
  for (size_t i = 0; i < inputs.size(); ++i) {
    auto& sequence = slots_[inputs[i].slot];
    QEFF_RETURN_IF_ERROR(Accept(i, *sequence));
    ++result_.metrics.decode_tokens;
    if (sequence->finished()) sequence.reset();
  }
  return Status::Ok();
}

Status Scheduler::Accept(size_t input, Sequence& sequence) {
  QEFF_RETURN_IF_ERROR(sequence.Accept(program_.Logits(input)));
  double& first_token_s = result_.metrics.time_to_first_token_s;
  if (first_token_s == 0) first_token_s = SecondsSince(start_);
  return Status::Ok();
}

Status CheckOptions(const GenerationOptions& options, const Tokenizer* tokenizer,
                    int64_t vocab_size) {
  if (options.max_new_tokens.has_value() && *options.max_new_tokens < 1) {
    return UsageError(Location::Flag("--max-new-tokens"),
                      fmt::format("expected a number above 0, got {}", *options.max_new_tokens));
  }
  if (!options.stop_strings.empty() && tokenizer == nullptr) {
    return UsageError(Location::Flag("--stop"), "stop strings need a tokenizer",
                      {"the program's folder has no 'tokenizer.json'"});
  }
  if (options.pad_id < 0 || options.pad_id >= vocab_size) {
    return InvalidInput(Location::Tensor("", "input_ids"),
                        fmt::format("padding id: expected one from 0 to {}, got {}", vocab_size - 1,
                                    options.pad_id));
  }
  return Status::Ok();
}

Status CheckPrompt(const Prompt& prompt, size_t index, int64_t added_vocab_size,
                   const TextProgram& program) {
  const auto& [ids, where] = prompt;
  if (ids.empty()) {
    return InvalidInput(where, fmt::format("prompt {} has no tokens", index),
                        {"give it at least one character or token id"});
  }
  if (std::ssize(ids) > program.context_tokens(Phase::kDecode)) {
    return InvalidInput(
        where,
        fmt::format("prompt {} has {} tokens, expected at most {} ('ctx_len' of the "
                    "compiled program)",
                    index, ids.size(), program.context_tokens(Phase::kDecode)),
        {fmt::format("shorten it, or compile with --ctx-len={} or more", ids.size() + 1)});
  }
  const int64_t known_ids = program.vocab_size() + added_vocab_size;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < known_ids) continue;
    return InvalidInput(where,
                        fmt::format("prompt {}: token {}: expected an id from 0 to {}, got {}",
                                    index, i, known_ids - 1, ids[i]),
                        {"the tokenizer may belong to another model"});
  }
  return Status::Ok();
}

}  // namespace

std::string_view StopReasonName(StopReason reason) {
  switch (reason) {
    case StopReason::kEos:
      return "eos";
    case StopReason::kStop:
      return "stop";
    case StopReason::kLength:
      return "length";
    case StopReason::kContext:
      return "context";
  }
  return "";
}

Result<GenerationResult> Generate(Session& session, const Tokenizer* tokenizer,
                                  const std::vector<Prompt>& prompts,
                                  const GenerationOptions& options,
                                  const GenerationCallbacks& callbacks) {
  QEFF_ASSIGN_OR_RETURN(TextProgram program, TextProgram::Open(session, options.pad_id));
  QEFF_RETURN_IF_ERROR(CheckOptions(options, tokenizer, program.vocab_size()));
  for (size_t i = 0; i < prompts.size(); ++i) {
    QEFF_RETURN_IF_ERROR(CheckPrompt(prompts[i], i, options.added_vocab_size, program));
  }
  QEFF_ASSIGN_OR_RETURN(StopStrings stop_strings, StopStrings::Create(options.stop_strings));
  const SequenceContext context = {options, callbacks, tokenizer, std::move(stop_strings),
                                   program.context_tokens(Phase::kDecode)};
  GenerationResult result;
  result.outputs.resize(prompts.size());
  QEFF_RETURN_IF_ERROR(Scheduler(std::move(program), context, prompts, result).Run());
  return result;
}

}  // namespace qeff
