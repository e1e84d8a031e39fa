// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The activation functions that configs of checkpoints name (`hidden_act`), with the formulas of
// the transformers library. Used by qeff.Activation, qeff.GatedMlp, and by families to check a
// config.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qeff::ops {

using ActivationFunction = double (*)(double);

/// Nothing if there is no such activation, or it has parameters of its own (prelu, xielu).
std::optional<ActivationFunction> FindActivation(std::string_view name);
/// The name under which lowered graphs are recognized again: "swish" -> "silu", "gelu_new" ->
/// "gelu_pytorch_tanh", ...; `name` itself if it has no other.
std::string_view CanonicalActivation(std::string_view name);
/// The ONNX op that is this activation, e.g. "Relu"; empty if there is none.
std::string_view OnnxActivation(std::string_view name);
/// All names, sorted, for messages.
std::vector<std::string> ActivationNames();

}  // namespace qeff::ops
