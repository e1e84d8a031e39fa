// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// ONNX's protobuf types and the mapping of its numbers to ours. Internal to lib/onnx_io: the only
// headers of the project that include this are in this folder, and none of them is public.
#pragma once

#include <onnx/onnx_pb.h>

#include <optional>
#include <string>
#include <string_view>

#include "lib/ir/graph.h"

namespace qeff::onnx_io {

/// ONNX's name of its default domain is empty; "ai.onnx" is an alias.
std::string_view CanonicalDomain(std::string_view domain);

/// Returns our dtype for a number of TensorProto.DataType, numbers of later ONNX versions included.
std::optional<DType> DTypeFromOnnx(int32_t number);
/// Returns the number of TensorProto.DataType; nothing for the 6-bit floats, which ONNX lacks.
std::optional<int32_t> DTypeToOnnx(DType dtype);

/// Returns the product of `dims`; nothing if one is negative, the rank exceeds ir::kMaxRank or the
/// bits of that many elements do not fit int64.
std::optional<int64_t> CheckedElementCount(const std::vector<int64_t>& dims);

/// Errors: kUnsupported for a rank above ir::kMaxRank; `where` is the value.
Result<ir::Shape> ShapeFromProto(const onnx::TensorShapeProto& proto, const Location& where);
/// Writes the tensor type. Errors: kUnsupported for a dtype that ONNX lacks; kInvalidInput if the
/// dtype is unknown.
Status TypeToProto(const ir::TensorType& type, const Location& where, onnx::TypeProto* proto);
/// Errors: kUnsupported for sequences, maps, optionals, sparse tensors and unknown element types.
Result<ir::TensorType> TypeFromProto(const onnx::TypeProto& proto, const Location& where);

/// True for well-formed UTF-8 without NUL: what names and metadata must be.
bool IsPlainText(std::string_view text);

}  // namespace qeff::onnx_io
