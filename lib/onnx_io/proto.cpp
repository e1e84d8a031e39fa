// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/proto.h"

namespace qeff::onnx_io {
namespace {

/// Index: our DType. 0 where ONNX has no such type. Numbers above 16 are newer than the protobuf
/// definitions we build with: 17 FLOAT8E4M3FN, 19 FLOAT8E5M2, 21 UINT4, 22 INT4, 23 FLOAT4E2M1,
/// 24 FLOAT8E8M0.
constexpr int32_t kOnnxNumbers[kDTypeCount] = {1,  11, 10, 16, 3,  5,  6, 7, 2,  4,  12,
                                               13, 9,  17, 19, 24, 23, 0, 0, 22, 21, 14};

}  // namespace

std::string_view CanonicalDomain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

std::optional<DType> DTypeFromOnnx(int32_t number) {
  if (number <= 0) return std::nullopt;
  for (int i = 0; i < kDTypeCount; ++i) {
    if (kOnnxNumbers[i] == number) return static_cast<DType>(i);
  }
  return std::nullopt;
}

std::optional<int32_t> DTypeToOnnx(DType dtype) {
  const int32_t number = kOnnxNumbers[static_cast<int>(dtype)];
  return number == 0 ? std::nullopt : std::optional(number);
}

std::optional<int64_t> CheckedElementCount(const std::vector<int64_t>& dims) {
  constexpr int64_t kMostElements = int64_t{1} << 56;
  if (dims.size() > ir::kMaxRank) return std::nullopt;
  int64_t count = 1;
  bool is_empty = false;
  for (const int64_t dim : dims) {
    if (dim < 0) return std::nullopt;
    if (dim == 0) {
      is_empty = true;
    } else if (__builtin_mul_overflow(count, dim, &count) || count > kMostElements) {
      return std::nullopt;
    }
  }
  return is_empty ? 0 : count;
}

Result<ir::Shape> ShapeFromProto(const onnx::TensorShapeProto& proto, const Location& where) {
  if (proto.dim_size() > ir::kMaxRank) {
    return Unsupported(where, fmt::format("expected at most {} dimensions, got {}", ir::kMaxRank,
                                          proto.dim_size()));
  }
  ir::Shape shape;
  for (const onnx::TensorShapeProto_Dimension& dim : proto.dim()) {
    if (dim.has_dim_param() && !dim.dim_param().empty()) {
      if (!IsPlainText(dim.dim_param())) {
        return InvalidInput(where, "the name of a dimension is not UTF-8 text");
      }
      shape.emplace_back(dim.dim_param());
    } else if (dim.has_dim_value() && dim.dim_value() >= 0) {
      shape.emplace_back(dim.dim_value());
    } else {
      shape.emplace_back();
    }
  }
  return shape;
}

Status TypeToProto(const ir::TensorType& type, const Location& where, onnx::TypeProto* proto) {
  if (!type.dtype) {
    return InvalidInput(where, "the element type is unknown",
                        {"run shape inference before the graph is written"});
  }
  const std::optional<int32_t> number = DTypeToOnnx(*type.dtype);
  if (!number) {
    return Unsupported(where, fmt::format("ONNX has no element type '{}'", DTypeName(*type.dtype)));
  }
  auto* tensor = proto->mutable_tensor_type();
  tensor->set_elem_type(*number);
  if (!type.shape) return Status::Ok();
  auto* shape = tensor->mutable_shape();
  for (const ir::Dim& dim : *type.shape) {
    auto* added = shape->add_dim();
    if (dim.is_number()) added->set_dim_value(dim.value());
    if (dim.is_symbol()) added->set_dim_param(dim.symbol());
  }
  return Status::Ok();
}

Result<ir::TensorType> TypeFromProto(const onnx::TypeProto& proto, const Location& where) {
  if (!proto.has_tensor_type()) {
    if (proto.value_case() == onnx::TypeProto::VALUE_NOT_SET) return ir::TensorType{};
    return Unsupported(where, "expected a tensor, got a sequence, map, optional or sparse tensor");
  }
  ir::TensorType type;
  if (const int32_t number = proto.tensor_type().elem_type(); number != 0) {
    type.dtype = DTypeFromOnnx(number);
    if (!type.dtype) return Unsupported(where, fmt::format("ONNX element type {}", number));
  }
  if (proto.tensor_type().has_shape()) {
    QEFF_ASSIGN_OR_RETURN(type.shape, ShapeFromProto(proto.tensor_type().shape(), where));
  }
  return type;
}

bool IsPlainText(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead == 0) return false;
    size_t extra = 0;
    uint32_t least = 0;
    uint32_t code = lead;
    if (lead >= 0xf0 && lead < 0xf5) {
      extra = 3, least = 0x10000, code = lead & 0x07u;
    } else if (lead >= 0xe0 && lead < 0xf0) {
      extra = 2, least = 0x800, code = lead & 0x0fu;
    } else if (lead >= 0xc2 && lead < 0xe0) {
      extra = 1, least = 0x80, code = lead & 0x1fu;
    } else if (lead >= 0x80) {
      return false;
    }
    if (text.size() - i <= extra) return false;
    for (size_t k = 1; k <= extra; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0u) != 0x80u) return false;
      code = (code << 6) | (next & 0x3fu);
    }
    const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < least || code > 0x10ffff || is_surrogate) return false;
    i += extra + 1;
  }
  return true;
}

}  // namespace qeff::onnx_io
