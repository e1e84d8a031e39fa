// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs the case files of tests/ops, whose expected values were computed by onnxruntime, numpy and
// transformers: the reference meaning gives them, and type inference predicts their types.
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <limits>
#include <set>

#include "lib/ops/op.h"
#include "lib/support/json.h"

namespace qeff::ops {
namespace {

constexpr std::string_view kFolder = "tests/ops";

double Number(const Json& value) {
  if (value.is_number()) return value.get<double>();
  const auto text = value.get<std::string>();
  if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  return text == "inf" ? infinity : -infinity;
}

Tensor ReadTensor(const Json& json) {
  Tensor tensor{.dtype = *DTypeFromName(json["dtype"].get<std::string>()),
                .dims = json["dims"].get<std::vector<int64_t>>(),
                .floats = {},
                .ints = {}};
  for (const Json& element : json["data"]) {
    if (tensor.is_float()) {
      tensor.floats.push_back(Number(element));
    } else {
      tensor.ints.push_back(element.get<int64_t>());
    }
  }
  return tensor;
}

ir::WeightPtr WeightOf(const Tensor& tensor) {
  std::vector<std::byte> bytes(
      static_cast<size_t>(DTypeBytes(tensor.dtype, tensor.element_count())));
  REQUIRE(TensorToBytes(tensor, bytes).ok());
  return ir::MakeInline(tensor.dtype, tensor.dims, std::move(bytes));
}

ir::Attribute ReadAttribute(const Json& json) {
  const std::string kind = json.begin().key();
  const Json& value = json.begin().value();
  if (kind == "int") return value.get<int64_t>();
  if (kind == "float") return value.get<float>();
  if (kind == "string") return value.get<std::string>();
  if (kind == "tensor") return WeightOf(ReadTensor(value));
  if (kind == "floats") return value.get<std::vector<float>>();
  REQUIRE(kind == "ints");
  return value.get<std::vector<int64_t>>();
}

enum class InputKind { kConstant, kGraphInput };

/// A graph of the one node of a case.
ir::Graph MakeGraph(const Json& file, const Json& test, InputKind kind) {
  ir::Graph graph;
  const auto domain = file["domain"].get<std::string>();
  const auto op = file["op"].get<std::string>();
  ir::NodeSpec spec{.domain = domain, .op_type = op, .inputs = {}, .attributes = {}, .name = "n"};
  spec.output_names.assign(test["outputs"].size(), "");
  for (const auto& [name, value] : test["attributes"].items()) {
    spec.attributes.emplace(name, ReadAttribute(value));
  }
  for (const Json& json : test["inputs"]) {
    const std::string name = "x" + std::to_string(spec.inputs.size());
    if (json.is_null()) {
      spec.inputs.push_back(nullptr);
    } else if (kind == InputKind::kConstant) {
      spec.inputs.push_back(graph.AddConstant(name, WeightOf(ReadTensor(json))));
    } else {
      const Tensor tensor = ReadTensor(json);
      spec.inputs.push_back(
          graph.AddInput(name, {tensor.dtype, ir::Shape(tensor.dims.begin(), tensor.dims.end())}));
    }
  }
  graph.AddNode(std::move(spec));
  return graph;
}

/// Expected values are f32 (relative error 2^-24 after rounding, more after sums in f32); 1e-5 of
/// the value, or of 1 where values cancel, covers both.
bool IsNear(double actual, double expected) {
  if (std::isnan(expected) || std::isnan(actual)) return std::isnan(expected) == std::isnan(actual);
  if (std::isinf(expected)) return actual == expected;
  return std::fabs(actual - expected) <= 1e-5 * std::fmax(1.0, std::fabs(expected));
}

void CheckOutput(const Tensor& actual, const Tensor& expected) {
  CHECK(actual.TypeText() == expected.TypeText());
  REQUIRE(actual.element_count() == expected.element_count());
  for (int64_t i = 0; i < expected.element_count(); ++i) {
    INFO("element " << i << ": expected " << expected.number(i) << ", got " << actual.number(i));
    CHECK(IsNear(actual.number(i), expected.number(i)));
  }
}

void CheckEvaluation(const Json& file, const Json& test) {
  const ir::Graph graph = MakeGraph(file, test, InputKind::kConstant);
  std::vector<Tensor> inputs;
  for (const Json& json : test["inputs"]) {
    inputs.push_back(json.is_null() ? Tensor() : ReadTensor(json));
  }
  std::vector<const Tensor*> pointers;
  for (size_t i = 0; i < inputs.size(); ++i) {
    pointers.push_back(test["inputs"][i].is_null() ? nullptr : &inputs[i]);
  }
  const ir::Node& node = *graph.nodes().front();
  pointers.resize(node.inputs().size());  // inputs left out at the end are not there
  const Result<std::vector<Tensor>> outputs = EvaluateNode(node, pointers);
  INFO((outputs.ok() ? "" : outputs.diagnostic().ToString()));
  REQUIRE(outputs.ok());
  for (size_t i = 0; i < outputs->size(); ++i) {
    CheckOutput((*outputs)[i], ReadTensor(test["outputs"][i]));
  }
}

void CheckInference(const Json& file, const Json& test) {
  ir::Graph graph = MakeGraph(file, test, InputKind::kConstant);
  const Result<TypeFacts> facts = InferTypes(graph);
  INFO((facts.ok() ? "" : facts.diagnostic().ToString()));
  REQUIRE(facts.ok());
  const ir::Node& node = *graph.nodes().front();
  for (size_t i = 0; i < node.outputs().size(); ++i) {
    const Tensor expected = ReadTensor(test["outputs"][i]);
    const ir::TensorType& type = node.outputs()[i]->type();
    CHECK(type.dtype == expected.dtype);
    // Only a range over fractions has a size that inference cannot know.
    if (node.op_type() == "Range" && expected.is_float()) continue;
    CHECK(type.ToString() == expected.TypeText());
    const auto known = facts->ints.find(node.outputs()[i]);
    if (known == facts->ints.end()) continue;
    for (int64_t j = 0; j < expected.element_count(); ++j) {
      const SymbolicInt& element = known->second[static_cast<size_t>(j)];
      if (element.is_number()) {
        CHECK(static_cast<double>(element.number()) == Approx(expected.number(j)));
      }
    }
  }
}

/// With inputs whose elements are not known, sizes are unknown or right, and a node that cannot be
/// typed is refused as unsupported, never as wrong.
void CheckInferenceWithoutContents(const Json& file, const Json& test) {
  ir::Graph graph = MakeGraph(file, test, InputKind::kGraphInput);
  const Result<TypeFacts> facts = InferTypes(graph);
  if (!facts.ok()) {
    INFO(facts.diagnostic().ToString());
    CHECK(facts.diagnostic().code == ErrorCode::kUnsupported);
    return;
  }
  const ir::Node& node = *graph.nodes().front();
  for (size_t i = 0; i < node.outputs().size(); ++i) {
    const auto dims = test["outputs"][i]["dims"].get<std::vector<int64_t>>();
    const ir::Shape& shape = *node.outputs()[i]->type().shape;
    REQUIRE(shape.size() == dims.size());
    for (size_t axis = 0; axis < dims.size(); ++axis) {
      CHECK((shape[axis].is_unknown() || shape[axis] == ir::Dim(dims[axis])));
    }
  }
}

std::string FileName(const OpSchema& schema) {
  const std::string domain(schema.domain);
  return (domain.empty() ? "" : domain + ".") + std::string(schema.op_type) + ".json";
}

}  // namespace

TEST_CASE("every op has a case file and every case file an op") {
  std::set<std::string> expected;
  for (const OpDefinition* op : AllOps()) expected.insert(FileName(op->schema));
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".json") found.insert(entry.path().filename().string());
  }
  CHECK(found == expected);
}

TEST_CASE("ops give what other implementations give") {
  for (const OpDefinition* op : AllOps()) {
    const std::filesystem::path path = std::filesystem::path(kFolder) / FileName(op->schema);
    const Result<Json> file = ReadJsonFile(path);
    REQUIRE(file.ok());
    for (const Json& test : (*file)["cases"]) {
      INFO(path.string() << ": " << test["name"].get<std::string>());
      CheckEvaluation(*file, test);
      CheckInference(*file, test);
      CheckInferenceWithoutContents(*file, test);
    }
  }
}

}  // namespace qeff::ops
