// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Lowering to the compiler's ops and raising again gives the graph back.
#include <catch2/catch.hpp>
#include <functional>

#include "lib/families/blocks/decoder.h"
#include "lib/families/blocks/experts.h"
#include "lib/ir/equal.h"
#include "lib/onnx_io/text.h"
#include "passes/pipelines.h"

namespace qeff {
namespace {

/// A decoder of two small layers.
families::DecoderFacts SmallDecoder() {
  families::DecoderFacts facts;
  facts.vocab_size = 11;
  facts.hidden_size = 16;
  facts.attention.num_heads = 4;
  facts.attention.num_kv_heads = 2;
  facts.attention.head_size = 8;
  facts.mlp.ffn_size = 12;
  facts.norm.epsilon = 1e-6F;
  facts.attention.head_norm.epsilon = 1e-6F;
  facts.mlp.activation = "silu";
  facts.rotaries.resize(1);
  facts.rotaries[0].rotary_channels = 8;
  facts.rotaries[0].inverse_frequencies = {1, 0.1F, 0.01F, 0.001F};
  facts.rotaries[0].table_rows = 32;
  facts.layers.resize(2);
  return facts;
}

/// Weights under all names that the facts can ask for, each with values of its own.
families::WeightTable Weights(const families::DecoderFacts& facts) {
  families::WeightTable table{.path = "checkpoint", .weights = {}};
  const auto add = [&](const std::string& name, std::vector<int64_t> dims) {
    std::vector<float> values(static_cast<size_t>(ir::ElementCount(dims)));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(table.weights.size()) + 0.001F * static_cast<float>(i);
    table.weights.emplace(name, ir::MakeFloats(dims, values));
  };
  const int64_t width = facts.hidden_size;
  const int64_t query = facts.attention.num_heads * facts.attention.head_size;
  const int64_t key = facts.attention.num_kv_heads * facts.attention.head_size;
  const auto linear = [&](const std::string& name, int64_t in, int64_t out, bool has_bias) {
    add(name + ".weight", {out, in});
    if (has_bias) add(name + ".bias", {out});
  };
  add("model.embed_tokens.weight", {facts.vocab_size, width});
  if (!facts.head_is_tied) add("lm_head.weight", {facts.vocab_size, width});
  add("model.norm.weight", {width});
  for (size_t layer = 0; layer < facts.layers.size(); ++layer) {
    const std::string scope = fmt::format("model.layers.{}.", layer);
    add(scope + "input_layernorm.weight", {width});
    add(scope + "post_attention_layernorm.weight", {width});
    const bool has_bias = facts.attention.query_key_value_have_bias;
    linear(scope + "self_attn.q_proj", width, query, has_bias);
    linear(scope + "self_attn.k_proj", width, key, has_bias);
    linear(scope + "self_attn.v_proj", width, key, has_bias);
    linear(scope + "self_attn.o_proj", query, width, facts.attention.output_has_bias);
    if (facts.attention.has_sinks) add(scope + "self_attn.sinks", {facts.attention.num_heads});
    if (facts.attention.query_key_norm == families::QueryKeyNorm::kEachHead) {
      add(scope + "self_attn.q_norm.weight", {facts.attention.head_size});
      add(scope + "self_attn.k_norm.weight", {facts.attention.head_size});
    }
    linear(scope + "mlp.gate_proj", width, facts.mlp.ffn_size, facts.mlp.has_bias);
    linear(scope + "mlp.up_proj", width, facts.mlp.ffn_size, facts.mlp.has_bias);
    linear(scope + "mlp.down_proj", facts.mlp.ffn_size, width, facts.mlp.has_bias);
  }
  return table;
}

ir::Graph Build(const families::DecoderFacts& facts) {
  const families::WeightTable weights = Weights(facts);
  Result<ir::Graph> graph = families::BuildDecoder(facts, weights);
  INFO((graph.ok() ? "" : graph.diagnostic().ToString()));
  REQUIRE(graph.ok());
  return std::move(*graph);
}

void Run(ir::Model& model, const passes::Pipeline& pipeline) {
  const Result<passes::Change> change = passes::RunPipeline(model, pipeline);
  INFO((change.ok() ? "" : change.diagnostic().ToString()));
  REQUIRE(change.ok());
}

bool HasQeffOps(const ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (node->domain() == ir::kQeffDomain) return true;
  }
  return false;
}

/// Returns what lowering and raising has changed; empty if nothing.
std::string RoundTripDifference(ir::Graph graph, const passes::Features& features = {},
                                const std::string& layer_function = "") {
  ir::Model model;
  model.graph = std::move(graph);
  Run(model, passes::TransformPipeline(features));
  const ir::Graph original = model.graph.Clone();
  Run(model, passes::LoweringPipeline({.dtype = DType::kF32, .layer_function = layer_function}));
  CHECK_FALSE(HasQeffOps(model.graph));
  Run(model, passes::RaisingPipeline());
  return ir::FindDifference(original, model.graph);
}

std::string RoundTripDifference(const std::function<void(families::DecoderFacts&)>& change) {
  families::DecoderFacts facts = SmallDecoder();
  change(facts);
  return RoundTripDifference(Build(facts));
}

/// Six small experts, two a token.
families::ExpertsFacts SmallExperts() {
  families::ExpertsFacts experts;
  experts.router.num_experts = 6;
  experts.router.experts_per_token = 2;
  experts.ffn_size = 12;
  experts.activation = "silu";
  return experts;
}

/// A decoder whose second layer has experts.
ir::Graph BuildWithExperts(const families::ExpertsFacts& experts) {
  families::DecoderFacts facts = SmallDecoder();
  families::WeightTable weights = Weights(facts);
  std::erase_if(weights.weights,
                [](const auto& entry) { return entry.first.starts_with("model.layers.1.mlp."); });
  const auto add = [&](const std::string& name, std::vector<int64_t> dims) {
    std::vector<float> values(static_cast<size_t>(ir::ElementCount(dims)));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(weights.weights.size()) + 0.001F * static_cast<float>(i);
    weights.weights.emplace("model.layers.1.mlp." + name, ir::MakeFloats(dims, values));
  };
  const int64_t count = experts.router.num_experts;
  const int64_t d = facts.hidden_size;
  const int64_t f = experts.ffn_size;
  add("gate.weight", {count, d});
  if (experts.router.has_bias) add("gate.bias", {count});
  if (experts.router.choice_is_corrected) add("gate.e_score_correction_bias", {count});
  if (experts.has_bias) {
    const bool is_out_in = experts.names.stack_layout == families::StackLayout::kOutIn;
    add("experts.gate_up_proj",
        is_out_in ? std::vector{count, 2 * f, d} : std::vector{count, d, 2 * f});
    add("experts.down_proj", is_out_in ? std::vector{count, d, f} : std::vector{count, f, d});
    add("experts.gate_up_proj_bias", {count, 2 * f});
    add("experts.down_proj_bias", {count, d});
  } else {
    for (int64_t expert = 0; expert < count; ++expert) {
      add(fmt::format("experts.{}.gate_proj.weight", expert), {f, d});
      add(fmt::format("experts.{}.up_proj.weight", expert), {f, d});
      add(fmt::format("experts.{}.down_proj.weight", expert), {d, f});
    }
  }
  if (experts.shared) {
    const int64_t shared = experts.shared->mlp.ffn_size;
    add("shared.gate_proj.weight", {shared, d});
    add("shared.up_proj.weight", {shared, d});
    add("shared.down_proj.weight", {d, shared});
    if (!experts.shared->gate.empty()) add(experts.shared->gate + ".weight", {1, d});
  }
  facts.layers[1].feed_forward = families::ExpertsBlock(experts);
  Result<ir::Graph> graph = families::BuildDecoder(facts, weights);
  INFO((graph.ok() ? "" : graph.diagnostic().ToString()));
  REQUIRE(graph.ok());
  return std::move(*graph);
}

/// The graph of one activation, f32 [2, 4].
ir::Graph ActivationGraph(const std::string& kind) {
  const Result<ir::Model> model = onnx_io::ParseText(
      fmt::format("g (float[2,4] x) => (float[2,4] y) {{ y = qeff.Activation <kind: string = "
                  "\"{}\"> (x) }}",
                  kind),
      "activation");
  INFO((model.ok() ? "" : model.diagnostic().ToString()));
  REQUIRE(model.ok());
  return model->graph.Clone();
}

}  // namespace

TEST_CASE("a decoder comes back with every combination of deployment features") {
  for (int bits = 0; bits < 16; ++bits) {
    const passes::Features features{.kv_cache = (bits & 8) == 0,
                                    .compute_context_length = (bits & 1) != 0,
                                    .continuous_batching = (bits & 2) != 0,
                                    .speculative_target = (bits & 4) != 0};
    if (!features.kv_cache && (features.compute_context_length || features.continuous_batching))
      continue;  // they need a cache
    for (const bool is_qwen3 : {false, true}) {
      families::DecoderFacts facts = SmallDecoder();
      if (is_qwen3) facts.attention.query_key_norm = families::QueryKeyNorm::kEachHead;
      CAPTURE(bits, is_qwen3);
      CHECK(RoundTripDifference(Build(facts), features) == "");
    }
  }
}

TEST_CASE("a decoder comes back from layer functions") {
  for (const bool batching : {false, true}) {
    CAPTURE(batching);
    CHECK(RoundTripDifference(Build(SmallDecoder()), {.continuous_batching = batching},
                              "DecoderLayer") == "");
  }
}

TEST_CASE("windows come back") {
  CHECK(RoundTripDifference([](auto& facts) {
          for (families::LayerFacts& layer : facts.layers) layer.window_tokens = 4;
        }) == "");
  CHECK(RoundTripDifference([](auto& facts) { facts.layers[1].window_tokens = 4; }) == "");
}

TEST_CASE("chunks come back, also beside a window") {
  CHECK(RoundTripDifference([](auto& facts) { facts.layers[1].chunk_tokens = 4; }) == "");
  CHECK(RoundTripDifference([](auto& facts) {
          facts.layers[0].chunk_tokens = 4;
          facts.layers[0].window_tokens = 3;
        }) == "");
}

TEST_CASE("ALiBi comes back, rounded and scaled or not") {
  for (const bool is_rounded : {false, true}) {
    for (const float scale : {1.0F, 0.25F}) {
      for (const bool has_cache : {false, true}) {
        CAPTURE(is_rounded, scale, has_cache);
        families::DecoderFacts facts = SmallDecoder();
        for (families::LayerFacts& layer : facts.layers) layer.rotary = -1;
        facts.rotaries.clear();
        facts.attention.alibi_slopes = families::AlibiSlopes(4);
        facts.attention.alibi_scale = scale;
        facts.attention.alibi_is_rounded_to_bf16 = is_rounded;
        CHECK(RoundTripDifference(Build(facts), {.kv_cache = has_cache}) == "");
      }
    }
  }
}

TEST_CASE("sinks and soft caps come back") {
  for (const bool has_cache : {false, true}) {
    CAPTURE(has_cache);
    families::DecoderFacts facts = SmallDecoder();
    facts.attention.has_sinks = true;
    CHECK(RoundTripDifference(Build(facts), {.kv_cache = has_cache}) == "");
    facts.attention.softcap = 30;
    CHECK(RoundTripDifference(Build(facts), {.kv_cache = has_cache}) == "");
    CHECK(RoundTripDifference(Build(facts), {.kv_cache = has_cache}, "DecoderLayer") == "");
  }
}

TEST_CASE("biases come back") {
  CHECK(RoundTripDifference(
            [](auto& facts) { facts.attention.query_key_value_have_bias = true; }) == "");
  CHECK(RoundTripDifference([](auto& facts) { facts.attention.output_has_bias = true; }) == "");
  CHECK(RoundTripDifference([](auto& facts) { facts.mlp.has_bias = true; }) == "");
}

TEST_CASE("a tied head comes back") {
  CHECK(RoundTripDifference([](auto& facts) { facts.head_is_tied = true; }) == "");
}

TEST_CASE("groups of heads of any size come back") {
  for (const int64_t kv_heads : {1, 2, 4}) {
    CAPTURE(kv_heads);
    CHECK(RoundTripDifference([&](auto& facts) { facts.attention.num_kv_heads = kv_heads; }) == "");
  }
}

TEST_CASE("rotary embedding comes back when partial, interleaved, or chosen by context") {
  const auto partial = [](families::DecoderFacts& facts) {
    facts.rotaries[0].rotary_channels = 4;
    facts.rotaries[0].inverse_frequencies = {1, 0.1F};
  };
  CHECK(RoundTripDifference(partial) == "");
  CHECK(RoundTripDifference([](auto& facts) {
          facts.rotaries[0].kind = families::RotaryKind::kByContext;
          facts.rotaries[0].long_inverse_frequencies = {0.5F, 0.05F, 0.005F, 0.0005F};
          facts.rotaries[0].original_context_tokens = 16;
        }) == "");
  CHECK(RoundTripDifference([](auto& facts) {
          facts.rotaries[0].kind = families::RotaryKind::kDynamic;
          facts.rotaries[0].original_context_tokens = 16;
          facts.rotaries[0].factor = 2;
        }) == "");
  for (const bool is_partial : {false, true}) {
    CAPTURE(is_partial);
    families::DecoderFacts facts = SmallDecoder();
    if (is_partial) partial(facts);
    ir::Graph graph = Build(facts);
    for (const auto& node : graph.nodes()) {
      if (node->IsQeff("Rope")) node->SetAttribute("interleaved", int64_t{1});
    }
    CHECK(RoundTripDifference(std::move(graph)) == "");
  }
}

TEST_CASE("activations come back under the first name of their formula") {
  const std::vector<std::pair<std::string, std::string>> names = {
      {"silu", "silu"},
      {"swish", "silu"},
      {"gelu", "gelu"},
      {"gelu_python", "gelu"},
      {"quick_gelu", "quick_gelu"},
      {"relu2", "relu2"},
      {"gelu_pytorch_tanh", "gelu_pytorch_tanh"},
      {"gelu_new", "gelu_pytorch_tanh"},
      {"gelu_fast", "gelu_pytorch_tanh"},
      {"gelu_python_tanh", "gelu_pytorch_tanh"},
      {"gelu_accurate", "gelu_pytorch_tanh"}};
  for (const auto& [lowered, raised] : names) {
    CAPTURE(lowered);
    ir::Model model;
    model.graph = ActivationGraph(lowered);
    Run(model, passes::LoweringPipeline({}));
    CHECK_FALSE(HasQeffOps(model.graph));
    Run(model, passes::RaisingPipeline());
    CHECK(ir::FindDifference(ActivationGraph(raised), model.graph) == "");
    if (lowered != raised) continue;
    CHECK(RoundTripDifference([&](auto& facts) { facts.mlp.activation = lowered; }) == "");
  }
}

TEST_CASE("gated blocks with an activation of one ONNX op come back") {
  for (const std::string activation : {"relu", "sigmoid", "tanh"}) {
    CAPTURE(activation);
    CHECK(RoundTripDifference([&](auto& facts) { facts.mlp.activation = activation; }) == "");
  }
}

TEST_CASE("routed experts come back from every router") {
  const auto check = [](const std::function<void(families::ExpertsFacts&)>& change) {
    families::ExpertsFacts experts = SmallExperts();
    change(experts);
    CHECK(RoundTripDifference(BuildWithExperts(experts)) == "");
  };
  using families::RouterScore;
  check([](auto&) {});
  check([](auto& facts) {
    facts.router.weights_are_normalized = true;
    facts.router.weight_scale = 2.5F;
  });
  check([](auto& facts) {
    facts.router.score = RouterScore::kLogit;
    facts.router.weight = families::ChosenWeight::kSoftmax;
    facts.router.has_bias = true;
  });
  for (const auto rank : {families::GroupRank::kBest, families::GroupRank::kSumOfTwoBest}) {
    check([&](auto& facts) {
      facts.router.score = RouterScore::kSigmoid;
      facts.router.choice_is_corrected = rank == families::GroupRank::kSumOfTwoBest;
      facts.router.num_groups = 3;
      facts.router.groups_per_token = 2;
      facts.router.group_rank = rank;
      facts.router.weights_are_normalized = true;
      facts.router.normalization_epsilon = 1e-20F;
    });
  }
  check([](auto& facts) {
    facts.router.score = RouterScore::kSparseMixer;
    facts.router.jitter = 0.01F;
  });
  check([](auto& facts) {
    facts.router.experts_per_token = 1;
    facts.router.score = RouterScore::kLogit;
    facts.router.weight = families::ChosenWeight::kSigmoid;
    facts.weights_scale_inputs = true;
  });
}

TEST_CASE("routed experts come back with all options, from layer functions too") {
  for (const auto layout : {families::StackLayout::kOutIn, families::StackLayout::kInOut,
                            families::StackLayout::kInOutInterleaved}) {
    families::ExpertsFacts experts = SmallExperts();
    experts.has_bias = true;
    experts.names.stack_layout = layout;
    experts.activation = "quick_gelu";
    experts.limit = 7;
    experts.up_offset = 1;
    CHECK(RoundTripDifference(BuildWithExperts(experts)) == "");
    CHECK(RoundTripDifference(BuildWithExperts(experts), {.continuous_batching = true},
                              "DecoderLayer") == "");
  }
  families::ExpertsFacts experts = SmallExperts();
  experts.shared.emplace();
  experts.shared->mlp.ffn_size = 10;
  experts.shared->mlp.activation = "silu";
  experts.shared->mlp.names.prefix = "shared.";
  CHECK(RoundTripDifference(BuildWithExperts(experts)) == "");
  experts.shared->gate = "shared_gate";
  CHECK(RoundTripDifference(BuildWithExperts(experts)) == "");
}

TEST_CASE("the comparison sees a graph that does not come back") {
  families::DecoderFacts facts = SmallDecoder();
  facts.mlp.activation = "mish";  // has a lowering, and nothing recognizes it
  CHECK(RoundTripDifference(Build(facts)) != "");
}

}  // namespace qeff
