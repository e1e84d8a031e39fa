// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Type inference with symbols: the shape arithmetic that exporters write.
#include <catch2/catch.hpp>

#include "lib/ops/op.h"

namespace qeff::ops {
namespace {

/// A graph under construction, with one call per node.
class Builder {
 public:
  ir::Value* Input(const char* name, DType dtype, ir::Shape shape) {
    return graph_.AddInput(name, {dtype, std::move(shape)});
  }
  ir::Value* Ints(std::vector<int64_t> values) {
    return graph_.AddConstant("", ir::MakeIntVector(values));
  }
  ir::Value* Int(int64_t value) { return graph_.AddConstant("", ir::MakeIntScalar(value)); }
  ir::Value* Op(std::string_view op, std::vector<ir::Value*> inputs,
                ir::AttributeMap attributes = {}, std::string_view domain = "") {
    return graph_.Add({.domain = domain,
                       .op_type = op,
                       .inputs = std::move(inputs),
                       .attributes = std::move(attributes)});
  }
  /// One size of x as a vector of one element, as torch exports it.
  ir::Value* Size(ir::Value* x, int64_t axis) {
    return Op("Unsqueeze", {Op("Gather", {Op("Shape", {x}), Int(axis)}), Ints({0})});
  }
  std::string TypeOf(const ir::Value* value) {
    Result<TypeFacts> facts = InferTypes(graph_);
    if (!facts.ok()) return facts.diagnostic().ToString();
    return value->type().ToString();
  }
  std::string ContentOf(const ir::Value* value) {
    Result<TypeFacts> facts = InferTypes(graph_);
    if (!facts.ok()) return facts.diagnostic().ToString();
    std::string text;
    for (const SymbolicInt& element : facts->ints[value]) text += element.ToString() + " ";
    return text;
  }
  ir::Graph& graph() { return graph_; }

 private:
  ir::Graph graph_;
};

}  // namespace

TEST_CASE("symbols pass from Shape to Reshape") {
  Builder b;
  ir::Value* x = b.Input("x", DType::kF32, {"batch_size", "seq_len", 32});
  ir::Value* target = b.Op("Concat", {b.Size(x, 0), b.Size(x, 1), b.Ints({-1}), b.Ints({8})},
                           {{"axis", int64_t{0}}});
  CHECK(b.TypeOf(b.Op("Reshape", {x, target})) == "f32 [batch_size, seq_len, 4, 8]");
  CHECK(b.ContentOf(target) == "batch_size seq_len -1 8 ");
  ir::Value* flat = b.Op("Reshape", {x, b.Ints({-1, 32})});
  CHECK(b.TypeOf(flat) == "f32 [batch_size*seq_len, 32]");
  ir::Value* back = b.Op("Reshape", {flat, b.Op("Shape", {x})});
  CHECK(b.TypeOf(back) == "f32 [batch_size, seq_len, 32]");
}

TEST_CASE("Expand sees through the -1 test of exporters") {
  Builder b;
  ir::Value* x = b.Input("x", DType::kF32, {"batch_size", 2, 1, "ctx_len", 8});
  ir::Value* sizes = b.Op("Concat", {b.Size(x, 0), b.Ints({2, 4}), b.Size(x, 3), b.Ints({-1})},
                          {{"axis", int64_t{0}}});
  ir::Value* ones = b.Op("ConstantOfShape", {b.Op("Shape", {sizes})},
                         {{"value", ir::MakeIntVector(std::vector<int64_t>{1})}});
  ir::Value* unset = b.Op("Equal", {sizes, b.Op("Mul", {ones, b.Int(-1)})});
  CHECK(b.ContentOf(unset) == "0 0 0 0 1 ");
  ir::Value* target = b.Op("Where", {unset, ones, sizes});
  CHECK(b.TypeOf(b.Op("Expand", {x, target})) == "f32 [batch_size, 2, 4, ctx_len, 8]");
}

TEST_CASE("arithmetic on sizes keeps what can be known") {
  Builder b;
  ir::Value* x = b.Input("x", DType::kF32, {"batch_size", "seq_len", 32});
  ir::Value* sizes = b.Op("Shape", {x});
  CHECK(b.ContentOf(b.Op("Add", {sizes, b.Int(1)})) == "batch_size + 1 seq_len + 1 33 ");
  CHECK(b.ContentOf(b.Op("Mul", {sizes, b.Ints({1, 2, 3})})) == "batch_size 2*seq_len 96 ");
  CHECK(b.ContentOf(b.Op("Div", {sizes, b.Int(2)})) == "? ? 16 ");
  CHECK(b.ContentOf(b.Op("Greater", {sizes, b.Int(0)})) == "1 1 1 ");
  CHECK(b.ContentOf(b.Op("Greater", {sizes, b.Int(1)})) == "? ? 1 ");
  CHECK(b.ContentOf(b.Op("Equal", {sizes, b.Int(0)})) == "0 0 0 ");
  CHECK(b.ContentOf(b.Op("Equal", {sizes, b.Int(1)})) == "? ? 0 ");
  CHECK(b.ContentOf(b.Op("Max", {sizes, b.Int(1)})) == "batch_size seq_len 32 ");
  CHECK(b.ContentOf(b.Op("Min", {sizes, b.Int(9)})) == "? ? 9 ");
  CHECK(b.ContentOf(b.Op("Cast", {sizes}, {{"to", int64_t{9}}})) == "1 1 1 ");
  ir::Value* as_float = b.Op("Cast", {sizes}, {{"to", int64_t{1}}});
  CHECK(b.ContentOf(b.Op("Cast", {b.Op("Floor", {as_float})}, {{"to", int64_t{7}}})) ==
        "batch_size seq_len 32 ");
  CHECK(b.ContentOf(b.Op("Slice", {sizes, b.Ints({-2}), b.Ints({3})})) == "seq_len 32 ");
  CHECK(b.ContentOf(b.Op("Size", {x})) == "32*batch_size*seq_len ");
}

TEST_CASE("ranges and slices have symbolic lengths") {
  Builder b;
  ir::Value* cache = b.Input("cache", DType::kF32, {"batch_size", 2, "ctx_len", 8});
  ir::Value* length = b.Op("Gather", {b.Op("Shape", {cache}), b.Int(2)});
  CHECK(b.TypeOf(b.Op("Range", {b.Int(0), length, b.Int(1)})) == "i64 [ctx_len]");
  CHECK(b.TypeOf(b.Op("Range", {length, b.Op("Add", {length, b.Int(4)}), b.Int(1)})) == "i64 [4]");
  ir::Value* end = b.Op("Unsqueeze", {length, b.Ints({0})});
  ir::Value* table = b.Input("table", DType::kF32, {64, 4});
  CHECK(b.TypeOf(b.Op("Slice", {table, b.Ints({0}), end})) == "f32 [ctx_len, 4]");
  CHECK(b.TypeOf(b.Op("Slice", {cache, b.Ints({1}), b.Ints({int64_t{1} << 31}), b.Ints({2})})) ==
        "f32 [batch_size, 2, ctx_len - 1, 8]");
  CHECK(b.TypeOf(b.Op("Slice", {cache, b.Ints({0}), b.Ints({5}), b.Ints({2})})) ==
        "f32 [batch_size, 2, ?, 8]");
}

TEST_CASE("broadcasting keeps symbols over ones") {
  Builder b;
  ir::Value* mask = b.Input("mask", DType::kF32, {1, 1, "seq_len", "ctx_len"});
  ir::Value* scores = b.Input("scores", DType::kF32, {"batch_size", 4, "seq_len", "ctx_len"});
  CHECK(b.TypeOf(b.Op("Add", {mask, scores})) == "f32 [batch_size, 4, seq_len, ctx_len]");
  ir::Value* wide = b.Input("wide", DType::kF32, {16});
  CHECK(b.TypeOf(b.Op("Add", {mask, wide})) == "f32 [1, 1, seq_len, 16]");
  ir::Value* other = b.Input("other", DType::kF32, {"tokens"});
  CHECK(b.TypeOf(b.Op("Add", {mask, other})) == "f32 [1, 1, seq_len, ?]");
}

TEST_CASE("convolutions round sizes down") {
  Builder b;
  ir::Value* weight = b.Input("weight", DType::kF32, {8, 3, 3});
  ir::Value* x = b.Input("x", DType::kF32, {"batch_size", 3, "feature_len"});
  const ir::AttributeMap same = {{"pads", std::vector<int64_t>{1, 1}}};
  CHECK(b.TypeOf(b.Op("Conv", {x, weight}, same)) == "f32 [batch_size, 8, feature_len]");
  ir::AttributeMap halved = same;
  halved["strides"] = std::vector<int64_t>{2};
  CHECK(b.TypeOf(b.Op("Conv", {x, weight}, halved)) ==
        "f32 [batch_size, 8, floor_div(feature_len+1,2)]");
}

TEST_CASE("specialisation replaces every symbol") {
  Builder b;
  ir::Value* x = b.Input("x", DType::kF32, {"batch_size", "seq_len", 32});
  ir::Value* y = b.Op("Reshape", {x, b.Ints({-1, 16})});
  b.graph().AddOutput("y", y);
  b.graph().outputs()[0].declared_shape = ir::Shape{"rows", 16};
  REQUIRE(SubstituteSymbols(b.graph(), {{"batch_size", 2}, {"seq_len", 3}}).ok());
  CHECK(x->type().ToString() == "f32 [2, 3, 32]");
  CHECK(y->type().ToString() == "f32 [12, 16]");
  CHECK(ir::ShapeToString(*b.graph().outputs()[0].declared_shape) == "[12, 16]");
}

TEST_CASE("bad specialisations name symbol and place") {
  Builder b;
  ir::Value* x = b.Input("x", DType::kF32, {"batch_size", "seq_len"});
  b.graph().AddOutput("y", b.Op("Identity", {x}));
  ir::Graph copy = b.graph().Clone();
  CHECK(SubstituteSymbols(copy, {{"batch_size", 1}}).diagnostic().ToString() ==
        "tensor 'x': error: symbol 'seq_len' has no number\n"
        "note: a specialization gives every symbol of the inputs a number\n"
        "note: give numbers that no other option gives: --dim NAME=NUMBER");
  copy = b.graph().Clone();
  copy.outputs()[0].declared_shape = ir::Shape{1, 4};
  CHECK(SubstituteSymbols(copy, {{"batch_size", 1}, {"seq_len", 3}}).diagnostic().ToString() ==
        "tensor 'y': error: expected the declared shape [1, 4], got [1, 3]");
  copy = b.graph().Clone();
  CHECK(SubstituteSymbols(copy, {{"batch_size", -2}, {"seq_len", 3}}).diagnostic().ToString() ==
        "tensor 'x': error: expected a size, got -2 for 'batch_size'\n"
        "note: a specialization gives every symbol of the inputs a number\n"
        "note: give numbers that no other option gives: --dim NAME=NUMBER");
}

TEST_CASE("values of unknown rank make what follows unknown") {
  Builder b;
  ir::Value* x = b.graph().AddInput("x", {DType::kF32, std::nullopt});
  ir::Value* y = b.Op("Relu", {x});
  CHECK(b.TypeOf(y) == "? [...]");
}

}  // namespace qeff::ops
