// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A session for tests of generation: its "model" is a function of all tokens of a slot, and it
// checks every run against the contract: each token comes once, at its position, in its slot;
// padding has position -1; logits of padding are NaN.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/generation/session.h"

namespace qeff {

using TokenIds = std::vector<int64_t>;
/// Returns logits [V] for the token after `history`.
using ToyModel = std::function<std::vector<float>(const TokenIds& history)>;

struct FakeProgram {
  int64_t vocab_size = 40;
  int64_t context_tokens = 64;
  int64_t batch = 1;           ///< rows of decode; also of prefill without slot index
  int64_t prefill_tokens = 4;  ///< equal to decode_tokens: one specialization only
  int64_t decode_tokens = 1;
  bool has_slot_index = false;
  int64_t prefill_batch = 1;              ///< with slot index
  int64_t kept_rows = 0;                  ///< above 0: num_logits_to_keep of decode
  std::vector<int64_t> compute_contexts;  ///< comp_ctx_lengths of decode; empty: no such input
  std::vector<int64_t> prefill_contexts;  ///< of prefill, if not those of decode
  DType logits_dtype = DType::kF32;
  int64_t pad_id = 0;
};

class FakeSession : public Session {
 public:
  FakeSession(const FakeProgram& program, ToyModel model);

  const std::vector<SpecializationInfo>& specializations() const override { return infos_; }
  const std::vector<TensorInfo>& retained_state() const override { return retained_state_; }
  std::span<std::byte> Input(size_t specialization, std::string_view name) override;
  std::span<const std::byte> Output(size_t specialization, std::string_view name) const override;
  Status Run(size_t specialization) override;
  Status ResetState() override;
  Result<std::vector<float>> ReadState(std::string_view name) const override;

  /// Returns all tokens that came to a slot from position 0 on, for each time one started, sorted.
  std::vector<TokenIds> Fed() const;
  /// Lets tests damage the description of the program.
  std::vector<SpecializationInfo>& infos() { return infos_; }
  int runs() const { return runs_; }

 private:
  struct Buffers {
    std::vector<std::vector<std::byte>> inputs;
    std::vector<std::vector<std::byte>> outputs;
  };
  void Add(std::string name, int64_t rows, int64_t tokens, int64_t kept_rows,
           int64_t compute_context);
  void Allocate();
  int64_t SlotOfRow(size_t specialization, int64_t row);
  void CheckComputeContext(size_t specialization, int64_t last_position) const;
  void RunRow(size_t specialization, int64_t row);
  void WriteLogits(size_t specialization, int64_t row, const std::vector<float>& logits);

  FakeProgram program_;
  ToyModel model_;
  std::vector<SpecializationInfo> infos_;
  std::vector<TensorInfo> retained_state_;
  std::vector<Buffers> buffers_;
  std::vector<TokenIds> slots_;     ///< the cache: ids by position
  std::vector<TokenIds> finished_;  ///< what slots held before they started anew
  int runs_ = 0;
};

/// Returns logits that depend on each id of the history and its position.
std::vector<float> HashedLogits(const TokenIds& history, int64_t vocab_size);
ToyModel HashModel(int64_t vocab_size);
/// Says `script` after a prompt of `prompt_tokens`, then its last id again.
ToyModel ScriptModel(int64_t vocab_size, size_t prompt_tokens, TokenIds script);

/// Returns the greedy continuation of `prompt` by `tokens` tokens, without any session.
TokenIds Continue(const ToyModel& model, const TokenIds& prompt, int64_t tokens);

}  // namespace qeff
