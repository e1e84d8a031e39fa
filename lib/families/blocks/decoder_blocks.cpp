// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/decoder_blocks.h"

#include <memory>
#include <utility>

namespace qeff::families {
namespace {

/// Shared by the blocks of one graph.
struct Parts {
  DecoderFacts facts;
  std::vector<RotaryValues> rotaries;
};

LayerContext DecoderContext(const EncoderContext& context, const Parts& parts) {
  return {.builder = context.builder,
          .facts = parts.facts,
          .layer = context.layer,
          .scope = context.scope,
          .name = context.name,
          .prefix = context.prefix,
          .input_ids = context.input_ids,
          .attention_mask = context.attention_mask,
          .rotaries = parts.rotaries,
          .shared = context.shared};
}

}  // namespace

DecoderFacts DecoderPartsOf(const EncoderFacts& facts) {
  DecoderFacts parts;
  parts.hidden_size = facts.hidden_size;
  parts.norm = facts.norm;
  parts.attention.num_heads = parts.attention.num_kv_heads = facts.num_heads;
  parts.attention.head_size = facts.hidden_size / facts.num_heads;
  parts.attention.is_bidirectional = true;
  parts.mlp.ffn_size = facts.ffn_size;
  parts.mlp.activation = facts.activation;
  parts.layers.assign(facts.layers.size(), LayerFacts{.rotary = -1});
  return parts;
}

void UseDecoderBlocks(DecoderFacts given, EncoderFacts& facts) {
  const auto parts = std::make_shared<Parts>(Parts{std::move(given), {}});
  for (EncoderLayer& layer : facts.layers) {
    layer.attention = [parts](const EncoderContext& context, ir::Value* x) {
      return AddAttention(DecoderContext(context, *parts), parts->facts.attention, x);
    };
    layer.feed_forward = [parts](const EncoderContext& context, ir::Value* x) {
      return AddMlp(DecoderContext(context, *parts), parts->facts.mlp, x);
    };
  }
  if (parts->facts.rotaries.empty()) return;
  facts.prepare = [parts, then = facts.prepare](const EncoderContext& context, ir::Value* x) {
    ir::Value* positions = AddTokenPositions(context.builder, context.input_ids);
    for (size_t i = 0; i < parts->facts.rotaries.size(); ++i)
      parts->rotaries.push_back(AddRotary(context.builder, parts->facts.rotaries[i], positions, i));
    return then ? then(context, x) : x;
  };
}

}  // namespace qeff::families
