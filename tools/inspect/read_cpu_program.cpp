// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How the matrices and the retained state of a program for the CPU are kept. Products of several
// specializations share their weights: each place in the constants counts once.
#include <cstring>
#include <map>
#include <set>

#include "backends/cpu/runtime/cache_rows.h"
#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/program.h"
#include "backends/cpu/runtime/step_params.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

/// Matrices, or state tensors, of one format.
struct Kept {
  int64_t count = 0;
  int64_t elements = 0;
  int64_t size_bytes = 0;
};
using MatricesByFormat = std::map<cpu::WeightFormat, Kept>;

double BitsPerElement(const Kept& kept) {
  if (kept.elements == 0) return 0;
  return 8 * static_cast<double>(kept.size_bytes) / static_cast<double>(kept.elements);
}

template <typename Params>
Params ParamsOf(const cpu::Step& step) {
  Params params;
  std::memcpy(&params, step.params.data(), sizeof(params));
  return params;
}

/// Adds `count` products (experts), each of gate and up if gated.
template <typename Params>
void AddProducts(const Params& params, int64_t count, MatricesByFormat& formats) {
  const int64_t kinds = params.epilogue == cpu::LinearEpilogue::kGated ? 2 : 1;
  Kept& matrices = formats[params.weights];
  matrices.count += count * kinds;
  matrices.elements += count * kinds * params.columns * params.depth;
  matrices.size_bytes += count * kinds * cpu::PanelCount(params.columns) *
                         cpu::PanelBytes(params.weights, params.depth);
}

MatricesByFormat FindMatrices(const cpu::Program& program) {
  constexpr size_t kLinearWeights = 1;  // operands of the steps, see step_params.h
  constexpr size_t kRoutedWeights = 2;
  MatricesByFormat formats;
  std::set<uint64_t> seen;
  for (const cpu::SpecializationProgram& specialization : program.specializations) {
    for (const cpu::Step& step : specialization.steps) {
      const bool is_linear = step.op == cpu::StepOp::kLinear;
      if (!is_linear && step.op != cpu::StepOp::kRoutedLinear) continue;
      const cpu::Operand& weights = step.operands[is_linear ? kLinearWeights : kRoutedWeights];
      const cpu::Buffer& buffer = specialization.buffers[weights.buffer];
      if (buffer.area != cpu::Area::kConstants) continue;
      if (!seen.insert(buffer.offset_bytes + weights.offset_bytes).second) continue;
      if (is_linear) {
        AddProducts(ParamsOf<cpu::LinearParams>(step), 1, formats);
      } else {
        const auto params = ParamsOf<cpu::RoutedLinearParams>(step);
        AddProducts(params, params.experts, formats);
      }
    }
  }
  return formats;
}

/// Retained state by what its elements are kept in.
Table DescribeStates(const cpu::Program& program) {
  Table table{.name = "retained_state",
              .columns = {"format", "tensors", "elements", "size_bytes", "bits_per_element"},
              .rows = {}};
  std::map<std::string, Kept> formats;
  for (const cpu::StateTensor& state : program.states) {
    Kept& kept = formats[std::string(IsFloat(state.dtype) ? cpu::CacheFormatName(state.format)
                                                          : DTypeName(state.dtype))];
    kept.count += 1;
    kept.elements += cpu::CheckedElementCount(state.dims).value_or(0);
    kept.size_bytes += cpu::StateBytes(state);
  }
  for (const auto& [format, kept] : formats) {
    table.rows.push_back(
        {format, kept.count, kept.elements, kept.size_bytes, BitsPerElement(kept)});
  }
  return table;
}

}  // namespace

Status ReadCpuProgram(std::span<const std::byte> bytes, const std::string& path,
                      int64_t offset_bytes, Report& report) {
  QEFF_ASSIGN_OR_RETURN(const cpu::Program program, cpu::ReadProgram(bytes, path, offset_bytes));
  Table table{.name = "matrices",
              .columns = {"format", "matrices", "elements", "size_bytes", "bits_per_weight"},
              .rows = {}};
  for (const auto& [format, matrices] : FindMatrices(program)) {
    table.rows.push_back({std::string(cpu::WeightFormatName(format)), matrices.count,
                          matrices.elements, matrices.size_bytes, BitsPerElement(matrices)});
  }
  report.Add(std::move(table));
  if (!program.states.empty()) report.Add(DescribeStates(program));
  return Status::Ok();
}

}  // namespace qeff::inspect
