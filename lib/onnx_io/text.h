// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Graphs as text in ONNX's textual syntax, both ways: for golden tests, qeff-opt and people. Names
// that are not identifiers are quoted. 16-bit and narrower floats are written as their bits, as
// ONNX does; 4-bit integers as numbers, which ONNX's own printer leaves out.
//
//   <ir_version: 8, opset_import: ["" : 17, "qeff" : 1]>
//   main_graph (float[batch_size,seq_len,64] x) => (float[batch_size,seq_len,64] y)
//   <float[64] gamma = {1, 1, ...}>
//   {
//      ["/norm"] y = qeff.RmsNorm <epsilon: float = 1e-05> (x, gamma)
//   }
#pragma once

#include <string>
#include <string_view>

#include "lib/ir/graph.h"

namespace qeff::onnx_io {

struct PrintOptions {
  enum class Names {
    kKeep,
    kRenumber  ///< values v0, v1, ..., constants c0, c1, ...; inputs and outputs keep theirs
  };
  enum class Types {
    kInterface,  ///< of inputs, outputs and constants
    kAll         ///< also of every other value whose type is known
  };
  Names names = Names::kKeep;
  Types types = Types::kAll;
  /// Constants with more elements are written as a hash of their bytes; such text cannot be parsed.
  int64_t element_limit = 1024;
};

/// Returns the text. Printing what ParseText made of it gives the same text.
std::string PrintText(const ir::Model& model, const PrintOptions& options = {});

/// Returns the model; a header is optional. `path` names the text in errors. Functions of the AI
/// 100 compiler are ops and have no text. Errors: kInvalidInput with line and column.
Result<ir::Model> ParseText(std::string_view text, std::string_view path);

}  // namespace qeff::onnx_io
