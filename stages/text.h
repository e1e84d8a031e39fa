// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The run stage for causal language models: prompts in, text and token ids out, on a program of any
// backend. Called by qeff-run, qeff-infer and the C++ API.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/generation/generate.h"
#include "lib/generation/generation_config.h"
#include "lib/support/json.h"
#include "stages/stages.h"

namespace qeff::stages {

struct TextPrompt {
  std::variant<std::string, std::vector<int64_t>> content;  ///< text, or token ids
  Location where;                                           ///< as Prompt::where
};

struct TextRequest {
  std::vector<TextPrompt> prompts;
  SamplingRequest sampling;
  std::optional<int64_t> max_new_tokens;
  std::vector<std::string> stop_strings;
  bool ignore_eos = false;
  bool parse_special = false;  ///< special tokens typed in a prompt become their ids
  /// Texts are those of chat templates: special tokens in them become ids, none are added.
  bool prompts_are_rendered = false;
  bool show_special = false;          ///< special tokens appear in the text
  std::filesystem::path dump_logits;  ///< safetensors file with f32 "logits.<prompt>" [generated
                                      ///< tokens, V]; empty: none
};

struct TextResult {
  std::vector<Prompt> prompts;  ///< those of the request, as token ids
  GenerationResult generation;
  bool is_simulated = false;  ///< a stand-in for a card computed it (tests)
  std::string sampling_note;  ///< sampling settings that come from the checkpoint; may be empty

  /// {"outputs": [{"prompt_ids", "generated_ids", "text", "stop_reason"}], "metrics": {...}}, and
  /// "simulated_card": true if it is one.
  Json ToJson() const;
};

/// A QPC folder with everything that text generation needs from it. Movable; one thread at a time.
class TextModel {
 public:
  /// Errors: kIo, kInvalidInput, kVersionMismatch. A folder without tokenizer opens; then prompts
  /// can only be token ids.
  static Result<TextModel> Open(const std::filesystem::path& qpc,
                                const BackendOpenOptions& options);

  /// Continues all prompts of the request. `on_token` may be empty. Errors: as Generate; kUsage for
  /// text without a tokenizer.
  Result<TextResult> Run(const TextRequest& request,
                         const std::function<Status(const TokenEvent&)>& on_token);

  Session& session() { return *session_; }

 private:
  TextModel() = default;
  Result<std::vector<Prompt>> Encode(const TextRequest& request) const;
  std::filesystem::path folder_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<Tokenizer> tokenizer_;
  GenerationConfig config_;
};

}  // namespace qeff::stages
