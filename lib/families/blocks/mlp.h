// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The dense feed-forward block of a decoder layer.
#pragma once

#include <cstdint>
#include <string>

#include "lib/families/blocks/layer.h"

namespace qeff::families {

struct MlpNames {
  std::string prefix = "mlp.";
  std::string gate = "gate_proj";
  std::string up = "up_proj";
  std::string gate_up;  ///< one tensor [2 F, D] for both, if not empty
  std::string down = "down_proj";
};

struct MlpFacts {
  MlpNames names;
  int64_t ffn_size = 0;      ///< F
  std::string activation;    ///< by transformers' name
  bool is_gated = true;      ///< down(act(gate(x)) * up(x)), else down(act(up(x)))
  bool up_is_first = false;  ///< in gate_up
  bool has_bias = false;
  LinearLayout layout = LinearLayout::kOutIn;
};

/// x [B, T, D] -> [B, T, D].
ir::Value* AddMlp(const LayerContext& context, const MlpFacts& facts, ir::Value* x);

}  // namespace qeff::families
