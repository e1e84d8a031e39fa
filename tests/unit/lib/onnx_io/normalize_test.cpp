// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Older and newer spellings of ops come back in the form of opset 17.
#include "lib/onnx_io/normalize.h"

#include <catch2/catch.hpp>

#include "lib/onnx_io/reader.h"
#include "lib/onnx_io/text.h"
#include "tests/unit/lib/onnx_io/onnx_test.h"

namespace qeff::onnx_io {
namespace {

/// Nodes of y = <op>(x, inputs...) read from a file of `opset`, as text.
std::string Nodes(const char* op, int opset,
                  const std::function<void(onnx::GraphProto*, onnx::NodeProto*)>& change) {
  onnx::ModelProto model = AddModel();
  model.mutable_opset_import(0)->set_version(opset);
  onnx::GraphProto* graph = model.mutable_graph();
  graph->clear_initializer();
  onnx::NodeProto* node = graph->mutable_node(0);
  node->set_op_type(op);
  node->set_name("n");
  node->mutable_input()->RemoveLast();
  change(graph, node);
  const TemporaryFolder folder;
  const Result<ir::Model> read = ReadOnnx(Store(model, folder.path()));
  if (!read.ok()) return read.diagnostic().message;
  const std::string text = PrintText(*read, {.types = PrintOptions::Types::kInterface});
  return text.substr(text.find(") => (float[2,3] y)\n") + 20);
}

onnx::AttributeProto* Add(const char* name, onnx::AttributeProto::AttributeType type,
                          onnx::NodeProto* node) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return attribute;
}

void AddInts(const char* name, onnx::NodeProto* node) {
  onnx::AttributeProto* attribute = Add(name, onnx::AttributeProto::INTS, node);
  attribute->add_ints(0);
  attribute->add_ints(1);
}

void AddAxesInput(onnx::GraphProto* graph, onnx::NodeProto* node) {
  onnx::TensorProto* axes = graph->add_initializer();
  axes->set_name("axes");
  axes->set_data_type(onnx::TensorProto::INT64);
  axes->add_dims(1);
  axes->add_int64_data(-1);
  node->add_input("axes");
}

}  // namespace

TEST_CASE("axes before opset 13 become an input") {
  for (const char* op : {"Squeeze", "Unsqueeze", "ReduceSum"}) {
    REQUIRE(
        Nodes(op, 12, [](auto*, auto* node) { AddInts("axes", node); }) ==
        fmt::format("<\n   int64[2] n_axes = {{0, 1}}\n>\n{{\n   [\"n\"] y = {} (x, n_axes)\n}}\n",
                    op));
  }
  REQUIRE(Nodes("Split", 11, [](auto*, auto* node) { AddInts("split", node); }) ==
          "<\n   int64[2] n_split = {0, 1}\n>\n{\n   [\"n\"] y = Split (x, n_split)\n}\n");
}

TEST_CASE("axes from opset 18 become an attribute") {
  REQUIRE(
      Nodes("ReduceMean", 18, AddAxesInput) ==
      "<\n   int64[1] axes = {-1}\n>\n{\n   [\"n\"] y = ReduceMean <axes: ints = [-1]> (x)\n}\n");
  REQUIRE(Nodes("ReduceSum", 18, AddAxesInput) ==
          "<\n   int64[1] axes = {-1}\n>\n{\n   [\"n\"] y = ReduceSum (x, axes)\n}\n");
  REQUIRE(Nodes("ReduceMax", 20, [](auto*, auto* node) {
            Add("noop_with_empty_axes", onnx::AttributeProto::INT, node)->set_i(1);
          }) == "{\n   [\"n\"] y = Identity (x)\n}\n");
  REQUIRE(Nodes("ReduceMax", 20, [](auto*, auto* node) { node->add_input("x"); }) ==
          "axes computed at run time");
}

TEST_CASE("Softmax before opset 13 flattens") {
  REQUIRE(Nodes("Softmax", 11, [](auto*, auto* node) {
            Add("axis", onnx::AttributeProto::INT, node)->set_i(-1);
          }) == "{\n   [\"n\"] y = Softmax <axis: int = -1> (x)\n}\n");
  REQUIRE(Nodes("Softmax", 11, [](auto*, auto*) {}) ==
          "{\n"
          "   [\"n_shape\"] n_shape_output_0 = Shape (x)\n"
          "   [\"n_flatten\"] n_flatten_output_0 = Flatten <axis: int = 1> (x)\n"
          "   [\"n_flat\"] n_flat_output_0 = Softmax <axis: int = -1> (n_flatten_output_0)\n"
          "   [\"n\"] y = Reshape (n_flat_output_0, n_shape_output_0)\n"
          "}\n");
}

TEST_CASE("attributes that opset 17 lacks are dropped where they say nothing") {
  REQUIRE(Nodes("Split", 18, [](auto*, auto* node) {
            Add("num_outputs", onnx::AttributeProto::INT, node)->set_i(1);
          }) == "{\n   [\"n\"] y = Split (x)\n}\n");
  REQUIRE(Nodes("Dropout", 11, [](auto*, auto* node) {
            Add("ratio", onnx::AttributeProto::FLOAT, node)->set_f(0.5F);
          }) == "{\n   [\"n\"] y = Dropout (x)\n}\n");
  const auto cast = [](int saturate) {
    return Nodes("Cast", 19, [&](auto*, auto* node) {
      Add("saturate", onnx::AttributeProto::INT, node)->set_i(saturate);
      Add("to", onnx::AttributeProto::INT, node)->set_i(1);
    });
  };
  REQUIRE(cast(1) == "{\n   [\"n\"] y = Cast <to: int = 1> (x)\n}\n");
  REQUIRE(cast(0) == "a cast that does not saturate");
}

}  // namespace qeff::onnx_io
