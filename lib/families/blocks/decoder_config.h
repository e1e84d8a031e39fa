// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The keys of config.json that mean the same in all families of the shared decoder. What a family
// does otherwise, it sets on the facts afterwards.
#pragma once

#include <optional>

#include "lib/checkpoint/model_config.h"
#include "lib/families/blocks/decoder.h"
#include "lib/families/family.h"

namespace qeff::families {

/// Values that the config class of the family has for keys that a file leaves out.
struct DecoderDefaults {
  int64_t vocab_size = 32000;
  int64_t max_position_embeddings = 2048;
  /// 0: as num_attention_heads.
  int64_t num_key_value_heads = 0;
  /// 0: hidden_size / num_attention_heads.
  int64_t head_dim = 0;
  double rope_theta = 10000;
};

/// Reads sizes, norm, activation, rotary tables, tie_word_embeddings. Errors: kInvalidInput
/// (missing, wrong or contradicting values); kUnsupported (an activation or rope type that is not
/// known).
Result<DecoderFacts> ReadDecoderFacts(const FamilyInputs& inputs, const DecoderDefaults& defaults);

/// How a family says which layers have a sliding window when `layer_types` is not there.
struct WindowRule {
  /// The window applies only if the key `use_sliding_window` is true.
  bool needs_use_sliding_window = false;
  /// Layers below `max_window_layers` (default given) see everything.
  std::optional<int64_t> default_max_window_layers;
  std::optional<int64_t> default_sliding_window;
};

/// Sets the window of each layer of `facts` from `layer_types`, `sliding_window` and the family's
/// rule. An explicit `layer_types` wins. Errors: kInvalidInput (a list of another length, a sliding
/// layer without a window); kUnsupported (an unknown type).
Status ReadWindows(const checkpoint::ConfigReader& config, const WindowRule& rule,
                   DecoderFacts& facts);

}  // namespace qeff::families
