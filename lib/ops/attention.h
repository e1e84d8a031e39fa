// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The attributes of qeff.Attention as values, for those who make, lower, recognize or execute it.
// What they mean is written in attention.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/ir/graph.h"

namespace qeff::ops {

struct AttentionAttributes {
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  float scale = 1;
  int64_t window_tokens = 0;        ///< 0: none
  int64_t chunk_tokens = 0;         ///< 0: none
  float softcap = 0;                ///< 0: none
  std::vector<float> alibi_slopes;  ///< [num_heads], or empty
  float alibi_scale = 1;
  bool alibi_in_bf16 = false;
  bool ring_cache = false;
};

/// Returns the attributes of a qeff.Attention; those that it does not have are as above.
AttentionAttributes ReadAttentionAttributes(const ir::Node& node);
/// Returns the map for a node; what is as above is left out.
ir::AttributeMap ToAttributeMap(const AttentionAttributes& attributes);

}  // namespace qeff::ops
