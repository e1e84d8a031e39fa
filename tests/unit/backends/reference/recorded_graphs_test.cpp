// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Files of the original exporter with recorded calls (../shared/goldens/qefficient/onnx; its README
// tells the format): inference gives every value a type, with symbols and, specialised for a call,
// without; evaluation gives the recorded outputs.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <set>

#include "backends/reference/graph_evaluator.h"
#include "lib/checkpoint/safetensors.h"
#include "lib/onnx_io/reader.h"
#include "lib/support/json.h"
#include "passes/pass.h"

namespace qeff::reference {
namespace {

using ops::Tensor;

std::filesystem::path RecordedFolder() {
  const char* given = std::getenv("QEFF_SHARED");
  return std::filesystem::path(given != nullptr ? given : "../shared") / "goldens/qefficient/onnx";
}

ir::Model ReadModel(const std::filesystem::path& path) {
  Result<ir::Model> model = onnx_io::ReadOnnx(path);
  INFO((model.ok() ? "" : model.diagnostic().ToString()));
  REQUIRE(model.ok());
  const Result<const passes::PassInfo*> inline_functions = passes::FindPass("inline-functions");
  REQUIRE(inline_functions.ok());
  const passes::PassOptions no_options;
  REQUIRE((*inline_functions)->run(*model, passes::PassContext(no_options)).ok());
  return std::move(model).value();
}

/// Values whose type is not fully known.
std::vector<std::string> UntypedValues(const ir::Graph& graph, bool symbols_are_known) {
  std::vector<std::string> names;
  for (const auto& node : graph.nodes()) {
    for (const ir::Value* output : node->outputs()) {
      const ir::TensorType& type = output->type();
      bool is_known = type.dtype && type.shape;
      for (size_t i = 0; is_known && i < type.shape->size(); ++i) {
        const ir::Dim& dim = (*type.shape)[i];
        is_known = dim.is_number() || (symbols_are_known && dim.is_symbol());
      }
      if (!is_known) names.push_back(output->name() + " " + type.ToString());
    }
  }
  return names;
}

/// "zeros:1x2" or "pattern:1x2" as the README of the recordings says.
Tensor MakeNamedTensor(const std::string& text) {
  std::vector<int64_t> dims;
  std::string rest = text.substr(text.find(':') + 1);
  while (!rest.empty()) {
    const size_t cross = std::min(rest.find('x'), rest.size());
    dims.push_back(std::stoll(rest.substr(0, cross)));
    rest = rest.substr(std::min(cross + 1, rest.size()));
  }
  Tensor tensor = ops::ZeroTensor(DType::kF32, dims);
  for (size_t i = 0; text.starts_with("pattern:") && i < tensor.floats.size(); ++i) {
    tensor.floats[i] = static_cast<double>(static_cast<int64_t>(i) * 7919 % 257 - 128) / 128;
  }
  return tensor;
}

/// One folder of recordings and the state between its calls.
class Recording {
 public:
  explicit Recording(const std::filesystem::path& folder)
      : folder_(folder),
        file_(checkpoint::SafetensorsFile::Open(folder / "io.safetensors").value()) {
    const Result<Json> calls = ReadJsonFile(folder / "calls.json");
    REQUIRE(calls.ok());
    calls_ = *calls;
  }

  void Run() {
    for (const Json& call : calls_["calls"]) {
      INFO(folder_.filename().string() << ": " << call["note"].get<std::string>());
      RunCall(call);
    }
  }

 private:
  Tensor Load(const std::string& name) const {
    const checkpoint::StoredTensor* stored = file_.Find(name);
    REQUIRE(stored != nullptr);
    Result<Tensor> tensor = ops::TensorFromBytes(stored->dtype, stored->shape, file_.Data(*stored));
    REQUIRE(tensor.ok());
    return std::move(tensor).value();
  }

  const ir::Graph& GraphOf(const std::string& name) {
    const auto found = graphs_.find(name);
    if (found != graphs_.end()) return found->second.graph;
    return graphs_.emplace(name, ReadModel(folder_ / name)).first->second.graph;
  }

  Tensor InputTensor(const std::string& graph, const std::string& name, const std::string& source) {
    if (source.starts_with("zeros:") || source.starts_with("pattern:")) {
      return MakeNamedTensor(source);
    }
    if (source != "state") return Load(source);
    Tensor& state = states_[graph + "/" + name];
    if (state.dims.empty()) {
      state = ops::ZeroTensor(DType::kF32,
                              calls_["state_shapes"][graph][name].get<std::vector<int64_t>>());
    }
    return state;
  }

  void RunCall(const Json& call) {
    const auto name = call["graph"].get<std::string>();
    ir::Graph graph = GraphOf(name).Clone();
    NamedTensors inputs;
    std::map<std::string, int64_t> symbols;
    for (const auto& [input, source] : call["inputs"].items()) {
      inputs[input] = InputTensor(name, input, source.get<std::string>());
      const ir::Value* value = graph.FindInput(input);
      REQUIRE(value != nullptr);
      for (size_t i = 0; i < value->type().shape->size(); ++i) {
        const ir::Dim& dim = (*value->type().shape)[i];
        if (dim.is_symbol()) symbols[dim.symbol()] = inputs[input].dims[i];
      }
    }
    const Status specialised = ops::SubstituteSymbols(graph, symbols);
    INFO((specialised.ok() ? "" : specialised.diagnostic().ToString()));
    REQUIRE(specialised.ok());
    CHECK(UntypedValues(graph, false) == std::vector<std::string>());

    Result<GraphEvaluator> evaluator = GraphEvaluator::Make(graph, weights_);
    REQUIRE(evaluator.ok());
    Result<NamedTensors> outputs = evaluator->Run(inputs);
    INFO((outputs.ok() ? "" : outputs.diagnostic().ToString()));
    REQUIRE(outputs.ok());
    NotePositions(inputs);
    for (const ir::GraphOutput& output : graph.outputs()) {
      INFO(output.name);
      CHECK(output.value->type().ToString() == outputs->at(output.name).TypeText());
      if (const Json* recorded = Find(call["outputs"], output.name)) {
        Compare(output.name, outputs->at(output.name), Load(recorded->get<std::string>()));
      }
      const std::string_view suffix = ir::kRetainedStateSuffix;
      if (output.name.ends_with(suffix)) {
        states_[name + "/" + output.name.substr(0, output.name.size() - suffix.size())] =
            outputs->at(output.name);
      }
    }
  }

  /// Remembers which positions of which cache row have been written.
  void NotePositions(const NamedTensors& inputs) {
    const auto positions = inputs.find("position_ids");
    if (positions == inputs.end() || positions->second.dims.size() != 2) return;
    const auto rows = inputs.find("batch_index");
    const int64_t tokens = positions->second.dims[1];
    for (int64_t i = 0; i < positions->second.element_count(); ++i) {
      const int64_t batch = i / tokens;
      const int64_t row =
          rows == inputs.end() ? batch : rows->second.ints[static_cast<size_t>(batch)];
      const int64_t position = positions->second.ints[static_cast<size_t>(i)];
      if (position >= 0) written_.insert({row, position});
    }
  }

  /// Cache slots that no token was written to hold leftovers of padding in the recordings.
  bool IsCompared(std::string_view name, const Tensor& tensor, int64_t index) const {
    if (!name.starts_with("past_key") && !name.starts_with("past_value")) return true;
    if (name.find("_cross") != std::string_view::npos || tensor.dims.size() != 4) return true;
    const int64_t size = tensor.dims[3];
    const int64_t slots = tensor.dims[2];
    const int64_t row = index / (tensor.dims[1] * slots * size);
    const int64_t slot = index / size % slots;
    for (const auto& [written_row, position] : written_) {
      if (written_row == row && position % slots == slot) return true;  // windows wrap around
    }
    return false;
  }

  void Compare(const std::string& name, const Tensor& actual, const Tensor& expected) const {
    REQUIRE(actual.dims == expected.dims);
    double largest = 0;
    for (int64_t i = 0; i < expected.element_count(); ++i) {
      if (IsCompared(name, expected, i))
        largest = std::fmax(largest, std::fabs(expected.number(i)));
    }
    double worst = 0;
    for (int64_t i = 0; i < expected.element_count(); ++i) {
      if (!IsCompared(name, expected, i)) continue;
      const double error = std::fabs(actual.number(i) - expected.number(i));
      if (!(error <= worst)) worst = error;
    }
    CHECK(worst <= 1e-4 * largest);
  }

  std::filesystem::path folder_;
  checkpoint::SafetensorsFile file_;
  Json calls_;
  std::map<std::string, ir::Model> graphs_;
  WeightStore weights_;
  std::map<std::string, Tensor> states_;
  std::set<std::pair<int64_t, int64_t>> written_;
};

}  // namespace

TEST_CASE("recorded graphs of the original exporter have types with symbols") {
  if (!std::filesystem::is_directory(RecordedFolder())) {
    std::cout << "SKIPPED: " << RecordedFolder().string() << " is not there\n";
    return;
  }
  int count = 0;
  for (const auto& folder : std::filesystem::directory_iterator(RecordedFolder())) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".onnx") continue;
      INFO(entry.path().string());
      ir::Model model = ReadModel(entry.path());
      const Result<ops::TypeFacts> facts = ops::InferTypes(model.graph);
      INFO((facts.ok() ? "" : facts.diagnostic().ToString()));
      REQUIRE(facts.ok());
      CHECK(UntypedValues(model.graph, true) == std::vector<std::string>());
      ++count;
    }
  }
  CHECK(count > 0);
}

TEST_CASE("recorded graphs of the original exporter give their recorded outputs") {
  if (!std::filesystem::is_directory(RecordedFolder())) {
    std::cout << "SKIPPED: " << RecordedFolder().string() << " is not there\n";
    return;
  }
  for (const auto& folder : std::filesystem::directory_iterator(RecordedFolder())) {
    Recording(folder.path()).Run();
  }
}

}  // namespace qeff::reference
