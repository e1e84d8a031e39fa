// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Parses the types and tensors of ONNX's textual syntax. Internal to lib/onnx_io.
#pragma once

#include "lib/ir/weight.h"
#include "lib/onnx_io/text_lexer.h"

namespace qeff::onnx_io {

/// Parses "float[batch_size,?,64]"; no brackets: a scalar; empty brackets: unknown rank.
Result<ir::TensorType> ParseType(TextLexer* lexer);

/// Parses "{1, 2, 3}" of the type before it. Errors: kInvalidInput for a type that is not fully
/// known, another number of elements, or elements outside of the type's range.
Result<ir::WeightPtr> ParseTensor(const ir::TensorType& type, TextLexer* lexer);

/// Parses a number of any spelling as f32, rounded once.
Result<float> ParseFloat(TextLexer* lexer);

}  // namespace qeff::onnx_io
