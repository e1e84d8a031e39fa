// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/lib/onnx_io/onnx_test.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "lib/onnx_io/reader.h"
#include "lib/onnx_io/weight_spec.h"

namespace qeff::onnx_io {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "qeff-onnx-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

fs::path SharedData() {
  const char* variable = std::getenv("QEFF_SHARED");
  const fs::path folder = variable != nullptr ? variable : "../shared";
  if (fs::exists(folder / "goldens/qefficient/onnx")) return folder;
  std::puts("SKIPPED: the shared data is absent");
  return {};
}

std::vector<fs::path> RecordedModels() {
  std::vector<fs::path> models;
  const fs::path shared = SharedData();
  if (shared.empty()) return models;
  for (const auto& entry : fs::recursive_directory_iterator(shared / "goldens/qefficient/onnx")) {
    if (entry.path().extension() == ".onnx") models.push_back(entry.path());
  }
  std::sort(models.begin(), models.end());
  return models;
}

void WriteText(const fs::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string ReadText(const fs::path& path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

void WriteModel(const ir::Model& model, const WriteOptions& options, const fs::path& folder) {
  int64_t data_bytes = 0;
  const auto sink = [&](const std::string& name, std::span<const std::byte> bytes) {
    std::ofstream data(folder / name, std::ios::binary | std::ios::app);
    data.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    data_bytes += static_cast<int64_t>(bytes.size());
    return Status::Ok();
  };
  const Result<WrittenModel> written = WriteOnnx(model, options, sink);
  INFO((written.ok() ? "" : written.diagnostic().ToString()));
  REQUIRE(written.ok());
  REQUIRE(data_bytes == written->data_bytes);
  WriteText(folder / "model.onnx", written->model);
  if (!written->weight_spec.empty()) {
    WriteText(folder / kWeightSpecFileName, written->weight_spec);
  }
}

onnx::ModelProto AddModel() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name("g");
  const auto describe = [](const char* name, onnx::ValueInfoProto* info) {
    info->set_name(name);
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_value(2);
    type->mutable_shape()->add_dim()->set_dim_value(3);
  };
  describe("x", graph->add_input());
  describe("y", graph->add_output());
  onnx::TensorProto* weight = graph->add_initializer();
  weight->set_name("w");
  weight->set_data_type(onnx::TensorProto::FLOAT);
  weight->add_dims(2);
  weight->add_dims(3);
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type("Add");
  node->set_name("add");
  node->add_input("x");
  node->add_input("w");
  node->add_output("y");
  return model;
}

fs::path Store(const onnx::ModelProto& model, const fs::path& folder) {
  WriteText(folder / "model.onnx", model.SerializeAsString());
  return folder / "model.onnx";
}

std::string ReadError(const fs::path& path) {
  const Result<ir::Model> model = ReadOnnx(path);
  return model.ok() ? "" : model.diagnostic().ToString();
}

namespace {

std::vector<std::byte> Content(const ir::Weight& weight) {
  Result<std::vector<std::byte>> bytes = ir::ReadWholeWeight(weight);
  REQUIRE(bytes.ok());
  return std::move(bytes).value();
}

void RequireSameWeight(const ir::Weight& a, const ir::Weight& b) {
  REQUIRE(a.type() == b.type());
  REQUIRE(Content(a) == Content(b));
}

void RequireSameNode(const ir::Node& a, const ir::Node& b) {
  INFO("node " << a.name());
  REQUIRE(a.name() == b.name());
  REQUIRE(a.QualifiedOp() == b.QualifiedOp());
  REQUIRE(a.inputs().size() == b.inputs().size());
  for (size_t i = 0; i < a.inputs().size(); ++i) {
    REQUIRE((a.input(i) == nullptr) == (b.input(i) == nullptr));
    if (a.input(i) != nullptr) REQUIRE(a.input(i)->name() == b.input(i)->name());
  }
  REQUIRE(a.outputs().size() == b.outputs().size());
  for (size_t i = 0; i < a.outputs().size(); ++i) {
    REQUIRE(a.output(i)->name() == b.output(i)->name());
  }
  REQUIRE(a.attributes().size() == b.attributes().size());
  for (auto left = a.attributes().begin(), right = b.attributes().begin();
       left != a.attributes().end(); ++left, ++right) {
    REQUIRE(left->first == right->first);
    if (const auto* weight = std::get_if<ir::WeightPtr>(&left->second)) {
      RequireSameWeight(**weight, *std::get<ir::WeightPtr>(right->second));
    } else {
      REQUIRE(ir::SameAttribute(left->second, right->second));
    }
  }
}

void RequireSameGraph(const ir::Graph& a, const ir::Graph& b) {
  REQUIRE(a.name() == b.name());
  REQUIRE(a.inputs().size() == b.inputs().size());
  for (size_t i = 0; i < a.inputs().size(); ++i) {
    REQUIRE(a.inputs()[i]->name() == b.inputs()[i]->name());
    REQUIRE(a.inputs()[i]->type() == b.inputs()[i]->type());
  }
  REQUIRE(a.outputs().size() == b.outputs().size());
  for (size_t i = 0; i < a.outputs().size(); ++i) {
    REQUIRE(a.outputs()[i].name == b.outputs()[i].name);
    REQUIRE(a.outputs()[i].declared_shape == b.outputs()[i].declared_shape);
    REQUIRE(a.outputs()[i].value->name() == b.outputs()[i].value->name());
    REQUIRE(a.outputs()[i].value->type().dtype == b.outputs()[i].value->type().dtype);
  }
  const std::vector<ir::Value*> left = a.constants();
  const std::vector<ir::Value*> right = b.constants();
  REQUIRE(left.size() == right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    REQUIRE(left[i]->name() == right[i]->name());
    RequireSameWeight(*left[i]->constant(), *right[i]->constant());
  }
  REQUIRE(a.nodes().size() == b.nodes().size());
  for (auto x = a.nodes().begin(), y = b.nodes().begin(); x != a.nodes().end(); ++x, ++y) {
    RequireSameNode(**x, **y);
  }
}

}  // namespace

void RequireSameModel(const ir::Model& a, const ir::Model& b) {
  RequireSameGraph(a.graph, b.graph);
  REQUIRE(a.metadata == b.metadata);
  REQUIRE(a.functions.size() == b.functions.size());
  for (size_t i = 0; i < a.functions.size(); ++i) {
    REQUIRE(a.functions[i].domain == b.functions[i].domain);
    REQUIRE(a.functions[i].name == b.functions[i].name);
    REQUIRE(a.functions[i].attribute_names == b.functions[i].attribute_names);
    RequireSameGraph(a.functions[i].body, b.functions[i].body);
  }
}

}  // namespace qeff::onnx_io
