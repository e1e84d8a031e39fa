// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The CPU behind the common interface: plan and constants go into programqpc.bin, which is mapped
// when it is opened.
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>

#include "backends/backend.h"
#include "backends/cpu/plan/compile.h"
#include "backends/cpu/runtime/cpu_session.h"
#include "backends/cpu/runtime/thread_pool.h"
#include "backends/program_file.h"
#include "lib/artifact/qpc.h"
#include "lib/support/log.h"

namespace qeff {
namespace {

std::string KnownIsas() {
  std::vector<std::string_view> names;
  for (const cpu::Isa isa : cpu::AllIsas()) names.push_back(cpu::IsaName(isa));
  return fmt::format("{}", fmt::join(names, ", "));
}

class CpuBackend : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }

  int DefaultCores() const override {
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  }

  // Raised graphs are what the planner fuses by itself.
  // Padding is not computed where that can be seen; what is left of attention with padding or a
  // bias runs as the steps that it is made of.
  passes::Pipeline Pipeline() const override {
    return {
        {"lower-einsum", {}}, {"remove-padding", {}}, {"lower-attention", {{"only", "masked"}}}};
  }

  void CheckSupport(const ir::Graph& graph, Diagnostics& diagnostics) const override {
    cpu::CheckCpuSupport(graph, "", diagnostics);
  }

  Status Compile(const std::vector<SpecializedGraph>& graphs, const BackendCompileOptions& options,
                 artifact::ArtifactWriter& out) const override {
    QEFF_ASSIGN_OR_RETURN(const cpu::CpuPlan plan,
                          cpu::CompileForCpu(graphs, {.part_count = options.num_cores,
                                                      .weights = options.weight_storage,
                                                      .compute = options.compute,
                                                      .kv_cache = options.kv_cache}));
    return WriteProgramFile(
        graphs, options.num_cores,
        {.segment = std::string(kCpuProgramSegment),
         .program = cpu::WriteProgram(plan.program),
         .constants_bytes = plan.constants_bytes(),
         .write_constants = [&](const cpu::ByteSink& sink) { return plan.WriteConstants(sink); }},
        out);
  }

  Result<std::unique_ptr<Session>> Open(const std::filesystem::path& folder,
                                        const BackendOpenOptions& options) const override {
    const std::filesystem::path path = folder / kProgramFileName;
    QEFF_ASSIGN_OR_RETURN(artifact::QpcFile opened, artifact::QpcFile::Open(path));
    const auto file = std::make_shared<const artifact::QpcFile>(std::move(opened));
    QEFF_ASSIGN_OR_RETURN(const artifact::QpcSegment program, file->Get(kCpuProgramSegment));
    QEFF_ASSIGN_OR_RETURN(const artifact::QpcSegment constants, file->Get(artifact::kConstants));
    cpu::ProgramImage image = {.program = program.data,
                               .constants = constants.data,
                               .path = path.string(),
                               .program_offset_bytes = program.file_offset_bytes,
                               .owner = file};
    cpu::CpuRunOptions run_options;
    run_options.profile = options.profile;
    if (options.num_threads > 0) {
      const int usable = cpu::UsableProcessors();
      run_options.thread_count = std::min(options.num_threads, usable);
      if (options.num_threads > usable) {
        LogInfo("threads: {} of {}, as there are no more processors here", usable,
                options.num_threads);
      }
    }
    if (!options.isa.empty()) {
      run_options.isa = cpu::IsaFromName(options.isa);
      if (!run_options.isa) {
        return UsageError(Location::Flag("--isa"),
                          fmt::format("no instruction set '{}'", options.isa),
                          {fmt::format("there are {}", KnownIsas())});
      }
    }
    return cpu::OpenCpuSession(std::move(image), run_options);
  }
};

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend() { return std::make_unique<CpuBackend>(); }

}  // namespace qeff
