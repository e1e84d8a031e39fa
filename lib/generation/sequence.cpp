// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/sequence.h"

#include <algorithm>

namespace qeff {

Sequence::Sequence(const SequenceContext& context, size_t index, std::span<const int64_t> prompt,
                   GenerationOutput& output)
    : context_(&context),
      index_(index),
      prompt_(prompt),
      output_(&output),
      sampler_(context.options.sampling, index),
      stop_strings_(context.stop_strings) {
  for (const int64_t id : prompt) sampler_.Remember(id);
  if (context.tokenizer != nullptr) {
    decoder_.emplace(*context.tokenizer,
                     DecodeOptions{.skip_special_tokens = !context.options.show_special_tokens});
  }
}

Status Sequence::Accept(std::span<const float> logits) {
  if (context_->callbacks.on_logits) {
    QEFF_RETURN_IF_ERROR(context_->callbacks.on_logits(index_, logits));
  }
  QEFF_ASSIGN_OR_RETURN(const int64_t id, sampler_.Next(logits));
  output_->ids.push_back(id);
  if (std::ranges::find(context_->options.eos_ids, id) != context_->options.eos_ids.end()) {
    QEFF_RETURN_IF_ERROR(Emit(id, ""));
    return Finish(StopReason::kEos);
  }
  QEFF_ASSIGN_OR_RETURN(const std::string text, ShowableText(id));
  QEFF_RETURN_IF_ERROR(Emit(id, text));
  if (stop_strings_.found()) return Finish(StopReason::kStop);
  if (const auto reason = LimitReached()) return Finish(*reason);
  return Status::Ok();
}

std::optional<StopReason> Sequence::LimitReached() const {
  const int64_t made = std::ssize(output_->ids);
  const auto limit = context_->options.max_new_tokens;
  if (limit.has_value() && made >= *limit) return StopReason::kLength;
  // The last token needs no place in the context, as nothing follows it. Unless the user asks for
  // that token, we stop one earlier, as the original does (but always make one).
  const int64_t room = context_->context_tokens - std::ssize(prompt_);
  const int64_t most = limit.has_value() ? room + 1 : std::max<int64_t>(room, 1);
  if (made >= most) return StopReason::kContext;
  return std::nullopt;
}

Result<std::string> Sequence::ShowableText(int64_t id) {
  // A model's vocabulary may be padded beyond its tokenizer's: such ids have no text.
  if (!decoder_.has_value() || !context_->tokenizer->IdToToken(id).has_value())
    return std::string();
  QEFF_ASSIGN_OR_RETURN(const std::string piece, decoder_->Push(id));
  return stop_strings_.Push(piece);
}

Status Sequence::Finish(StopReason reason) {
  finished_ = true;
  output_->stop_reason = reason;
  if (!decoder_.has_value() || stop_strings_.found()) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const std::string rest, decoder_->Flush());
  std::string text = stop_strings_.Push(rest);
  text += stop_strings_.Flush();
  return text.empty() ? Status::Ok() : Emit(std::nullopt, text);
}

Status Sequence::Emit(std::optional<int64_t> id, std::string_view text) {
  output_->text += text;
  if (!context_->callbacks.on_token) return Status::Ok();
  return context_->callbacks.on_token({.prompt = index_, .id = id, .text = text});
}

}  // namespace qeff
