// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "lib/onnx_io/header.h"
#include "lib/onnx_io/reader.h"
#include "passes/pipelines.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

/// A model, and what kept its weights from being found.
struct OpenedModel {
  ir::Model model;
  std::string weights_problem;
};

Result<OpenedModel> Open(const std::filesystem::path& file) {
  Result<ir::Model> whole = onnx_io::ReadOnnx(file);
  if (whole.ok()) return OpenedModel{std::move(*whole), ""};
  // A weight_spec.json whose checkpoint has moved is no reason to show nothing.
  Result<ir::Model> bare =
      onnx_io::ReadOnnx(file, {.weight_spec = onnx_io::ReadOptions::WeightSpec::kIgnore});
  if (!bare.ok()) return std::move(whole).status();
  return OpenedModel{std::move(*bare),
                     whole.diagnostic().where.ToString() + ": " + whole.diagnostic().message};
}

std::vector<Cell> DescribeValue(const std::string& name, const ir::TensorType& type,
                                const std::optional<ir::Shape>& shape) {
  return {name, type.dtype ? Cell(std::string(DTypeName(*type.dtype))) : Cell(),
          shape ? Cell(*shape) : Cell()};
}

void AddInterface(const ir::Graph& graph, Report& report) {
  Table inputs{.name = "inputs", .columns = {"name", "dtype", "dims"}, .rows = {}};
  for (const ir::Value* input : graph.inputs())
    inputs.rows.push_back(DescribeValue(input->name(), input->type(), input->type().shape));
  report.Add(std::move(inputs));
  Table outputs{.name = "outputs", .columns = {"name", "dtype", "dims"}, .rows = {}};
  for (const ir::GraphOutput& output : graph.outputs()) {
    const ir::TensorType& type = output.value->type();
    outputs.rows.push_back(DescribeValue(
        output.name, type, output.declared_shape ? output.declared_shape : type.shape));
  }
  report.Add(std::move(outputs));
}

void AddHeader(const onnx_io::OnnxHeader& header, Report& report) {
  Table opsets{.name = "opsets", .columns = {"domain", "version"}, .rows = {}};
  for (const auto& [domain, version] : header.opsets)
    opsets.rows.push_back({domain.empty() ? "ai.onnx" : domain, version});
  report.Add(std::move(opsets));
  Table functions{
      .name = "functions", .columns = {"domain", "name", "inputs", "outputs", "nodes"}, .rows = {}};
  for (const onnx_io::FunctionHeader& function : header.functions) {
    functions.rows.push_back({function.domain, function.name, function.input_count,
                              function.output_count, function.node_count});
  }
  report.Add(std::move(functions));
}

void AddOps(const ir::Model& model, Report& report) {
  struct Count {
    int64_t in_graph = 0;
    int64_t in_functions = 0;
  };
  std::map<std::string, Count> counts;
  for (const auto& node : model.graph.nodes()) ++counts[node->QualifiedOp()].in_graph;
  for (const ir::Function& function : model.functions) {
    for (const auto& node : function.body.nodes()) ++counts[node->QualifiedOp()].in_functions;
  }
  std::vector<std::pair<std::string, Count>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second.in_graph + a.second.in_functions > b.second.in_graph + b.second.in_functions;
  });
  Table ops{.name = "ops", .columns = {"op", "nodes", "function_nodes"}, .rows = {}};
  for (const auto& [op, count] : sorted)
    ops.rows.push_back({op, count.in_graph, count.in_functions});
  report.Add(std::move(ops));
}

/// Constants that are weights: not shapes and indices, not single numbers.
struct Weights {
  int64_t tensors = 0;
  int64_t elements = 0;
  int64_t size_bytes = 0;
  std::map<std::string, int64_t> bytes_by_file;  ///< read from each
  Table list{.name = "tensors_by_name",
             .columns = {"name", "dtype", "dims", "size_bytes", "recipe"},
             .rows = {}};

  void Add(const std::string& name, const ir::Weight& weight) {
    const DType dtype = weight.dtype();
    if (dtype == DType::kI64 || dtype == DType::kI32 || dtype == DType::kBool) return;
    if (weight.element_count() <= 1) return;
    ++tensors;
    elements += weight.element_count();
    size_bytes += weight.size_bytes();
    ir::ForEachFileLeaf(weight, [this](const ir::FileBytes& leaf, const ir::Weight& part) {
      bytes_by_file[leaf.file->path()] += part.size_bytes();
    });
    list.rows.push_back({name, std::string(DTypeName(weight.dtype())),
                         ir::Shape(weight.dims().begin(), weight.dims().end()), weight.size_bytes(),
                         ir::DescribeWeight(weight)});
  }
};

Weights CollectWeights(const ir::Model& model) {
  Weights weights;
  const auto add_all = [&](const ir::Graph& graph) {
    for (const ir::Value* constant : graph.constants())
      weights.Add(constant->name(), *constant->constant());
  };
  add_all(model.graph);
  for (const ir::Function& function : model.functions) add_all(function.body);
  return weights;
}

/// True if the node is part of what raising looks for: attention and its cache, linear layers,
/// norms, routed experts.
bool ShouldBeRaised(const ir::Node& node) {
  if (node.domain() == ir::kCloudDomain) return true;
  if (node.op_type() == "CustomRMSNorm") return true;
  for (const char* op : {"MatMul", "Gemm", "Einsum", "Softmax"}) {
    if (!node.IsOnnx(op)) continue;
    if (op != std::string_view("Softmax")) return true;
    for (const ir::Use& use : node.output()->uses()) {
      if (use.node->IsOnnx("MatMul")) return true;
    }
  }
  return false;
}

/// What the backends make of a graph in the compiler's ops: the semantic ops that were recognized,
/// and the nodes that will run one by one.
Status AddRaising(const ir::Model& model, Report& report) {
  for (const auto& node : model.graph.nodes()) {
    if (node->domain() == ir::kQeffDomain) return Status::Ok();
  }
  ir::Model raised{.graph = model.graph.Clone(),
                   .functions = {},
                   .metadata = model.metadata,
                   .path = model.path};
  for (const ir::Function& function : model.functions) {
    raised.functions.push_back(
        {function.domain, function.name, function.attribute_names, function.body.Clone()});
  }
  Result<passes::Change> change = passes::RunPipeline(raised, passes::RaisingPipeline());
  if (!change.ok()) return std::move(change).status();
  std::map<std::string, int64_t> counts;
  Table left{.name = "not_recognized", .columns = {"op", "node"}, .rows = {}};
  for (const auto& node : raised.graph.nodes()) {
    if (node->domain() == ir::kQeffDomain) ++counts[node->op_type()];
    if (ShouldBeRaised(*node)) left.rows.push_back({node->QualifiedOp(), node->name()});
  }
  Table recognized{.name = "recognized", .columns = {"op", "nodes"}, .rows = {}};
  for (const auto& [op, count] : counts) recognized.rows.push_back({op, count});
  report.Add(std::move(recognized));
  report.Add(std::move(left));
  return Status::Ok();
}

}  // namespace

Status ReadOnnxModel(const std::filesystem::path& file, const ReadOptions& options,
                     Report& report) {
  QEFF_ASSIGN_OR_RETURN(const onnx_io::OnnxHeader header, onnx_io::ReadOnnxHeader(file));
  QEFF_ASSIGN_OR_RETURN(const OpenedModel opened, Open(file));
  const ir::Model& model = opened.model;
  Weights weights = CollectWeights(model);
  Fields summary;
  summary.Add("file", file.filename().string());
  summary.Add("graph", model.graph.name());
  summary.Add("ir_version", header.ir_version);
  summary.Add("producer",
              header.producer_name.empty()
                  ? Cell()
                  : Cell(header.producer_name + (header.producer_version.empty() ? "" : " ") +
                         header.producer_version));
  summary.Add("nodes", static_cast<int64_t>(model.graph.nodes().size()));
  summary.Add("weights", weights.tensors);
  summary.Add("weight_elements", weights.elements);
  summary.Add("weight_bytes", weights.size_bytes);
  if (!opened.weights_problem.empty()) summary.Add("weights_problem", opened.weights_problem);
  report.Add(std::move(summary));
  AddInterface(model.graph, report);
  AddHeader(header, report);
  AddOps(model, report);
  if (opened.weights_problem.empty()) QEFF_RETURN_IF_ERROR(AddRaising(model, report));
  Table sources{.name = "weights_from", .columns = {"file", "used_bytes"}, .rows = {}};
  for (const auto& [path, size_bytes] : weights.bytes_by_file)
    sources.rows.push_back({path, size_bytes});
  report.Add(std::move(sources));
  Fields metadata{.name = "metadata", .fields = {}};
  for (const auto& [key, value] : model.metadata) metadata.Add(key, value);
  report.Add(std::move(metadata));
  if (options.list_tensors) report.Add(std::move(weights.list));
  return Status::Ok();
}

}  // namespace qeff::inspect
