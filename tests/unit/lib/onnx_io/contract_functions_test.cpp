// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The function bodies against the records of what QEfficient writes, and against its files.
#include "lib/onnx_io/contract_functions.h"

#include <catch2/catch.hpp>
#include <set>

#include "lib/onnx_io/checker.h"
#include "lib/support/json.h"
#include "tests/unit/lib/onnx_io/onnx_test.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

std::string TypeName(int32_t number) {
  return number == onnx::TensorProto::INT64 ? "int64" : std::to_string(number);
}

Json TensorRecord(const onnx::TensorProto& tensor) {
  const Json dims(std::vector<int64_t>(tensor.dims().begin(), tensor.dims().end()));
  const std::vector<int64_t> values(tensor.int64_data().begin(), tensor.int64_data().end());
  const Json value = dims.empty() ? Json(values.at(0)) : Json(values);
  return {{"dtype", TypeName(tensor.data_type())}, {"shape", dims}, {"value", value}};
}

Json AttributeRecord(const onnx::AttributeProto& attribute) {
  if (!attribute.ref_attr_name().empty()) return "@" + attribute.ref_attr_name();
  if (attribute.has_t()) return TensorRecord(attribute.t());
  if (attribute.type() == onnx::AttributeProto::INT) return attribute.i();
  return std::vector<int64_t>(attribute.ints().begin(), attribute.ints().end());
}

/// The function in the form of the records.
Json FunctionRecord(const onnx::FunctionProto& function) {
  Json nodes = Json::array();
  Json attributes = Json::array();
  for (const onnx::NodeProto& node : function.node()) {
    nodes.push_back(node.op_type());
    Json named = Json::object();
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      named[attribute.name()] = AttributeRecord(attribute);
    }
    attributes.push_back(named);
  }
  const auto texts = [](const auto& list) {
    return std::vector<std::string>(list.begin(), list.end());
  };
  return {{"domain", function.domain()},
          {"name", function.name()},
          {"inputs", texts(function.input())},
          {"outputs", texts(function.output())},
          {"attributes", texts(function.attribute())},
          {"attributes_with_default", Json::object()},
          {"opset_import", {{"ai.onnx", function.opset_import(0).version()}}},
          {"nodes", nodes},
          {"node_attributes", attributes}};
}

/// Calls `visit` for each recorded function, at any depth of `json`.
void ForEachFunction(const Json& json, const std::function<void(const Json&)>& visit) {
  if (!json.is_structured()) return;
  for (const auto& [key, value] : json.items()) {
    if (key == "functions" && value.is_array()) {
      for (const Json& function : value) visit(function);
    } else {
      ForEachFunction(value, visit);
    }
  }
}

}  // namespace

TEST_CASE("each recorded function of the compiler has our body, node by node") {
  const fs::path shared = SharedData();
  if (shared.empty()) return;
  std::set<std::string> seen;
  for (const auto& entry : fs::directory_iterator(shared / "goldens/qefficient/graphs")) {
    INFO(entry.path().string());
    const Result<Json> json = ReadJsonFile(entry.path());
    REQUIRE(json.ok());
    ForEachFunction(*json, [&](const Json& recorded) {
      const std::string domain = recorded["domain"];
      const std::string name = recorded["name"];
      if (domain != ir::kCloudDomain && domain != ir::kAiswDomain) return;
      INFO(name);
      REQUIRE(IsContractFunction(domain, name));
      onnx::FunctionProto ours;
      WriteContractFunction(domain, name, &ours);
      REQUIRE(nlohmann::json(FunctionRecord(ours)) == nlohmann::json(recorded));
      seen.insert(name);
    });
  }
  REQUIRE(seen.size() ==
          10);  // the records have no CastToUInt4, CtxGatherBlockedKVCB, CtxGatherCB3D
}

TEST_CASE("functions of recorded files are equal to ours as messages") {
  std::set<std::string> seen;
  for (const fs::path& path : RecordedModels()) {
    INFO(path.string());
    onnx::ModelProto model;
    REQUIRE(model.ParseFromString(ReadText(path)));
    for (const onnx::FunctionProto& recorded : model.functions()) {
      if (!IsContractFunction(recorded.domain(), recorded.name())) continue;
      onnx::FunctionProto ours;
      WriteContractFunction(recorded.domain(), recorded.name(), &ours);
      REQUIRE(ours.DebugString() == recorded.DebugString());
      seen.insert(recorded.name());
    }
  }
  if (!RecordedModels().empty()) REQUIRE(seen.size() == 5);
}

TEST_CASE("every body passes ONNX's checker and shape inference") {
  for (const auto& [domain, name] : ContractFunctions()) {
    if (name == "CastToUInt4") continue;  // UINT4 is younger than our ONNX library
    // QEfficient writes i32 indices for ScatterND here, which ONNX does not allow.
    if (name.starts_with("CtxScatter3D")) continue;
    INFO(name);
    onnx::ModelProto model;
    model.set_ir_version(8);
    model.add_opset_import()->set_version(17);
    auto* import = model.add_opset_import();
    import->set_domain(std::string(domain));
    import->set_version(1);
    onnx::FunctionProto* function = model.add_functions();
    WriteContractFunction(domain, name, function);
    model.mutable_graph()->set_name("g");
    onnx::NodeProto* node = model.mutable_graph()->add_node();
    node->set_domain(std::string(domain));
    node->set_op_type(std::string(name));
    const bool is_rank3 = name.find("3D") != std::string_view::npos;
    for (const std::string& input : function->input()) {
      node->add_input(input);
      onnx::ValueInfoProto* info = model.mutable_graph()->add_input();
      info->set_name(input);
      auto* type = info->mutable_type()->mutable_tensor_type();
      const bool is_data =
          input == "data" || input == "updates" || input == "hidden_states" || input == "weight";
      type->set_elem_type(is_data ? onnx::TensorProto::FLOAT : onnx::TensorProto::INT64);
      type->mutable_shape();
      int rank = input == "comp_ctx_len" ? 0 : input == "weight" ? 1 : 2;
      if (is_data && input != "weight") rank = is_rank3 || input == "hidden_states" ? 3 : 4;
      if (input == "ctx_indices") rank = is_rank3 ? 2 : 3;
      for (int i = 0; i < rank; ++i) {
        type->mutable_shape()->add_dim()->set_dim_param(input + std::to_string(i));
      }
    }
    if (name == "CustomRMSNorm") {
      onnx::AttributeProto* epsilon = node->add_attribute();
      epsilon->set_name("epsilon");
      epsilon->set_type(onnx::AttributeProto::FLOAT);
      epsilon->set_f(1e-6F);
    }
    node->add_output("y");
    onnx::ValueInfoProto* output = model.mutable_graph()->add_output();
    output->set_name("y");
    auto* output_type = output->mutable_type()->mutable_tensor_type();
    output_type->set_elem_type(onnx::TensorProto::FLOAT);
    const int output_rank = is_rank3 || name == "CustomRMSNorm" ? 3 : 4;
    for (int i = 0; i < output_rank; ++i) output_type->mutable_shape()->add_dim();
    const Status status = CheckOnnx(model.SerializeAsString(), "model.onnx");
    INFO((status.ok() ? "" : status.diagnostic().ToString()));
    CHECK(status.ok());
  }
}

}  // namespace qeff::onnx_io
