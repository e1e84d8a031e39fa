// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/check_support.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <functional>

namespace qeff::aic100 {
namespace {

/// The findings for `graph`, one text each.
std::vector<std::string> Findings(const ir::Graph& graph) {
  Diagnostics diagnostics;
  CheckSupport(graph, diagnostics);
  std::vector<std::string> texts;
  for (const Diagnostic& finding : diagnostics.findings()) texts.push_back(finding.ToString());
  return texts;
}

TEST_CASE("bad_graph: everything that the card's compiler would refuse is found at once") {
  ir::Graph graph;
  ir::Value* x = graph.AddInput("x", {DType::kF32, ir::Shape{2, 2}});
  graph.AddInput("wide", {DType::kF64, ir::Shape{2}});
  const std::array<float, 2> floats = {1.0F, -3.4e38F};
  ir::Value* mask = graph.AddConstant("mask", ir::MakeFloats({2}, floats));
  const std::array<int64_t, 3> ints = {INT64_MAX, 5, int64_t{1} << 40};
  graph.AddConstant("indices", ir::MakeIntVector(ints));
  ir::Value* y = graph.Add({.domain = "", .op_type = "Add", .inputs = {x, mask}, .name = "/add"});
  y = graph.Add({.domain = "qeff", .op_type = "RmsNorm", .inputs = {y}, .name = "/norm"});
  y = graph.Add({.domain = "", .op_type = "Einsun", .inputs = {y}, .name = "/odd"});
  graph.AddOutput("y", y);
  const std::vector<std::string> texts = Findings(graph);
  REQUIRE(texts.size() == 5);
  CHECK(texts[1].starts_with("node '/norm' (#1): error: op 'qeff.RmsNorm' has no meaning"));
  CHECK(texts[2].starts_with("node '/odd' (#2): warning: op 'Einsun' is in no graph"));
  CHECK(texts[0].find("error: the input has element type f64") != std::string::npos);
  CHECK(texts[3].find("warning: element 1 is -3.4e+38, beyond the largest f16") !=
        std::string::npos);
  CHECK(texts[4].find("warning: element 2 is 1099511627776") != std::string::npos);
}

TEST_CASE("values at the edge of f16 and infinity are no findings") {
  ir::Graph graph;
  const std::array<float, 3> floats = {65504.0F, -65504.0F, -INFINITY};
  graph.AddConstant("edge", ir::MakeFloats({3}, floats));
  CHECK(Findings(graph).empty());
}

// ---- a model that the compiler takes, broken in one way at a time

constexpr const char* kLayers = "qeff.layers";

/// x -> MatMul -> Scale (a function of the model) -> y, and a state that goes through.
ir::Model SupportedModel() {
  ir::Model model;
  ir::Graph& graph = model.graph;
  ir::Value* x = graph.AddInput("x", {DType::kF32, ir::Shape{"batch_size", 2}});
  ir::Value* past = graph.AddInput("past_key.0", {DType::kF32, ir::Shape{"batch_size", 2}});
  const std::array<float, 4> floats = {1, 2, 3, 4};
  ir::Value* matrix = graph.AddConstant("w", ir::MakeFloats({2, 2}, floats));
  ir::Value* y =
      graph.Add({.domain = "", .op_type = "MatMul", .inputs = {x, matrix}, .name = "/matmul"});
  y = graph.Add({.domain = kLayers, .op_type = "Scale", .inputs = {y}, .name = "/scale"});
  graph.AddOutput("y", y);
  graph.AddOutput("past_key.0_RetainedState", past);
  ir::Function& function = model.functions.emplace_back();
  function.domain = kLayers;
  function.name = "Scale";
  ir::Value* in = function.body.AddInput("in", {});
  ir::Value* out =
      function.body.Add({.domain = "", .op_type = "Sqrt", .inputs = {in}, .name = "/inner"});
  function.body.AddOutput("out", out);
  return model;
}

/// Puts one more op of `domain` after y.
void AddNode(ir::Model& model, const std::string& domain, const std::string& op,
             ir::TensorType type) {
  ir::Graph& graph = model.graph;
  ir::Value* input = graph.outputs().front().value;
  ir::Value* value =
      graph.Add({.domain = domain, .op_type = op, .inputs = {input}, .name = "/new/" + op});
  value->set_type(std::move(type));
  graph.outputs().front().value = value;
}

struct Break {
  std::string what;
  std::function<void(ir::Model&)> apply;
  std::string where;    ///< node or tensor
  std::string message;  ///< a part of it
  std::string remedy;   ///< a part of it
};

std::vector<Break> AllBreaks() {
  return {
      {"an op of qeff's own", [](ir::Model& m) { AddNode(m, "qeff", "RmsNorm", {}); },
       "/new/RmsNorm", "error: op 'qeff.RmsNorm' has no meaning", "qeff-export"},
      {"an op of a foreign domain", [](ir::Model& m) { AddNode(m, "com.microsoft", "Gelu", {}); },
       "/new/Gelu", "error: op 'com.microsoft.Gelu' is neither of ONNX nor a function",
       "write it with ops of ONNX"},
      {"an op of ONNX that no known graph has", [](ir::Model& m) { AddNode(m, "", "Det", {}); },
       "/new/Det", "warning: op 'Det' is in no graph", "-operators-supported=onnx"},
      {"an op in a function",
       [](ir::Model& m) {
         ir::Graph& body = m.functions[0].body;
         body.outputs().front().value = body.Add({.domain = "",
                                                  .op_type = "Hardmax",
                                                  .inputs = {body.outputs().front().value},
                                                  .name = "/inner/Hardmax"});
       },
       "/inner/Hardmax", "warning: op 'Hardmax'", "-operators-supported=onnx"},
      {"a value that a node computes",
       [](ir::Model& m) {
         AddNode(m, "", "Cast", {DType::kF64, ir::Shape{2}});
       },
       "/new/Cast", "of op 'Cast' has element type f64", "--dtype f32, f16 or bf16"},
      {"an input's type",
       [](ir::Model& m) {
         m.graph.AddInput("wide", {DType::kF64, ir::Shape{2}});
       },
       "wide", "error: the input has element type f64", "--dtype f32, f16 or bf16"},
      {"an input without a shape",
       [](ir::Model& m) {
         m.graph.AddInput("open", {DType::kI64, {}});
       },
       "open", "error: the input's shape is open", "a number or a name"},
      {"a dimension beyond 32 bits",
       [](ir::Model& m) {
         m.graph.AddInput("long", {DType::kI8, ir::Shape{int64_t{1} << 31}});
       },
       "long", "error: the input has a dimension of 2147483648", "split the tensor"},
      {"a float that f16 cannot hold",
       [](ir::Model& m) {
         const std::array<float, 2> floats = {0, 65520.0F};
         m.graph.AddConstant("large", ir::MakeFloats({2}, floats));
       },
       "large", "warning: element 1 is 65520", "--node-precision-info"},
      {"an index beyond 32 bits",
       [](ir::Model& m) {
         const std::array<int64_t, 1> ints = {-(int64_t{1} << 31) - 1};
         m.graph.AddConstant("far", ir::MakeIntVector(ints));
       },
       "far", "warning: element 0 is -2147483649", "into the range of 32 bits"}};
}

std::vector<std::string> ModelFindings(const ir::Model& model) {
  Diagnostics diagnostics;
  CheckSupport(model, diagnostics);
  std::vector<std::string> texts;
  for (const Diagnostic& finding : diagnostics.findings()) texts.push_back(finding.ToString());
  return texts;
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("bad_model: each way of breaking a supported model is found, with place and remedy") {
  CHECK(ModelFindings(SupportedModel()).empty());
  for (const Break& one : AllBreaks()) {
    INFO(one.what);
    ir::Model model = SupportedModel();
    one.apply(model);
    const std::vector<std::string> findings = ModelFindings(model);
    REQUIRE(findings.size() == 1);
    INFO(findings[0]);
    CHECK(Contains(findings[0], "'" + one.where + "'"));
    CHECK(Contains(findings[0], one.message));
    CHECK(Contains(findings[0], "note: "));
    CHECK(Contains(findings[0], one.remedy));
  }
}

TEST_CASE("bad_model: everything that is broken is found at once") {
  ir::Model model = SupportedModel();
  for (const Break& one : AllBreaks()) one.apply(model);
  const std::vector<std::string> findings = ModelFindings(model);
  CHECK(findings.size() == AllBreaks().size());
  for (const Break& one : AllBreaks()) {
    INFO(one.what);
    CHECK(std::any_of(findings.begin(), findings.end(), [&one](const std::string& text) {
      return Contains(text, "'" + one.where + "'") && Contains(text, one.message);
    }));
  }
}

TEST_CASE("the ops that are known are sorted, so that they are found") {
  CHECK(std::is_sorted(KnownOps().begin(), KnownOps().end()));
  ir::Model model = SupportedModel();
  for (const std::string_view op : KnownOps()) AddNode(model, "", std::string(op), {});
  CHECK(ModelFindings(model).empty());
}

}  // namespace
}  // namespace qeff::aic100
