// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The gated delta net of a decoder layer (Yang et al., "Gated Delta Networks", as transformers'
// Qwen3NextGatedDeltaNet): a mixer whose memory of earlier tokens is one matrix a head, however
// many they are. Families whose layers mix it with attention read their keys here, too.
//
//   q, k, v = silu(conv(qkv(x)))      q = q / |q| / sqrt(E)      k = k / |k|
//   g = -exp(A_log) softplus(a(x) + dt_bias)      beta = sigmoid(b(x))
//   y = out(norm(delta_rule(q, k, v, g, beta)) * silu(z(x)))
#pragma once

#include <cstdint>
#include <string>

#include "lib/families/blocks/decoder.h"
#include "lib/families/family.h"

namespace qeff::families {

/// How checkpoints store the projections of the mixer's inputs.
enum class DeltaNetProjections {
  kSeparate,   ///< in_proj_qkv [q | k | v], in_proj_z, in_proj_b, in_proj_a
  kByKeyHead,  ///< in_proj_qkvz and in_proj_ba: [q | k | v | z] and [b | a] of one key head each
};

struct GatedDeltaNetFacts {
  std::string prefix = "linear_attn.";
  DeltaNetProjections projections = DeltaNetProjections::kSeparate;
  int64_t num_key_heads = 0;    ///< Hk
  int64_t num_value_heads = 0;  ///< Hv, a multiple of Hk
  int64_t key_size = 0;         ///< E
  int64_t value_size = 0;       ///< Ev
  int64_t conv_taps = 0;
  NormFacts norm;  ///< over each value head of the result
};

/// x [B, T, D] -> [B, T, D].
ir::Value* AddGatedDeltaNet(const LayerContext& context, const GatedDeltaNetFacts& facts,
                            ir::Value* x);

/// Sets what Qwen3-Next and Qwen3.5 have in common: norms whose weights are stored minus 1, gated
/// attention with normalized heads, and a gated delta net on every layer of type linear_attention
/// (`layer_types`, else all but each `full_attention_interval`th). Tensors of heads that predict
/// later tokens ("mtp.") are left alone. Errors: kInvalidInput; kUnsupported for a layer type or a
/// rotation that is not known.
Status ReadDeltaNetLayers(const FamilyInputs& inputs, DeltaNetProjections projections,
                          DecoderFacts& facts);

}  // namespace qeff::families
