// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/measure.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "lib/generation/text_program.h"
#include "lib/support/log.h"
#include "stages/stages.h"

namespace qeff::bench {
namespace {

constexpr size_t kMemoryFootprint = size_t{1} << 30;

/// A program that is open on a number of threads.
struct Subject {
  std::string model;
  int threads = 0;
  cpu::Isa isa = cpu::MachineIsa();
  std::unique_ptr<Session> session;
  std::shared_ptr<RunProfile> profile;
  std::unique_ptr<TextProgram> program;
};

std::string ModelName(const std::filesystem::path& folder) {
  const std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

Result<Subject> OpenSubject(const std::filesystem::path& folder, int threads,
                            const std::string& isa) {
  Subject subject{.model = ModelName(folder), .profile = std::make_shared<RunProfile>()};
  BackendOpenOptions options;
  options.num_threads = threads;
  options.isa = isa;
  options.profile = subject.profile;
  QEFF_ASSIGN_OR_RETURN(subject.session, stages::OpenProgram(folder, options));
  QEFF_ASSIGN_OR_RETURN(TextProgram program, TextProgram::Open(*subject.session, 0));
  subject.program = std::make_unique<TextProgram>(std::move(program));
  subject.isa = cpu::IsaFromName(isa).value_or(subject.isa);
  // A backend that keeps no profile runs on as many threads as it likes.
  const int used = subject.profile->thread_count();
  subject.threads = used > 0 ? used : threads;
  if (used > 0 && threads > 0 && used != threads) {
    return UsageError(Location::Flag("--threads"),
                      fmt::format("'{}' runs on {} of {} threads", folder.string(), used, threads),
                      {"compile it with --num-cores, on a machine with as many processors"});
  }
  return subject;
}

Status CheckCell(const Subject& subject, const Cell& cell) {
  const TextProgram& program = *subject.program;
  if (cell.batch > program.slots()) {
    return UsageError(
        Location::Flag("--batch"),
        fmt::format("'{}' has {} slots, got {} rows", subject.model, program.slots(), cell.batch),
        {"compile it with --batch-size"});
  }
  const Phase phase = cell.is_prefill ? Phase::kPrefill : Phase::kDecode;
  if (cell.depth + cell.tokens > program.context_tokens(phase)) {
    return UsageError(
        Location::Flag(cell.is_prefill ? "--prompt" : "--gen"),
        fmt::format("'{}' has a context of {} tokens, '{}' needs {}", subject.model,
                    program.context_tokens(phase), cell.Name(), cell.depth + cell.tokens),
        {"compile it with a larger --ctx-len"});
  }
  return Status::Ok();
}

/// Tokens at `position` on of every row of the batch, in as many calls as the program needs. The
/// ids are any: the work does not depend on them.
Status RunTokens(TextProgram& program, Phase phase, const Cell& cell, int64_t position,
                 const std::vector<int64_t>& ids) {
  std::vector<RowInput> rows;
  for (int64_t first = 0; first < cell.batch; first += program.rows(phase)) {
    rows.clear();
    const int64_t end = std::min(cell.batch, first + program.rows(phase));
    for (int64_t slot = first; slot < end; ++slot) rows.push_back({slot, ids, position});
    QEFF_RETURN_IF_ERROR(program.Run(phase, rows));
  }
  return Status::Ok();
}

Status RunCell(Subject& subject, const Cell& cell) {
  TextProgram& program = *subject.program;
  const Phase phase = cell.is_prefill ? Phase::kPrefill : Phase::kDecode;
  const int64_t step = cell.is_prefill ? program.tokens(phase) : 1;
  std::vector<int64_t> ids;
  for (int64_t done = 0; done < cell.tokens; done += step) {
    ids.clear();
    for (int64_t i = done; i < std::min(cell.tokens, done + step); ++i) {
      ids.push_back((i * 7919 + 13) % program.vocab_size());
    }
    QEFF_RETURN_IF_ERROR(RunTokens(program, phase, cell, cell.depth + done, ids));
  }
  return Status::Ok();
}

/// The warm-up: its runs tell the work.
Result<RunWork> FindWork(Subject& subject, const Cell& cell, size_t& largest_run_bytes) {
  RunProfile& profile = *subject.profile;
  profile.Clear();
  profile.Start();
  Status status = RunCell(subject, cell);
  profile.Stop();
  if (!status.ok()) return status;
  RunWork sum;
  for (const RunProfile::Run& run : profile.runs()) {
    const RunWork work = profile.WorkOf(run);
    largest_run_bytes = std::max(largest_run_bytes, static_cast<size_t>(work.bytes));
    sum += work;
  }
  profile.Clear();
  return sum;
}

/// Keeps the better one of each limit.
void Probe(cpu::LimitProbe& probe, cpu::Isa isa, const RunWork& work, size_t footprint_bytes,
           Sample& sample) {
  for (const Arithmetic kind : kArithmetics) {
    const auto index = static_cast<size_t>(kind);
    if (work.operations[index] == 0) continue;
    sample.peaks[index] = std::max(sample.peaks[index], probe.Peak(kind, isa));
  }
  sample.bytes_per_s = std::max(sample.bytes_per_s, probe.ReadBandwidth(footprint_bytes));
}

Result<Sample> TakeSample(Subject& subject, const Row& row, cpu::LimitProbe* probe,
                          size_t footprint_bytes) {
  Sample sample;
  if (probe != nullptr) Probe(*probe, subject.isa, row.work, footprint_bytes, sample);
  const auto start = std::chrono::steady_clock::now();
  QEFF_RETURN_IF_ERROR(RunCell(subject, row.cell));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (probe != nullptr) Probe(*probe, subject.isa, row.work, footprint_bytes, sample);
  sample.tokens_per_s = static_cast<double>(row.cell.tokens * row.cell.batch) / seconds;
  if (probe != nullptr) {
    sample.share_of_limit = cpu::LeastSeconds(row.work, sample.bytes_per_s,
                                              [&](Arithmetic kind) {
                                                return sample.peaks[static_cast<size_t>(kind)];
                                              }) /
                            seconds;
  }
  return sample;
}

/// Has every peer that does the cell do it once; `sample` gets the figures.
Status AskPeers(const std::vector<std::unique_ptr<Peer>>& peers, Row& row, Sample& sample) {
  sample.peer_tokens_per_s.assign(peers.size(), 0);
  for (size_t i = 0; i < peers.size(); ++i) {
    std::string& error = row.peer_errors[i];
    if (!error.empty()) continue;
    Result<PeerAnswer> answer = peers[i]->Measure(row.cell, row.threads);
    if (!answer.ok()) {
      error = answer.diagnostic().message;
      return std::move(answer).status();
    }
    sample.peer_tokens_per_s[i] = answer->tokens_per_s;
    error = answer->error;
    if (error.empty()) continue;
    LogWarning("'{}' does not do '{}' of '{}': {}", peers[i]->name(), row.cell.Name(), row.model,
               error);
  }
  return Status::Ok();
}

Status TakeSamples(Subject& subject, int repetitions,
                   const std::vector<std::unique_ptr<Peer>>& peers, Row& row) {
  size_t footprint_bytes = 0;
  QEFF_ASSIGN_OR_RETURN(row.work, FindWork(subject, row.cell, footprint_bytes));
  std::unique_ptr<cpu::LimitProbe> probe;
  if (row.has_work()) {
    QEFF_ASSIGN_OR_RETURN(probe, cpu::LimitProbe::Open(subject.threads, footprint_bytes));
  }
  Sample warm_up;
  QEFF_RETURN_IF_ERROR(AskPeers(peers, row, warm_up));
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    QEFF_ASSIGN_OR_RETURN(Sample sample, TakeSample(subject, row, probe.get(), footprint_bytes));
    QEFF_RETURN_IF_ERROR(AskPeers(peers, row, sample));
    row.samples.push_back(std::move(sample));
  }
  return Status::Ok();
}

/// A cell in which a peer fails is kept with the samples before, without that peer.
Status MeasureCell(Subject& subject, const Cell& cell, const BenchOptions& options,
                   const std::vector<std::unique_ptr<Peer>>& peers, Report& report) {
  LogInfo("{} {} batch {}, {} threads", subject.model, cell.Name(), cell.batch, subject.threads);
  Row row{.model = subject.model, .threads = subject.threads, .cell = cell};
  row.peer_errors.resize(peers.size());
  Status status = TakeSamples(subject, options.repetitions, peers, row);
  std::string note = fmt::format("in '{}' of '{}', after {} of {} samples", cell.Name(),
                                 subject.model, row.samples.size(), options.repetitions);
  if (!row.samples.empty()) report.rows.push_back(std::move(row));
  return std::move(status).WithNote(std::move(note));
}

/// Every cell of a program: prefill before decode at each depth.
std::vector<Cell> CellsOf(const Subject& subject, const BenchOptions& options) {
  std::vector<int64_t> batches = options.batches;
  if (batches.empty()) batches = {subject.program->slots()};
  std::vector<Cell> cells;
  for (const int64_t batch : batches) {
    for (const int64_t depth : options.depths) {
      for (const int64_t tokens : options.prompt_tokens)
        cells.push_back({true, tokens, depth, batch});
      for (const int64_t tokens : options.new_tokens)
        cells.push_back({false, tokens, depth, batch});
    }
  }
  return cells;
}

/// Opens every program on each number of threads, one after the other, and does `use` for each
/// cell.
Status ForEachCell(const BenchOptions& options,
                   const std::function<Status(Subject&, const Cell&)>& use) {
  const std::vector<int> as_compiled = {0};
  for (const std::filesystem::path& folder : options.programs) {
    for (const int threads : options.threads.empty() ? as_compiled : options.threads) {
      QEFF_ASSIGN_OR_RETURN(Subject subject, OpenSubject(folder, threads, options.isa));
      for (const Cell& cell : CellsOf(subject, options)) QEFF_RETURN_IF_ERROR(use(subject, cell));
    }
  }
  return Status::Ok();
}

}  // namespace

Status MeasureRows(const BenchOptions& options, const std::vector<std::unique_ptr<Peer>>& peers,
                   Report& report) {
  // A cell that cannot be run is no reason to lose the minutes of those before it.
  QEFF_RETURN_IF_ERROR(ForEachCell(options, CheckCell));
  Status status = ForEachCell(options, [&](Subject& subject, const Cell& cell) {
    return MeasureCell(subject, cell, options, peers, report);
  });
  for (const auto& peer : peers) report.peers.push_back(peer->name());
  return status;
}

Status MeasureLimits(const std::vector<int>& threads, Report& report) {
  for (const int count : threads) {
    QEFF_ASSIGN_OR_RETURN(const auto probe, cpu::LimitProbe::Open(count, kMemoryFootprint));
    for (const cpu::ArithmeticLoop& loop : cpu::ArithmeticLoops()) {
      const std::string name = fmt::format("{}: {}", ArithmeticName(loop.kind), loop.instruction);
      report.limits.push_back({count, name, probe->Operations(loop), false});
    }
    report.limits.push_back({count, "reading 1 GiB", probe->ReadBandwidth(kMemoryFootprint), true});
  }
  return Status::Ok();
}

}  // namespace qeff::bench
