// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/program.h"

#include <algorithm>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/runtime/barriers.h"
#include "backends/cpu/runtime/cache_rows.h"
#include "backends/cpu/runtime/step.h"

namespace qeff::cpu {
namespace {

constexpr int64_t kLargestCount = int64_t{1} << 48;
/// Keeps sums of offsets and sizes far from overflow.
constexpr uint64_t kLargestArea = uint64_t{1} << 50;
constexpr size_t kLargestPartCount = 4096;

Status Damaged(std::string_view path, std::string message) {
  return InvalidInput(Location::File(path), std::move(message),
                      {"the program is damaged: compile it again"});
}

bool Fits(uint64_t offset, uint64_t size, uint64_t area_bytes) {
  return offset <= area_bytes && size <= area_bytes - offset;
}

uint64_t AreaBytes(const Program& program, const SpecializationProgram& specialization, Area area) {
  switch (area) {
    case Area::kArena:
      return specialization.arena_bytes;
    case Area::kIo:
      return specialization.io_bytes;
    case Area::kState:
      return program.state_bytes;
    case Area::kConstants:
      return program.constants_bytes;
  }
  return 0;
}

Status CheckIo(const SpecializationProgram& specialization, const std::vector<IoTensor>& tensors,
               std::string_view path) {
  for (const IoTensor& tensor : tensors) {
    if (!CheckedElementCount(tensor.dims) || tensor.offset_bytes % kBufferAlignment != 0 ||
        !Fits(tensor.offset_bytes, static_cast<uint64_t>(IoBytes(tensor)),
              specialization.io_bytes)) {
      return Damaged(path, fmt::format("tensor '{}' of specialization '{}' lies outside its area",
                                       tensor.name, specialization.name));
    }
  }
  return Status::Ok();
}

Status CheckStates(const Program& program, std::string_view path) {
  for (const StateTensor& state : program.states) {
    const bool is_sound =
        CheckedElementCount(state.dims).has_value() &&
        (state.layout == StateLayout::kPlain || state.dims.size() == 4) &&
        (state.format == CacheFormat::kF32 || (state.dims.size() >= 3 && IsFloat(state.dtype))) &&
        state.offset_bytes % kBufferAlignment == 0 &&
        Fits(state.offset_bytes, static_cast<uint64_t>(StateBytes(state)), program.state_bytes);
    if (!is_sound) {
      return Damaged(path, fmt::format("state '{}' lies outside its area", state.name));
    }
  }
  return Status::Ok();
}

bool IsRowCountSound(const SpecializationProgram& specialization, const Step& step,
                     const StepDefinition& definition) {
  const Operand& count = step.row_count;
  if (!definition.row_limit || step.row_total < 1 ||
      !definition.row_limit->has_rows(step.params.data(), step.row_total) ||
      static_cast<size_t>(count.buffer) >= specialization.buffers.size()) {
    return false;
  }
  const Buffer& buffer = specialization.buffers[count.buffer];
  return Fits(count.offset_bytes, sizeof(int64_t), buffer.size_bytes) &&
         count.offset_bytes % sizeof(int64_t) == 0;
}

/// Where there are several parts, also adds what the step touches to `open`.
Status CheckStep(const Program& program, const SpecializationProgram& specialization, int64_t index,
                 std::string_view path, OpenAccesses& open) {
  const Step& step = specialization.steps[index];
  const auto where = [&] { return Location::Node(path, step.name, index); };
  const StepDefinition* definition = FindStep(step.op);
  if (definition == nullptr) {
    return Error(ErrorCode::kVersionMismatch, where(),
                 fmt::format("unknown step {}", static_cast<int>(step.op)),
                 {"the program was compiled by a newer version: compile it again"});
  }
  if (step.params.size() != definition->params_bytes ||
      step.operands.size() != definition->operand_count) {
    return InvalidInput(
        where(),
        fmt::format("step '{}': expected {} parameter bytes and {} operands, got {} and {}",
                    definition->name, definition->params_bytes, definition->operand_count,
                    step.params.size(), step.operands.size()));
  }
  for (const Operand& operand : step.operands) {
    if (operand.buffer < 0) continue;
    if (static_cast<size_t>(operand.buffer) >= specialization.buffers.size() ||
        operand.offset_bytes > specialization.buffers[operand.buffer].size_bytes) {
      return InvalidInput(
          where(), fmt::format("step '{}': an operand lies outside its buffer", definition->name));
    }
  }
  if (step.part_begin.size() != program.part_count + 1 ||
      !std::is_sorted(step.part_begin.begin(), step.part_begin.end())) {
    return InvalidInput(where(),
                        fmt::format("step '{}': its parts are out of order", definition->name));
  }
  if (step.row_count.buffer >= 0 && !IsRowCountSound(specialization, step, *definition)) {
    return InvalidInput(where(),
                        fmt::format("step '{}': its number of rows is unknown", definition->name));
  }
  StepCheck check(step, specialization);
  definition->check(check);
  QEFF_RETURN_IF_ERROR(check.ToStatus(path, index));
  if (program.part_count == 1) return Status::Ok();  // one thread does all steps in their order
  const int32_t only_part = OnlyPart(step.part_begin);
  if (step.has_barrier) {
    open.Clear();
  } else if (open.size() > kMostOpenAccesses) {
    return InvalidInput(
        where(),
        fmt::format("step '{}': no step waited for so many operands before, at most {} are known",
                    definition->name, kMostOpenAccesses),
        {"the program is damaged: compile it again"});
  } else if (open.MustWait(check.accesses(), only_part)) {
    return InvalidInput(
        where(),
        fmt::format("step '{}': does not wait for steps with which it shares memory",
                    definition->name),
        {"the program is damaged: compile it again"});
  }
  open.Add(check.accesses(), only_part);
  return Status::Ok();
}

}  // namespace

std::optional<int64_t> CheckedElementCount(std::span<const int64_t> dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count) || count > kLargestCount) return {};
  }
  return count;
}

int64_t IoBytes(const IoTensor& tensor) {
  const auto count = CheckedElementCount(tensor.dims);
  return count ? DTypeBytes(tensor.dtype, *count) : int64_t{1} << 62;
}

int64_t StateBytes(const StateTensor& state) {
  const auto count = CheckedElementCount(state.dims);
  if (!count) return int64_t{1} << 62;
  if (!IsFloat(state.dtype)) return DTypeBytes(state.dtype, *count);
  if (state.dims.size() < 3) return DTypeBytes(DType::kF32, *count);
  int64_t heads = 1;
  for (size_t i = 0; i + 2 < state.dims.size(); ++i) heads = Product({heads, state.dims[i]});
  return Product({heads, LayoutOf(state).head_bytes()});
}

Status CheckProgram(const Program& program, std::string_view path) {
  if (program.part_count < 1 || program.part_count > kLargestPartCount) {
    return Damaged(
        path, fmt::format("{} parts are not in [1, {}]", program.part_count, kLargestPartCount));
  }
  if (program.state_bytes > kLargestArea || program.constants_bytes > kLargestArea) {
    return Damaged(path, "an area is larger than 2^50 bytes");
  }
  QEFF_RETURN_IF_ERROR(CheckStates(program, path));
  for (const SpecializationProgram& specialization : program.specializations) {
    if (specialization.arena_bytes > kLargestArea || specialization.io_bytes > kLargestArea) {
      return Damaged(path, "an area is larger than 2^50 bytes");
    }
    QEFF_RETURN_IF_ERROR(CheckIo(specialization, specialization.inputs, path));
    QEFF_RETURN_IF_ERROR(CheckIo(specialization, specialization.outputs, path));
    for (const Buffer& buffer : specialization.buffers) {
      if (buffer.area > Area::kConstants || buffer.offset_bytes % kBufferAlignment != 0 ||
          !Fits(buffer.offset_bytes, buffer.size_bytes,
                AreaBytes(program, specialization, buffer.area))) {
        return Damaged(path, fmt::format("a buffer of specialization '{}' lies outside its area",
                                         specialization.name));
      }
    }
    OpenAccesses open;
    for (size_t index = 0; index < specialization.steps.size(); ++index) {
      QEFF_RETURN_IF_ERROR(
          CheckStep(program, specialization, static_cast<int64_t>(index), path, open));
    }
  }
  return Status::Ok();
}

uint64_t ScratchBytes(const Program& program) {
  int64_t largest = 0;
  for (const SpecializationProgram& specialization : program.specializations) {
    for (const Step& step : specialization.steps) {
      StepCheck check(step, specialization);
      FindStep(step.op)->check(check);
      largest = std::max(largest, check.scratch_bytes());
    }
  }
  return static_cast<uint64_t>(largest);
}

}  // namespace qeff::cpu
