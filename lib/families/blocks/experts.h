// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The mixture-of-experts block of a decoder layer: a router chooses k of X gated feed-forward
// blocks for each token and weights them; an expert that every token gets may stand beside them. A
// family states its facts; the routing is plain ONNX ops, the experts are one qeff.Experts. Weights
// load in both namings: a tensor for each expert, as hub checkpoints of most families, and stacks
// fused over the experts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/checkpoint/model_config.h"
#include "lib/families/blocks/decoder.h"

namespace qeff::families {

/// What ranks the experts of a token.
enum class RouterScore {
  kLogit,
  kSoftmax,  ///< of the logits over all experts
  kSigmoid,  ///< of each logit
  /// Experts are chosen by logit, one after the other. The weight of each is its softmax over the
  /// experts that are near it: those not chosen before with (top - logit) / max(|logit|, top) <=
  /// 2 * jitter (the sparse mixer of Phi-3.5-MoE, without its training noise).
  kSparseMixer,
};

/// The weights of the chosen experts.
enum class ChosenWeight {
  kScore,    ///< their scores, without the correction
  kSoftmax,  ///< softmax of their scores over the chosen ones
  kSigmoid,  ///< sigmoid of their scores
};

/// What ranks groups of experts.
enum class GroupRank {
  kBest,          ///< the best score of the group
  kSumOfTwoBest,  ///< the sum of its two best
};

struct RouterFacts {
  int64_t num_experts = 0;        ///< X
  int64_t experts_per_token = 0;  ///< k
  RouterScore score = RouterScore::kSoftmax;
  ChosenWeight weight = ChosenWeight::kScore;
  bool has_bias = false;  ///< of the linear layer that makes the logits
  /// A tensor [X] is added to the scores for the choice only.
  bool choice_is_corrected = false;
  /// The experts stand in num_groups equal groups; only those of the best groups_per_token can be
  /// chosen: the scores of the others count as 0.
  int64_t num_groups = 1;
  int64_t groups_per_token = 1;
  GroupRank group_rank = GroupRank::kSumOfTwoBest;
  /// Weights are divided by (their sum + normalization_epsilon).
  bool weights_are_normalized = false;
  float normalization_epsilon = 0;
  float weight_scale = 1;  ///< multiplies the weights, after that
  float jitter = 0;        ///< kSparseMixer
};

/// How a stack over all experts is stored. F ffn, D model.
enum class StackLayout {
  kOutIn,             ///< gate and up [X, 2 F, D], gate first; down [X, D, F]
  kInOut,             ///< gate and up [X, D, 2 F], gate first; down [X, F, D]
  kInOutInterleaved,  ///< as kInOut, columns 2i and 2i + 1 are gate and up of channel i
};

struct ExpertNames {
  /// Of all tensors of the block: spellings, of which the first is taken that the checkpoint has
  /// for the router.
  std::vector<std::string> prefixes = {"mlp."};
  std::vector<std::string> routers = {"gate"};  ///< spellings, too
  std::string correction = "gate.e_score_correction_bias";
  // A tensor for each expert: prefix + experts + "<index>." + gate + ".weight".
  std::string experts = "experts.";
  std::string gate = "gate_proj";
  std::string up = "up_proj";
  std::string down = "down_proj";
  // Stacks: prefix + gate_up_stack (and + "_bias").
  std::string gate_up_stack = "experts.gate_up_proj";
  std::string down_stack = "experts.down_proj";
  StackLayout stack_layout = StackLayout::kOutIn;
};

/// A dense block that every token goes through, added to what the experts give.
struct SharedExpertFacts {
  MlpFacts mlp;      ///< its prefix is below that of the block
  std::string gate;  ///< linear layer [1, D]: the block counts sigmoid(gate(x)) times; empty: once
};

struct ExpertsFacts {
  ExpertNames names;
  RouterFacts router;
  int64_t ffn_size = 0;    ///< F of one expert
  std::string activation;  ///< by transformers' name
  float limit = 0;         ///< see qeff.Experts; 0: none
  float up_offset = 0;
  bool weights_scale_inputs = false;  ///< of the experts, instead of their results
  bool has_bias = false;              ///< stacks only
  std::optional<SharedExpertFacts> shared;
};

/// The choice of a router.
struct Routing {
  ir::Value* expert_ids = nullptr;  ///< i64 [B, T, k]
  ir::Value* weights = nullptr;     ///< f32 [B, T, k]
};

/// The whole block: x [B, T, D] -> [B, T, D].
ir::Value* AddExperts(const LayerContext& context, const ExpertsFacts& facts, ir::Value* x);

// Its parts, for families that put them together otherwise.

/// The routing of x [B, T, D] by the linear layer `router` of the block.
Routing AddRouter(const LayerContext& context, const ExpertsFacts& facts, ir::Value* x);
/// The routing that follows from `logits` [B, T, X]; `correction` [X] or null.
Routing AddRouting(Builder& builder, const std::string& scope, const RouterFacts& facts,
                   ir::Value* logits, ir::Value* correction);
/// The weighted sum of the chosen experts' results: [B, T, D].
ir::Value* AddRoutedExperts(const LayerContext& context, const ExpertsFacts& facts, ir::Value* x,
                            const Routing& routing);

/// The block as LayerFacts::feed_forward.
LayerBlock ExpertsBlock(ExpertsFacts facts);

/// Names of the config keys of a mixture, and values of the config class for those left out.
struct RouterKeys {
  /// Spellings of the number of experts; if several are there, they must agree.
  std::vector<std::string> num_experts = {"num_local_experts"};
  std::string experts_per_token = "num_experts_per_tok";
  int64_t default_num_experts = 0;
  int64_t default_experts_per_token = 0;
};

/// Returns facts with the two sizes set. Errors: kInvalidInput (missing, contradicting, more
/// experts a token than there are).
Result<RouterFacts> ReadRouter(const checkpoint::ConfigReader& config, const RouterKeys& keys);
/// Sets the groups of `facts` from the keys n_group and topk_group, those of `facts` if left out.
/// Errors: kInvalidInput (groups that do not divide the experts, are too small to rank, or hold
/// fewer experts than are to be chosen).
Status ReadExpertGroups(const checkpoint::ConfigReader& config, RouterFacts& facts);

/// What the config classes of DeepSeek-V3 and GLM-4.5 have for keys left out.
struct CorrectedSigmoidDefaults {
  int64_t num_experts = 0;
  int64_t experts_per_token = 8;
  int64_t num_groups = 1;
  int64_t groups_per_token = 1;
  double weight_scale = 1;
  int64_t ffn_size = 0;
};

/// Reads experts with a shared block, chosen by corrected sigmoids within groups: n_routed_experts,
/// num_experts_per_tok, n_group, topk_group, norm_topk_prob, routed_scaling_factor,
/// moe_intermediate_size, n_shared_experts. `dense` is the dense block of other layers. Errors:
/// kInvalidInput.
Result<ExpertsFacts> ReadCorrectedSigmoidExperts(const checkpoint::ConfigReader& config,
                                                 const CorrectedSigmoidDefaults& defaults,
                                                 MlpFacts dense);

/// Gives `block` to the layers i that are not in `mlp_only_layers` and have (i + 1) mod
/// `decoder_sparse_step` == 0; the others stay dense. Errors: kInvalidInput.
Status SetSparseLayers(const checkpoint::ConfigReader& config, const LayerBlock& block,
                       DecoderFacts& facts);

}  // namespace qeff::families
