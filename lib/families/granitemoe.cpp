// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Granite 3 MoE: Granite with routed experts on every layer. The k best logits choose, the weights
// are the softmax over them. Experts are stored as stacks.
#include "lib/families/blocks/decoder_config.h"
#include "lib/families/blocks/experts.h"

namespace qeff::families {

Result<ir::Graph> Granitemoe(const FamilyInputs& inputs) {
  const checkpoint::ConfigReader& config = inputs.config;
  QEFF_ASSIGN_OR_RETURN(
      DecoderFacts facts,
      ReadDecoderFacts(inputs, {.vocab_size = 32000, .max_position_embeddings = 2048}));
  QEFF_ASSIGN_OR_RETURN(const std::string positions,
                        config.StringOr("position_embedding_type", "rope"));
  if (positions != "rope") {
    return config.ErrorAt(ErrorCode::kUnsupported, "position_embedding_type",
                          fmt::format("expected 'rope', got '{}'", positions));
  }
  QEFF_RETURN_IF_ERROR(ReadAttentionBias(config, facts));
  QEFF_RETURN_IF_ERROR(ReadMultipliers(config, facts));
  ExpertsFacts experts;
  QEFF_ASSIGN_OR_RETURN(experts.router, ReadRouter(config, {.default_num_experts = 8,
                                                            .default_experts_per_token = 2}));
  experts.router.score = RouterScore::kLogit;
  experts.router.weight = ChosenWeight::kSoftmax;
  experts.names.prefixes = {"block_sparse_moe."};
  experts.names.routers = {"router.layer"};
  experts.names.gate_up_stack = "input_linear.weight";
  experts.names.down_stack = "output_linear.weight";
  experts.ffn_size = facts.mlp.ffn_size;
  experts.activation = facts.mlp.activation;
  for (LayerFacts& layer : facts.layers) layer.feed_forward = ExpertsBlock(experts);
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
