// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/writer.h"

#include <map>
#include <set>

#include "lib/onnx_io/contract_functions.h"
#include "lib/onnx_io/graph_writer.h"
#include "lib/onnx_io/normalize.h"
#include "lib/onnx_io/weight_spec.h"
#include "lib/onnx_io/weight_writer.h"

namespace qeff::onnx_io {
namespace {

constexpr int64_t kIrVersion = 8;  // the newest that the AI 100 compiler is known to read

class ModelWriter {
 public:
  ModelWriter(const ir::Model& model, const WriteOptions& options, const DataSink& sink)
      : model_(model),
        options_(options),
        names_(model.graph),
        weights_(sink, options.split_data_bytes) {}

  Result<WrittenModel> Write() {
    proto_.set_ir_version(kIrVersion);
    proto_.set_producer_name("qeff");
    proto_.set_producer_version(QEFF_VERSION);
    onnx::GraphProto* graph = proto_.mutable_graph();
    QEFF_RETURN_IF_ERROR(WriteNodes(model_.graph, names_, graph));
    graph->set_name(model_.graph.name());
    for (const ir::Value* input : model_.graph.inputs()) {
      QEFF_RETURN_IF_ERROR(WriteType(input->name(), input->type(), graph->add_input()));
    }
    for (const ir::GraphOutput& output : model_.graph.outputs()) {
      ir::TensorType type = output.value->type();
      if (output.declared_shape) type.shape = output.declared_shape;
      QEFF_RETURN_IF_ERROR(WriteType(output.name, type, graph->add_output()));
    }
    for (const ir::Value* constant : model_.graph.constants()) {
      QEFF_RETURN_IF_ERROR(WriteConstant(names_.Of(constant), constant->constant()));
    }
    WriteMetadata();
    QEFF_RETURN_IF_ERROR(WriteFunctions());
    WriteOpsets();
    WrittenModel written;
    if (options_.weights == WriteOptions::Weights::kReference) {
      QEFF_ASSIGN_OR_RETURN(written.weight_spec, DumpWeightSpec(references_));
    }
    written.data_bytes = weights_.total_bytes();
    if (proto_.ByteSizeLong() >= size_t{1} << 31) {
      return Unsupported(Location::File(model_.path), "the model without its weights has 2 GiB");
    }
    proto_.SerializeToString(&written.model);
    return written;
  }

 private:
  Status WriteType(const std::string& name, const ir::TensorType& type,
                   onnx::ValueInfoProto* info) const {
    info->set_name(name);
    return TypeToProto(type, Location::Tensor(model_.path, name), info->mutable_type());
  }

  Status WriteConstant(const std::string& name, const ir::WeightPtr& weight) {
    onnx::GraphProto* graph = proto_.mutable_graph();
    const Location where = Location::Tensor(model_.path, name);
    if (weight->size_bytes() <= options_.inline_limit_bytes) {
      onnx::TensorProto* tensor = graph->add_initializer();
      tensor->set_name(name);
      return WriteInlineTensor(*weight, where, tensor);
    }
    if (options_.weights == WriteOptions::Weights::kReference) {
      references_.emplace_back(name, weight);
      return WriteType(name, weight->type(), graph->add_input());
    }
    const std::optional<int32_t> number = DTypeToOnnx(weight->dtype());
    if (!number) {
      return Unsupported(where,
                         fmt::format("ONNX has no element type '{}'", DTypeName(weight->dtype())));
    }
    onnx::TensorProto* tensor = graph->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(*number);
    for (const int64_t dim : weight->dims()) tensor->add_dims(dim);
    QEFF_ASSIGN_OR_RETURN(const WeightWriter::Place place, weights_.Append(*weight));
    tensor->set_data_location(onnx::TensorProto_DataLocation_EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      onnx::StringStringEntryProto* entry = tensor->add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    add("location", place.file_name);
    add("offset", std::to_string(place.offset_bytes));
    add("length", std::to_string(weight->size_bytes()));
    return Status::Ok();
  }

  void WriteMetadata() {
    for (const auto& [key, value] : model_.metadata) {
      onnx::StringStringEntryProto* entry = proto_.add_metadata_props();
      entry->set_key(key);
      entry->set_value(value);
    }
  }

  /// Functions of the model first, then contract functions in the order of their first call.
  Status WriteFunctions() {
    for (const ir::Function& function : model_.functions) {
      if (IsContractFunction(function.domain, function.name)) continue;  // written when called
      onnx::FunctionProto* proto = proto_.add_functions();
      QEFF_RETURN_IF_ERROR(
          WriteFunction(function, proto)
              .WithNote(fmt::format("while writing function '{}'", function.name)));
    }
    for (const ir::Function& function : model_.functions) {
      functions_[{function.domain, function.name}] = &function;
    }
    VisitCalls(model_.graph);
    for (const ir::Function& function : model_.functions) VisitCalls(function.body);
    return Status::Ok();
  }

  /// Functions nest only as deep as ReadOnnx allows.
  void VisitCalls(const ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      domains_.insert(node->domain());
      if (node->domain().empty()) continue;
      if (!visited_.emplace(node->domain(), node->op_type()).second) continue;
      if (IsContractFunction(node->domain(), node->op_type())) {
        WriteContractFunction(node->domain(), node->op_type(), proto_.add_functions());
        continue;
      }
      const auto callee = functions_.find({node->domain(), node->op_type()});
      if (callee != functions_.end()) VisitCalls(callee->second->body);
    }
  }

  void WriteOpsets() {
    domains_.insert("");
    for (const ir::Function& function : model_.functions) domains_.insert(function.domain);
    for (const std::string& domain : domains_) {
      onnx::OperatorSetIdProto* import = proto_.add_opset_import();
      import->set_domain(domain);
      import->set_version(domain.empty() ? kCanonicalOpset : 1);
    }
  }

  const ir::Model& model_;
  const WriteOptions& options_;
  ValueNames names_;
  WeightWriter weights_;
  onnx::ModelProto proto_;
  NamedWeights references_;
  std::set<std::string> domains_;
  std::map<std::pair<std::string, std::string>, const ir::Function*> functions_;
  std::set<std::pair<std::string, std::string>> visited_;
};

}  // namespace

Result<WrittenModel> WriteOnnx(const ir::Model& model, const WriteOptions& options,
                               const DataSink& sink) {
  return ModelWriter(model, options, sink).Write();
}

}  // namespace qeff::onnx_io
