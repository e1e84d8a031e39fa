// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <iterator>

#include "lib/onnx_io/reader.h"
#include "lib/onnx_io/text.h"
#include "passes/pass_manager.h"
#include "tools/common/run_tool.h"

namespace {

using namespace qeff;

struct Arguments {
  std::string input;
  std::string passes;
  std::string stop_after;
  std::vector<std::string> print_after;
  bool time_passes = false;
  bool list_passes = false;
};

void ListPasses() {
  for (const passes::PassInfo& pass : passes::AllPasses()) {
    const std::string options = pass.options.empty() ? "" : fmt::format("{{{}=...}}", pass.options);
    tools::PrintResult(fmt::format("{:<42} {}", std::string(pass.name) + options, pass.summary));
  }
}

Result<ir::Model> ReadInput(const std::string& path) {
  if (path.ends_with(".onnx") || std::filesystem::is_directory(path))
    return onnx_io::ReadOnnx(path);
  if (path != "-") {
    QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
    return onnx_io::ParseText(text, path);
  }
  QEFF_ASSIGN_OR_RETURN(const std::string text, tools::ReadStandardInput());
  return onnx_io::ParseText(text, "standard input");
}

Status Run(const Arguments& arguments) {
  if (arguments.list_passes) {
    ListPasses();
    return Status::Ok();
  }
  if (arguments.input.empty()) return UsageError(Location::Flag("input"), "no graph given");
  const Result<passes::Pipeline> pipeline = passes::ParsePipeline(arguments.passes);
  if (!pipeline.ok()) {
    return UsageError(Location::Flag("--passes"), pipeline.diagnostic().message,
                      pipeline.diagnostic().notes);
  }
  QEFF_ASSIGN_OR_RETURN(ir::Model model, ReadInput(arguments.input));
  std::vector<passes::PassTiming> timings;
  passes::PassManagerOptions options{
      .after_pass = {}, .stop_after = arguments.stop_after, .timings = &timings};
  options.after_pass = [&](const std::string& pass, const ir::Model& now) {
    for (const std::string& name : arguments.print_after) {
      if (name == pass)
        std::fputs(fmt::format("// after {}\n{}\n", pass, onnx_io::PrintText(now, {})).c_str(),
                   stderr);
    }
    return Status::Ok();
  };
  const Result<passes::Change> change = passes::RunPipeline(model, *pipeline, options);
  if (!change.ok()) return Status(change.diagnostic());
  if (arguments.time_passes) {
    for (const passes::PassTiming& timing : timings) {
      std::fputs(
          fmt::format("{:<28} {:8.3f} ms  {:>6} nodes  {}\n", timing.pass, timing.seconds * 1e3,
                      timing.node_count, timing.change == passes::Change::kChanged ? "changed" : "")
              .c_str(),
          stderr);
    }
  }
  tools::PrintText(onnx_io::PrintText(model, {}));
  return Status::Ok();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  const tools::ToolInfo info{
      .name = "qeff-opt",
      .description =
          "Runs passes over a graph and prints the result as text (for developers and tests).",
      .examples =
          "qeff-opt graph.txt --passes fold-reshapes,drop-dead-nodes\n"
          "qeff-opt onnx --passes 'convert-float-dtype{dtype=f16}' --time-passes\n"
          "qeff-opt --list-passes"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        app.add_option("input", arguments.input,
                       "Graph as ONNX text (- for stdin), .onnx file or folder");
        app.add_option("--passes", arguments.passes, "Passes to run, separated by commas");
        app.add_option("--stop-after", arguments.stop_after, "Stop after this pass");
        app.add_option("--print-after", arguments.print_after,
                       "Print the graph after this pass to stderr");
        app.add_flag("--time-passes", arguments.time_passes,
                     "Print time and node count of each pass to stderr");
        app.add_flag("--list-passes", arguments.list_passes, "List all passes");
      },
      [&] { return Run(arguments); });
}
