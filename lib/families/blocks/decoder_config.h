// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The keys of config.json that mean the same in all families of the shared decoder. What a family
// does otherwise, it sets on the facts afterwards.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/checkpoint/model_config.h"
#include "lib/checkpoint/rope.h"
#include "lib/families/blocks/decoder.h"
#include "lib/families/family.h"

namespace qeff::families {

/// The names of the keys. Empty: the family has no such key, and the default is used.
struct DecoderKeys {
  std::string vocab_size = "vocab_size";
  std::string hidden_size = "hidden_size";
  std::string intermediate_size = "intermediate_size";
  std::string num_hidden_layers = "num_hidden_layers";
  std::string num_attention_heads = "num_attention_heads";
  std::string num_key_value_heads = "num_key_value_heads";
  std::string head_dim = "head_dim";
  std::string norm_epsilon = "rms_norm_eps";
  std::string activation = "hidden_act";
  std::string max_position_embeddings = "max_position_embeddings";
  std::string rope_theta = "rope_theta";
};

/// Returns the first of `names` that the config has, else the last one: config classes with names
/// of their own also take a value under the name that all families share, which wins.
std::string FirstKey(const checkpoint::ConfigReader& config,
                     std::initializer_list<std::string_view> names);

/// The keys of GPT-2, which GPT-J, CodeGen and GPT-BigCode took over. The feed-forward size is not
/// among them: see ReadFfnSize.
DecoderKeys Gpt2Keys(const checkpoint::ConfigReader& config);

/// Values that the config class of the family has for keys that a file leaves out.
struct DecoderDefaults {
  int64_t vocab_size = 32000;
  int64_t max_position_embeddings = 2048;
  /// 0: must be given.
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t intermediate_size = 0;
  /// 0: as num_attention_heads. A key that is null means that in any case.
  int64_t num_key_value_heads = 0;
  /// 0: hidden_size / num_attention_heads. A key that is null means that in any case.
  int64_t head_dim = 0;
  double norm_epsilon = 1e-6;
  std::string activation = "silu";
  double rope_theta = 10000;
  double partial_rotary_factor = 1;
  bool tie_word_embeddings = false;
  /// False: positions are not rotated; no rope key is read.
  bool has_rotary = true;
  DecoderKeys keys = {};
};

/// Reads sizes, norm epsilon, activation, rotary tables, tie_word_embeddings. All layers get the
/// first rotary, or none. Errors: kInvalidInput (missing, wrong or contradicting values);
/// kUnsupported (an activation or rope type that is not known).
Result<DecoderFacts> ReadDecoderFacts(const FamilyInputs& inputs, const DecoderDefaults& defaults);

/// Reads the rotary tables of a head of `head_size` channels. Errors: as above.
Result<RotaryFacts> ReadRotary(const FamilyInputs& inputs, const checkpoint::RopeOptions& options,
                               int64_t head_size, int64_t max_positions);

/// As above, from keys that are read already.
Result<RotaryFacts> MakeRotary(const FamilyInputs& inputs, const checkpoint::RopeConfig& rope,
                               int64_t head_size, int64_t max_positions);

/// Reads `attention_bias`: of query, key, value and output. Errors: kInvalidInput.
Status ReadAttentionBias(const checkpoint::ConfigReader& config, DecoderFacts& facts);

/// Reads the cap `key`, 0 if it is null. Errors: kInvalidInput.
Result<float> ReadSoftcap(const checkpoint::ConfigReader& config, std::string_view key,
                          std::optional<double> fallback);

/// Reads the multipliers of the Granite families: embedding_multiplier, residual_multiplier,
/// attention_multiplier (the scale of the scores) and logits_scaling (a divisor), each 1 unless
/// given. Errors: kInvalidInput.
Status ReadMultipliers(const checkpoint::ConfigReader& config, DecoderFacts& facts);

/// Takes the rotation from the layers that have a 0 in `no_rope_layers` (1: with rotation), or,
/// without that list, from every n-th, n = `no_rope_layer_interval` (default 4). Errors:
/// kInvalidInput (a list of another length, other numbers).
Status ReadUnrotatedLayers(const checkpoint::ConfigReader& config, DecoderFacts& facts);

/// Leaves alone the `num_nextn_predict_layers` layers after the last one: they predict later
/// tokens. Errors: kInvalidInput.
Status IgnoreLayersOfLaterTokens(const checkpoint::ConfigReader& config, DecoderFacts& facts);

/// Refuses a switch that no family implements. Errors: kUnsupported if the key is true.
Status RefuseIfTrue(const checkpoint::ConfigReader& config, std::string_view key,
                    std::string_view meaning);

/// Reads `rotary_dim`: all layers rotate that many first channels of each head, by frequencies of
/// base 10000. Errors: kInvalidInput (not even, or more than a head has).
Status ReadRotaryDim(const FamilyInputs& inputs, const DecoderDefaults& defaults, int64_t fallback,
                     DecoderFacts& facts);

/// Reads the activation `key`, checked against the known ones. Errors: as above.
Result<std::string> ReadActivation(const checkpoint::ConfigReader& config, std::string_view key,
                                   std::string fallback);

/// Reads the feed-forward size `key`, 4 D if it is null or not there. Errors: kInvalidInput.
Result<int64_t> ReadFfnSize(const checkpoint::ConfigReader& config, std::string_view key,
                            int64_t hidden_size);

/// Reads max_position_embeddings.
Result<int64_t> ReadMaxPositions(const checkpoint::ConfigReader& config,
                                 const DecoderDefaults& defaults);

/// How a family says which layers have a sliding window when `layer_types` is not there.
struct WindowRule {
  /// The window applies only if the key `use_sliding_window` is true.
  bool needs_use_sliding_window = false;
  /// Layers below `max_window_layers` (default given) see everything.
  std::optional<int64_t> default_max_window_layers;
  std::optional<int64_t> default_sliding_window;
  /// Layers i with (i + 1) mod n == 0 see everything, the others slide; 0: all slide. Read from
  /// the key if the config has it.
  int64_t default_sliding_window_pattern = 0;
  /// False: transformers does not look at `layer_types` in this family, all layers slide.
  bool has_layer_types = true;
};

/// Sets the window of each layer of `facts` from `layer_types`, `sliding_window` and the family's
/// rule. An explicit `layer_types` wins if the family has it. Errors: kInvalidInput (a list of
/// another length, a sliding layer without a window); kUnsupported (an unknown type).
Status ReadWindows(const checkpoint::ConfigReader& config, const WindowRule& rule,
                   DecoderFacts& facts);

/// Reads `layer_types`, one entry a layer; empty if the config has none. Errors: kInvalidInput (a
/// list of another length); kUnsupported (a type that is not in `known`).
Result<std::vector<std::string>> ReadLayerTypes(const checkpoint::ConfigReader& config,
                                                const std::vector<std::string>& known,
                                                size_t num_layers);

/// Returns the prefix of the text's tensors: that of checkpoints with images
/// ("model.language_model."), which some text-only ones keep, if there are such tensors; else
/// "model.".
std::string FindTextPrefix(const WeightTable& weights);

/// Marks as read how a rotation divides its channels among the axes of an image (`mrope_section`,
/// `mrope_interleaved`): text stands at the same position on all of them.
Status MarkSectionedRotation(const checkpoint::ConfigReader& config);

}  // namespace qeff::families
