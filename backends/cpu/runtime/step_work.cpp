// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step_work.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/runtime/packed_formats.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

/// A step being looked at.
struct Subject {
  const Step& step;
  const SpecializationProgram& program;
  std::span<std::byte* const> operands;
  const LiveRows& live;
  const Kernels& kernels;

  template <typename Params>
  Params params() const {
    Params result;
    std::memcpy(&result, step.params.data(), sizeof(result));
    return result;
  }
  /// From the operand's place to the end of its buffer; 0 if it is left out.
  double OperandBytes(size_t index) const {
    const Operand& operand = step.operands[index];
    if (operand.buffer < 0) return 0;
    return static_cast<double>(program.buffers[operand.buffer].size_bytes - operand.offset_bytes);
  }
  double ConstantBytes() const {
    double bytes = 0;
    for (size_t i = 0; i < step.operands.size(); ++i) {
      const int32_t buffer = step.operands[i].buffer;
      if (buffer >= 0 && program.buffers[buffer].area == Area::kConstants) bytes += OperandBytes(i);
    }
    return bytes;
  }
  /// Of a step that treats every token: the live rows.
  double RowsAtWork(int64_t rows) const {
    return static_cast<double>(rows == live.rows ? live.live : rows);
  }
};

/// In which arithmetic a product with so many rows is computed.
template <typename Params>
Arithmetic ArithmeticOf(const Subject& subject, const Params& p, int64_t rows) {
  if (HasBf16Rows(subject.kernels, p.row_format, rows)) return Arithmetic::kBf16;
  switch (p.row_format) {
    case RowFormat::kF32:
      return p.weights == WeightFormat::kBf16 ? Arithmetic::kF32ByBf16 : Arithmetic::kF32;
    case RowFormat::kBf16:
      return Arithmetic::kBf16;
    case RowFormat::kInt8:
    case RowFormat::kInt4:
    case RowFormat::kMxfp6:
      return Arithmetic::kInt8;
  }
  return Arithmetic::kF32;
}

RunWork Work(double bytes, Arithmetic arithmetic, double operations) {
  RunWork work;
  work.bytes = bytes;
  work.operations[static_cast<size_t>(arithmetic)] = operations;
  return work;
}

double Matrices(LinearEpilogue epilogue) { return epilogue == LinearEpilogue::kGated ? 2 : 1; }

double ProductOperations(double rows, int64_t depth, int64_t columns) {
  return 2 * rows * static_cast<double>(depth) * static_cast<double>(columns);
}

RunWork LinearWork(const Subject& subject) {
  const auto p = subject.params<LinearParams>();
  return Work(
      subject.ConstantBytes(), ArithmeticOf(subject, p, p.rows),
      Matrices(p.epilogue) * ProductOperations(subject.RowsAtWork(p.rows), p.depth, p.columns));
}

RunWork RoutedLinearWork(const Subject& subject) {
  const auto p = subject.params<RoutedLinearParams>();
  double slots = static_cast<double>(p.slots);
  const LiveRows& live = subject.live;
  if (live.rows > 0 && p.slots % live.rows == 0) {
    slots *= static_cast<double>(live.live) / static_cast<double>(live.rows);
  }
  const double share = std::min(1.0, slots / static_cast<double>(std::max<int64_t>(p.experts, 1)));
  // Each expert that has rows computes them by itself; how many it has is not known here.
  const double used = std::max(1.0, std::min(slots, static_cast<double>(p.experts)));
  const auto rows_of_one = static_cast<int64_t>(std::ceil(slots / used));
  return Work(subject.ConstantBytes() * share, ArithmeticOf(subject, p, rows_of_one),
              Matrices(p.epilogue) * ProductOperations(slots, p.depth, p.columns));
}

/// Slots [first, last] that a token at `position` sees.
struct SlotRange {
  int64_t first = 0;
  int64_t last = -1;
};
SlotRange VisibleSlots(const AttentionParams& p, int64_t position) {
  SlotRange range = {0, std::min(position, p.slots - 1)};
  if (p.window > 0) range.first = std::max(range.first, position - p.window + 1);
  if (p.chunk > 0) range.first = std::max(range.first, position - position % p.chunk);
  return range;
}

/// Also of kAttentionSplit, whose parameters begin with the same.
RunWork AttentionWork(const Subject& subject, Arithmetic arithmetic) {
  enum { kPositions = 1, kKeys = 2, kValues = 3 };
  const auto p = subject.params<AttentionParams>();
  const auto* positions = reinterpret_cast<const int64_t*>(subject.operands[kPositions]);
  double seen = 0;
  double slots_read = 0;
  for (int64_t b = 0; b < p.batch; ++b) {
    SlotRange whole = {p.slots, -1};
    for (int64_t t = 0; t < p.tokens; ++t) {
      const int64_t position = positions[b * p.tokens + t];
      if (position < 0) continue;
      const SlotRange range = VisibleSlots(p, position);
      seen += static_cast<double>(std::max<int64_t>(0, range.last - range.first + 1));
      whole = {std::min(whole.first, range.first), std::max(whole.last, range.last)};
    }
    slots_read += static_cast<double>(std::max<int64_t>(0, whole.last - whole.first + 1));
  }
  const double cache_slots = std::max(1.0, static_cast<double>(p.cache_batch * p.capacity));
  const double slot_bytes =
      (subject.OperandBytes(kKeys) + subject.OperandBytes(kValues)) / cache_slots;
  const double operations = 2 * seen * static_cast<double>(p.heads * (p.key_size + p.value_size));
  return Work(slots_read * slot_bytes, arithmetic, operations);
}

RunWork MatMulWork(const Subject& subject) {
  const auto p = subject.params<MatMulParams>();
  double batch = 1;
  for (const int64_t size : p.dims.sizes) batch *= static_cast<double>(size);
  return Work(subject.ConstantBytes(), Arithmetic::kF32,
              batch * ProductOperations(static_cast<double>(p.rows), p.depth, p.columns));
}

RunWork DeltaRuleWork(const Subject& subject) {
  const auto p = subject.params<DeltaRuleParams>();
  const double state = static_cast<double>(p.value_heads * p.key_size * p.value_size);
  const double tokens = subject.RowsAtWork(p.batch * p.tokens);
  // Decay, S^T k, the update and S^T q: two operations for each element of S in each.
  return Work(p.state_rows > 0 ? 8 * state * static_cast<double>(p.batch) : 0, Arithmetic::kF32,
              8 * state * tokens);
}

RunWork PackedAttentionWork(const Subject& subject, Arithmetic arithmetic) {
  const auto p = subject.params<PackedAttentionParams>();
  const auto live = static_cast<double>(subject.live.live);
  const auto window = static_cast<double>(p.window);
  const bool is_causal = p.is_causal != 0;
  double pairs = static_cast<double>(subject.live.pairs);
  if (is_causal) pairs = (pairs + live) / 2;
  if (p.window > 0) pairs = std::min(pairs, live * (is_causal ? window : 2 * window - 1));
  return Work(0, arithmetic,
              2.0 * static_cast<double>(p.heads * (p.key_size + p.value_size)) * pairs);
}

RunWork GatherRowsWork(const Subject& subject) {
  constexpr size_t kTable = 1;
  const auto p = subject.params<GatherRowsParams>();
  const double row_bytes =
      subject.OperandBytes(kTable) / static_cast<double>(std::max<int64_t>(p.table_rows, 1));
  return Work(subject.RowsAtWork(p.rows) * row_bytes, Arithmetic::kF32, 0);
}

}  // namespace

LiveRows CountLiveRows(std::span<const int64_t> positions) {
  return {static_cast<int64_t>(positions.size()),
          std::count_if(positions.begin(), positions.end(), [](int64_t p) { return p >= 0; })};
}

LiveRows CountMaskedRows(std::span<const int64_t> mask, int64_t row_tokens) {
  LiveRows counted = {static_cast<int64_t>(mask.size())};
  for (size_t begin = 0; begin < mask.size(); begin += static_cast<size_t>(row_tokens)) {
    const std::span<const int64_t> row = mask.subspan(begin, static_cast<size_t>(row_tokens));
    const int64_t live =
        std::count_if(row.begin(), row.end(), [](int64_t value) { return value != 0; });
    counted.live += live;
    counted.pairs += live * live;
  }
  return counted;
}

RunWork WorkOfStep(const Step& step, const SpecializationProgram& program,
                   std::span<std::byte* const> operands, const LiveRows& live,
                   const Kernels& kernels) {
  const Subject subject = {step, program, operands, live, kernels};
  switch (step.op) {
    case StepOp::kLinear:
      return LinearWork(subject);
    case StepOp::kRoutedLinear:
      return RoutedLinearWork(subject);
    case StepOp::kAttention:
    case StepOp::kAttentionSplit:
      return AttentionWork(subject, Arithmetic::kF32);
    case StepOp::kAttentionBf16:
      return AttentionWork(subject, Arithmetic::kBf16);
    case StepOp::kPackedAttention:
      return PackedAttentionWork(subject, Arithmetic::kF32);
    case StepOp::kPackedAttentionBf16:
      return PackedAttentionWork(subject, Arithmetic::kBf16);
    case StepOp::kMatMul:
      return MatMulWork(subject);
    case StepOp::kDeltaRule:
      return DeltaRuleWork(subject);
    case StepOp::kGatherRows:
      return GatherRowsWork(subject);
    case StepOp::kGatherBlocks:
      return {};  // reads a few blocks of a table that may be large
    default:
      return Work(subject.ConstantBytes(), Arithmetic::kF32, 0);
  }
}

}  // namespace qeff::cpu
