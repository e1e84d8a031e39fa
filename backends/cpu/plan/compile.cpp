// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/compile.h"

#include <algorithm>

#include "backends/cpu/plan/background_sink.h"
#include "backends/cpu/plan/lowering.h"
#include "backends/cpu/plan/state_form.h"

namespace qeff::cpu {
namespace {

Status AddStates(const std::vector<SpecializedGraph>& graphs, const CpuCompileOptions& options,
                 Program& program) {
  for (const SpecializedGraph& specialized : graphs) {
    const ir::Graph& graph = specialized.graph;
    for (const ir::Value* input : graph.inputs()) {
      if (graph.FindOutput(input->name() + std::string(ir::kRetainedStateSuffix)) == nullptr) {
        continue;
      }
      QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*input));
      const auto known =
          std::find_if(program.states.begin(), program.states.end(),
                       [&](const auto& state) { return state.name == input->name(); });
      if (known != program.states.end()) {
        if (known->dims == dims) continue;
        return InvalidInput(
            Location::Tensor(options.path, input->name()),
            fmt::format("retained state has other dimensions in specialization '{}'",
                        specialized.name));
      }
      const StateForm form = ChooseStateForm(graphs, input->name(), options.kv_cache);
      StateTensor state = {input->name(), input->type().dtype.value_or(DType::kF32),
                           dims,          form.layout,
                           form.format,   program.state_bytes};
      const auto bytes = static_cast<uint64_t>(StateBytes(state));
      program.state_bytes += (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
      program.states.push_back(std::move(state));
    }
  }
  return CheckStateForms(program.states, options.kv_cache);
}

/// A table that is looked up by rows and is also the weight of a lone Linear is stored once, as
/// panels; lookups come first in a graph, so the panels are entered before anything is lowered.
Status AddSharedTables(const ir::Graph& graph, ConstantPool& constants) {
  std::vector<ir::WeightPtr> tables;
  for (const auto& node : graph.nodes()) {
    if (node->IsOnnx("Gather") && node->input(0)->is_constant() &&
        node->input(0)->constant()->dims().size() == 2) {
      tables.push_back(node->input(0)->constant());
    }
  }
  for (const auto& node : graph.nodes()) {
    if (!node->IsQeff("Linear") || !node->input(1)->is_constant() ||
        node->input(0)->uses().size() != 1) {
      continue;
    }
    const ir::WeightPtr& weight = node->input(1)->constant();
    for (const ir::WeightPtr& table : tables) {
      if (table != weight && !ir::SameRecipe(*table, *weight)) continue;
      QEFF_ASSIGN_OR_RETURN(const ConstantPlace place,
                            constants.AddPanels({weight}, WeightUse::kHead));
      (void)place;
    }
  }
  return Status::Ok();
}

}  // namespace

void CheckCpuSupport(const ir::Graph& graph, std::string_view path, Diagnostics& diagnostics) {
  int64_t index = 0;
  for (const auto& node : graph.nodes()) {
    if (FindLowering(node->domain(), node->op_type()) == nullptr) {
      diagnostics.AddError(Location::Node(path, node->name(), index),
                           fmt::format("op '{}' has no kernel on the cpu", node->QualifiedOp()),
                           {"compile with --backend reference, which runs any graph"});
    }
    ++index;
  }
}

Result<CpuPlan> CompileForCpu(const std::vector<SpecializedGraph>& graphs,
                              const CpuCompileOptions& options) {
  CpuPlan plan;
  plan.constants = ConstantPool(options.weights);
  plan.program.part_count = static_cast<uint32_t>(std::max(1, options.part_count));
  QEFF_RETURN_IF_ERROR(AddStates(graphs, options, plan.program));
  for (const SpecializedGraph& specialized : graphs) {
    QEFF_RETURN_IF_ERROR(AddSharedTables(specialized.graph, plan.constants));
  }
  for (const SpecializedGraph& specialized : graphs) {
    SpecializationProgram program;
    GraphLowering lowering(specialized, options, plan.constants, plan.program.states, program);
    QEFF_RETURN_IF_ERROR(
        lowering.Run().WithNote(fmt::format("in specialization '{}'", specialized.name)));
    plan.program.specializations.push_back(std::move(program));
  }
  plan.program.constants_bytes = plan.constants.size_bytes();
  // Sizes beyond what a program may name are the only thing that can be wrong here.
  if (const Status sound = CheckProgram(plan.program, options.path); !sound.ok()) {
    return Unsupported(
        sound.diagnostic().where,
        fmt::format("the graph makes no sound program: {}", sound.diagnostic().message),
        {"compile with --backend reference, or for smaller sizes"});
  }
  return plan;
}

Status CpuPlan::WriteConstants(const ByteSink& sink) const {
  BackgroundSink background(sink);
  QEFF_RETURN_IF_ERROR(constants.Write(background));
  QEFF_RETURN_IF_ERROR(background.AppendZeros(kAreaSlackBytes));
  return background.Finish();
}

}  // namespace qeff::cpu
