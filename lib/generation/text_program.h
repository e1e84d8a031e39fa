// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A compiled causal language model as generation uses it: rows of tokens at positions go in, the
// logits that follow each row's last token come out. Hides which specialization runs, padding, and
// where a slot lies in the batch. The state of a prompt lives in a slot of the session's cache;
// what other slots hold is never touched.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/generation/session.h"
#include "lib/support/status.h"

namespace qeff {

enum class Phase { kPrefill, kDecode };

/// Tokens of one slot for one run.
struct RowInput {
  int64_t slot = 0;              ///< in [0, slots())
  std::span<const int64_t> ids;  ///< at least one, at most tokens(phase)
  int64_t position = 0;          ///< of ids[0], counted from the start of the prompt
};

class TextProgram {
 public:
  /// Finds the prefill and decode specializations of `session` by the shapes of `input_ids` [B, T]:
  /// decode is the smallest T, prefill the largest; one that is both serves both. `pad_id` fills
  /// `input_ids` where there is no token. The session must outlive the program. Errors:
  /// kUnsupported if an input is missing, unknown to us or of another shape than the contract's;
  /// kInvalidInput if the specializations contradict each other.
  static Result<TextProgram> Open(Session& session, int64_t pad_id);

  /// Positions that runs of `phase` can hold and look at. Decode's bound a prompt and its
  /// continuation; prefill's may be fewer, as no two compute context lengths may be equal.
  int64_t context_tokens(Phase phase) const { return Class(phase).back().context_tokens; }
  int64_t vocab_size() const { return vocab_size_; }
  int64_t slots() const { return slots_; }  ///< prompts that can live at the same time
  /// True if a slot can be prefilled alone while others live (the graph has `batch_index`); else
  /// all slots are prefilled together.
  bool has_slot_index() const { return has_slot_index_; }
  int64_t rows(Phase phase) const { return Class(phase).front().rows; }  ///< most inputs of one run
  int64_t tokens(Phase phase) const {
    return Class(phase).front().tokens;
  }  ///< most tokens of one row

  /// Runs the inputs, at most rows(phase), each of another slot. Every other row is padding:
  /// position -1. Requires inputs inside the limits above and positions inside
  /// context_tokens(phase). Errors: those of Session::Run.
  Status Run(Phase phase, std::span<const RowInput> inputs);

  /// Returns the logits f32 [V] after the last token of `inputs[index]` of the last run. Valid
  /// until the next call.
  std::span<const float> Logits(size_t index);

 private:
  /// What we need to know of one specialization.
  struct Variant {
    size_t specialization = 0;
    int64_t rows = 0;            ///< B of input_ids
    int64_t tokens = 0;          ///< T of input_ids
    int64_t context_tokens = 0;  ///< how much of the cache it looks at
    int64_t kept_rows = 0;       ///< rows of logits for each row of input_ids
    DType logits_dtype = DType::kF32;
  };
  explicit TextProgram(Session& session, int64_t pad_id) : session_(&session), pad_id_(pad_id) {}

  Status AddVariant(size_t specialization, std::vector<Variant>& variants);
  Status ReadLogits(const SpecializationInfo& info, Variant& variant);
  Status Divide(const std::vector<Variant>& variants);
  const std::vector<Variant>& Class(Phase phase) const {
    return phase == Phase::kPrefill ? prefill_ : decode_;
  }
  const Variant& Choose(Phase phase, std::span<const RowInput> inputs) const;
  void FillSlotIndex(const Variant& variant, std::span<const RowInput> inputs);
  int64_t RowOf(const Variant& variant, std::span<const RowInput> inputs, size_t index) const;

  Session* session_;
  int64_t pad_id_;
  int64_t ctx_len_ = 0;  ///< the symbol, equal in all specializations
  int64_t vocab_size_ = 0;
  int64_t slots_ = 0;
  bool has_slot_index_ = false;
  std::vector<Variant> prefill_;  ///< equal but for context_tokens, which ascends
  std::vector<Variant> decode_;   ///< likewise

  Variant last_;                      ///< of the last run
  std::vector<int64_t> logits_rows_;  ///< [inputs]: row in `logits` [B * kept_rows, V]
  std::vector<float> converted_;      ///< one row, if the output is not f32
};

}  // namespace qeff
