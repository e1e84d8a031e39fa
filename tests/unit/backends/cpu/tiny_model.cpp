// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/backends/cpu/tiny_model.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "lib/ops/op.h"

namespace qeff::cpu {
namespace {

class TinyModelBuilder {
 public:
  explicit TinyModelBuilder(const TinyModelOptions& options) : options_(options) {}

  ir::Graph Build() {
    const ir::Shape ids = {options_.batch, options_.tokens};
    ir::Value* input_ids = graph_.AddInput("input_ids", {DType::kI64, ids});
    positions_ = graph_.AddInput("position_ids", {DType::kI64, ids});
    ir::Value* embedding = Weight({options_.vocabulary, kTinyWidth}, "embed");
    ir::Value* x = graph_.Add({.op_type = "Gather", .inputs = {embedding, input_ids}});
    const int64_t rows = options_.context;
    const std::vector<float> frequencies = {1.0f, 0.3f, 0.1f, 0.03f};
    cos_ = Table(rows, {false, frequencies, 1.0f}, "cos");
    sin_ = Table(rows, {true, frequencies, 1.0f}, "sin");
    for (int64_t layer = 0; layer < options_.layers; ++layer) x = Layer(x, layer);
    x = Norm(x, "final");
    x = graph_.Add(
        {.domain = ir::kQeffDomain, .op_type = "SelectLastToken", .inputs = {x, positions_}});
    ir::Value* head =
        options_.is_tied ? embedding : Weight({options_.vocabulary, kTinyWidth}, "head");
    graph_.AddOutput("logits", Op("Linear", {x, head}));
    for (const auto& [name, value] : states_) graph_.AddOutput(name, value);
    const auto facts = ops::InferTypes(graph_);
    REQUIRE(facts.ok());
    return std::move(graph_);
  }

 private:
  ir::Value* Op(std::string_view op, std::vector<ir::Value*> inputs,
                ir::AttributeMap attributes = {}) {
    return graph_.Add({.domain = ir::kQeffDomain,
                       .op_type = op,
                       .inputs = std::move(inputs),
                       .attributes = std::move(attributes)});
  }

  ir::Value* Weight(std::vector<int64_t> dims, const std::string& name) {
    std::normal_distribution<float> normal(0, 0.3f);
    std::vector<float> values(static_cast<size_t>(ir::ElementCount(dims)));
    for (float& value : values) value = normal(engine_);
    return graph_.AddConstant(name, ir::MakeFloats(std::move(dims), values));
  }

  ir::Value* Table(int64_t rows, ir::RopeTable table, const std::string& name) {
    ir::Value* constant = graph_.AddConstant(name, ir::MakeRopeTable(rows, std::move(table)));
    return graph_.Add({.op_type = "Gather", .inputs = {constant, positions_}});
  }

  ir::Value* Norm(ir::Value* x, const std::string& name) {
    return Op("RmsNorm", {x, Weight({kTinyWidth}, name)}, {{"epsilon", 1e-5f}});
  }

  ir::Value* Project(ir::Value* x, int64_t columns, int64_t depth, const std::string& name) {
    std::vector<ir::Value*> inputs = {x, Weight({columns, depth}, name)};
    if (options_.has_bias) inputs.push_back(Weight({columns}, name + ".bias"));
    return Op("Linear", std::move(inputs));
  }

  ir::Value* Rotate(ir::Value* x, int64_t heads) {
    if (options_.has_qk_norm) {
      x = Op("RmsNorm", {x, Weight({kTinyHeadSize}, "qk_norm")},
             {{"epsilon", 1e-5f}, {"num_groups", heads}});
    }
    return Op("Rope", {x, cos_, sin_}, {{"num_heads", heads}});
  }

  ir::Value* Layer(ir::Value* x, int64_t layer) {
    const std::string number = std::to_string(layer);
    ir::Value* normal = Norm(x, "norm" + number);
    ir::Value* q = Project(normal, kTinyHeads * kTinyHeadSize, kTinyWidth, "q" + number);
    ir::Value* k = Project(normal, kTinyKvHeads * kTinyHeadSize, kTinyWidth, "k" + number);
    ir::Value* v = Project(normal, kTinyKvHeads * kTinyHeadSize, kTinyWidth, "v" + number);
    const ir::Shape state = {options_.batch, kTinyKvHeads, options_.context, kTinyHeadSize};
    ir::Value* past_key = graph_.AddInput("past_key." + number, {DType::kF32, state});
    ir::Value* past_value = graph_.AddInput("past_value." + number, {DType::kF32, state});
    ir::Node* attention = graph_.AddNode({.domain = ir::kQeffDomain,
                                          .op_type = "Attention",
                                          .inputs = {Rotate(q, kTinyHeads), Rotate(k, kTinyKvHeads),
                                                     v, positions_, past_key, past_value},
                                          .attributes = {{"num_heads", kTinyHeads},
                                                         {"num_kv_heads", kTinyKvHeads},
                                                         {"scale", 0.35f},
                                                         {"window_tokens", options_.window}},
                                          .output_names = {"", "", ""}});
    states_.emplace_back("past_key." + number + "_RetainedState", attention->output(1));
    states_.emplace_back("past_value." + number + "_RetainedState", attention->output(2));
    ir::Value* mixed =
        Project(attention->output(0), kTinyWidth, kTinyHeads * kTinyHeadSize, "o" + number);
    x = graph_.Add({.op_type = "Add", .inputs = {x, mixed}});
    if (options_.experts > 0)
      return graph_.Add({.op_type = "Add", .inputs = {Experts(x, number), x}});
    std::vector<ir::Value*> mlp = {Norm(x, "norm_mlp" + number),
                                   Weight({kTinyFfn, kTinyWidth}, "gate" + number),
                                   Weight({kTinyFfn, kTinyWidth}, "up" + number),
                                   Weight({kTinyWidth, kTinyFfn}, "down" + number)};
    ir::Value* out = Op("GatedMlp", std::move(mlp), {{"activation", std::string("silu")}});
    return graph_.Add({.op_type = "Add", .inputs = {out, x}});
  }

  ir::Value* Experts(ir::Value* x, const std::string& number) {
    const int64_t count = options_.experts;
    ir::Value* normal = Norm(x, "norm_mlp" + number);
    ir::Value* scores = graph_.Add(
        {.op_type = "Softmax",
         .inputs = {Op("Linear", {normal, Weight({count, kTinyWidth}, "router" + number)})},
         .attributes = {{"axis", int64_t{-1}}}});
    const int64_t choices = 2;
    ir::Value* k = graph_.AddConstant("k" + number, ir::MakeIntVector({&choices, 1}));
    const ir::Node* top =
        graph_.AddNode({.op_type = "TopK", .inputs = {scores, k}, .output_names = {"", ""}});
    return Op("Experts",
              {normal, top->output(1), top->output(0),
               Weight({count, kTinyFfn, kTinyWidth}, "gate" + number),
               Weight({count, kTinyFfn, kTinyWidth}, "up" + number),
               Weight({count, kTinyWidth, kTinyFfn}, "down" + number),
               Weight({count, kTinyFfn}, "gate_bias" + number), nullptr,
               Weight({count, kTinyWidth}, "down_bias" + number)},
              {{"activation", std::string("quick_gelu")}, {"limit", 0.8f}, {"up_offset", 1.0f}});
  }

  const TinyModelOptions options_;
  ir::Graph graph_;
  std::mt19937 engine_{7};
  ir::Value* positions_ = nullptr;
  ir::Value* cos_ = nullptr;
  ir::Value* sin_ = nullptr;
  std::vector<std::pair<std::string, ir::Value*>> states_;
};

}  // namespace

SpecializedGraph MakeTinyModel(const TinyModelOptions& options) {
  return {
      options.tokens == 1 ? "Decode" : "Prefill",
      {{"batch_size", options.batch}, {"seq_len", options.tokens}, {"ctx_len", options.context}},
      TinyModelBuilder(options).Build()};
}

BuiltPlan BuildPlan(const std::vector<SpecializedGraph>& graphs, const CpuCompileOptions& options) {
  const auto plan = CompileForCpu(graphs, options);
  if (!plan.ok()) FAIL(plan.diagnostic().ToString());
  BuiltPlan built;
  const std::string text = WriteProgram(plan->program);
  const auto bytes = std::as_bytes(std::span(text));
  built.program.assign(bytes.begin(), bytes.end());
  const Status written = plan->WriteConstants([&](std::span<const std::byte> piece) {
    built.constants.insert(built.constants.end(), piece.begin(), piece.end());
    return Status::Ok();
  });
  REQUIRE(written.ok());
  REQUIRE(built.constants.size() == plan->constants_bytes());
  return built;
}

Result<std::unique_ptr<Session>> OpenBuilt(const BuiltPlan& plan, const CpuRunOptions& options) {
  return OpenCpuSession({.program = plan.program, .constants = plan.constants, .path = "tiny.bin"},
                        options);
}

std::vector<float> RunTinyModel(Session& session, int64_t first_position, bool has_padding,
                                size_t specialization) {
  const auto fill = [&](std::string_view name, auto value_of) {
    const std::span<std::byte> bytes = session.Input(specialization, name);
    const auto& dims = session.specializations()[specialization].inputs[0].dims;
    std::vector<int64_t> values;
    for (int64_t b = 0; b < dims[0]; ++b) {
      for (int64_t t = 0; t < dims[1]; ++t) values.push_back(value_of(b, t, t + 1 == dims[1]));
    }
    REQUIRE(bytes.size() == values.size() * 8);
    std::memcpy(bytes.data(), values.data(), bytes.size());
  };
  fill("input_ids", [&](int64_t b, int64_t t, bool) {
    return (17 * b + 5 * (t + first_position) + 3) % kTinyIds;
  });
  fill("position_ids", [&](int64_t, int64_t t, bool is_last) {
    return has_padding && is_last ? -1 : first_position + t;
  });
  const Status status = session.Run(specialization);
  if (!status.ok()) FAIL(status.diagnostic().ToString());
  const auto bytes = session.Output(specialization, "logits");
  std::vector<float> logits(bytes.size() / 4);
  std::memcpy(logits.data(), bytes.data(), bytes.size());
  return logits;
}

}  // namespace qeff::cpu
