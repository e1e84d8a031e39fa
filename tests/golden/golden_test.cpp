// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs each pass over the graphs in tests/golden/<pass>/. README.md says what a case file holds.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <random>

#include "lib/onnx_io/text.h"
#include "lib/ops/op.h"
#include "lib/support/file.h"
#include "passes/pass_manager.h"

namespace qeff {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSeparator = "====\n";
const fs::path kFolder = "tests/golden";

struct Case {
  fs::path path;
  std::string header;  ///< the lines that start with '#'
  std::string input;
  std::string expected;
  passes::PassStep step;
  double tolerance = 1e-6;
  bool compares_numbers = true;
};

std::string FolderName(std::string_view pass) {
  std::string name(pass);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// The text behind "# key: "; empty if there is none.
std::string HeaderValue(const std::string& header, const std::string& key) {
  const std::string start = "# " + key + ": ";
  const size_t at = header.find(start);
  if (at == std::string::npos) return "";
  return header.substr(at + start.size(), header.find('\n', at) - at - start.size());
}

Case ReadCase(const fs::path& path, std::string_view pass) {
  const Result<std::string> text = ReadSmallFile(path);
  REQUIRE(text.ok());
  Case result{.path = path, .header = "", .input = "", .expected = "", .step = {}};
  std::string rest = *text;
  while (rest.starts_with('#')) {
    const size_t end = rest.find('\n') + 1;
    result.header += rest.substr(0, end);
    rest.erase(0, end);
  }
  const size_t separator = rest.find(kSeparator);
  result.input = rest.substr(0, separator);
  if (separator != std::string::npos) result.expected = rest.substr(separator + kSeparator.size());
  result.step.name = pass;
  const std::string option = HeaderValue(result.header, "option");
  if (!option.empty()) {
    const size_t equals = option.find('=');
    result.step.options[option.substr(0, equals)] = option.substr(equals + 1);
  }
  const std::string tolerance = HeaderValue(result.header, "tolerance");
  if (!tolerance.empty()) result.tolerance = std::stod(tolerance);
  result.compares_numbers = HeaderValue(result.header, "numbers differ").empty();
  return result;
}

std::vector<fs::path> CasesOf(std::string_view pass) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(kFolder / FolderName(pass), error)) {
    if (entry.path().extension() == ".txt") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

ir::Model Parse(const Case& test) {
  Result<ir::Model> model = onnx_io::ParseText(test.input, test.path.string());
  INFO((model.ok() ? "" : model.diagnostic().ToString()));
  REQUIRE(model.ok());
  return std::move(*model);
}

passes::Change Run(ir::Model& model, const passes::Pipeline& pipeline) {
  const Result<passes::Change> change = passes::RunPipeline(model, pipeline);
  INFO((change.ok() ? "" : change.diagnostic().ToString()));
  REQUIRE(change.ok());
  return *change;
}

std::string Print(const ir::Model& model) {
  return onnx_io::PrintText(model, {.names = onnx_io::PrintOptions::Names::kRenumber});
}

/// A value for a graph input: positions count from 0 in each row, rows choose slots in order,
/// caches are empty, masks hold 0 and 1, other integers are small, floats are seeded by the input's
/// name.
ops::Tensor MakeInput(const ir::Value& input) {
  const auto dims = ir::StaticDims(*input.type().shape);
  REQUIRE(dims);
  ops::Tensor tensor = ops::ZeroTensor(*input.type().dtype, *dims);
  const std::string& name = input.name();
  if (name.starts_with("past_")) return tensor;
  const size_t columns =
      dims->empty() ? 1 : static_cast<size_t>(std::max<int64_t>(1, dims->back()));
  for (size_t i = 0; i < tensor.ints.size(); ++i) {
    const size_t number = name == "batch_index" ? i / columns : i % columns;
    tensor.ints[i] = static_cast<int64_t>(tensor.dtype == DType::kBool ? i % 2 : number);
    if (name == "attention_mask") tensor.ints[i] = std::min<int64_t>(tensor.ints[i], 1);
  }
  std::minstd_rand random(static_cast<unsigned>(name.size()) + 17);
  for (double& value : tensor.floats) value = static_cast<double>(random() % 2001) / 1000.0 - 1.0;
  return tensor;
}

using Results = std::map<std::string, ops::Tensor>;

Results Evaluate(ir::Model model) {
  Run(model, {{"inline-functions", {}}});
  const std::map<std::string, int64_t> sizes = {
      {"batch_size", 2},      {"seq_len", 3},          {"ctx_len", 6}, {"N", 4},
      {"full_batch_size", 2}, {"comp_ctx_lengths", 5}, {"n", 2},       {"num_logits_to_keep", 2}};
  for (ir::GraphOutput& output : model.graph.outputs()) output.declared_shape.reset();
  const Status substituted = ops::SubstituteSymbols(model.graph, sizes);
  INFO((substituted.ok() ? "" : substituted.diagnostic().ToString()));
  REQUIRE(substituted.ok());
  std::map<const ir::Value*, ops::Tensor> values;
  for (const ir::Value* input : model.graph.inputs()) values[input] = MakeInput(*input);
  for (const ir::Value* constant : model.graph.constants()) {
    Result<ops::Tensor> tensor = ops::TensorFromWeight(*constant->constant());
    REQUIRE(tensor.ok());
    values[constant] = std::move(*tensor);
  }
  for (const auto& node : model.graph.nodes()) {
    std::vector<const ops::Tensor*> inputs;
    for (const ir::Value* input : node->inputs())
      inputs.push_back(input == nullptr ? nullptr : &values.at(input));
    Result<std::vector<ops::Tensor>> outputs = ops::EvaluateNode(*node, inputs);
    INFO((outputs.ok() ? "" : outputs.diagnostic().ToString()));
    REQUIRE(outputs.ok());
    for (size_t i = 0; i < node->outputs().size(); ++i)
      values[node->outputs()[i]] = std::move((*outputs)[i]);
  }
  Results results;
  for (const ir::GraphOutput& output : model.graph.outputs())
    results[output.name] = values.at(output.value);
  return results;
}

void CompareNumbers(const Case& test, const ir::Model& after) {
  const Results want = Evaluate(Parse(test));
  ir::Model copy;
  copy.graph = after.graph.Clone();
  for (const ir::Function& function : after.functions)
    copy.functions.push_back(
        {function.domain, function.name, function.attribute_names, function.body.Clone()});
  const Results got = Evaluate(std::move(copy));
  for (const auto& [name, tensor] : want) {
    REQUIRE(got.contains(name));
    const ops::Tensor& other = got.at(name);
    REQUIRE(tensor.dims == other.dims);
    for (int64_t i = 0; i < tensor.element_count(); ++i) {
      const double difference = std::abs(tensor.number(i) - other.number(i));
      if (difference <= test.tolerance) continue;
      CAPTURE(name, i);
      CHECK(tensor.number(i) == Approx(other.number(i)).margin(test.tolerance));
    }
  }
}

/// Returns whether the pass changes the graph of the case.
bool CheckCase(Case test) {
  CAPTURE(test.path);
  ir::Model before = Parse(test);
  Run(before, {});  // infers types
  ir::Model model = Parse(test);
  const passes::Change change = Run(model, {test.step});
  const std::string text = Print(model);
  const char* rebase = std::getenv("QEFF_REBASE");
  if (rebase != nullptr && text != test.expected) {
    const std::string content = test.header + test.input + std::string(kSeparator) + text;
    REQUIRE(WriteFileAtomically(test.path, content).ok());
    test.expected = text;
  }
  CHECK(text == test.expected);
  const bool has_changed = text != Print(before);
  CHECK(has_changed == (change == passes::Change::kChanged));
  if (model.functions.empty()) {
    Diagnostics diagnostics;
    CHECK(ops::VerifyGraph(model.graph, diagnostics).ok());
  }
  if (test.compares_numbers) CompareNumbers(test, model);
  CHECK(Run(model, {test.step}) == passes::Change::kNone);
  CHECK(Print(model) == text);
  return has_changed;
}

}  // namespace

TEST_CASE("every pass changes its golden graphs as recorded, and has some to change and to leave") {
  for (const passes::PassInfo& pass : passes::AllPasses()) {
    DYNAMIC_SECTION(pass.name) {
      int changed = 0;
      int kept = 0;
      for (const fs::path& path : CasesOf(pass.name))
        ++(CheckCase(ReadCase(path, pass.name)) ? changed : kept);
      CAPTURE(pass.name);
      CHECK(changed > 0);
      CHECK(kept > 0);
    }
  }
}

TEST_CASE("every folder of golden graphs is named after a pass") {
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (!entry.is_directory()) continue;
    const std::string folder = entry.path().filename().string();
    const auto& all = passes::AllPasses();
    CAPTURE(folder);
    CHECK(std::any_of(all.begin(), all.end(), [&](const passes::PassInfo& pass) {
      return FolderName(pass.name) == folder;
    }));
  }
}

}  // namespace qeff
