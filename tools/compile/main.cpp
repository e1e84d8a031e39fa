// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/memory_plan.h"
#include "backends/aic100/process.h"
#include "stages/memory_plan.h"
#include "tools/common/options.h"
#include "tools/common/run_tool.h"

namespace {

/// Prints each command as a line for a shell, then each file under its name.
qeff::Status PrintPlan(const std::string& input, const std::string& output,
                       const qeff::stages::CompileOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const qeff::OnnxCompilePlan plan,
                        qeff::stages::PlanCompile(input, output, options));
  for (const std::vector<std::string>& command : plan.commands)
    qeff::tools::PrintResult(qeff::aic100::ShellLine(command));
  for (const auto& [name, content] : plan.files) {
    qeff::tools::PrintText(fmt::format("==== {}\n{}", name, content));
    if (!content.ends_with('\n')) qeff::tools::PrintText("\n");
  }
  return qeff::Status::Ok();
}

/// Where a plan is asked for, and as what it is printed.
struct PlanArguments {
  bool wanted = false;
  std::string target = "ai100-pro";
  bool json = false;
  const CLI::Option* target_option = nullptr;
  const CLI::Option* backend_option = nullptr;
};

qeff::Status PrintMemoryPlan(const std::string& input,
                             const qeff::tools::CompileArguments& arguments,
                             const PlanArguments& plan_arguments) {
  qeff::stages::CompileOptions options = qeff::tools::ToCompileOptions(arguments);
  const auto make_plan = [&]() -> qeff::Result<qeff::stages::CardPlan> {
    if (plan_arguments.backend_option->count() > 0 && options.backend != "aic100") {
      if (plan_arguments.target_option->count() == 0)
        return qeff::stages::PlanMemory(input, options);
      return qeff::UsageError(qeff::Location::Flag("--target"),
                              fmt::format("is a card, but --backend is '{}'", options.backend));
    }
    options.target.num_cores = arguments.num_cores.value_or(0);
    return qeff::stages::PlanCard(input, options, plan_arguments.target);
  };
  QEFF_ASSIGN_OR_RETURN(const qeff::stages::CardPlan plan, make_plan());
  qeff::tools::PrintText(plan_arguments.json ? qeff::DumpPretty(plan.json) : plan.table);
  return qeff::Status::Ok();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace qeff;
  std::string input;
  std::string output;
  bool dry_run = false;
  PlanArguments plan;
  tools::CompileArguments arguments;
  const tools::ToolInfo info{
      .name = "qeff-compile",
      .description =
          "Compiles an ONNX model, ours or the original exporter's, for a target and prints the "
          "QPC folder.",
      .examples =
          "qeff-compile onnx --num-cores 2 -o qpc\n"
          "qeff-compile onnx --prefill-seq-len 128 --ctx-len 2048 --batch-size 4\n"
          "qeff-compile onnx --backend aic100 --num-cores 16 --mxfp6-matmul --num-devices 4\n"
          "qeff-compile onnx --backend aic100 --dry-run\n"
          "qeff-compile onnx --plan --target ai100-ultra --ctx-len 4096 --mxfp6-matmul\n"
          "qeff-compile onnx --plan --backend cpu --ctx-len 4096\n"
          "qeff-compile Model.onnx --backend reference -o qpc"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        app.add_option("input,--onnx-path,--onnx_path", input, "ONNX folder or .onnx file")
            ->required();
        app.add_option("-o,--output,--qpc-path,--qpc_path", output,
                       "QPC folder (default: one in the cache)");
        app.add_flag("--dry-run", dry_run,
                     "Print the card compiler's commands and files; start and write nothing");
        CLI::Option* wanted =
            app.add_flag("--plan", plan.wanted,
                         "Print what the model needs: on a card, by number of devices (estimates); "
                         "with --backend cpu, the memory on this machine");
        plan.target_option =
            app.add_option("--target", plan.target,
                           fmt::format("Card of --plan: {}, or a file like configs/targets/*.json",
                                       fmt::join(aic100::TargetNames(), ", ")))
                ->needs(wanted)
                ->capture_default_str();
        app.add_flag("--json", plan.json, "The plan as JSON")->needs(wanted);
        tools::AddCompileOptions(app, arguments);
        plan.backend_option = app.get_option("--backend");
      },
      [&]() -> Status {
        if (plan.wanted) return PrintMemoryPlan(input, arguments, plan);
        if (dry_run) return PrintPlan(input, output, tools::ToCompileOptions(arguments));
        QEFF_ASSIGN_OR_RETURN(const std::filesystem::path folder,
                              stages::Compile(input, output, tools::ToCompileOptions(arguments)));
        tools::PrintResult(folder.string());
        return Status::Ok();
      });
}
