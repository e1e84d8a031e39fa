// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Experts in every naming and layout of checkpoints, and configs and checkpoints that are refused.
// What the blocks compute is compared with transformers' results in tests/e2e.
#include "lib/families/blocks/experts.h"

#include <catch2/catch.hpp>
#include <functional>

#include "lib/families/blocks/decoder_config.h"

namespace qeff::families {
namespace {

constexpr int64_t kWidth = 3;
constexpr int64_t kExperts = 2;
constexpr int64_t kFfn = 4;

/// What tells one element of one expert's weights from all others.
float Element(int64_t part, int64_t expert, int64_t row, int64_t column) {
  return static_cast<float>(1000 * part + 100 * expert + 10 * row + column);
}

/// A tensor whose element at `index` is `value(index)`.
ir::WeightPtr Filled(const std::vector<int64_t>& dims,
                     const std::function<float(const std::vector<int64_t>&)>& value) {
  std::vector<float> values;
  std::vector<int64_t> index(dims.size(), 0);
  for (int64_t n = 0; n < ir::ElementCount(dims); ++n) {
    values.push_back(value(index));
    for (size_t axis = dims.size(); axis-- > 0;) {
      if (++index[axis] < dims[axis]) break;
      index[axis] = 0;
    }
  }
  return ir::MakeFloats(dims, values);
}

enum Part : int64_t { kGate, kUp, kDown };

/// Element of a tensor that holds gate and up: `channel` counts their 2 F channels.
float GateUpElement(StackLayout layout, int64_t expert, int64_t channel, int64_t column) {
  if (layout == StackLayout::kInOutInterleaved)
    return Element(channel % 2, expert, channel / 2, column);
  return Element(channel / kFfn, expert, channel % kFfn, column);
}

ExpertsFacts Facts() {
  ExpertsFacts facts;
  facts.router.num_experts = kExperts;
  facts.router.experts_per_token = 1;
  facts.ffn_size = kFfn;
  facts.activation = "silu";
  return facts;
}

/// A model of one layer that is nothing but experts.
WeightTable BaseWeights() {
  WeightTable table{.path = "checkpoint", .weights = {}};
  const auto add = [&](const std::string& name, const std::vector<int64_t>& dims) {
    table.weights.emplace(name, Filled(dims, [](const auto&) { return 1.0F; }));
  };
  add("model.embed_tokens.weight", {5, kWidth});
  add("model.norm.weight", {kWidth});
  add("model.layers.0.input_layernorm.weight", {kWidth});
  add("model.layers.0.post_attention_layernorm.weight", {kWidth});
  add("model.layers.0.mlp.gate.weight", {kExperts, kWidth});
  return table;
}

void AddEach(WeightTable& table) {
  for (int64_t expert = 0; expert < kExperts; ++expert) {
    const auto add = [&](const std::string& name, Part part, int64_t rows, int64_t columns) {
      table.weights.emplace(fmt::format("model.layers.0.mlp.experts.{}.{}.weight", expert, name),
                            Filled({rows, columns}, [=](const auto& at) {
                              return Element(part, expert, at[0], at[1]);
                            }));
    };
    add("gate_proj", kGate, kFfn, kWidth);
    add("up_proj", kUp, kFfn, kWidth);
    add("down_proj", kDown, kWidth, kFfn);
  }
}

void AddStacks(WeightTable& table, StackLayout layout) {
  const bool is_out_in = layout == StackLayout::kOutIn;
  const std::string name = "model.layers.0.mlp.experts.";
  table.weights.emplace(
      name + "gate_up_proj",
      is_out_in ? Filled({kExperts, 2 * kFfn, kWidth},
                         [=](const auto& at) { return GateUpElement(layout, at[0], at[1], at[2]); })
                : Filled({kExperts, kWidth, 2 * kFfn}, [=](const auto& at) {
                    return GateUpElement(layout, at[0], at[2], at[1]);
                  }));
  table.weights.emplace(
      name + "down_proj",
      is_out_in ? Filled({kExperts, kWidth, kFfn},
                         [](const auto& at) { return Element(kDown, at[0], at[1], at[2]); })
                : Filled({kExperts, kFfn, kWidth},
                         [](const auto& at) { return Element(kDown, at[0], at[2], at[1]); }));
}

DecoderFacts Decoder(const ExpertsFacts& experts) {
  DecoderFacts facts;
  facts.vocab_size = 5;
  facts.hidden_size = kWidth;
  facts.norm.epsilon = 1e-5F;
  facts.head_is_tied = true;
  facts.layers.resize(1);
  facts.layers[0].attention = [](const LayerContext&, ir::Value* x) { return x; };
  facts.layers[0].feed_forward = ExpertsBlock(experts);
  return facts;
}

Result<ir::Graph> Build(const WeightTable& table, const ExpertsFacts& experts) {
  return BuildDecoder(Decoder(experts), table);
}

const ir::Node& ExpertsNode(const ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (node->IsQeff("Experts")) return *node;
  }
  FAIL("no experts");
  return *graph.nodes().front();
}

std::string BuildMessage(const WeightTable& table, const ExpertsFacts& experts) {
  const auto graph = Build(table, experts);
  return graph.ok() ? "accepted" : graph.diagnostic().ToString();
}

std::string RouterMessage(const std::string& text, const RouterKeys& keys = {}) {
  const auto config = checkpoint::ConfigReader::Parse(text, "config.json");
  REQUIRE(config.ok());
  const auto facts = ReadRouter(*config, keys);
  return facts.ok() ? "accepted" : facts.diagnostic().message;
}

std::string GroupsMessage(const std::string& text, GroupRank rank = GroupRank::kSumOfTwoBest) {
  const auto config = checkpoint::ConfigReader::Parse(text, "config.json");
  REQUIRE(config.ok());
  RouterFacts facts;
  facts.num_experts = 8;
  facts.experts_per_token = 3;
  facts.group_rank = rank;
  const Status status = ReadExpertGroups(*config, facts);
  return status.ok() ? "accepted" : status.diagnostic().message;
}

}  // namespace

TEST_CASE("experts load from every naming and layout") {
  std::vector<std::pair<WeightTable, ExpertsFacts>> cases;
  cases.emplace_back(BaseWeights(), Facts());
  AddEach(cases.back().first);
  for (const StackLayout layout :
       {StackLayout::kOutIn, StackLayout::kInOut, StackLayout::kInOutInterleaved}) {
    cases.emplace_back(BaseWeights(), Facts());
    AddStacks(cases.back().first, layout);
    cases.back().second.names.stack_layout = layout;
  }
  for (const auto& [table, facts] : cases) {
    CAPTURE(static_cast<int>(facts.names.stack_layout), table.weights.size());
    const auto graph = Build(table, facts);
    INFO((graph.ok() ? "" : graph.diagnostic().ToString()));
    REQUIRE(graph.ok());
    for (const Part part : {kGate, kUp, kDown}) {
      const ir::Value* stack = ExpertsNode(*graph).input(3 + static_cast<size_t>(part));
      const std::vector<int64_t> dims =
          part == kDown ? std::vector{kExperts, kWidth, kFfn} : std::vector{kExperts, kFfn, kWidth};
      REQUIRE(stack->constant()->dims() == dims);
      const ir::WeightPtr expected =
          Filled(dims, [&](const auto& at) { return Element(part, at[0], at[1], at[2]); });
      CHECK(ir::ReadFloats(*stack->constant()).value() == ir::ReadFloats(*expected).value());
    }
  }
}

TEST_CASE("biases of interleaved stacks are taken apart as the weights are") {
  WeightTable table = BaseWeights();
  AddStacks(table, StackLayout::kInOutInterleaved);
  const std::string name = "model.layers.0.mlp.experts.";
  table.weights.emplace(name + "gate_up_proj_bias",
                        Filled({kExperts, 2 * kFfn}, [](const auto& at) {
                          return Element(at[1] % 2, at[0], at[1] / 2, 0);
                        }));
  table.weights.emplace(name + "down_proj_bias", Filled({kExperts, kWidth}, [](const auto& at) {
                          return Element(kDown, at[0], at[1], 0);
                        }));
  ExpertsFacts facts = Facts();
  facts.names.stack_layout = StackLayout::kInOutInterleaved;
  facts.has_bias = true;
  const auto graph = Build(table, facts);
  REQUIRE(graph.ok());
  const auto bias = [&](size_t input) {
    return ir::ReadFloats(*ExpertsNode(*graph).input(input)->constant()).value();
  };
  CHECK(bias(6) == std::vector<float>{0, 10, 20, 30, 100, 110, 120, 130});
  CHECK(bias(7) == std::vector<float>{1000, 1010, 1020, 1030, 1100, 1110, 1120, 1130});
  CHECK(bias(8) == std::vector<float>{2000, 2010, 2020, 2100, 2110, 2120});
}

TEST_CASE("bad_checkpoints of experts name the tensor") {
  WeightTable missing = BaseWeights();
  AddEach(missing);
  missing.weights.erase("model.layers.0.mlp.experts.1.up_proj.weight");
  CHECK(BuildMessage(missing, Facts())
            .starts_with("checkpoint: tensor 'model.layers.0.mlp.experts.1.up_proj.weight': error: "
                         "missing tensor"));

  WeightTable more = BaseWeights();
  AddEach(more);
  more.weights.emplace("model.layers.0.mlp.experts.2.up_proj.weight",
                       Filled({kFfn, kWidth}, [](const auto&) { return 0.0F; }));
  CHECK(BuildMessage(more, Facts())
            .starts_with("checkpoint: tensor 'model.layers.0.mlp.experts.2.up_proj.weight': error: "
                         "tensor f32 [4, 3] has no place in this model"));

  WeightTable transposed = BaseWeights();
  AddStacks(transposed, StackLayout::kInOut);
  CHECK(BuildMessage(transposed, Facts())
            .starts_with("checkpoint: tensor 'model.layers.0.mlp.experts.gate_up_proj': error: "
                         "expected shape [2, 8, 3], got [2, 3, 8]"));
}

TEST_CASE("numbers of experts are read in all spellings") {
  const RouterKeys keys = {.num_experts = {"num_experts", "num_local_experts"}};
  CHECK(RouterMessage(R"({"num_experts": 4, "num_experts_per_tok": 2})", keys) == "accepted");
  CHECK(RouterMessage(R"({"num_local_experts": 4, "num_experts_per_tok": 4})", keys) == "accepted");
  CHECK(RouterMessage(R"({"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 1})",
                      keys) == "accepted");
}

TEST_CASE("bad_routers are refused with the key") {
  CHECK(RouterMessage(R"({"num_experts_per_tok": 2})") == "key 'num_local_experts' is missing");
  CHECK(RouterMessage(R"({"num_local_experts": 4})") == "key 'num_experts_per_tok' is missing");
  CHECK(RouterMessage(R"({"num_local_experts": 4, "num_experts_per_tok": 5})") ==
        "key 'num_experts_per_tok': expected at most num_local_experts (4), got 5");
  CHECK(RouterMessage(R"({"num_local_experts": 0, "num_experts_per_tok": 1})")
            .starts_with("key 'num_local_experts': "));
  CHECK(RouterMessage(R"({"num_experts": 4, "num_local_experts": 5, "num_experts_per_tok": 1})",
                      {.num_experts = {"num_experts", "num_local_experts"}}) ==
        "key 'num_local_experts': expected 4 as num_experts says, got 5");
}

TEST_CASE("layers that predict later tokens are left alone") {
  WeightTable table = BaseWeights();
  AddEach(table);
  const auto extra = Filled({kWidth}, [](const auto&) { return 0.0F; });
  table.weights.emplace("model.layers.1.input_layernorm.weight", extra);
  const auto build = [&](int64_t count) {
    const auto config = checkpoint::ConfigReader::Parse(
        fmt::format("{{\"num_nextn_predict_layers\": {}}}", count), "config.json");
    REQUIRE(config.ok());
    DecoderFacts facts = Decoder(Facts());
    REQUIRE(IgnoreLayersOfLaterTokens(*config, facts).ok());
    return BuildDecoder(facts, table).ok();
  };
  CHECK(build(1));
  CHECK_FALSE(build(0));
}

TEST_CASE("bad_groups of experts are refused with the key") {
  CHECK(GroupsMessage("{}") == "accepted");
  CHECK(GroupsMessage(R"({"n_group": 4, "topk_group": 2})") == "accepted");
  CHECK(GroupsMessage(R"({"n_group": 8, "topk_group": 8})") == "accepted");
  CHECK(GroupsMessage(R"({"n_group": 8, "topk_group": 4})", GroupRank::kBest) == "accepted");
  CHECK(GroupsMessage(R"({"n_group": 3})") ==
        "key 'n_group': expected a divisor of the 8 experts, got 3");
  CHECK(GroupsMessage(R"({"n_group": 2, "topk_group": 3})") ==
        "key 'topk_group': expected at most n_group (2), got 3");
  CHECK(GroupsMessage(R"({"n_group": 8, "topk_group": 4})") ==
        "key 'n_group': expected groups of two experts or more: they are ranked by their two best");
  CHECK(GroupsMessage(R"({"n_group": 4, "topk_group": 1})") ==
        "key 'topk_group': expected groups that hold the 3 experts of a token, got 1 groups of 2");
}

}  // namespace qeff::families
