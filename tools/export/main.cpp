// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/options.h"
#include "tools/common/run_tool.h"

int main(int argc, char** argv) {
  using namespace qeff;
  std::string input;
  std::string output;
  stages::TransformOptions transform;
  tools::ExportArguments arguments;
  const tools::ToolInfo info{.name = "qeff-export",
                             .description =
                                 "Writes a graph or a checkpoint as ONNX for the AI 100 compiler "
                                 "and prints the ONNX folder.",
                             .examples =
                                 "qeff-export graph -o onnx\n"
                                 "qeff-export ./my-model -o onnx                       # a "
                                 "checkpoint: transforms it first\n"
                                 "qeff-export ./my-model --weights=reference -o onnx   # leaves "
                                 "the weights in the checkpoint\n"
                                 "qeff-export ./my-model --subfunctions --dtype f16 -o onnx"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        app.add_option("input", input, "Graph folder or checkpoint folder")->required();
        app.add_option("-o,--output", output, "ONNX folder (default: one in the cache)");
        tools::AddExportOptions(app, arguments);
        tools::AddTransformOptions(app, transform);
      },
      [&]() -> Status {
        QEFF_ASSIGN_OR_RETURN(
            const std::filesystem::path folder,
            stages::Export(input, output, tools::ToExportOptions(arguments, transform)));
        tools::PrintResult(folder.string());
        return Status::Ok();
      });
}
