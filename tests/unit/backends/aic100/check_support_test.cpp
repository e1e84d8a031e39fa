// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/check_support.h"

#include <array>
#include <catch2/catch.hpp>

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

}  // namespace
}  // namespace qeff::aic100
