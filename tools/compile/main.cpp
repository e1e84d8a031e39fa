// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/options.h"
#include "tools/common/run_tool.h"

int main(int argc, char** argv) {
  using namespace qeff;
  std::string input;
  std::string output;
  tools::CompileArguments arguments;
  const tools::ToolInfo info{
      .name = "qeff-compile",
      .description =
          "Compiles an ONNX model, ours or the original exporter's, for a target and prints the "
          "QPC folder.",
      .examples =
          "qeff-compile onnx --num-cores 2 -o qpc\n"
          "qeff-compile onnx --prefill-seq-len 128 --ctx-len 2048 --batch-size 4\n"
          "qeff-compile Model.onnx --backend reference -o qpc"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        app.add_option("input", input, "ONNX folder or .onnx file")->required();
        app.add_option("-o,--output", output, "QPC folder (default: one in the cache)");
        tools::AddCompileOptions(app, arguments);
      },
      [&]() -> Status {
        QEFF_ASSIGN_OR_RETURN(const std::filesystem::path folder,
                              stages::Compile(input, output, tools::ToCompileOptions(arguments)));
        tools::PrintResult(folder.string());
        return Status::Ok();
      });
}
