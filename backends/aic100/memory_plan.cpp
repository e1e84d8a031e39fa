// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/memory_plan.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "backends/aic100/builtin_targets.h"

namespace qeff::aic100 {
namespace {

constexpr double kF16Bytes = 2;
constexpr double kMxfp6Bytes = 6.25 / 8;
constexpr double kMxint8Bytes = 8.25 / 8;
constexpr double kMiB = 1 << 20;

Result<CardTarget> ParseTarget(const Json& json, const std::string& path) {
  const auto wrong = [&path](std::string_view key, std::string_view expected) {
    return InvalidInput(Location::File(path), fmt::format("expected '{}' to be {}", key, expected));
  };
  CardTarget target;
  const Json* name = Find(json, "name");
  if (name == nullptr || !name->is_string()) return wrong("name", "a string");
  target.name = name->get<std::string>();
  const auto count = [&](std::string_view key, int64_t& value) -> Status {
    const Json* found = Find(json, key);
    if (found == nullptr || !found->is_number_integer() || found->get<int64_t>() < 1)
      return wrong(key, "a whole number from 1 on");
    value = found->get<int64_t>();
    return Status::Ok();
  };
  QEFF_RETURN_IF_ERROR(count("devices_per_card", target.devices_per_card));
  QEFF_RETURN_IF_ERROR(count("cores_per_device", target.cores_per_device));
  QEFF_RETURN_IF_ERROR(count("vtcm_bytes_per_core", target.vtcm_bytes_per_core));
  const auto amount = [&](std::string_view key, std::optional<double>& value) -> Status {
    const Json* found = Find(json, key);
    if (found == nullptr || found->is_null()) return Status::Ok();
    if (!found->is_number() || found->get<double>() <= 0) return wrong(key, "positive, or null");
    value = found->get<double>();
    return Status::Ok();
  };
  std::optional<double> ddr_bytes;
  QEFF_RETURN_IF_ERROR(amount("ddr_bytes_per_device", ddr_bytes));
  if (ddr_bytes) target.ddr_bytes = static_cast<int64_t>(*ddr_bytes);
  QEFF_RETURN_IF_ERROR(amount("ddr_bytes_per_second", target.ddr_bytes_per_second));
  QEFF_RETURN_IF_ERROR(amount("f16_flops_per_device", target.f16_flops));
  return target;
}

/// The value is the matrix of a product, as it is or transposed (embeddings that are the head too).
bool IsMatrix(const ir::Value& value) {
  return std::any_of(value.uses().begin(), value.uses().end(), [](const ir::Use& use) {
    if (use.node->IsOnnx("Transpose")) return IsMatrix(*use.node->output());
    return use.input_index == 1 && (use.node->IsOnnx("MatMul") || use.node->IsOnnx("Gemm"));
  });
}

Result<std::vector<int64_t>> NumbersOf(const ir::Value& value,
                                       const std::map<std::string, int64_t>& symbols) {
  std::vector<int64_t> dims;
  for (const ir::Dim& dim : value.type().shape.value_or(ir::Shape{})) {
    if (!dim.is_symbol()) {
      dims.push_back(dim.value());
      continue;
    }
    const auto found = symbols.find(dim.symbol());
    if (found == symbols.end()) {
      return InvalidInput(Location::Tensor("", value.name()),
                          fmt::format("its dimension '{}' has no number", dim.symbol()),
                          {fmt::format("give it: --dim {}=NUMBER", dim.symbol())});
    }
    dims.push_back(found->second);
  }
  return dims;
}

int64_t Product(const std::vector<int64_t>& dims) {
  int64_t product = 1;
  for (const int64_t dim : dims) product *= dim;
  return product;
}

std::string DeviceReason(const DevicePlan& plan, const CardTarget& target) {
  if (!target.ddr_bytes) return "the card's memory is not published";
  if (plan.total_bytes() <= static_cast<double>(*target.ddr_bytes)) return "";
  return fmt::format("needs {:.1f} MiB, a device has {:.1f}", plan.total_bytes() / kMiB,
                     static_cast<double>(*target.ddr_bytes) / kMiB);
}

}  // namespace

std::vector<std::string> TargetNames() {
  std::vector<std::string> names;
  for (const BuiltinTarget& target : kBuiltinTargets) names.emplace_back(target.name);
  return names;
}

Result<CardTarget> ReadTarget(const std::string& name_or_path) {
  for (const BuiltinTarget& target : kBuiltinTargets) {
    if (target.name != name_or_path) continue;
    QEFF_ASSIGN_OR_RETURN(const Json json, ParseJson(target.json, target.name));
    return ParseTarget(json, name_or_path);
  }
  std::error_code error;
  if (!std::filesystem::exists(name_or_path, error)) {
    return UsageError(Location::Flag("--target"),
                      fmt::format("there is no card '{}' and no such file", name_or_path),
                      {fmt::format("cards: {}", fmt::join(TargetNames(), ", "))});
  }
  QEFF_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(name_or_path));
  return ParseTarget(json, name_or_path);
}

Result<ModelSize> MeasureModel(const ir::Graph& graph,
                               const std::map<std::string, int64_t>& symbols) {
  ModelSize size;
  for (const ir::Value* constant : graph.constants()) {
    const ir::Weight& weight = *constant->constant();
    if (!IsFloat(weight.dtype())) continue;
    const auto& dims = weight.dims();
    const bool is_matrix = dims.size() >= 2 && IsMatrix(*constant);
    (is_matrix ? size.matrix_elements : size.other_elements) += weight.element_count();
    // What a product of one row with the matrix reads and writes.
    if (is_matrix) {
      size.activation_elements =
          std::max(size.activation_elements, dims[dims.size() - 2] + dims.back());
    }
  }
  for (const ir::Value* input : graph.inputs()) {
    if (graph.FindOutput(input->name() + std::string(ir::kRetainedStateSuffix)) == nullptr)
      continue;
    QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, NumbersOf(*input, symbols));
    size.state_elements += Product(dims);
    if (size.state_heads == 0 && dims.size() == 4) size.state_heads = dims[1];
  }
  const auto number = [&symbols](std::string_view symbol) {
    const auto found = symbols.find(std::string(symbol));
    return found == symbols.end() ? int64_t{1} : found->second;
  };
  size.rows = number("batch_size");
  size.activation_elements *= size.rows * number("seq_len");
  return size;
}

std::vector<DevicePlan> PlanDevices(const ModelSize& size, const CardTarget& target, int64_t cores,
                                    const PlanOptions& options) {
  const double matrix_bytes = options.mxfp6_matmul ? kMxfp6Bytes : kF16Bytes;
  const double state_bytes = options.mxint8_kv_cache ? kMxint8Bytes : kF16Bytes;
  const int64_t used_cores =
      cores > 0 ? std::min(cores, target.cores_per_device) : target.cores_per_device;
  std::vector<DevicePlan> plans;
  for (const int64_t devices : {1, 2, 4, 8, 16}) {
    const auto n = static_cast<double>(devices);
    // A head of a cache is not divided: with fewer heads than devices some hold the same.
    const double state_parts =
        size.state_heads > 0 ? std::min(n, static_cast<double>(size.state_heads)) : n;
    DevicePlan plan{.devices = devices};
    plan.weight_bytes = static_cast<double>(size.matrix_elements) * matrix_bytes / n +
                        static_cast<double>(size.other_elements) * kF16Bytes;
    plan.state_bytes = static_cast<double>(size.state_elements) * state_bytes / state_parts;
    plan.activation_bytes = static_cast<double>(size.activation_elements) * kF16Bytes;
    const double read_bytes = plan.weight_bytes + plan.state_bytes;
    plan.bytes_per_core = read_bytes / static_cast<double>(used_cores);
    plan.fits_on_chip = plan.bytes_per_core <= static_cast<double>(target.vtcm_bytes_per_core);
    plan.rejected = DeviceReason(plan, target);
    if (target.ddr_bytes_per_second && target.f16_flops) {
      const double read_seconds = plan.fits_on_chip ? 0 : read_bytes / *target.ddr_bytes_per_second;
      const double share =
          static_cast<double>(used_cores) / static_cast<double>(target.cores_per_device);
      const double compute_seconds = 2 * static_cast<double>(size.matrix_elements) *
                                     static_cast<double>(size.rows) / n /
                                     (*target.f16_flops * share);
      plan.token_seconds = std::max(read_seconds, compute_seconds);
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

std::string PrintPlan(const CardTarget& target, const ModelSize& size,
                      const std::vector<DevicePlan>& plans) {
  std::string text =
      fmt::format("{}: estimates for each device, in MiB; not measured\n", target.name);
  text += fmt::format("{:>7} {:>10} {:>10} {:>11} {:>9} {:>8} {:>12}  {}\n", "devices", "weights",
                      "state", "activations", "per core", "on chip", "ms per token", "");
  const DevicePlan* smallest = nullptr;
  for (const DevicePlan& plan : plans) {
    if (plan.rejected.empty() && smallest == nullptr) smallest = &plan;
    const std::string verdict = !plan.rejected.empty() ? plan.rejected
                                : &plan == smallest    ? "smallest that fits"
                                                       : "fits";
    text += fmt::format(
        "{:>7} {:>10.1f} {:>10.1f} {:>11.1f} {:>9.2f} {:>8} {:>12}  {}\n", plan.devices,
        plan.weight_bytes / kMiB, plan.state_bytes / kMiB, plan.activation_bytes / kMiB,
        plan.bytes_per_core / kMiB, plan.fits_on_chip ? "yes" : "no",
        plan.token_seconds ? fmt::format("{:.3f}", *plan.token_seconds * 1e3) : "unknown", verdict);
  }
  text += fmt::format(
      "elements: {} in matrices, {} in other weights, {} in state\n"
      "time of a token = max(bytes read / DDR bandwidth, 2 * matrix elements * rows / f16 peak);\n"
      "bytes read = weights + state, 0 if they fit in the cores' VTCM; rows = {}\n",
      size.matrix_elements, size.other_elements, size.state_elements, size.rows);
  return text;
}

Json PlanToJson(const CardTarget& target, const ModelSize& size,
                const std::vector<DevicePlan>& plans) {
  Json list = Json::array();
  Json smallest = nullptr;
  for (const DevicePlan& plan : plans) {
    if (plan.rejected.empty() && smallest.is_null()) smallest = plan.devices;
    list.push_back(
        {{"devices", plan.devices},
         {"weight_bytes", std::llround(plan.weight_bytes)},
         {"state_bytes", std::llround(plan.state_bytes)},
         {"activation_bytes", std::llround(plan.activation_bytes)},
         {"bytes_per_core", std::llround(plan.bytes_per_core)},
         {"fits_on_chip", plan.fits_on_chip},
         {"token_seconds", plan.token_seconds ? Json(*plan.token_seconds) : Json(nullptr)},
         {"rejected", plan.rejected.empty() ? Json(nullptr) : Json(plan.rejected)}});
  }
  return {{"target", target.name},
          {"measured", false},
          {"matrix_elements", size.matrix_elements},
          {"other_elements", size.other_elements},
          {"state_elements", size.state_elements},
          {"smallest_devices", smallest},
          {"plans", std::move(list)}};
}

}  // namespace qeff::aic100
