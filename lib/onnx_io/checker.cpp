// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/checker.h"

#include <onnx/checker.h>
#include <onnx/shape_inference/implementation.h>

#include <exception>
#include <set>

#include "lib/onnx_io/proto.h"
#include "lib/support/file.h"

namespace qeff::onnx_io {
namespace {

/// Runs what may throw; the message of the exception becomes the error.
template <typename F>
Status Guarded(std::string_view path, const F& work) {
  try {
    work();
    return Status::Ok();
  } catch (const std::exception& error) {
    return InvalidInput(Location::File(path), fmt::format("ONNX's checker: {}", error.what()));
  }
}

/// The checker would look for data files relative to the current folder; as graph inputs, the
/// tensors keep their types.
void MakeExternalTensorsInputs(onnx::GraphProto* graph) {
  google::protobuf::RepeatedPtrField<onnx::TensorProto> kept;
  for (const onnx::TensorProto& tensor : graph->initializer()) {
    if (tensor.data_location() != onnx::TensorProto_DataLocation_EXTERNAL) {
      *kept.Add() = tensor;
      continue;
    }
    onnx::ValueInfoProto* input = graph->add_input();
    input->set_name(tensor.name());
    auto* type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(tensor.data_type());
    for (const int64_t dim : tensor.dims()) type->mutable_shape()->add_dim()->set_dim_value(dim);
  }
  graph->mutable_initializer()->Swap(&kept);
}

/// True if ONNX or a function of the model says what each op is.
bool DefinesAllOps(const onnx::ModelProto& model) {
  std::set<std::pair<std::string, std::string>> defined;
  for (const onnx::FunctionProto& function : model.functions()) {
    defined.emplace(function.domain(), function.name());
  }
  for (const onnx::NodeProto& node : model.graph().node()) {
    if (!CanonicalDomain(node.domain()).empty() &&
        !defined.contains({node.domain(), node.op_type()})) {
      return false;
    }
  }
  return true;
}

}  // namespace

Status CheckOnnx(std::string_view bytes, std::string_view path) {
  onnx::ModelProto model;
  if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidInput(Location::File(path), "expected an ONNX model, got other bytes");
  }
  MakeExternalTensorsInputs(model.mutable_graph());
  QEFF_RETURN_IF_ERROR(Guarded(path, [&] { onnx::checker::check_model(model); }));
  if (!DefinesAllOps(model)) return Status::Ok();
  return Guarded(path, [&] {
    onnx::ShapeInferenceOptions options;
    options.check_type = true;
    options.error_mode = 1;
    onnx::shape_inference::InferShapes(model, onnx::OpSchemaRegistry::Instance(), options);
  });
}

Status CheckOnnxFile(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const auto bytes = file.bytes();
  QEFF_RETURN_IF_ERROR(
      CheckOnnx({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string()));
  std::string name = path.string();
  return Guarded(name, [&] { onnx::checker::check_model(name); });
}

}  // namespace qeff::onnx_io
