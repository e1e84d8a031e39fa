// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/text_types.h"

#include <algorithm>

namespace qeff::onnx_io {
namespace {

constexpr std::string_view kTypeNames[kDTypeCount] = {
    "float",      "double",       "float16",    "bfloat16",   "int8",       "int16",
    "int32",      "int64",        "uint8",      "uint16",     "uint32",     "uint64",
    "bool",       "float8e4m3fn", "float8e5m2", "float8e8m0", "float4e2m1", "float6e2m3",
    "float6e3m2", "int4",         "uint4",      "complex64"};

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

}  // namespace

std::string_view TextTypeName(DType dtype) { return kTypeNames[static_cast<int>(dtype)]; }

std::optional<DType> DTypeFromText(std::string_view name) {
  for (int i = 0; i < kDTypeCount; ++i) {
    if (kTypeNames[i] == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

bool IsIdentifier(std::string_view name) {
  return !name.empty() && IsLetter(name[0]) && std::all_of(name.begin(), name.end(), [](char c) {
    return IsLetter(c) || (c >= '0' && c <= '9');
  });
}

}  // namespace qeff::onnx_io
