// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Text generation on a compiled program: prompts as token ids go in, continuations come out, as
// they are made and as a whole. Called by qeff-run and the C++ API, for any backend. Making ids of
// a prompt is the caller's part.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/generation/sampler.h"
#include "lib/generation/session.h"
#include "lib/support/status.h"
#include "lib/tokenizer/tokenizer.h"

namespace qeff {

struct Prompt {
  std::vector<int64_t> ids;
  Location where;  ///< where it came from, for errors; may be empty
};

struct GenerationOptions {
  SamplingOptions sampling;
  std::vector<int64_t> eos_ids;  ///< each ends its prompt; empty: none does
  int64_t pad_id = 0;  ///< fills inputs that hold no token; any id below the vocabulary size
  int64_t added_vocab_size = 0;           ///< see GenerationConfig
  std::vector<std::string> stop_strings;  ///< need a tokenizer
  std::optional<int64_t> max_new_tokens;  ///< > 0; absent: ctx_len - prompt tokens, at least 1
  bool show_special_tokens = false;       ///< also in the text
};

/// Why a prompt's continuation ended.
enum class StopReason {
  kEos,      ///< an id of `eos_ids` was chosen
  kStop,     ///< a stop string appeared
  kLength,   ///< max_new_tokens were made
  kContext,  ///< the context is full
};

/// Returns "eos", "stop", "length" or "context".
std::string_view StopReasonName(StopReason reason);

struct GenerationOutput {
  std::vector<int64_t>
      ids;  ///< the chosen tokens, an EOS included; `text` may end before them at a stop string
  std::string text;  ///< empty without a tokenizer; without EOS and stop string
  StopReason stop_reason = StopReason::kLength;
};

/// Rates are 0 if the phase made no tokens. The time that callbacks take counts to the phase that
/// calls them.
struct GenerationMetrics {
  double prefill_s = 0;  ///< in prefill, up to and including the choice of first tokens; sum over
                         ///< all groups and slots
  int64_t prefill_tokens = 0;  ///< tokens of all prompts, without padding
  double prefill_tok_s = 0;    ///< prefill_tokens / prefill_s
  double decode_s = 0;  ///< in decode; pauses for the prefill of further prompts do not count
  int64_t decode_tokens =
      0;  ///< tokens that decode made for live prompts, EOS included; first tokens are prefill's
  double decode_tok_s = 0;           ///< decode_tokens / decode_s
  double total_s = 0;                ///< the whole call
  double total_tok_s = 0;            ///< all chosen tokens / total_s
  double time_to_first_token_s = 0;  ///< from the start of the call to the first chosen token
};

struct GenerationResult {
  std::vector<GenerationOutput> outputs;  ///< one for each prompt, in order
  GenerationMetrics metrics;
};

/// One step of one prompt's stream.
struct TokenEvent {
  size_t prompt = 0;  ///< index
  std::optional<int64_t>
      id;  ///< the chosen token; none in the last event, which only brings text that was held back
  std::string_view text;  ///< whole UTF-8 characters that can be shown now; often empty; all texts
                          ///< joined are the output
};

/// Each may be empty. A status that is not Ok ends the generation with it.
struct GenerationCallbacks {
  std::function<Status(const TokenEvent&)> on_token;
  /// Gets the logits f32 [V] that the next token of `prompt` is chosen from, before it is chosen.
  std::function<Status(size_t prompt, std::span<const float> logits)> on_logits;
};

/// Continues each prompt. Prompts are prefilled in chunks of the program's prefill length and
/// decoded side by side: in groups as large as its batch, or, if its graph has `batch_index`, in
/// slots that take the next prompt when theirs is done. What a prompt gets does not depend on its
/// company. `session` is used as it is: state of earlier calls is neither read nor cleared.
/// `tokenizer` may be null: then there is no text. Errors: kInvalidInput for a prompt that is
/// empty, longer than the context or holds an id outside the vocabulary (checked before anything
/// runs; the error is at the prompt's place), and for logits that hold NaN; kUsage for options;
/// kUnsupported for a program that is no causal language model; those of the session and the
/// callbacks.
Result<GenerationResult> Generate(Session& session, const Tokenizer* tokenizer,
                                  const std::vector<Prompt>& prompts,
                                  const GenerationOptions& options,
                                  const GenerationCallbacks& callbacks);

}  // namespace qeff
