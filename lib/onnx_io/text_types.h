// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Names and elements of ONNX's textual syntax, shared by printer and parser. Internal to
// lib/onnx_io.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/support/dtype.h"

namespace qeff::onnx_io {

/// "float", "bfloat16", "int4", ...; the 6-bit floats, which ONNX lacks, "float6e2m3",
/// "float6e3m2".
std::string_view TextTypeName(DType dtype);
std::optional<DType> DTypeFromText(std::string_view name);

/// True for a letter or '_' followed by letters, digits and '_': needs no quotes.
bool IsIdentifier(std::string_view name);

}  // namespace qeff::onnx_io
