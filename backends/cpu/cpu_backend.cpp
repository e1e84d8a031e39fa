// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The embedded CPU backend behind the common interface: plan (backends/cpu/plan) and runtime
// (backends/cpu/runtime) joined by a QPC container whose segment kProgramSegment holds the program
// and whose constants are mapped where they lie.
#include "backends/backend.h"
#include "backends/cpu/plan/compile.h"
#include "backends/cpu/runtime/cpu_session.h"
#include "backends/program_file.h"
#include "lib/artifact/qpc.h"

namespace qeff {
namespace {

constexpr std::string_view kProgramSegment = "qeff.cpu.program";

cpu::CpuCompileOptions ToCpuOptions(const BackendCompileOptions& options) {
  cpu::CpuCompileOptions converted{.part_count = options.num_cores};
  switch (options.weight_storage) {
    case WeightStorage::kAuto:
      converted.weights = cpu::WeightStorage::kAuto;
      break;
    case WeightStorage::kF32:
      converted.weights = cpu::WeightStorage::kF32;
      break;
    case WeightStorage::kBf16:
      converted.weights = cpu::WeightStorage::kBf16;
      break;
  }
  return converted;
}

class CpuBackend : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }

  // The planner fuses while it places buffers: nothing has to be brought into another form before.
  passes::Pipeline Pipeline() const override { return {}; }

  void CheckSupport(const ir::Graph& graph, Diagnostics& diagnostics) const override {
    cpu::CheckCpuSupport(graph, "", diagnostics);
  }

  Status Compile(const std::vector<SpecializedGraph>& graphs, const BackendCompileOptions& options,
                 artifact::ArtifactWriter& out) const override {
    std::vector<cpu::SpecializedGraph> inputs;
    for (const SpecializedGraph& graph : graphs)
      inputs.push_back({graph.name, graph.symbols, &graph.graph});
    QEFF_ASSIGN_OR_RETURN(const cpu::CpuPlan plan,
                          cpu::CompileForCpu(inputs, ToCpuOptions(options)));
    return WriteProgramFile(
        graphs, options.num_cores,
        {.segment = std::string(kProgramSegment),
         .program = cpu::WriteProgram(plan.program),
         .constants_bytes = plan.constants_bytes(),
         .write_constants = [&plan](const auto& sink) { return plan.WriteConstants(sink); }},
        out);
  }

  Result<std::unique_ptr<Session>> Open(const std::filesystem::path& folder,
                                        const BackendOpenOptions& options) const override {
    const std::filesystem::path path = folder / kProgramFileName;
    QEFF_ASSIGN_OR_RETURN(artifact::QpcFile opened, artifact::QpcFile::Open(path));
    const auto file = std::make_shared<const artifact::QpcFile>(std::move(opened));
    QEFF_ASSIGN_OR_RETURN(const artifact::QpcSegment program, file->Get(kProgramSegment));
    QEFF_ASSIGN_OR_RETURN(const artifact::QpcSegment constants, file->Get(artifact::kConstants));
    cpu::CpuRunOptions run_options;
    if (options.num_threads > 0) run_options.thread_count = options.num_threads;
    return cpu::OpenCpuSession({.program = program.data,
                                .constants = constants.data,
                                .path = path.string(),
                                .program_offset_bytes = program.file_offset_bytes,
                                .owner = file},
                               run_options);
  }
};

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend() { return std::make_unique<CpuBackend>(); }

}  // namespace qeff
