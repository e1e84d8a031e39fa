// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/mlp.h"

#include <utility>

#include "lib/families/blocks/decoder.h"

namespace qeff::families {
namespace {

struct GateAndUp {
  ir::Value* gate;
  ir::Value* up;
};

/// The halves of a fused weight [2 F, D] or bias [2 F].
GateAndUp SplitFused(Builder& builder, const MlpFacts& facts, const std::string& name,
                     std::vector<int64_t> dims) {
  const bool is_transposed = dims.size() == 2 && facts.layout == LinearLayout::kInOut;
  if (is_transposed) std::swap(dims[0], dims[1]);
  ir::WeightPtr fused = builder.Take(name, dims);
  if (is_transposed) fused = ir::Transposed(std::move(fused));
  const int64_t f = facts.ffn_size;
  ir::Value* first = builder.Constant(name + ".0", ir::Sliced(fused, 0, 0, f));
  ir::Value* second = builder.Constant(name + ".1", ir::Sliced(fused, 0, f, 2 * f));
  return facts.up_is_first ? GateAndUp{second, first} : GateAndUp{first, second};
}

ir::Value* AddGated(const LayerContext& context, const MlpFacts& facts, const std::string& scope,
                    const std::string& name, ir::Value* x) {
  Builder& builder = context.builder;
  const int64_t d = context.facts.hidden_size;
  const int64_t f = facts.ffn_size;
  const auto weight = [&](const std::string& part, int64_t out, int64_t in) {
    const std::string full = name + part + ".weight";
    if (facts.layout == LinearLayout::kOutIn) return builder.Weight(full, {out, in});
    return builder.Constant(full, ir::Transposed(builder.Take(full, {in, out})));
  };
  const MlpNames& names = facts.names;
  const bool is_fused = !names.gate_up.empty();
  const GateAndUp weights =
      is_fused ? SplitFused(builder, facts, name + names.gate_up + ".weight", {2 * f, d})
               : GateAndUp{weight(names.gate, f, d), weight(names.up, f, d)};
  std::vector<ir::Value*> inputs = {x, weights.gate, weights.up, weight(names.down, d, f)};
  if (facts.has_bias) {
    const GateAndUp biases =
        is_fused ? SplitFused(builder, facts, name + names.gate_up + ".bias", {2 * f})
                 : GateAndUp{builder.Weight(name + names.gate + ".bias", {f}),
                             builder.Weight(name + names.up + ".bias", {f})};
    inputs.insert(inputs.end(),
                  {biases.gate, biases.up, builder.Weight(name + names.down + ".bias", {d})});
  }
  return builder.Qeff(scope, "GatedMlp", std::move(inputs), {{"activation", facts.activation}});
}

}  // namespace

ir::Value* AddMlp(const LayerContext& context, const MlpFacts& facts, ir::Value* x) {
  const std::string scope = context.scope + "/mlp";
  const std::string name = context.name + facts.names.prefix;
  if (facts.is_gated) return AddGated(context, facts, scope, name, x);
  const int64_t d = context.facts.hidden_size;
  x = AddLinear(context.builder, scope + "/up", name + facts.names.up, x, d, facts.ffn_size,
                facts.has_bias, facts.layout);
  x = AddActivation(context.builder, scope, facts.activation, x);
  return AddLinear(context.builder, scope + "/down", name + facts.names.down, x, facts.ffn_size, d,
                   facts.has_bias, facts.layout);
}

}  // namespace qeff::families
