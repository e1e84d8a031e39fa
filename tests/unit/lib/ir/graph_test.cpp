// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ir/graph.h"

#include <catch2/catch.hpp>

#include "lib/ir/equal.h"

namespace qeff::ir {
namespace {

/// y = Mul(Add(x, c), x)
Graph MakeGraph(float constant) {
  Graph graph;
  Value* x = graph.AddInput("x", {DType::kF32, Shape{"batch_size", 4}});
  Value* c = graph.AddConstant("c", MakeFloatScalar(constant));
  Value* sum = graph.Add({.op_type = "Add", .inputs = {x, c}, .name = "/add"});
  graph.AddOutput("y", graph.Add({.op_type = "Mul", .inputs = {sum, x}, .name = "/mul"}));
  return graph;
}

}  // namespace

TEST_CASE("uses follow when inputs change, nodes are replaced and erased") {
  Graph graph = MakeGraph(1);
  REQUIRE(VerifyStructure(graph).ok());
  Node* add = graph.nodes().front().get();
  Value* x = graph.FindInput("x");
  CHECK(x->uses().size() == 2);
  Value* negated = graph.Add({.op_type = "Neg", .inputs = {x}}, add);
  add->SetInput(0, negated);
  CHECK(x->uses().size() == 2);
  CHECK(negated->uses().size() == 1);
  graph.ReplaceAllUses(negated, x);
  CHECK(graph.DropDead());
  CHECK_FALSE(graph.DropDead());
  CHECK(graph.nodes().size() == 2);
  CHECK(VerifyStructure(graph).ok());
}

TEST_CASE("dead nodes and constants go, inputs stay") {
  Graph graph = MakeGraph(1);
  Value* unused = graph.AddInput("unused", {});
  Value* dead = graph.Add({.op_type = "Neg", .inputs = {unused}});
  graph.Add({.op_type = "Abs", .inputs = {dead}});
  graph.AddConstant("dead_constant", MakeIntScalar(3));
  CHECK(graph.DropDead());
  CHECK(graph.nodes().size() == 2);
  CHECK(graph.constants().size() == 1);
  CHECK(graph.inputs().size() == 2);
}

TEST_CASE("names stay unique") {
  Graph graph;
  CHECK(graph.AddConstant("a", MakeIntScalar(0))->name() == "a");
  CHECK(graph.AddConstant("a", MakeIntScalar(0))->name() == "a_1");
  Value* b = graph.AddConstant("b", MakeIntScalar(0));
  graph.RenameValue(b, "a");
  CHECK(b->name() == "a_2");
  CHECK(graph.FindValue("b") == nullptr);
  CHECK(graph.FindValue("a_2") == b);
}

TEST_CASE("sorting puts producers first and finds cycles") {
  Graph graph = MakeGraph(1);
  Node* add = graph.nodes().front().get();
  Value* late = graph.Add({.op_type = "Neg", .inputs = {graph.FindInput("x")}});
  add->SetInput(0, late);
  CHECK_FALSE(VerifyStructure(graph).ok());
  CHECK(graph.SortTopologically());
  CHECK(VerifyStructure(graph).ok());
  late->producer()->SetInput(0, add->output());
  CHECK_FALSE(graph.SortTopologically());
}

TEST_CASE("a clone is equal and independent; another constant is a difference") {
  const Graph graph = MakeGraph(1);
  Graph copy = graph.Clone();
  CHECK(FindDifference(graph, copy).empty());
  copy.nodes().front()->SetAttribute("axis", int64_t{1});
  CHECK(FindDifference(graph, copy) == "output 'y': node '/add' has 0 attributes, '/add' has 1");
  CHECK(graph.nodes().front()->attributes().empty());
  CHECK(FindDifference(graph, MakeGraph(2)).find("constant 'c'") != std::string::npos);
}

TEST_CASE("bad_structure: a value used before it is made is named") {
  Graph graph = MakeGraph(1);
  Node* add = graph.nodes().front().get();
  add->SetInput(0, graph.FindOutput("y"));
  const Status status = VerifyStructure(graph);
  REQUIRE_FALSE(status.ok());
  CHECK(status.diagnostic().ToString() ==
        "node '/add' (#0): error: input '/mul_output_0' is used before it is made");
}

}  // namespace qeff::ir
