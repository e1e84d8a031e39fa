// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/cpu_session.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <numeric>

#include "backends/cpu/runtime/barriers.h"
#include "backends/cpu/runtime/cache_rows.h"
#include "backends/cpu/runtime/memory.h"
#include "backends/cpu/runtime/program.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"
#include "backends/cpu/runtime/step_work.h"
#include "backends/cpu/runtime/thread_choice.h"
#include "backends/cpu/runtime/thread_pool.h"
#include "lib/support/log.h"

namespace qeff::cpu {
namespace {

/// A step with its operands as addresses.
struct BoundStep {
  void (*run)(const StepRun&);
  const std::byte* params;
  const int64_t* part_begin;
  bool has_barrier;
  std::vector<std::byte*> operands;
  /// Null: all rows.
  const int64_t* row_count = nullptr;
  int64_t row_total = 0;
  const RowLimit* row_limit = nullptr;
  size_t params_bytes = 0;
  UnitsTaken taken;  ///< least 0: each thread does its parts
  /// On lines of their own, since each thread writes its own.
  struct alignas(64) ThreadStarts : StreamStarts {};
  std::vector<ThreadStarts> starts;  ///< of each thread, the last time
};

/// Does `run`, of a step of `units`; what is left of it if only some rows are done. Parts that met
/// before meet again.
void RunStep(const BoundStep& step, int64_t units, StepRun run) {
  if (step.row_count == nullptr) return step.run(run);
  const int64_t rows = std::clamp<int64_t>(*step.row_count, 0, step.row_total);
  if (rows == 0) return;
  std::byte params[kMostParamsBytes];
  std::memcpy(params, step.params, step.params_bytes);
  const int64_t left = step.row_limit->limit(params, step.row_total, rows);
  run.params = params;
  run.begin = run.begin * left / units;
  run.end = run.end * left / units;
  run.starts = nullptr;  // they depend on the rows
  if (run.begin != run.end) step.run(run);
}

/// True if more than one part has units. A step whose units all lie in one part may be followed by
/// others of that part without a barrier (OpenAccesses), so it has to stay there.
bool IsDivided(const Step& step) { return OnlyPart(step.part_begin) < 0; }

/// For BoundStep::taken. A few large shares are better divided evenly.
UnitsTaken UnitsTakenOf(const Step& step) {
  const auto taken_of = FindStep(step.op)->units_taken;
  const UnitsTaken taken = taken_of == nullptr ? UnitsTaken() : taken_of(step.params.data());
  const auto parts = static_cast<int64_t>(step.part_begin.size()) - 1;
  return taken.most == 1 || 2 * parts * taken.least <= step.part_begin.back() ? taken
                                                                              : UnitsTaken();
}

class CpuSession : public Session {
 public:
  static Result<std::unique_ptr<Session>> Open(ProgramImage image, const CpuRunOptions& options);

  const std::vector<SpecializationInfo>& specializations() const override { return infos_; }
  const std::vector<TensorInfo>& retained_state() const override { return state_infos_; }
  std::span<std::byte> Input(size_t specialization, std::string_view name) override;
  std::span<const std::byte> Output(size_t specialization, std::string_view name) const override;
  Status Run(size_t specialization) override;
  Status ResetState() override;
  Result<std::vector<float>> ReadState(std::string_view name) const override;

 private:
  CpuSession(ProgramImage image, Program program, const Kernels& kernels, int thread_count,
             const CpuRunOptions& options)
      : image_(std::move(image)),
        program_(std::move(program)),
        kernels_(kernels),
        step_barrier_(static_cast<uint32_t>(thread_count)),
        waited_ns_(static_cast<size_t>(thread_count)),
        profile_(options.profile),
        count_of_run_(options.count_of_run),
        is_count_fixed_(options.thread_count.has_value() || options.profile != nullptr),
        pool_(thread_count) {}
  Status Allocate();
  void Describe();
  void Bind();
  std::byte* AreaData(size_t specialization, Area area) const;
  int CountOfRun(const ThreadChoice& choice) const;
  void RunOnThreads(ThreadChoice& choice, const std::function<void(int)>& work);
  void RunSteps(std::vector<BoundStep>& steps, int thread, RunProfile* profile);
  bool RunParts(BoundStep& step, size_t index, int thread);
  bool TakeUnits(BoundStep& step, size_t index, int thread);
  void RunUnits(const BoundStep& step, size_t index, int thread, int64_t begin, int64_t end,
                StreamStarts* starts = nullptr);
  void DescribeSteps(RunProfile& profile) const;
  std::vector<RunWork> WorkOfSteps(size_t specialization) const;
  std::span<std::byte> Find(size_t specialization, const std::vector<IoTensor>& tensors,
                            std::string_view name) const;

  ProgramImage image_;
  const Program program_;
  const Kernels& kernels_;
  std::vector<SpecializationInfo> infos_;
  std::vector<TensorInfo> state_infos_;
  Memory arena_;
  Memory state_;
  std::vector<Memory> io_;
  std::vector<Memory> scratch_;
  std::vector<std::vector<BoundStep>> steps_;
  RunFault fault_;
  int thread_count_ = 1;  ///< of the run under way
  Barrier step_barrier_;
  std::vector<int64_t> waited_ns_;            ///< of each thread, in its last run
  std::vector<ThreadChoice> thread_choices_;  ///< of each specialization
  std::vector<std::atomic<int64_t>> taken_;   ///< of each step, units after the first shares
  std::shared_ptr<RunProfile> profile_;       ///< may be null
  const std::function<int()> count_of_run_;   ///< may be null
  const bool is_count_fixed_;
  ThreadPool pool_;
};

TensorInfo InfoOf(const IoTensor& tensor) { return {tensor.name, tensor.dtype, tensor.dims}; }

/// Says so if fewer threads run than the user asked for or the program is divided for.
void ReportThreads(const CpuRunOptions& options, int threads, uint32_t parts) {
  if (options.thread_count.value_or(threads) > threads) {
    LogInfo("threads: {} of {}, as the program is compiled for {} (qeff-compile --num-cores)",
            threads, *options.thread_count, parts);
  } else if (!options.thread_count && std::cmp_less(threads, parts)) {
    LogInfo("threads: {}, though the program is compiled for {}: there are no more processors here",
            threads, parts);
  }
}

Result<std::unique_ptr<Session>> CpuSession::Open(ProgramImage image,
                                                  const CpuRunOptions& options) {
  QEFF_ASSIGN_OR_RETURN(Program program,
                        ReadProgram(image.program, image.path, image.program_offset_bytes));
  if (image.constants.size() < program.constants_bytes + kAreaSlackBytes) {
    return InvalidInput(
        Location::File(image.path),
        fmt::format("expected {} bytes of constants, got {}",
                    program.constants_bytes + kAreaSlackBytes, image.constants.size()),
        {"the file is cut short: compile the model again"});
  }
  AskForLargePages(image.constants);
  const Isa isa = options.isa.value_or(MachineIsa());
  if (!Includes(MachineIsa(), isa)) {
    return UsageError(Location::Flag("--isa"),
                      fmt::format("this machine has no '{}', its best is '{}'", IsaName(isa),
                                  IsaName(MachineIsa())));
  }
  const auto parts = static_cast<int>(std::min(program.part_count, ThreadPool::kMostThreads));
  const int threads = std::clamp(options.thread_count.value_or(UsableProcessors()), 1, parts);
  ReportThreads(options, threads, program.part_count);
  std::unique_ptr<CpuSession> session(
      new CpuSession(std::move(image), std::move(program), KernelsFor(isa), threads, options));
  QEFF_RETURN_IF_ERROR(session->Allocate());
  session->Describe();
  session->Bind();
  if (session->profile_ != nullptr) session->DescribeSteps(*session->profile_);
  return std::unique_ptr<Session>(std::move(session));
}

Status CpuSession::Allocate() {
  uint64_t arena_bytes = 0;
  for (const SpecializationProgram& specialization : program_.specializations) {
    arena_bytes = std::max(arena_bytes, specialization.arena_bytes);
    QEFF_ASSIGN_OR_RETURN(Memory io,
                          Memory::Allocate(specialization.io_bytes + kAreaSlackBytes, "inputs"));
    io_.push_back(std::move(io));
  }
  QEFF_ASSIGN_OR_RETURN(arena_, Memory::Allocate(arena_bytes + kAreaSlackBytes, "arena"));
  QEFF_ASSIGN_OR_RETURN(state_,
                        Memory::Allocate(program_.state_bytes + kAreaSlackBytes, "retained state"));
  const uint64_t scratch_bytes = ScratchBytes(program_);
  for (int thread = 0; thread < pool_.thread_count(); ++thread) {
    QEFF_ASSIGN_OR_RETURN(Memory scratch, Memory::Allocate(scratch_bytes, "scratch"));
    scratch_.push_back(std::move(scratch));
  }
  return Status::Ok();
}

void CpuSession::Describe() {
  for (const SpecializationProgram& specialization : program_.specializations) {
    SpecializationInfo info = {specialization.name, specialization.symbols, {}, {}};
    for (const IoTensor& tensor : specialization.inputs) info.inputs.push_back(InfoOf(tensor));
    for (const IoTensor& tensor : specialization.outputs) info.outputs.push_back(InfoOf(tensor));
    infos_.push_back(std::move(info));
  }
  for (const StateTensor& state : program_.states) {
    state_infos_.push_back({state.name, state.dtype, state.dims});
  }
}

std::byte* CpuSession::AreaData(size_t specialization, Area area) const {
  switch (area) {
    case Area::kArena:
      return arena_.data();
    case Area::kIo:
      return io_[specialization].data();
    case Area::kState:
      return state_.data();
    case Area::kConstants:
      // Steps only read constants: StepCheck::Write refuses them.
      return const_cast<std::byte*>(image_.constants.data());
  }
  return nullptr;
}

void CpuSession::Bind() {
  size_t most_steps = 0;
  for (size_t index = 0; index < program_.specializations.size(); ++index) {
    const SpecializationProgram& specialization = program_.specializations[index];
    thread_choices_.emplace_back(pool_.thread_count());
    std::vector<BoundStep>& steps = steps_.emplace_back();
    for (const Step& step : specialization.steps) {
      BoundStep bound = {
          FindStep(step.op)->run, step.params.data(), step.part_begin.data(), step.has_barrier, {}};
      for (const Operand& operand : step.operands) {
        if (operand.buffer < 0) {
          bound.operands.push_back(nullptr);
          continue;
        }
        const Buffer& buffer = specialization.buffers[operand.buffer];
        bound.operands.push_back(AreaData(index, buffer.area) + buffer.offset_bytes +
                                 operand.offset_bytes);
      }
      if (step.row_count.buffer >= 0) {
        const Buffer& buffer = specialization.buffers[step.row_count.buffer];
        bound.row_count = reinterpret_cast<const int64_t*>(
            AreaData(index, buffer.area) + buffer.offset_bytes + step.row_count.offset_bytes);
        bound.row_total = step.row_total;
        bound.row_limit = &*FindStep(step.op)->row_limit;
        bound.params_bytes = step.params.size();
      } else if (IsDivided(step)) {
        bound.taken = UnitsTakenOf(step);
      }
      bound.starts.resize(static_cast<size_t>(pool_.thread_count()));
      steps.push_back(std::move(bound));
    }
    most_steps = std::max(most_steps, steps.size());
  }
  taken_ = std::vector<std::atomic<int64_t>>(most_steps);
}

void CpuSession::RunUnits(const BoundStep& step, size_t index, int thread, int64_t begin,
                          int64_t end, StreamStarts* starts) {
  RunStep(step, step.part_begin[program_.part_count],
          {kernels_, step.params, step.operands.data(), begin, end, scratch_[thread].data(), fault_,
           static_cast<int64_t>(index), starts});
}

/// Returns false if the thread has no part in the step.
bool CpuSession::RunParts(BoundStep& step, size_t index, int thread) {
  bool has_work = false;
  for (int64_t part = thread; part < program_.part_count; part += thread_count_) {
    const int64_t begin = step.part_begin[part];
    const int64_t end = step.part_begin[part + 1];
    if (begin == end) continue;
    RunUnits(step, index, thread, begin, end, has_work ? nullptr : &step.starts[thread]);
    has_work = true;
  }
  return has_work;
}

/// The first share of each thread is the same each time, so that it can be fetched before (alone
/// 2 % of decoding 16 rows of a model of 1.1B); the rest goes to whoever asks. Returns false if
/// there was nothing left.
bool CpuSession::TakeUnits(BoundStep& step, size_t index, int thread) {
  const int64_t threads = thread_count_;
  const int64_t units = step.part_begin[program_.part_count];
  const auto share_of = [&](int64_t left) {
    const int64_t share = std::min(left / (2 * threads), step.taken.most);
    return std::min(std::max(share, step.taken.least), left);
  };
  const int64_t first_share = share_of(units);
  const int64_t first_begin = std::min(thread * first_share, units);
  const int64_t first_end = std::min(first_begin + first_share, units);
  bool has_work = first_begin < first_end;
  if (has_work) RunUnits(step, index, thread, first_begin, first_end, &step.starts[thread]);

  const int64_t rest_begin = std::min(threads * first_share, units);
  std::atomic<int64_t>& taken = taken_[index];
  int64_t done = taken.load(std::memory_order_relaxed);
  while (rest_begin + done < units) {
    const int64_t count = share_of(units - rest_begin - done);
    if (!taken.compare_exchange_weak(done, done + count, std::memory_order_relaxed)) continue;
    has_work = true;
    RunUnits(step, index, thread, rest_begin + done, rest_begin + done + count);
    done = taken.load(std::memory_order_relaxed);
  }
  return has_work;
}

void CpuSession::RunSteps(std::vector<BoundStep>& steps, int thread, RunProfile* profile) {
  const bool is_alone = thread_count_ == 1;
  const auto is_streaming = [thread](const BoundStep& step) {
    return step.starts[thread].count > 0;
  };
  ReadAhead ahead;
  int64_t waited_ns = 0;
  for (size_t index = 0; index < steps.size(); ++index) {
    BoundStep& step = steps[index];
    if (step.has_barrier && !is_alone) waited_ns += step_barrier_.Wait(ahead);
    const int64_t start_ns = profile == nullptr ? 0 : profile->Now();
    const bool takes_turns = step.taken.least > 0 && !is_alone;
    const bool has_work =
        takes_turns ? TakeUnits(step, index, thread) : RunParts(step, index, thread);
    if (profile != nullptr && has_work) {
      profile->Add(thread, static_cast<int32_t>(index), start_ns, profile->Now());
    }
    if (is_alone || !is_streaming(step)) continue;
    const auto next = std::find_if(steps.begin() + index + 1, steps.end(), is_streaming);
    ahead = next == steps.end() ? ReadAhead() : ReadAhead(next->starts[thread]);
  }
  waited_ns_[thread] = waited_ns;
}

void CpuSession::DescribeSteps(RunProfile& profile) const {
  std::vector<RunProfile::Specialization> specializations;
  for (const SpecializationProgram& specialization : program_.specializations) {
    RunProfile::Specialization& described = specializations.emplace_back();
    described.name = specialization.name;
    for (const Step& step : specialization.steps) {
      described.steps.push_back({step.name, std::string(FindStep(step.op)->name)});
    }
  }
  profile.Describe(std::move(specializations), pool_.thread_count());
}

std::vector<RunWork> CpuSession::WorkOfSteps(size_t specialization) const {
  const SpecializationProgram& program = program_.specializations[specialization];
  LiveRows live;
  for (const IoTensor& input : program.inputs) {
    if (input.name != "position_ids" || input.dtype != DType::kI64 || input.dims.size() != 2) {
      continue;
    }
    const auto* from =
        reinterpret_cast<const int64_t*>(io_[specialization].data() + input.offset_bytes);
    live = CountLiveRows({from, static_cast<size_t>(input.dims[0] * input.dims[1])});
  }
  std::vector<RunWork> work;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    // A mask that is an input is there before the run.
    if (step.op == StepOp::kTokenIndex &&
        program.buffers[step.operands[0].buffer].area == Area::kIo) {
      TokenIndexParams params;
      std::memcpy(&params, step.params.data(), sizeof(params));
      const auto* mask = reinterpret_cast<const int64_t*>(steps_[specialization][i].operands[0]);
      const auto count = static_cast<size_t>(params.batch * params.row_tokens);
      if (count > 0) live = CountMaskedRows({mask, count}, params.row_tokens);
    }
    work.push_back(
        WorkOfStep(program.steps[i], program, steps_[specialization][i].operands, live, kernels_));
  }
  return work;
}

int CpuSession::CountOfRun(const ThreadChoice& choice) const {
  if (count_of_run_) return count_of_run_();
  return is_count_fixed_ ? pool_.thread_count() : choice.count();
}

void CpuSession::RunOnThreads(ThreadChoice& choice, const std::function<void(int)>& work) {
  thread_count_ = CountOfRun(choice);
  step_barrier_.set_count(static_cast<uint32_t>(thread_count_));
  const auto start = std::chrono::steady_clock::now();
  pool_.Run(thread_count_, work);
  const std::chrono::nanoseconds run_time = std::chrono::steady_clock::now() - start;
  choice.Add(run_time.count(),
             std::accumulate(waited_ns_.begin(), waited_ns_.begin() + thread_count_, int64_t{0}));
}

Status CpuSession::Run(size_t specialization) {
  fault_.Clear();
  std::vector<BoundStep>& steps = steps_[specialization];
  RunProfile* profile =
      profile_ != nullptr && profile_->WantsRun(steps.size()) ? profile_.get() : nullptr;
  if (profile != nullptr) profile->BeginRun(specialization, WorkOfSteps(specialization));
  for (std::atomic<int64_t>& taken : taken_) taken.store(0, std::memory_order_relaxed);
  const auto work = [&](int thread) { RunSteps(steps, thread, profile); };
  RunOnThreads(thread_choices_[specialization], std::ref(work));
  if (profile != nullptr) profile->EndRun();
  if (!fault_.reported()) return Status::Ok();
  const SpecializationProgram& program = program_.specializations[specialization];
  const Step& step = program.steps[fault_.step()];
  const Location location = Location::Node(image_.path, step.name, fault_.step());
  if (fault_.cause() == FaultCause::kMask) {
    return InvalidInput(
        location,
        fmt::format("the first token of a text is padding and sees only padding: its token {}, the "
                    "first that is none, is not in [0, {})",
                    fault_.value(), fault_.limit()),
        {"check attention_mask: pad texts at their end"});
  }
  return InvalidInput(location,
                      fmt::format("index {} is not in [0, {})", fault_.value(), fault_.limit()),
                      {"check the token ids, positions and batch indices of the inputs"});
}

std::span<std::byte> CpuSession::Find(size_t specialization, const std::vector<IoTensor>& tensors,
                                      std::string_view name) const {
  for (const IoTensor& tensor : tensors) {
    if (tensor.name == name) {
      return {io_[specialization].data() + tensor.offset_bytes,
              static_cast<size_t>(IoBytes(tensor))};
    }
  }
  return {};
}

std::span<std::byte> CpuSession::Input(size_t specialization, std::string_view name) {
  return Find(specialization, program_.specializations[specialization].inputs, name);
}

std::span<const std::byte> CpuSession::Output(size_t specialization, std::string_view name) const {
  return Find(specialization, program_.specializations[specialization].outputs, name);
}

Status CpuSession::ResetState() {
  state_.Clear();
  return Status::Ok();
}

/// The elements of a cache as f32, in the order of its dims.
std::vector<float> UnpackCache(const StateTensor& state, const std::byte* from) {
  const CacheLayout layout = LayoutOf(state);
  std::vector<float> result(static_cast<size_t>(*CheckedElementCount(state.dims)));
  const int64_t rows = layout.channels == 0 ? 0 : std::ssize(result) / layout.channels;
  for (int64_t row = 0; row < rows; ++row) {
    ReadCacheSlot(layout, from + row / layout.slots * layout.head_bytes(), row % layout.slots,
                  result.data() + row * layout.channels);
  }
  return result;
}

Result<std::vector<float>> CpuSession::ReadState(std::string_view name) const {
  for (const StateTensor& state : program_.states) {
    if (state.name != name) continue;
    if (!IsFloat(state.dtype)) {
      return Unsupported(Location::Tensor(image_.path, name),
                         fmt::format("expected a float state, got {}", DTypeName(state.dtype)));
    }
    const std::byte* from = state_.data() + state.offset_bytes;
    if (state.dims.size() >= 3) return UnpackCache(state, from);
    const auto* floats = reinterpret_cast<const float*>(from);
    return std::vector<float>(floats, floats + *CheckedElementCount(state.dims));
  }
  return InvalidInput(Location::Tensor(image_.path, name), "no retained state of this name");
}

}  // namespace

Result<std::unique_ptr<Session>> OpenCpuSession(ProgramImage image, const CpuRunOptions& options) {
  return CpuSession::Open(std::move(image), options);
}

}  // namespace qeff::cpu
