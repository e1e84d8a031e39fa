// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/program_builder.h"

#include <algorithm>

#include "backends/cpu/plan/arena.h"
#include "backends/cpu/runtime/step.h"

namespace qeff::cpu {
namespace {

/// Below this many elements a barrier costs more than a second thread saves.
constexpr double kLeastDividedWork = 16384;

}  // namespace

int32_t ProgramBuilder::AddArena(int64_t size_bytes) {
  storages_.push_back({{Area::kArena, 0, static_cast<uint64_t>(size_bytes)}});
  return static_cast<int32_t>(storages_.size()) - 1;
}

int32_t ProgramBuilder::AddFixed(Area area, uint64_t offset_bytes, uint64_t size_bytes) {
  storages_.push_back({{area, offset_bytes, size_bytes}});
  return static_cast<int32_t>(storages_.size()) - 1;
}

View ProgramBuilder::NewDense(DType dtype, std::vector<int64_t> dims) {
  View view;
  view.dtype = HeldDType(dtype);
  view.dims = std::move(dims);
  view.strides = DenseStrides(view.dims);
  view.storage = AddArena(ElementCount(view) * ElementBytes(view.dtype));
  view.is_exclusive = true;
  return view;
}

std::vector<int64_t> ProgramBuilder::Divide(const Work& work) const {
  std::vector<int64_t> begin(part_count_ + 1, work.units);
  begin[0] = 0;
  if (work.amount < kLeastDividedWork || work.units < 2) return begin;
  const int64_t parts = part_count_;
  for (int64_t part = 1; part < parts; ++part) {  // to the nearest unit, half of one down
    begin[part] = (2 * work.units * part + parts - 1) / (2 * parts);
  }
  return begin;
}

void ProgramBuilder::AddStepBytes(StepOp op, std::string_view name, std::vector<std::byte> params,
                                  std::vector<OperandUse> operands, const Work& work) {
  PendingStep pending;
  pending.step.op = op;
  pending.step.name = name;
  pending.step.params = std::move(params);
  pending.step.part_begin = Divide(work);
  const auto index = static_cast<int64_t>(steps_.size());
  const auto touch = [&](const View& view) {
    if (!view.exists()) return;
    Storage& storage = storages_[view.storage];
    if (storage.first_step < 0) storage.first_step = index;
    storage.last_step = index;
  };
  for (const OperandUse& use : operands) touch(use.view);
  const StepDefinition& definition = *FindStep(op);
  if (row_count_.exists() && definition.row_limit &&
      definition.row_limit->has_rows(pending.step.params.data(), row_total_)) {
    pending.row_count = row_count_;
    pending.step.row_total = row_total_;
    touch(row_count_);
  }
  pending.operands = std::move(operands);
  steps_.push_back(std::move(pending));
}

void ProgramBuilder::PlaceArena(SpecializationProgram& program) {
  std::vector<Lifetime> lifetimes;
  std::vector<Storage*> placed;
  for (Storage& storage : storages_) {
    if (storage.buffer.area != Area::kArena || storage.first_step < 0) continue;
    lifetimes.push_back({storage.buffer.size_bytes, storage.first_step, storage.last_step});
    placed.push_back(&storage);
  }
  const ArenaPlan plan = PlaceInArena(lifetimes);
  for (size_t i = 0; i < placed.size(); ++i) {
    placed[i]->buffer.offset_bytes = plan.offsets_bytes[i];
  }
  program.arena_bytes = plan.size_bytes;
}

std::vector<Access> ProgramBuilder::AccessesOf(const PendingStep& pending) const {
  std::vector<Access> accesses;
  std::vector<OperandUse> uses = pending.operands;
  uses.push_back(Reads(pending.row_count));
  for (const OperandUse& use : uses) {
    if (!use.view.exists()) continue;
    const Buffer& buffer = storages_[use.view.storage].buffer;
    if (buffer.area == Area::kConstants) continue;
    const int64_t bytes = ElementBytes(use.view.dtype);
    const uint64_t begin = buffer.offset_bytes + static_cast<uint64_t>(use.view.offset * bytes);
    accesses.push_back({buffer.area, begin, begin + static_cast<uint64_t>(Extent(use.view) * bytes),
                        use.is_written});
  }
  return accesses;
}

void ProgramBuilder::FindBarriers() {
  OpenAccesses open;
  for (PendingStep& pending : steps_) {
    const std::vector<Access> accesses = AccessesOf(pending);
    const int32_t only_part = OnlyPart(pending.step.part_begin);
    pending.step.has_barrier =
        open.size() > kMostOpenAccesses / 4 || open.MustWait(accesses, only_part);
    if (pending.step.has_barrier) open.Clear();
    open.Add(accesses, only_part);
  }
}

void ProgramBuilder::Finish(SpecializationProgram& program) {
  PlaceArena(program);
  FindBarriers();
  std::vector<int32_t> numbers(storages_.size(), -1);
  for (size_t i = 0; i < storages_.size(); ++i) {
    if (storages_[i].first_step < 0) continue;
    numbers[i] = static_cast<int32_t>(program.buffers.size());
    program.buffers.push_back(storages_[i].buffer);
  }
  const auto operand_of = [&](const View& view) {
    Operand operand;
    if (view.exists()) {
      operand.buffer = numbers[view.storage];
      operand.offset_bytes = static_cast<uint64_t>(view.offset * ElementBytes(view.dtype));
    }
    return operand;
  };
  for (PendingStep& pending : steps_) {
    for (const OperandUse& use : pending.operands) {
      pending.step.operands.push_back(operand_of(use.view));
    }
    pending.step.row_count = operand_of(pending.row_count);
    program.steps.push_back(std::move(pending.step));
  }
}

}  // namespace qeff::cpu
