// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The op cases of tests/ops (expected values computed by other software) on the CPU: every op that
// the backend claims. Each case becomes a graph of one node; operands that the CPU wants as
// constants are constants.
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>

#include "backends/cpu/plan/lowering.h"
#include "backends/cpu/runtime/convert.h"
#include "lib/ops/op.h"
#include "lib/support/json.h"
#include "tests/unit/backends/cpu/tiny_model.h"

namespace qeff::cpu {
namespace {

struct CaseTensor {
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;
  std::vector<double> values;
};

CaseTensor ReadTensor(const Json& json) {
  CaseTensor tensor;
  tensor.dtype = DTypeFromName(json["dtype"].get<std::string>()).value_or(DType::kU4);
  tensor.dims = json["dims"].get<std::vector<int64_t>>();
  for (const Json& value : json["data"]) {
    if (value.is_string()) {
      const auto text = value.get<std::string>();
      tensor.values.push_back(text == "nan" ? NAN : text == "inf" ? INFINITY : -INFINITY);
    } else {
      tensor.values.push_back(value.is_boolean() ? value.get<bool>() : value.get<double>());
    }
  }
  return tensor;
}

ir::Attribute ReadAttribute(const Json& json) {
  if (json.contains("int")) return json["int"].get<int64_t>();
  if (json.contains("float")) return json["float"].get<float>();
  if (json.contains("string")) return json["string"].get<std::string>();
  if (json.contains("ints")) return json["ints"].get<std::vector<int64_t>>();
  if (json.contains("floats")) return json["floats"].get<std::vector<float>>();
  return int64_t{0};
}

std::vector<std::byte> BytesOf(const CaseTensor& tensor) {
  const auto count = static_cast<int64_t>(tensor.values.size());
  std::vector<std::byte> bytes(static_cast<size_t>(DTypeBytes(tensor.dtype, count)));
  ConvertRun(DType::kF64, reinterpret_cast<const std::byte*>(tensor.values.data()), 1, tensor.dtype,
             bytes.data(), 1, count);
  return bytes;
}

enum class Operands { kAllInputs, kFirstInput };

struct OneNode {
  SpecializedGraph specialized;
  std::vector<std::pair<std::string, CaseTensor>> inputs;
};

/// Nothing if type inference needs more constants.
std::optional<OneNode> MakeGraph(const Json& file, const Json& one, Operands operands) {
  OneNode result;
  ir::Graph& graph = result.specialized.graph;
  std::vector<ir::Value*> values;
  for (size_t i = 0; i < one["inputs"].size(); ++i) {
    if (one["inputs"][i].is_null()) {
      values.push_back(nullptr);
      continue;
    }
    const CaseTensor tensor = ReadTensor(one["inputs"][i]);
    if (!IsConvertible(tensor.dtype)) return std::nullopt;
    const std::string name = "in" + std::to_string(i);
    if (i == 0 || operands == Operands::kAllInputs) {
      const ir::Shape shape(tensor.dims.begin(), tensor.dims.end());
      values.push_back(graph.AddInput(name, {tensor.dtype, shape}));
      result.inputs.emplace_back(name, tensor);
    } else {
      values.push_back(
          graph.AddConstant(name, ir::MakeInline(tensor.dtype, tensor.dims, BytesOf(tensor))));
    }
  }
  ir::AttributeMap attributes;
  for (const auto& item : one["attributes"].items()) {
    attributes[item.key()] = ReadAttribute(item.value());
  }
  std::vector<std::string> names;
  for (size_t i = 0; i < one["outputs"].size(); ++i) names.push_back("value" + std::to_string(i));
  const auto domain = file["domain"].get<std::string>();
  const auto op = file["op"].get<std::string>();
  ir::Node* node = graph.AddNode({.domain = domain,
                                  .op_type = op,
                                  .inputs = values,
                                  .attributes = attributes,
                                  .name = op,
                                  .output_names = names});
  for (size_t i = 0; i < names.size(); ++i) {
    graph.AddOutput("out" + std::to_string(i), node->output(i));
  }
  result.specialized.name = "case";
  if (!ops::InferTypes(graph).ok()) return std::nullopt;
  for (size_t i = 0; i < names.size(); ++i) {  // a shape may depend on what is an input here
    const auto dims = DimsOf(*node->output(i));
    if (!dims.ok() || *dims != ReadTensor(one["outputs"][i]).dims) return std::nullopt;
  }
  return result;
}

void CompareOutputs(Session& session, const Json& file, const Json& one) {
  // Rows of padding may hold anything.
  const bool may_replace_nan = file["op"] == "Attention";
  for (size_t i = 0; i < one["outputs"].size(); ++i) {
    const CaseTensor expected = ReadTensor(one["outputs"][i]);
    const auto count = static_cast<int64_t>(expected.values.size());
    const std::span<const std::byte> bytes = session.Output(0, "out" + std::to_string(i));
    REQUIRE(bytes.size() == static_cast<size_t>(DTypeBytes(expected.dtype, count)));
    std::vector<double> got(expected.values.size());
    ConvertRun(expected.dtype, bytes.data(), 1, DType::kF64,
               reinterpret_cast<std::byte*>(got.data()), 1, count);
    for (size_t j = 0; j < got.size(); ++j) {
      const double want = expected.values[j];
      INFO("output " << i << " element " << j << ": expected " << want << ", got " << got[j]);
      const bool is_free = std::isnan(want) && may_replace_nan;
      const bool is_same = is_free || got[j] == want || (std::isnan(want) && std::isnan(got[j])) ||
                           std::abs(got[j] - want) <= 1e-5 + 1e-5 * std::abs(want);
      if (!is_same) {
        FAIL_CHECK("wrong");
        break;
      }
    }
  }
}

/// Runs one case if the CPU takes it in some form; returns whether it did.
bool RunCase(const Json& file, const Json& one) {
  for (const Operands operands : {Operands::kAllInputs, Operands::kFirstInput}) {
    std::optional<OneNode> node = MakeGraph(file, one, operands);
    if (!node) continue;
    std::vector<SpecializedGraph> graphs;
    graphs.push_back(std::move(node->specialized));
    if (!CompileForCpu(graphs, {}).ok()) continue;  // refused: counted by the caller
    const BuiltPlan built = BuildPlan(graphs, {});
    auto session = OpenBuilt(built);
    REQUIRE(session.ok());
    for (const auto& [name, tensor] : node->inputs) {
      const std::vector<std::byte> bytes = BytesOf(tensor);
      const std::span<std::byte> target = (*session)->Input(0, name);
      REQUIRE(target.size() == bytes.size());
      std::copy(bytes.begin(), bytes.end(), target.begin());
    }
    const Status status = (*session)->Run(0);
    if (!status.ok()) {
      FAIL_CHECK(status.diagnostic().ToString());
      return true;
    }
    CompareOutputs(**session, file, one);
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("the CPU gives the expected values of every op case that it takes") {
  int taken = 0;
  std::string refused;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator("tests/ops")) {
    if (entry.path().extension() == ".json") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const std::filesystem::path& path : paths) {
    const auto file = ReadJsonFile(path);
    REQUIRE(file.ok());
    const std::string domain = (*file)["domain"].get<std::string>();
    if (FindLowering(domain, (*file)["op"].get<std::string>()) == nullptr) continue;
    for (const Json& one : (*file)["cases"]) {
      const std::string name = path.stem().string() + ": " + one["name"].get<std::string>();
      INFO(name);
      if (RunCase(*file, one)) {
        ++taken;
      } else {
        refused += "\n  " + name;
      }
    }
  }
  INFO("cases that the CPU does not take:" << refused);
  CHECK(taken >= 230);
}

}  // namespace qeff::cpu
