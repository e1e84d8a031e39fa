// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.Activation<kind>(x): y[i] = f(x[i]), f one of the activations of transformers' ACT2FN.
#include <algorithm>
#include <cmath>

#include "lib/ops/activations.h"
#include "lib/ops/context.h"

namespace qeff::ops {
namespace {

constexpr double kSqrt2 = 1.41421356237309504880;
constexpr double kSqrt2OverPi = 0.79788456080286535588;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Silu(double x) { return x * Sigmoid(x); }
double Relu(double x) { return x < 0 ? 0 : x; }
double Gelu(double x) { return 0.5 * x * (1 + std::erf(x / kSqrt2)); }
double GeluTanh(double x) {
  return 0.5 * x * (1 + std::tanh(kSqrt2OverPi * (x + 0.044715 * x * x * x)));
}
// transformers rounds sqrt(2 / pi) here.
double GeluFast(double x) {
  return 0.5 * x * (1 + std::tanh(x * 0.7978845608 * (1 + 0.044715 * x * x)));
}
double Clipped(double x, double low, double high) { return x < low ? low : x > high ? high : x; }
double Softplus(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
double Laplace(double x) {
  constexpr double kMean = 0.707107;
  constexpr double kDeviation = 0.282095;
  return 0.5 * (1 + std::erf((x - kMean) / (kDeviation * kSqrt2)));
}

struct Entry {
  std::string_view name;
  ActivationFunction function;
};

constexpr Entry kActivations[] = {
    {"gelu", Gelu},
    {"gelu_10", [](double x) { return Clipped(Gelu(x), -10, 10); }},
    {"gelu_accurate", GeluTanh},
    {"gelu_fast", GeluFast},
    {"gelu_new", GeluTanh},
    {"gelu_python", Gelu},
    {"gelu_python_tanh", GeluTanh},
    {"gelu_pytorch_tanh", GeluTanh},
    {"hardswish", [](double x) { return x * Clipped(x + 3, 0, 6) / 6; }},
    {"laplace", Laplace},
    {"leaky_relu", [](double x) { return x < 0 ? 0.01 * x : x; }},
    {"linear", [](double x) { return x; }},
    {"mish", [](double x) { return x * std::tanh(Softplus(x)); }},
    {"quick_gelu", [](double x) { return x * Sigmoid(1.702 * x); }},
    {"relu", Relu},
    {"relu2", [](double x) { return Relu(x) * Relu(x); }},
    {"relu6", [](double x) { return Clipped(x, 0, 6); }},
    {"sigmoid", Sigmoid},
    {"silu", Silu},
    {"sqrtsoftplus", [](double x) { return std::sqrt(Softplus(x)); }},
    {"swish", Silu},
    {"tanh", [](double x) { return std::tanh(x); }},
};

Status InferActivation(InferContext& context) {
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(0));
  if (!FindActivation(context.String("kind"))) {
    return context.Unsupported(fmt::format("unknown activation '{}'", context.String("kind")),
                               {fmt::format("known: {}", fmt::join(ActivationNames(), ", "))});
  }
  context.SetOutput(0, context.dtype(0), context.shape(0));
  return Status::Ok();
}

Status EvaluateActivation(EvaluateContext& context) {
  const ActivationFunction function = *FindActivation(context.String("kind"));
  const std::vector<double>& x = context.in(0).floats;
  std::transform(x.begin(), x.end(), context.out().floats.begin(), function);
  return Status::Ok();
}

}  // namespace

std::optional<ActivationFunction> FindActivation(std::string_view name) {
  for (const Entry& entry : kActivations) {
    if (entry.name == name) return entry.function;
  }
  return std::nullopt;
}

std::string_view CanonicalActivation(std::string_view name) {
  const auto function = FindActivation(name);
  if (!function) return name;
  if (*function == Silu) return "silu";
  if (*function == Gelu) return "gelu";
  // Up to the rounding of a constant the same.
  if (*function == GeluTanh || *function == GeluFast) return "gelu_pytorch_tanh";
  return name;
}

std::string_view OnnxActivation(std::string_view name) {
  if (name == "relu") return "Relu";
  if (name == "sigmoid") return "Sigmoid";
  if (name == "tanh") return "Tanh";
  return {};
}

std::vector<std::string> ActivationNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kActivations) names.emplace_back(entry.name);
  return names;
}

std::vector<OpDefinition> ActivationOps() {
  return {{{.domain = ir::kQeffDomain,
            .op_type = "Activation",
            .attributes = {RequiredAttribute("kind", AttributeKind::kString)}},
           InferActivation,
           EvaluateActivation}};
}

}  // namespace qeff::ops
