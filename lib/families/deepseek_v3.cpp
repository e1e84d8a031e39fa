// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// DeepSeek-V3, R1 and V3.1: latent attention, whose scores the yarn factor of long contexts scales;
// after the first layers, which are dense, routed experts with a dense block beside them. The best
// sigmoids choose, corrected and by groups; the weights are the plain sigmoids, divided by their
// sum if asked for, times a factor. Layers that predict later tokens are left alone.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"
#include "lib/families/blocks/latent_attention.h"

namespace qeff::families {
namespace {

/// A key that transformers does not read, since it knows one value of it.
Status Expect(const checkpoint::ConfigReader& config, std::string_view key, std::string expected) {
  QEFF_ASSIGN_OR_RETURN(const std::string value, config.StringOr(key, expected));
  if (value == expected) return Status::Ok();
  return config.ErrorAt(ErrorCode::kUnsupported, key,
                        fmt::format("expected {}, got '{}'", expected, value));
}

Result<ExpertsFacts> ReadExperts(const checkpoint::ConfigReader& config, const MlpFacts& dense) {
  QEFF_RETURN_IF_ERROR(Expect(config, "scoring_func", "sigmoid"));
  QEFF_RETURN_IF_ERROR(Expect(config, "topk_method", "noaux_tc"));
  return ReadCorrectedSigmoidExperts(config,
                                     {.num_experts = 256,
                                      .num_groups = 8,
                                      .groups_per_token = 4,
                                      .weight_scale = 2.5,
                                      .ffn_size = 2048},
                                     dense);
}

}  // namespace

Result<ir::Graph> DeepseekV3(const FamilyInputs& inputs) {
  QEFF_ASSIGN_OR_RETURN(LatentDecoder decoder,
                        ReadLatentDecoder(inputs, {.vocab_size = 129280,
                                                   .max_position_embeddings = 4096,
                                                   .hidden_size = 7168,
                                                   .num_hidden_layers = 61,
                                                   .num_attention_heads = 128,
                                                   .intermediate_size = 18432,
                                                   .first_dense_layers = 3,
                                                   .yarn_scale = YarnScale::kSquared}));
  DecoderFacts& facts = decoder.facts;
  QEFF_ASSIGN_OR_RETURN(const ExpertsFacts experts, ReadExperts(inputs.config, facts.mlp));
  for (size_t i = static_cast<size_t>(decoder.first_sparse_layer); i < facts.layers.size(); ++i) {
    facts.layers[i].feed_forward = ExpertsBlock(experts);
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
