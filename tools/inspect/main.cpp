// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/run_tool.h"
#include "tools/inspect/readers.h"

namespace {

using namespace qeff;

struct Arguments {
  std::string path;
  bool json = false;
  bool dot = false;
  bool verify = false;
  bool all = false;
  inspect::ReadOptions read;
};

Status Draw(const inspect::Subject& subject) {
  if (subject.kind != inspect::Kind::kOnnx && subject.kind != inspect::Kind::kGraph) {
    return UsageError(Location::Flag("--dot"),
                      fmt::format("expected a graph to draw, got a {}", KindName(subject.kind)),
                      {"name an .onnx file, or the folder of a graph"});
  }
  QEFF_ASSIGN_OR_RETURN(const std::string drawing, inspect::DrawGraph(subject.file));
  tools::PrintText(drawing);
  return Status::Ok();
}

Status Run(const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(const inspect::Subject subject, inspect::Recognize(arguments.path));
  std::optional<inspect::Fields> verification;
  if (arguments.verify) {
    QEFF_ASSIGN_OR_RETURN(verification, inspect::VerifyContent(subject));
  }
  if (arguments.dot) return Draw(subject);
  QEFF_ASSIGN_OR_RETURN(inspect::Report report, inspect::MakeReport(subject, arguments.read));
  if (verification) report.Add(std::move(*verification));
  tools::PrintText(arguments.json
                       ? PrintJson(report)
                       : PrintText(report, {.row_limit = arguments.all ? size_t{0} : size_t{24}}));
  return Status::Ok();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  const tools::ToolInfo info{
      .name = "qeff-inspect",
      .description = "Shows what is in an artifact or in an input of the toolchain.",
      .examples =
          "qeff-inspect ./my-model                  # checkpoint, graph, ONNX or QPC folder\n"
          "qeff-inspect model.safetensors --json\n"
          "qeff-inspect qpc --verify                # reads everything and compares hashes\n"
          "qeff-inspect graph --dot | dot -Tsvg > graph.svg"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        app.add_option("path", arguments.path, "Folder or file")->required();
        CLI::Option* json = app.add_flag("--json", arguments.json, "Print one JSON object");
        app.add_flag("--dot", arguments.dot, "Print the graph in Graphviz's language")
            ->excludes(json);
        app.add_flag("--verify", arguments.verify, "Hash every file and compare");
        app.add_flag("--tensors", arguments.read.list_tensors, "List every weight");
        app.add_flag("--all", arguments.all, "Do not cut long tables");
      },
      [&] { return Run(arguments); });
}
