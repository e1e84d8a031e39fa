// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/reference/reference_session.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "lib/ops/op.h"
#include "lib/support/float16.h"

namespace qeff::reference {
namespace {

/// sum_RetainedState [2] = sum + x * 0.5;  y [1, 2] = Gather(table, index) of f16.
ir::Graph MakeGraph(int64_t tokens, ir::Shape state = {2}) {
  ir::Graph graph;
  ir::Value* x = graph.AddInput("x", {DType::kF16, ir::Shape{tokens, 2}});
  ir::Value* index = graph.AddInput("index", {DType::kI64, ir::Shape{1}});
  ir::Value* sum = graph.AddInput("sum", {DType::kF32, std::move(state)});
  ir::Value* wide = graph.Add({.domain = "",
                               .op_type = "Cast",
                               .inputs = {x},
                               .attributes = {{"to", int64_t{1}}},
                               .name = "cast"});
  ir::Value* half = graph.AddConstant("half", ir::MakeFloatScalar(0.5F));
  ir::Value* scaled = graph.Add({.domain = "", .op_type = "Mul", .inputs = {wide, half}});
  ir::Value* total = graph.Add(
      {.domain = "",
       .op_type = "ReduceSum",
       .inputs = {scaled, graph.AddConstant("axes", ir::MakeIntVector(std::vector<int64_t>{0}))},
       .attributes = {{"keepdims", int64_t{0}}}});
  ir::Value* next = graph.Add({.domain = "", .op_type = "Add", .inputs = {sum, total}});
  graph.AddOutput("sum_RetainedState", next);
  ir::Value* y =
      graph.Add({.domain = "", .op_type = "Gather", .inputs = {x, index}, .name = "pick"});
  graph.AddOutput("y", y);
  const Result<ops::TypeFacts> facts = ops::InferTypes(graph);
  REQUIRE(facts.ok());
  return graph;
}

std::unique_ptr<Session> MakeSession() {
  std::vector<ReferenceSpecialization> specializations;
  specializations.push_back({"Prefill", {{"seq_len", 3}}, MakeGraph(3)});
  specializations.push_back({"Decode", {{"seq_len", 1}}, MakeGraph(1)});
  Result<std::unique_ptr<Session>> session = MakeReferenceSession(std::move(specializations));
  REQUIRE(session.ok());
  return std::move(session).value();
}

template <typename T>
void Fill(std::span<std::byte> buffer, const std::vector<T>& values) {
  REQUIRE(buffer.size() == values.size() * sizeof(T));
  std::memcpy(buffer.data(), values.data(), buffer.size());
}

std::vector<uint16_t> Halves(const std::vector<float>& values) {
  std::vector<uint16_t> halves;
  for (const float value : values) halves.push_back(F32ToF16(value));
  return halves;
}

}  // namespace

TEST_CASE("a session lists what its graphs have") {
  const std::unique_ptr<Session> session = MakeSession();
  REQUIRE(session->specializations().size() == 2);
  const SpecializationInfo& prefill = session->specializations()[0];
  CHECK(prefill.name == "Prefill");
  CHECK(prefill.symbols.at("seq_len") == 3);
  REQUIRE(prefill.inputs.size() == 2);
  CHECK(prefill.inputs[0].name == "x");
  CHECK(prefill.inputs[0].dims == std::vector<int64_t>{3, 2});
  REQUIRE(prefill.outputs.size() == 1);
  CHECK(prefill.outputs[0].dtype == DType::kF16);
  REQUIRE(session->retained_state().size() == 1);
  CHECK(session->retained_state()[0].name == "sum");
  CHECK(session->Input(0, "sum").empty());
  CHECK(session->Input(2, "x").empty());
  CHECK(session->Output(0, "sum_RetainedState").empty());
}

TEST_CASE("state is kept over runs and shared by specializations") {
  const std::unique_ptr<Session> session = MakeSession();
  Fill(session->Input(0, "x"), Halves({1, 2, 3, 4, 5, 6}));
  Fill(session->Input(0, "index"), std::vector<int64_t>{2});
  Fill(session->Input(1, "x"), Halves({10, 20}));
  REQUIRE(session->Run(0).ok());
  REQUIRE(session->Run(1).ok());
  CHECK(*session->ReadState("sum") == std::vector<float>{9.5, 16});
  std::vector<uint16_t> y(2);
  REQUIRE(session->Output(0, "y").size() == 4);
  std::memcpy(y.data(), session->Output(0, "y").data(), 4);
  CHECK(y == Halves({5, 6}));
  REQUIRE(session->ResetState().ok());
  CHECK(*session->ReadState("sum") == std::vector<float>{0, 0});
}

TEST_CASE("bad runs leave the state as it was") {
  const std::unique_ptr<Session> session = MakeSession();
  Fill(session->Input(0, "x"), Halves({1, 2, 3, 4, 5, 6}));
  Fill(session->Input(0, "index"), std::vector<int64_t>{3});
  const Status status = session->Run(0);
  REQUIRE_FALSE(status.ok());
  CHECK(status.diagnostic().ToString() ==
        "node 'pick' (#4): error: Gather: index 3 is outside of [-3, 3)");
  CHECK(*session->ReadState("sum") == std::vector<float>{0, 0});
  CHECK(session->Run(7).diagnostic().message == "expected a specialization below 2, got 7");
  CHECK(session->ReadState("x").diagnostic().ToString() ==
        "tensor 'x': error: no such retained state");
}

TEST_CASE("bad programs are refused") {
  CHECK(MakeReferenceSession({}).diagnostic().message ==
        "a program needs at least one specialization");
  std::vector<ReferenceSpecialization> specializations;
  specializations.push_back({"Prefill", {}, MakeGraph(3)});
  specializations.push_back({"Decode", {}, MakeGraph(1, {1, 2})});
  CHECK(MakeReferenceSession(std::move(specializations)).diagnostic().ToString() ==
        "tensor 'sum': error: expected retained state f32 [2], got f32 [1, 2]\n"
        "note: in specialization 'Decode'");
  ir::Graph symbolic;
  ir::Value* x = symbolic.AddInput("x", {DType::kF32, ir::Shape{"seq_len"}});
  symbolic.AddOutput("y", symbolic.Add({.domain = "", .op_type = "Relu", .inputs = {x}}));
  std::vector<ReferenceSpecialization> open;
  open.push_back({"All", {}, std::move(symbolic)});
  CHECK(MakeReferenceSession(std::move(open)).diagnostic().ToString() ==
        "tensor 'x': error: expected a type without symbols, got f32 [seq_len]\n"
        "note: in specialization 'All'");
}

}  // namespace qeff::reference
