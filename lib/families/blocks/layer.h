// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What every block of a layer needs: where it stands, and the parts that all blocks are made of.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/families/blocks/builder.h"
#include "lib/families/blocks/rotary.h"

namespace qeff::families {

struct DecoderFacts;

/// The layer that a block is built for. Blocks take and give f32 [B, T, channels].
struct LayerContext {
  Builder& builder;
  const DecoderFacts& facts;
  size_t layer = 0;
  std::string scope;               ///< of nodes, "/model/layers.0"
  std::string name;                ///< of tensors, "model.layers.0."
  std::string prefix;              ///< of tensors outside the layers, "model."
  ir::Value* input_ids = nullptr;  ///< i64 [B, T]
  /// i64 [B, T], where a token stands; padding at negative positions unless there is a mask.
  ir::Value* position_ids = nullptr;
  /// i64 [B, T], what attention orders tokens by; with a mask padding is behind the row's text.
  ir::Value* attention_positions = nullptr;
  /// i64 [B, T], 0 for padding; null where negative positions tell it.
  ir::Value* attention_mask = nullptr;
  const std::vector<RotaryValues>& rotaries;  ///< one of each DecoderFacts::rotaries
  /// What layers leave for later layers, by a name that the family chooses.
  std::map<std::string, ir::Value*>& shared;
};

/// The key in `shared` of a bias of bidirectional scores, f32 [1 or B, 1 or H, 1 or T, T].
inline constexpr const char* kSharedBias = "bias";

enum class NormKind {
  kRms,    ///< x / sqrt(mean(x^2) + epsilon) * weight
  kLayer,  ///< (x - mean(x)) / sqrt(var(x) + epsilon) * weight + bias
};

struct NormFacts {
  NormKind kind = NormKind::kRms;
  float epsilon = 0;
  float weight_offset = 0;  ///< added to the stored weight: 1 where files hold weight - 1
  bool has_weight = true;
  std::string weight_name = "weight";
  bool has_bias = true;  ///< kLayer only
};

/// Normalizes x [B, T, size] with tensors `name`.<weight_name> [size] and `name`.bias. With groups
/// > 1 the channels are groups * size and each group of `size` is normalized alone, all with the
/// same weight.
ir::Value* AddNorm(Builder& builder, const std::string& scope, const NormFacts& facts,
                   const std::string& name, ir::Value* x, int64_t size, int64_t groups = 1);

/// How checkpoints store the weight of a linear layer.
enum class LinearLayout {
  kOutIn,  ///< [out, in], as torch.nn.Linear
  kInOut,  ///< [in, out], as the Conv1D of GPT-2
};

/// x [B, T, in] -> [B, T, out] with tensors `name`.weight and, if there is one, `name`.bias [out].
ir::Value* AddLinear(Builder& builder, const std::string& scope, const std::string& name,
                     ir::Value* x, int64_t in, int64_t out, bool has_bias,
                     LinearLayout layout = LinearLayout::kOutIn);

/// The activation of transformers' name `name`.
ir::Value* AddActivation(Builder& builder, const std::string& scope, const std::string& name,
                         ir::Value* x);

/// x * factor; x itself if the factor is 1.
ir::Value* AddScale(Builder& builder, const std::string& scope, ir::Value* x, float factor);
/// cap * tanh(x / cap); x itself if cap is 0.
ir::Value* AddSoftcap(Builder& builder, const std::string& scope, ir::Value* x, float cap);
/// f32 [B, T, 1] of attention_mask i64 [B, T]: 1 for tokens, 0 for padding.
ir::Value* AddTokenWeights(Builder& builder, ir::Value* attention_mask);
/// Elements begin .. end - 1 of one axis.
ir::Value* AddSlice(Builder& builder, const std::string& scope, ir::Value* x, int64_t axis,
                    int64_t begin, int64_t end);
/// ONNX's Reshape: 0 keeps a dimension.
ir::Value* AddReshape(Builder& builder, const std::string& scope, ir::Value* x,
                      const std::vector<int64_t>& dims);

}  // namespace qeff::families
