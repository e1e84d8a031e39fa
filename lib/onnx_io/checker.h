// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Asks ONNX's own checker and shape inference about a model: a second opinion on what we write, for
// tests and qeff-inspect. It is not how files are read safely: that is ReadOnnx.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "lib/support/status.h"

namespace qeff::onnx_io {

/// Checks the content of an .onnx file; external data is not looked at, `path` names it in errors.
/// Strict shape inference runs too, unless a node is of a domain whose ops ONNX cannot know (no
/// function of the model defines them: our semantic graphs). Errors: kInvalidInput with the
/// checker's words.
Status CheckOnnx(std::string_view model, std::string_view path);

/// As above, and every data file must be there. Errors: also kIo.
Status CheckOnnxFile(const std::filesystem::path& path);

}  // namespace qeff::onnx_io
