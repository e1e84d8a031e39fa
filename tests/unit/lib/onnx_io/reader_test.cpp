// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/reader.h"

#include <catch2/catch.hpp>

#include "lib/onnx_io/wire.h"
#include "tests/unit/lib/onnx_io/onnx_test.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

Result<ir::Model> ReadModel(const onnx::ModelProto& proto) {
  const TemporaryFolder folder;
  return ReadOnnx(Store(proto, folder.path()));
}

/// The bytes of the only constant of AddModel, after `fill` has given it type, dims and data.
std::vector<std::byte> ConstantBytes(const std::function<void(onnx::TensorProto*)>& fill) {
  onnx::ModelProto proto = AddModel();
  onnx::TensorProto* tensor = proto.mutable_graph()->mutable_initializer(0);
  tensor->clear_dims();
  fill(tensor);
  const Result<ir::Model> model = ReadModel(proto);
  INFO((model.ok() ? "" : model.diagnostic().ToString()));
  REQUIRE(model.ok());
  const auto bytes = ir::ReadWholeWeight(*model->graph.constants().at(0)->constant());
  REQUIRE(bytes.ok());
  return *bytes;
}

template <typename T>
std::vector<std::byte> BytesOf(std::vector<T> values) {
  const auto* begin = reinterpret_cast<const std::byte*>(values.data());
  return {begin, begin + values.size() * sizeof(T)};
}

}  // namespace

TEST_CASE("a recorded export is read with its interface, functions and constants") {
  const Result<ir::Model> model = ReadOnnx("tests/data/onnx/llama_subfunctions.onnx");
  REQUIRE(model.ok());
  const ir::Graph& graph = model->graph;
  REQUIRE(graph.inputs().size() == 6);
  REQUIRE(graph.inputs()[2]->name() == "past_key.0");
  REQUIRE(graph.inputs()[2]->type().ToString() == "f32 [batch_size, 2, ctx_len, 8]");
  REQUIRE(graph.outputs()[0].name == "logits");
  REQUIRE(graph.outputs()[0].value->type().dtype == DType::kF32);
  REQUIRE(graph.outputs()[0].declared_shape->size() == 3);
  REQUIRE(graph.outputs()[1].name == "past_key.0_RetainedState");
  // Functions of the compiler are ops; the decoder layer stays a function.
  REQUIRE(model->functions.size() == 1);
  REQUIRE(model->functions[0].name == "QEffLlamaDecoderLayer");
  REQUIRE(model->functions[0].domain == "QEfficient.transformers.models.llama.modeling_llama");
  REQUIRE(model->metadata.contains("qeff_transforms"));
  for (const auto& node : graph.nodes()) REQUIRE(!node->IsOnnx("Constant"));
  REQUIRE(ir::VerifyStructure(graph).ok());
  REQUIRE(ir::VerifyStructure(model->functions[0].body).ok());
}

TEST_CASE("every element type is read from its typed field") {
  using T = onnx::TensorProto;
  REQUIRE(ConstantBytes([](T* t) {
            t->set_data_type(T::FLOAT);
            t->add_float_data(1.5F);
          }) == BytesOf<float>({1.5F}));
  REQUIRE(ConstantBytes([](T* t) {
            t->set_data_type(T::DOUBLE);
            t->add_double_data(0.1);
          }) == BytesOf<double>({0.1}));
  REQUIRE(ConstantBytes([](T* t) {
            t->set_data_type(T::INT64);
            t->add_dims(2);
            t->add_int64_data(-1);
            t->add_int64_data(INT64_MAX);
          }) == BytesOf<int64_t>({-1, INT64_MAX}));
  REQUIRE(ConstantBytes([](T* t) {
            t->set_data_type(T::UINT32);
            t->add_uint64_data(UINT32_MAX);
          }) == BytesOf<uint32_t>({UINT32_MAX}));
  REQUIRE(ConstantBytes([](T* t) {
            t->set_data_type(T::COMPLEX64);
            t->add_float_data(1);
            t->add_float_data(2);
          }) == BytesOf<float>({1, 2}));
  for (const T::DataType type : {T::FLOAT16, T::BFLOAT16, T::UINT16}) {
    REQUIRE(ConstantBytes([type](T* t) {
              t->set_data_type(type);
              t->add_int32_data(0x3c00);
            }) == BytesOf<uint16_t>({0x3c00}));
  }
  REQUIRE(ConstantBytes([](T* t) {
            t->set_data_type(T::INT16);
            t->add_int32_data(-2);
          }) == BytesOf<int16_t>({-2}));
  REQUIRE(ConstantBytes([](T* t) {
            t->set_data_type(T::INT8);
            t->add_int32_data(-2);
          }) == BytesOf<int8_t>({-2}));
  REQUIRE(ConstantBytes([](T* t) {
            t->set_data_type(T::BOOL);
            t->add_int32_data(1);
          }) == BytesOf<uint8_t>({1}));
  for (const int32_t type : {21, 22}) {  // UINT4, INT4: two elements per stored byte
    REQUIRE(ConstantBytes([type](T* t) {
              t->set_data_type(type);
              t->add_dims(3);
              t->add_int32_data(0x21);
              t->add_int32_data(0x3);
            }) == BytesOf<uint8_t>({0x21, 0x3}));
  }
}

TEST_CASE("big inline initializers stay in the file") {
  onnx::ModelProto proto = AddModel();
  onnx::GraphProto* graph = proto.mutable_graph();
  graph->mutable_initializer(0)->set_raw_data(std::string(24, '\0'));
  for (const size_t elements : {1023, 1024, 5000}) {
    onnx::TensorProto* tensor = graph->add_initializer();
    tensor->set_name("w" + std::to_string(elements));
    tensor->set_data_type(onnx::TensorProto::FLOAT);
    tensor->add_dims(static_cast<int64_t>(elements));
    std::string data;
    for (size_t i = 0; i < elements * 4; ++i) data += static_cast<char>(i * 7 + elements);
    tensor->set_raw_data(data);
  }
  const Result<ir::Model> model = ReadModel(proto);
  REQUIRE(model.ok());
  const std::vector<ir::Value*> constants = model->graph.constants();
  REQUIRE(constants.size() == 4);
  for (size_t i = 1; i < 4; ++i) {
    const ir::Weight& weight = *constants[i]->constant();
    const bool in_file = std::holds_alternative<ir::FileBytes>(weight.recipe());
    REQUIRE(in_file == (static_cast<size_t>(weight.size_bytes()) >= kInFileBytes));
    const auto bytes = ir::ReadWholeWeight(weight);
    const std::string& expected = graph->initializer(static_cast<int>(i)).raw_data();
    REQUIRE(bytes->size() == expected.size());
    REQUIRE(std::memcmp(bytes->data(), expected.data(), expected.size()) == 0);
  }
}

TEST_CASE("an initializer that is also an input is a constant") {
  onnx::ModelProto proto = AddModel();
  onnx::GraphProto* graph = proto.mutable_graph();
  graph->mutable_initializer(0)->set_raw_data(std::string(24, '\0'));
  *graph->add_input() = graph->input(0);
  graph->mutable_input(1)->set_name("w");
  const Result<ir::Model> model = ReadModel(proto);
  REQUIRE(model.ok());
  REQUIRE(model->graph.inputs().size() == 1);
  REQUIRE(model->graph.constants().at(0)->name() == "w");
}

TEST_CASE("all kinds of Constant nodes become constants") {
  onnx::ModelProto proto = AddModel();
  onnx::GraphProto* graph = proto.mutable_graph();
  graph->mutable_initializer(0)->set_raw_data(std::string(24, '\0'));
  const auto add = [&](const char* name, onnx::AttributeProto::AttributeType type) {
    onnx::NodeProto* node = graph->add_node();
    node->set_op_type("Constant");
    node->add_output(std::string("c_") + name);
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name(name);
    attribute->set_type(type);
    return attribute;
  };
  add("value_int", onnx::AttributeProto::INT)->set_i(7);
  add("value_float", onnx::AttributeProto::FLOAT)->set_f(2.5F);
  add("value_ints", onnx::AttributeProto::INTS)->add_ints(3);
  add("value_floats", onnx::AttributeProto::FLOATS)->add_floats(4.5F);
  *add("value", onnx::AttributeProto::TENSOR)->mutable_t() = graph->initializer(0);
  const Result<ir::Model> model = ReadModel(proto);
  REQUIRE(model.ok());
  const std::vector<ir::Value*> constants = model->graph.constants();
  REQUIRE(constants.size() == 6);
  REQUIRE(constants[1]->type().ToString() == "i64 []");
  REQUIRE(ir::ConstantInt(constants[1]) == 7);
  REQUIRE(constants[2]->type().ToString() == "f32 []");
  REQUIRE(ir::ConstantFloat(constants[2]) == 2.5F);
  REQUIRE(constants[3]->type().ToString() == "i64 [1]");
  REQUIRE(constants[4]->type().ToString() == "f32 [1]");
  REQUIRE(constants[5]->type().ToString() == "f32 [2, 3]");
}

TEST_CASE("left out inputs are null, left out outputs get a name") {
  onnx::ModelProto proto = AddModel();
  onnx::GraphProto* graph = proto.mutable_graph();
  graph->mutable_initializer(0)->set_raw_data(std::string(24, '\0'));
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type("Clip");
  node->set_name("clip");
  for (const char* name : {"y", "", "w"}) node->add_input(name);
  for (const char* name : {"", "z"}) node->add_output(name);
  const Result<ir::Model> model = ReadModel(proto);
  REQUIRE(model.ok());
  const ir::Node& clip = *model->graph.nodes().back();
  REQUIRE(clip.input(1) == nullptr);
  REQUIRE(clip.input(2)->name() == "w");
  REQUIRE(clip.output(0)->name() == "clip_output_0");
  REQUIRE(clip.output(1)->name() == "z");
}

}  // namespace qeff::onnx_io
