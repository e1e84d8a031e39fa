// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/header.h"

#include "lib/onnx_io/wire.h"

namespace qeff::onnx_io {

Result<OnnxHeader> ReadOnnxHeader(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  QEFF_ASSIGN_OR_RETURN(const ScannedModel scanned, ScanModel(file));
  const onnx::ModelProto& model = scanned.model;
  OnnxHeader header{.ir_version = model.ir_version(),
                    .producer_name = model.producer_name(),
                    .producer_version = model.producer_version()};
  bool is_text = IsPlainText(header.producer_name) && IsPlainText(header.producer_version);
  for (const onnx::OperatorSetIdProto& opset : model.opset_import()) {
    is_text = is_text && IsPlainText(opset.domain());
    header.opsets.emplace_back(CanonicalDomain(opset.domain()), opset.version());
  }
  for (const onnx::StringStringEntryProto& entry : model.metadata_props()) {
    is_text = is_text && IsPlainText(entry.key()) && IsPlainText(entry.value());
    header.metadata.emplace(entry.key(), entry.value());
  }
  for (const onnx::FunctionProto& function : model.functions()) {
    is_text = is_text && IsPlainText(function.domain()) && IsPlainText(function.name());
    header.functions.push_back({.domain = function.domain(),
                                .name = function.name(),
                                .node_count = function.node_size(),
                                .input_count = function.input_size(),
                                .output_count = function.output_size()});
  }
  if (!is_text) return InvalidInput(Location::File(path.string()), "a name is not UTF-8 text");
  return header;
}

}  // namespace qeff::onnx_io
