// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Causal convolutions and gated delta rules in ONNX ops, for any number of tokens that is known
// only when a program is specialised. Used by the passes that lower them, and by those that
// recognize what was lowered (they emit the same nodes again and compare).
#pragma once

#include <map>

#include "passes/emitter.h"

namespace qeff::passes {

/// A call longer than this does not run: the graph halves its tokens only so many times.
inline constexpr int64_t kLongestDeltaRuleCall = 1024;

/// y, and the state of the call's rows after it (null without a state).
struct RecurrenceResult {
  ir::Value* y = nullptr;
  ir::Value* state = nullptr;
};

struct CausalConvValues {
  ir::Value* x = nullptr;          ///< [B, T, C]
  ir::Value* weight = nullptr;     ///< [C, 1, N]
  ir::Value* positions = nullptr;  ///< i64 [B, T]
  ir::Value* bias = nullptr;       ///< [C] or null
  ir::Value* state = nullptr;      ///< [B, C, N] or null
};

/// Keys and queries are repeated for their value heads already.
struct GatedDeltaRuleValues {
  ir::Value* query = nullptr;      ///< [B, H, T, E]
  ir::Value* key = nullptr;        ///< [B, H, T, E]
  ir::Value* value = nullptr;      ///< [B, H, T, Ev]
  ir::Value* decay = nullptr;      ///< [B, H, T, 1], logarithms
  ir::Value* beta = nullptr;       ///< [B, H, T, 1]
  ir::Value* positions = nullptr;  ///< i64 [B, T]
  ir::Value* state = nullptr;      ///< [B, H, E, Ev] or null
};

/// A state [Bc, C, N] or [Bc, H, E, Ev] between calls; without batch_index row b of the call has
/// row b.
struct StateAccess {
  ir::Value* state = nullptr;        ///< null: there is none
  ir::Value* batch_index = nullptr;  ///< i64 [B, 1] or null
  ir::Value* positions = nullptr;    ///< i64 [B, T]
};

/// Makes `state` what readers of `old` read, under its name.
void ReplaceState(ir::Graph& graph, ir::Value* old, ir::Value* state);

/// Emits into one graph, in the order of its nodes: what depends on positions only is made once.
class RecurrenceEmitter {
 public:
  /// Without the activation. Requires static C and N.
  RecurrenceResult CausalConv(const Emitter& emit, const CausalConvValues& values);
  /// y is [B, H, T, Ev]. `dtype` is that of all floats but the state, which is f32; computes in
  /// f32.
  RecurrenceResult GatedDeltaRule(const Emitter& emit, const GatedDeltaRuleValues& values,
                                  DType dtype);
  /// The rows of the state that the rows of the call have; null without a state.
  ir::Value* ReadState(const Emitter& emit, const StateAccess& access);
  /// The whole state with `rows` in their places.
  ir::Value* WriteState(const Emitter& emit, const StateAccess& access, ir::Value* rows);

 private:
  struct RowFacts {
    ir::Value* padding = nullptr;  ///< bool [B, T]
    ir::Value* starts = nullptr;   ///< bool [B, 1]: the row has position 0
    ir::Value* count = nullptr;    ///< i64 [B, 1]: tokens that are no padding
    ir::Value* has_tokens = nullptr;
  };
  /// Of the T tokens of a call, f32 or bool [T, T].
  struct Masks {
    ir::Value* future = nullptr;
    ir::Value* identity = nullptr;
    std::vector<ir::Value*> halves;  ///< [i]: one in each of two neighbouring blocks of 2^i tokens
  };
  RowFacts& Rows(const Emitter& emit, ir::Value* positions);
  const Masks& TokenMasks(const Emitter& emit, ir::Value* positions);
  ir::Value* Unsqueezed(const Emitter& emit, ir::Value* value, std::vector<int64_t> axes);
  ir::Value* AllSlots(const Emitter& emit, const ir::Value* state);
  ir::Value* InvertUnitLower(const Emitter& emit, ir::Value* lower, const Masks& masks);

  std::map<ir::Value*, RowFacts> rows_;
  std::map<ir::Value*, Masks> masks_;
  std::map<int64_t, ir::Value*> slots_;
  std::map<std::pair<ir::Value*, std::vector<int64_t>>, ir::Value*> unsqueezed_;
};

}  // namespace qeff::passes
