// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// MPNet (all-mpnet-base-v2): RoBERTa without kinds of segments, with a bias of the scores that
// depends on the distance of query and key, one table for all layers. transformers divides
// distances into 32 buckets, the outermost from 128 on, whatever `relative_attention_num_buckets`
// says, and takes 1 for padding's id.
#include "lib/families/blocks/encoder_config.h"
#include "lib/families/blocks/relative_position.h"

namespace qeff::families {
namespace {

constexpr int64_t kBuckets = 32;
constexpr int64_t kFarthest = 128;

EncoderNames Names() {
  EncoderNames names;
  names.prefix = "mpnet.";
  names.token_type_embedding = "";
  names.query = "attention.attn.q";
  names.key = "attention.attn.k";
  names.value = "attention.attn.v";
  names.attention_output = "attention.attn.o";
  names.attention_norm = "attention.LayerNorm";
  return names;
}

}  // namespace

Result<ir::Graph> Mpnet(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(EncoderFacts facts, ReadEncoderFacts(inputs, {.vocab_size = 30527,
                                                                      .type_vocab_size = 0,
                                                                      .pad_token_id = 1,
                                                                      .type_vocab_size_key = ""}));
  facts.names = Names();
  facts.positions = PositionRule::kCountOfTokens;
  facts.padding_id = 1;
  QEFF_ASSIGN_OR_RETURN(const int64_t rows,
                        inputs.config.IntOr("relative_attention_num_buckets", kBuckets,
                                            {.minimum = 1, .maximum = 1 << 16}));
  if (rows < kBuckets) {
    return inputs.config.ErrorAt(
        ErrorCode::kUnsupported, "relative_attention_num_buckets",
        fmt::format("expected at least {}, got {}", kBuckets, rows),
        {"transformers looks up that many buckets whatever the config says"});
  }
  facts.prepare = [rows](const EncoderContext& context, ir::Value* x) {
    Builder& builder = context.builder;
    ir::Value* table = builder.Weight(context.prefix + "encoder.relative_attention_bias.weight",
                                      {rows, context.facts.num_heads});
    context.shared[kSharedBias] =
        AddDistanceBias(builder, "/encoder/distance_bias", context.input_ids, table,
                        LogarithmicDistanceRows(kBuckets, kFarthest));
    return x;
  };
  QEFF_RETURN_IF_ERROR(ReadRobertaHeads(inputs.config, facts));
  return BuildEncoder(facts, inputs);
}

}  // namespace qeff::families
