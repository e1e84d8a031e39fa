// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How the matrices of a program for the CPU are kept. Products of several specializations share
// their weights: each place in the constants counts once.
#include <cstring>
#include <map>
#include <set>

#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/program.h"
#include "backends/cpu/runtime/step_params.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

struct Matrices {
  int64_t count = 0;
  int64_t elements = 0;
  int64_t size_bytes = 0;
};
using MatricesByFormat = std::map<cpu::WeightFormat, Matrices>;

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
  Matrices& matrices = formats[params.weights];
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

}  // namespace

Status ReadCpuProgram(std::span<const std::byte> bytes, const std::string& path,
                      int64_t offset_bytes, Report& report) {
  QEFF_ASSIGN_OR_RETURN(const cpu::Program program, cpu::ReadProgram(bytes, path, offset_bytes));
  Table table{.name = "matrices",
              .columns = {"format", "matrices", "elements", "size_bytes", "bits_per_weight"},
              .rows = {}};
  for (const auto& [format, matrices] : FindMatrices(program)) {
    const double bits = matrices.elements == 0 ? 0
                                               : 8 * static_cast<double>(matrices.size_bytes) /
                                                     static_cast<double>(matrices.elements);
    table.rows.push_back({std::string(cpu::WeightFormatName(format)), matrices.count,
                          matrices.elements, matrices.size_bytes, bits});
  }
  report.Add(std::move(table));
  return Status::Ok();
}

}  // namespace qeff::inspect
