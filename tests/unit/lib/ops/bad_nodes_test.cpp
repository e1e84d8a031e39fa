// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Nodes that break the rules of their op, with the exact message.
#include <catch2/catch.hpp>
#include <limits>

#include "lib/ops/op.h"

namespace qeff::ops {
namespace {

struct InputType {
  DType dtype = DType::kF32;
  ir::Shape shape;
  bool is_missing = false;  ///< an optional input that is left out
};

ir::Graph OneNode(std::string_view domain, std::string_view op, std::vector<InputType> inputs,
                  ir::AttributeMap attributes = {}, size_t outputs = 1) {
  ir::Graph graph;
  ir::NodeSpec spec{.domain = domain,
                    .op_type = op,
                    .inputs = {},
                    .attributes = std::move(attributes),
                    .name = "n"};
  for (InputType& input : inputs) {
    if (input.is_missing) {
      spec.inputs.push_back(nullptr);
      continue;
    }
    spec.inputs.push_back(graph.AddInput("x" + std::to_string(spec.inputs.size()),
                                         {input.dtype, std::move(input.shape)}));
  }
  spec.output_names.assign(outputs, "");
  graph.AddNode(std::move(spec));
  return graph;
}

std::string Message(std::string_view domain, std::string_view op, std::vector<InputType> inputs,
                    ir::AttributeMap attributes = {}, size_t outputs = 1) {
  ir::Graph graph = OneNode(domain, op, std::move(inputs), std::move(attributes), outputs);
  const Result<TypeFacts> facts = InferTypes(graph);
  if (facts.ok()) return "accepted";
  const std::string text = facts.diagnostic().ToString();
  const std::string prefix = "node 'n' (#0): error: ";
  REQUIRE(text.starts_with(prefix));
  return text.substr(prefix.size());
}

/// The error of evaluating one ONNX op on values.
std::string EvaluationMessage(std::string_view op, const std::vector<Tensor>& inputs,
                              ir::AttributeMap attributes = {}) {
  std::vector<InputType> types;
  std::vector<const Tensor*> pointers;
  for (const Tensor& input : inputs) {
    types.push_back({input.dtype, ir::Shape(input.dims.begin(), input.dims.end())});
    pointers.push_back(&input);
  }
  const ir::Graph graph = OneNode("", op, types, std::move(attributes));
  const auto outputs = EvaluateNode(*graph.nodes().front(), pointers);
  return outputs.ok() ? "accepted" : outputs.diagnostic().ToString();
}

constexpr DType kI64 = DType::kI64;
constexpr DType kF32 = DType::kF32;

}  // namespace

TEST_CASE("bad ops and attributes") {
  CHECK(Message("", "Reshap", {{kF32, {2}}}) ==
        "unknown op 'Reshap'\nnote: did you mean 'Reshape'?");
  CHECK(Message("nowhere", "Add", {{kF32, {2}}}) == "unknown op 'nowhere.Add'");
  CHECK(Message("", "Cast", {{kF32, {2}}}) == "Cast: attribute 'to' is missing");
  CHECK(Message("", "Cast", {{kF32, {2}}}, {{"to", 1.5F}}) ==
        "Cast: attribute 'to': expected int, got float");
  CHECK(Message("", "Cast", {{kF32, {2}}}, {{"to", int64_t{8}}}) ==
        "Cast: attribute 'to': no element type has the number 8");
  CHECK(Message("", "Softmax", {{kF32, {2}}}, {{"axes", int64_t{0}}}) ==
        "Softmax: unknown attribute 'axes'\nnote: did you mean 'axis'?");
  CHECK(Message("qeff", "RmsNorm", {{kF32, {2}}, {kF32, {2}}}) ==
        "qeff.RmsNorm: attribute 'epsilon' is missing");
  CHECK(Message("qeff", "Activation", {{kF32, {2}}}, {{"kind", std::string("silo")}})
            .starts_with("qeff.Activation: unknown activation 'silo'\nnote: known: gelu, "));
}

TEST_CASE("bad numbers of inputs and outputs") {
  CHECK(Message("", "Add", {{kF32, {2}}}) == "Add: expected 2 inputs, got 1");
  CHECK(Message("", "Clip", {{kF32, {}}, {kF32, {}}, {kF32, {}}, {kF32, {}}}) ==
        "Clip: expected 1 to 3 inputs, got 4");
  CHECK(Message("", "Concat", {}, {{"axis", int64_t{0}}}) ==
        "Concat: expected at least 1 input, got 0");
  CHECK(Message("", "Relu", {{kF32, {2}}}, {}, 2) == "Relu: expected 1 output, got 2");
  CHECK(Message("", "TopK", {{kF32, {2}}, {kI64, {1}}}) == "TopK: expected 2 outputs, got 1");
}

TEST_CASE("bad ranks, sizes and element types") {
  CHECK(Message("", "Add", {{kF32, {2, 3}}, {kF32, {4}}}) ==
        "Add: cannot broadcast [2, 3] with [4]");
  CHECK(Message("", "Add", {{kF32, {2}}, {kI64, {2}}}) ==
        "Add: input 1: expected element type f32 as input 0 has, got i64");
  CHECK(Message("", "Not", {{kF32, {2}}}) ==
        "Not: input 0: expected element type bool, got f32 [2]");
  CHECK(Message("", "Sqrt", {{kI64, {2}}}) == "Sqrt: input 0: expected a float, got i64 [2]");
  CHECK(Message("", "MatMul", {{kF32, {2, 3}}, {kF32, {4, 5}}}) ==
        "MatMul: expected 3 rows on the right, got f32 [2, 3] times f32 [4, 5]");
  CHECK(Message("", "Transpose", {{kF32, {2, 3}}}, {{"perm", std::vector<int64_t>{0, 0}}}) ==
        "Transpose: axis 0 is named twice");
  CHECK(Message("", "Softmax", {{kF32, {2, 3}}}, {{"axis", int64_t{2}}}) ==
        "Softmax: axis 2 is outside of [-2, 2)");
  CHECK(Message("", "Concat", {{kF32, {2, 3}}, {kF32, {3, 3}}}, {{"axis", int64_t{1}}}) ==
        "Concat: input 1: expected size 2 on axis 0, got f32 [3, 3]");
  CHECK(Message("", "Conv", {{kF32, {1, 4, 8}}, {kF32, {2, 3, 3}}}) ==
        "Conv: input 0: expected size 3 on axis 1, got f32 [1, 4, 8]");
  CHECK(Message("", "Conv", {{kF32, {1, 3, 8}}, {kF32, {2, 3, 3}}},
                {{"strides", std::vector<int64_t>{0}}}) ==
        "Conv: attribute 'strides': expected 1 numbers of at least 1, got [0]");
  const InputType rows = {kF32, {1, 4, 8}};
  CHECK(Message("qeff", "PackedAttention",
                {rows, rows, rows, {kI64, {1, 4}}, {kI64, {3}}, {.is_missing = true}, {kF32, {2}}},
                {{"num_heads", int64_t{2}}, {"num_kv_heads", int64_t{2}}, {"scale", 1.0F}}) ==
        "qeff.PackedAttention: input 6: expected element type i64, got f32 [2]");
  CHECK(Message("qeff", "Linear", {{kF32, {2, 3}}, {kF32, {5, 4}}}) ==
        "qeff.Linear: input 0: expected size 4 on axis 1, got f32 [2, 3]");
  CHECK(Message("qeff", "Rope", {{kF32, {1, 2, 8}}, {kF32, {1, 2, 6}}, {kF32, {1, 2, 6}}},
                {{"num_heads", int64_t{2}}}) ==
        "qeff.Rope: expected an even number of at most 4 rotary channels, got 6");
  CHECK(Message("com.qualcomm.cloud", "CtxScatter",
                {{kF32, {1, 2, 4, 8}}, {kI64, {1, 3}}, {kF32, {1, 2, 2, 8}}}) ==
        "com.qualcomm.cloud.CtxScatter: input 2: expected size 3 on axis 2, got f32 [1, 2, 2, 8]");
}

TEST_CASE("bad experts") {
  const auto message = [](std::vector<std::pair<size_t, InputType>> changes,
                          ir::AttributeMap attributes = {}) {
    std::vector<InputType> inputs = {{kF32, {1, 2, 4}}, {kI64, {1, 2, 2}}, {kF32, {1, 2, 2}},
                                     {kF32, {3, 5, 4}}, {kF32, {3, 5, 4}}, {kF32, {3, 4, 5}},
                                     {kF32, {3, 5}},    {kF32, {3, 5}},    {kF32, {3, 4}}};
    for (auto& [index, type] : changes) inputs[index] = std::move(type);
    attributes.insert({"activation", std::string("silu")});
    return Message("qeff", "Experts", std::move(inputs), std::move(attributes));
  };
  CHECK(message({}) == "accepted");
  CHECK(message({{1, {kF32, {1, 2, 2}}}}) ==
        "qeff.Experts: input 1: expected integers, got f32 [1, 2, 2]");
  CHECK(message({{1, {kI64, {1, 3, 2}}}}) ==
        "qeff.Experts: input 1: expected size 2 on axis 1, got i64 [1, 3, 2]");
  CHECK(message({{2, {kF32, {1, 2, 3}}}}) ==
        "qeff.Experts: input 2: expected size 2 on axis 2, got f32 [1, 2, 3]");
  CHECK(message({{3, {kF32, {5, 4}}}}) == "qeff.Experts: input 3: expected rank 3, got f32 [5, 4]");
  CHECK(message({{4, {kF32, {3, 6, 4}}}}) ==
        "qeff.Experts: input 4: expected size 5 on axis 1, got f32 [3, 6, 4]");
  CHECK(message({{5, {kF32, {2, 4, 5}}}}) ==
        "qeff.Experts: input 5: expected size 3 on axis 0, got f32 [2, 4, 5]");
  CHECK(message({{8, {kF32, {3, 5}}}}) ==
        "qeff.Experts: input 8: expected size 4 on axis 1, got f32 [3, 5]");
  CHECK(message({}, {{"limit", -1.0F}}) ==
        "qeff.Experts: attribute 'limit': expected 0 or more, got -1");
  CHECK(message({}, {{"weights_scale_inputs", int64_t{2}}}) ==
        "qeff.Experts: attribute 'weights_scale_inputs': expected 0 or 1, got 2");
  CHECK(message({}, {{"activation", std::string("step")}})
            .starts_with("qeff.Experts: unknown activation 'step'"));
  const Tensor x{kF32, {1, 1}, {1}, {}};
  const Tensor ids = IntTensor({1, 1}, {2});
  const Tensor weights{kF32, {2, 1, 1}, {1, 1}, {}};
  const ir::Graph graph = OneNode("qeff", "Experts",
                                  {{kF32, {1, 1}},
                                   {kI64, {1, 1}},
                                   {kF32, {1, 1}},
                                   {kF32, {2, 1, 1}},
                                   {kF32, {2, 1, 1}},
                                   {kF32, {2, 1, 1}}},
                                  {{"activation", std::string("silu")}});
  const Tensor* inputs[] = {&x, &ids, &x, &weights, &weights, &weights};
  const auto outputs = EvaluateNode(*graph.nodes().front(), inputs);
  REQUIRE_FALSE(outputs.ok());
  CHECK(outputs.diagnostic().message == "qeff.Experts: expert 2 is outside of [0, 2)");
}

TEST_CASE("bad attentions") {
  const ir::AttributeMap heads = {
      {"num_heads", int64_t{4}}, {"num_kv_heads", int64_t{3}}, {"scale", 1.0F}};
  const InputType query{kF32, {1, 2, 16}};
  const InputType key{kF32, {1, 2, 8}};
  CHECK(Message("qeff", "Attention", {query, key, key}, heads) ==
        "qeff.Attention: expected num_heads a multiple of num_kv_heads, got 4 and 3");
  ir::AttributeMap fitting = heads;
  fitting["num_kv_heads"] = int64_t{2};
  CHECK(Message("qeff", "Attention", {query, key, key}, fitting) == "accepted");
  CHECK(Message("qeff", "Attention", {query, {kF32, {1, 2, 6}}, key}, fitting) ==
        "qeff.Attention: expected keys of head size 4, got 3");
  CHECK(
      Message("qeff", "Attention", {query, key, key}, fitting, 3) ==
      "qeff.Attention: past_key, past_value and both present outputs come together or not at all");
  const InputType positions{kI64, {1, 2}};
  const InputType past{kF32, {1, 2, 6, 4}};
  CHECK(Message("qeff", "Attention", {query, key, key, positions, past, past}, fitting, 3) ==
        "accepted");
  CHECK(Message("qeff", "Attention", {query, key, key, positions, {kF32, {1, 2, 6, 5}}, past},
                fitting,
                3) == "qeff.Attention: input 4: expected size 4 on axis 3, got f32 [1, 2, 6, 5]");
  ir::AttributeMap biased = fitting;
  biased["alibi_slopes"] = std::vector<float>{0.5F, 0.25F};
  CHECK(Message("qeff", "Attention", {query, key, key, positions}, biased) ==
        "qeff.Attention: attribute 'alibi_slopes': expected one a head (4), got 2");
  biased["alibi_slopes"] = std::vector<float>(4, 0.5F);
  CHECK(Message("qeff", "Attention", {query, key, key}, biased) ==
        "qeff.Attention: alibi_slopes and chunk_tokens need position_ids");
  ir::AttributeMap chunked = fitting;
  chunked["chunk_tokens"] = int64_t{-1};
  CHECK(Message("qeff", "Attention", {query, key, key, positions}, chunked) ==
        "qeff.Attention: attribute 'chunk_tokens': expected 0 or more, got -1");
}

TEST_CASE("bad masks and biases of attention") {
  const ir::AttributeMap heads = {
      {"num_heads", int64_t{4}}, {"num_kv_heads", int64_t{2}}, {"scale", 1.0F}};
  const InputType query{kF32, {3, 2, 16}};
  const InputType key{kF32, {3, 2, 8}};
  const InputType none{.is_missing = true};
  const auto with = [&](const InputType& mask, const InputType& bias) {
    return Message("qeff", "Attention",
                   {query, key, key, none, none, none, none, none, none, mask, bias}, heads);
  };
  CHECK(with({kI64, {3, 2}}, {kF32, {1, 4, 1, 2}}) == "accepted");
  CHECK(with({kF32, {3, 2}}, none) == "qeff.Attention: input 9: expected integers, got f32 [3, 2]");
  CHECK(with({kI64, {3, 3}}, none) ==
        "qeff.Attention: input 9: expected size 2 on axis 1, got i64 [3, 3]");
  CHECK(with(none, {kF32, {2, 4, 2, 2}}) ==
        "qeff.Attention: input 10: expected size 3 on axis 0, got f32 [2, 4, 2, 2]");
  CHECK(with(none, {kF32, {1, 2, 2, 2}}) ==
        "qeff.Attention: input 10: expected size 4 on axis 1, got f32 [1, 2, 2, 2]");
  CHECK(with(none, {kF32, {1, 4, 2, 1}}) ==
        "qeff.Attention: input 10: expected size 2 on axis 3, got f32 [1, 4, 2, 1]");
  const InputType past{kF32, {3, 2, 6, 4}};
  CHECK(Message("qeff", "Attention",
                {query, key, key, {kI64, {3, 2}}, past, past, none, none, none, {kI64, {3, 2}}},
                heads, 3) == "qeff.Attention: key_mask and bias are for attention without a past");
}

TEST_CASE("bad values at run time") {
  const Tensor table = ZeroTensor(kF32, {3, 2});
  CHECK(EvaluationMessage("Gather", {table, IntTensor({1}, {3})}) ==
        "node 'n': error: Gather: index 3 is outside of [-3, 3)");
  CHECK(
      EvaluationMessage("ScatterND", {table, IntTensor({1, 1}, {-4}), ZeroTensor(kF32, {1, 2})}) ==
      "node 'n': error: ScatterND: index -4 is outside of [-3, 3)");
  CHECK(EvaluationMessage("Div", {IntTensor({1}, {3}), IntTensor({1}, {0})}) ==
        "node 'n': error: Div: division of integers by zero");
  CHECK(EvaluationMessage("ConstantOfShape", {IntTensor({2}, {1 << 20, 1 << 20})}) ==
        "node 'n': error: ConstantOfShape: a result f32 [1048576, 1048576] is too large for the "
        "reference meaning");
  CHECK(EvaluationMessage("Reshape", {table, IntTensor({1}, {4})}) ==
        "node 'n': error: Reshape: cannot reshape f32 [3, 2] to [4]");
  CHECK(EvaluationMessage("Reshape", {table, IntTensor({2}, {-1, 4})}) ==
        "node 'n': error: Reshape: cannot divide the 6 elements of f32 [3, 2] by 4");
  CHECK(EvaluationMessage("Range", {IntTensor({}, {0}), IntTensor({}, {9}), IntTensor({}, {0})}) ==
        "node 'n': error: Range: the step is 0");
  CHECK(EvaluationMessage(
            "Range", {IntTensor({}, {0}), IntTensor({}, {int64_t{1} << 62}), IntTensor({}, {1})})
            .find("too large") != std::string::npos);
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  CHECK(EvaluationMessage("Div", {IntTensor({1}, {lowest}), IntTensor({1}, {-1})}) == "accepted");
  CHECK(EvaluationMessage("Slice", {table, IntTensor({1}, {lowest}), IntTensor({1}, {lowest}),
                                    IntTensor({1}, {0}), IntTensor({1}, {lowest})}) == "accepted");
}

TEST_CASE("bad inputs that inference must catch before evaluation reads them") {
  const Tensor table = ZeroTensor(kF32, {3, 2});
  Tensor fraction = ZeroTensor(kF32, {1});
  fraction.floats[0] = 0.5;
  CHECK(EvaluationMessage("Slice", {table, fraction, fraction}) ==
        "node 'n': error: Slice: input 1: expected integers, got f32 [1]");
  CHECK(EvaluationMessage("ReduceSum", {table, fraction}) ==
        "node 'n': error: ReduceSum: input 1: expected integers, got f32 [1]");
  CHECK(EvaluationMessage("OneHot", {IntTensor({1}, {0}), fraction, ZeroTensor(kF32, {2})}) ==
        "node 'n': error: OneHot: expected inputs that give all sizes, got f32 [1, ?]");
  CHECK(
      EvaluationMessage("LayerNormalization", {ZeroTensor(kF32, {2, 1}), ZeroTensor(kF32, {4})}) ==
      "node 'n': error: LayerNormalization: input 1: expected sizes that broadcast to [1], got f32 "
      "[4]");
  const int64_t lowest = std::numeric_limits<int64_t>::min();
  const int64_t highest = std::numeric_limits<int64_t>::max();
  CHECK(EvaluationMessage("Pad", {ZeroTensor(kF32, {2}), IntTensor({2}, {lowest, highest})}) ==
        "node 'n': error: Pad: a padding of -9223372036854775808 elements");
  CHECK(Message("qeff", "RmsNorm", {{kF32, {6}}, {kF32, {4}}},
                {{"epsilon", 1.0F}, {"num_groups", int64_t{1} << 62}}) ==
        "qeff.RmsNorm: attribute 'num_groups': expected 1 to 2^30, got 4611686018427387904");
  ir::Graph graph;
  ir::Value* x = graph.AddInput("x", {kF32, ir::Shape{2}});
  graph.AddNode({.domain = "", .op_type = "Max", .inputs = {x, nullptr, x}, .name = "n"});
  CHECK(InferTypes(graph).diagnostic().message == "Max: input 1 is missing");
}

TEST_CASE("bad graphs: all findings at once") {
  ir::Graph graph;
  ir::Value* x = graph.AddInput("x", {DType::kF32, ir::Shape{2}});
  ir::Value* y = graph.Add({.domain = "", .op_type = "Nothing", .inputs = {x}, .name = "a"});
  graph.AddOutput("y", graph.Add({.domain = "", .op_type = "Add", .inputs = {y}, .name = "b"}));
  Diagnostics diagnostics;
  CHECK_FALSE(VerifyGraph(graph, diagnostics).ok());
  REQUIRE(diagnostics.findings().size() == 2);
  CHECK(diagnostics.findings()[0].ToString() == "node 'a' (#0): error: unknown op 'Nothing'");
  CHECK(diagnostics.findings()[1].ToString() ==
        "node 'b' (#1): error: Add: expected 2 inputs, got 1");
}

TEST_CASE("bad causal convolutions") {
  const InputType x = {kF32, {2, 3, 4}};
  const InputType weight = {kF32, {4, 1, 2}};
  const InputType positions = {kI64, {2, 3}};
  const InputType state = {kF32, {2, 4, 2}};
  const InputType bias = {kF32, {4}};
  CHECK(Message("qeff", "CausalConv", {x, weight, positions}) == "accepted");
  CHECK(Message("qeff", "CausalConv", {x, weight, positions, bias, state}, {}, 2) == "accepted");
  CHECK(Message("qeff", "CausalConv", {x, {kF32, {5, 1, 2}}, positions}) ==
        "qeff.CausalConv: input 1: expected size 4 on axis 0, got f32 [5, 1, 2]");
  CHECK(Message("qeff", "CausalConv", {x, {kF32, {4, 1, int64_t{0}}}, positions}) ==
        "qeff.CausalConv: expected at least one tap");
  CHECK(Message("qeff", "CausalConv", {x, weight, {kI64, {2, 4}}}) ==
        "qeff.CausalConv: input 2: expected size 3 on axis 1, got i64 [2, 4]");
  CHECK(Message("qeff", "CausalConv", {x, weight, positions, bias, state}) ==
        "qeff.CausalConv: the state before and the state after come together or not at all");
  CHECK(Message("qeff", "CausalConv", {x, weight, positions, bias, {kF32, {2, 4, 3}}}, {}, 2) ==
        "qeff.CausalConv: input 4: expected size 2 on axis 2, got f32 [2, 4, 3]");
  CHECK(Message("qeff", "CausalConv", {x, weight, positions, bias, {kF32, {3, 4, 2}}}, {}, 2) ==
        "qeff.CausalConv: input 4: expected size 2 on axis 0, got f32 [3, 4, 2]");
  CHECK(Message("qeff", "CausalConv", {x, weight, positions}, {{"activation", std::string("silo")}})
            .starts_with("qeff.CausalConv: unknown activation 'silo'"));
}

TEST_CASE("bad gated delta rules") {
  const InputType keys = {kF32, {2, 3, 8}};
  const InputType values = {kF32, {2, 3, 12}};
  const InputType gates = {kF32, {2, 3, 4}};
  const InputType positions = {kI64, {2, 3}};
  const InputType state = {kF32, {2, 4, 4, 3}};
  const ir::AttributeMap heads = {{"num_key_heads", int64_t{2}}, {"num_value_heads", int64_t{4}}};
  const auto message = [&](std::vector<InputType> inputs, size_t outputs = 1) {
    return Message("qeff", "GatedDeltaRule", std::move(inputs), heads, outputs);
  };
  CHECK(message({keys, keys, values, gates, gates, positions}) == "accepted");
  CHECK(message({keys, keys, values, gates, gates, positions, state}, 2) == "accepted");
  CHECK(Message("qeff", "GatedDeltaRule", {keys, keys, values, gates, gates, positions},
                {{"num_key_heads", int64_t{3}}, {"num_value_heads", int64_t{4}}}) ==
        "qeff.GatedDeltaRule: expected num_value_heads a multiple of num_key_heads, got 4 and 3");
  CHECK(message({keys, keys, {kF32, {2, 3, 10}}, gates, gates, positions}) ==
        "qeff.GatedDeltaRule: input 2: expected 4 heads of equal size, got f32 [2, 3, 10]");
  CHECK(message({keys, keys, values, {kF32, {2, 3, 2}}, gates, positions}) ==
        "qeff.GatedDeltaRule: input 3: expected size 4 on axis 2, got f32 [2, 3, 2]");
  CHECK(message({keys, keys, values, gates, gates, positions, {kF32, {2, 4, 3, 4}}}, 2) ==
        "qeff.GatedDeltaRule: input 6: expected size 4 on axis 2, got f32 [2, 4, 3, 4]");
  CHECK(message({keys, keys, values, gates, gates, positions}, 2) ==
        "qeff.GatedDeltaRule: the state before and the state after come together or not at all");
}

}  // namespace qeff::ops
