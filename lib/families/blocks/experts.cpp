// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/experts.h"

namespace qeff::families {
namespace {

/// The weights of all experts: gate and up [X, F, D], down [X, D, F]; biases [X, F] and [X, D].
struct ExpertWeights {
  ir::WeightPtr gate;
  ir::WeightPtr up;
  ir::WeightPtr down;
  ir::WeightPtr gate_bias;
  ir::WeightPtr up_bias;
  ir::WeightPtr down_bias;
};

/// The names that a checkpoint uses, of those that it may.
struct FoundNames {
  std::string block;   ///< full prefix of the block's tensors
  std::string router;  ///< full name of the router's linear layer
};

FoundNames FindNames(const LayerContext& context, const ExpertNames& names) {
  for (const std::string& prefix : names.prefixes) {
    for (const std::string& router : names.routers) {
      const std::string block = context.name + prefix;
      if (context.builder.Has(block + router + ".weight")) return {block, block + router};
    }
  }
  const std::string block = context.name + names.prefixes.front();
  return {block, block + names.routers.front()};
}

class ExpertLoader {
 public:
  ExpertLoader(const LayerContext& context, const ExpertsFacts& facts)
      : builder_(context.builder),
        facts_(facts),
        names_(facts.names),
        name_(FindNames(context, facts.names).block),
        experts_(facts.router.num_experts),
        model_(context.facts.hidden_size),
        ffn_(facts.ffn_size) {}

  const std::string& name() const { return name_; }

  ExpertWeights Load() {
    return builder_.Has(name_ + names_.gate_up_stack) || facts_.has_bias ? LoadStacks()
                                                                         : LoadEach();
  }

 private:
  ExpertWeights LoadEach() {
    return {Stack(names_.gate, ffn_, model_),
            Stack(names_.up, ffn_, model_),
            Stack(names_.down, model_, ffn_),
            nullptr,
            nullptr,
            nullptr};
  }

  ir::WeightPtr Stack(const std::string& part, int64_t rows, int64_t columns) {
    std::vector<ir::WeightPtr> matrices;
    for (int64_t expert = 0; expert < experts_; ++expert) {
      const std::string tensor =
          fmt::format("{}{}{}.{}.weight", name_, names_.experts, expert, part);
      matrices.push_back(ir::Reshaped(builder_.Take(tensor, {rows, columns}), {1, rows, columns}));
    }
    return ir::Concatenated(std::move(matrices), 0);
  }

  ExpertWeights LoadStacks() {
    const bool is_out_in = names_.stack_layout == StackLayout::kOutIn;
    const std::vector<int64_t> gate_up = is_out_in
                                             ? std::vector<int64_t>{experts_, 2 * ffn_, model_}
                                             : std::vector<int64_t>{experts_, model_, 2 * ffn_};
    const std::vector<int64_t> down = is_out_in ? std::vector<int64_t>{experts_, model_, ffn_}
                                                : std::vector<int64_t>{experts_, ffn_, model_};
    const ir::WeightPtr both = builder_.Take(name_ + names_.gate_up_stack, gate_up);
    ExpertWeights weights;
    weights.gate = Half(both, 0);
    weights.up = Half(both, 1);
    weights.down = builder_.Take(name_ + names_.down_stack, down);
    if (!is_out_in) {
      for (ir::WeightPtr* weight : {&weights.gate, &weights.up, &weights.down}) {
        *weight = ir::Transposed(*weight, {0, 2, 1});
      }
    }
    if (facts_.has_bias) {
      const ir::WeightPtr biases =
          builder_.Take(name_ + names_.gate_up_stack + "_bias", {experts_, 2 * ffn_});
      weights.gate_bias = Half(biases, 0);
      weights.up_bias = Half(biases, 1);
      weights.down_bias = builder_.Take(name_ + names_.down_stack + "_bias", {experts_, model_});
    }
    return weights;
  }

  /// Gate (0) or up (1) of a weight or bias that holds both.
  ir::WeightPtr Half(const ir::WeightPtr& both, int64_t half) const {
    std::vector<int64_t> dims = both->dims();
    if (names_.stack_layout == StackLayout::kInOutInterleaved) {
      dims.back() = ffn_;
      std::vector<int64_t> pairs = dims;
      pairs.push_back(2);
      const auto last = static_cast<int>(dims.size());
      return ir::Reshaped(ir::Sliced(ir::Reshaped(both, pairs), last, half, half + 1), dims);
    }
    const int axis =
        names_.stack_layout == StackLayout::kOutIn ? 1 : static_cast<int>(dims.size()) - 1;
    return ir::Sliced(both, axis, half * ffn_, (half + 1) * ffn_);
  }

  Builder& builder_;
  const ExpertsFacts& facts_;
  const ExpertNames& names_;
  std::string name_;
  int64_t experts_;
  int64_t model_;
  int64_t ffn_;
};

}  // namespace

Routing AddRouter(const LayerContext& context, const ExpertsFacts& facts, ir::Value* x) {
  const std::string scope = context.scope + "/mlp/router";
  const FoundNames names = FindNames(context, facts.names);
  const int64_t experts = facts.router.num_experts;
  ir::Value* logits = AddLinear(context.builder, scope, names.router, x, context.facts.hidden_size,
                                experts, facts.router.has_bias);
  ir::Value* correction =
      facts.router.choice_is_corrected
          ? context.builder.Weight(names.block + facts.names.correction, {experts})
          : nullptr;
  return AddRouting(context.builder, scope, facts.router, logits, correction);
}

ir::Value* AddRoutedExperts(const LayerContext& context, const ExpertsFacts& facts, ir::Value* x,
                            const Routing& routing) {
  ExpertLoader loader(context, facts);
  const ExpertWeights weights = loader.Load();
  const auto constant = [&](const std::string& part, const ir::WeightPtr& weight) {
    return weight == nullptr ? nullptr
                             : context.builder.Constant(loader.name() + "experts." + part, weight);
  };
  std::vector<ir::Value*> inputs = {x,
                                    routing.expert_ids,
                                    routing.weights,
                                    constant("gate_proj", weights.gate),
                                    constant("up_proj", weights.up),
                                    constant("down_proj", weights.down)};
  if (facts.has_bias) {
    inputs.insert(inputs.end(), {constant("gate_proj_bias", weights.gate_bias),
                                 constant("up_proj_bias", weights.up_bias),
                                 constant("down_proj_bias", weights.down_bias)});
  }
  ir::AttributeMap attributes = {{"activation", facts.activation}};
  if (facts.limit != 0) attributes["limit"] = facts.limit;
  if (facts.up_offset != 0) attributes["up_offset"] = facts.up_offset;
  if (facts.weights_scale_inputs) attributes["weights_scale_inputs"] = int64_t{1};
  return context.builder.Qeff(context.scope + "/mlp/experts", "Experts", std::move(inputs),
                              std::move(attributes));
}

ir::Value* AddExperts(const LayerContext& context, const ExpertsFacts& facts, ir::Value* x) {
  ir::Value* y = AddRoutedExperts(context, facts, x, AddRouter(context, facts, x));
  if (!facts.shared) return y;
  const std::string name = FindNames(context, facts.names).block;
  MlpFacts mlp = facts.shared->mlp;
  mlp.names.prefix = name.substr(context.name.size()) + mlp.names.prefix;
  ir::Value* shared = AddMlp(context, mlp, x);
  if (!facts.shared->gate.empty()) {
    const std::string scope = context.scope + "/mlp/shared_expert_gate";
    ir::Value* gate = AddLinear(context.builder, scope, name + facts.shared->gate, x,
                                context.facts.hidden_size, 1, /*has_bias=*/false);
    gate = context.builder.Onnx(scope, "Sigmoid", {gate});
    shared = context.builder.Onnx(scope, "Mul", {gate, shared});
  }
  return context.builder.Onnx(context.scope + "/mlp", "Add", {y, shared});
}

LayerBlock ExpertsBlock(ExpertsFacts facts) {
  return [facts = std::move(facts)](const LayerContext& context, ir::Value* x) {
    return AddExperts(context, facts, x);
  };
}

}  // namespace qeff::families
