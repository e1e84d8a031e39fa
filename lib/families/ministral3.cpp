// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Ministral 3: Mistral with a factor on the query that grows with its position.
#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

using checkpoint::ConfigReader;

struct Rope {
  checkpoint::RopeConfig config;
  double scaling_beta = 0;  ///< 0: the query keeps its size
};

Result<Rope> ReadMinistralRope(const ConfigReader& config) {
  QEFF_ASSIGN_OR_RETURN(checkpoint::RopeConfig rope, checkpoint::ReadRope(config));
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.IsObject(key)) continue;
    QEFF_ASSIGN_OR_RETURN(const ConfigReader object, config.Section(key));
    if (object.Keys().empty()) continue;
    object.MarkRead("max_position_embeddings");  // a copy of the key beside the object
    QEFF_ASSIGN_OR_RETURN(const double beta, object.FloatOr("llama_4_scaling_beta", 0));
    return Rope{.config = std::move(rope), .scaling_beta = beta};
  }
  // What the config class has for a file without any.
  rope.type = checkpoint::RopeType::kYarn;
  rope.theta = 1e6;
  rope.factor = 16;
  rope.original_max_position_embeddings = 16384;
  rope.mscale = 1;
  rope.mscale_all_dim = 1;
  return Rope{.config = std::move(rope), .scaling_beta = 0.1};
}

}  // namespace

Result<ir::Graph> Ministral3(const FamilyInputs& inputs) {
  const DecoderDefaults defaults = {.vocab_size = 131072,
                                    .max_position_embeddings = 262144,
                                    .num_key_value_heads = 8,
                                    .head_dim = 128,
                                    .norm_epsilon = 1e-5,
                                    .has_rotary = false};
  QEFF_ASSIGN_OR_RETURN(DecoderFacts facts, ReadDecoderFacts(inputs, defaults));
  QEFF_RETURN_IF_ERROR(ReadWindows(inputs.config, {.has_layer_types = false}, facts));
  QEFF_ASSIGN_OR_RETURN(const int64_t max_positions, ReadMaxPositions(inputs.config, defaults));
  QEFF_ASSIGN_OR_RETURN(const Rope rope, ReadMinistralRope(inputs.config));
  QEFF_ASSIGN_OR_RETURN(RotaryFacts rotary,
                        MakeRotary(inputs, rope.config, facts.attention.head_size, max_positions));
  facts.rotaries.push_back(std::move(rotary));
  const int64_t period = rope.config.original_max_position_embeddings.value_or(max_positions);
  for (LayerFacts& layer : facts.layers) {
    layer.rotary = 0;
    if (rope.scaling_beta != 0) {
      layer.query_scaling = {.coefficient = static_cast<float>(rope.scaling_beta),
                             .period = static_cast<float>(period)};
    }
  }
  return BuildDecoder(facts, inputs.weights);
}

}  // namespace qeff::families
