// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/options.h"
#include "tools/common/run_tool.h"

int main(int argc, char** argv) {
  using namespace qeff;
  std::string checkpoint;
  std::string output;
  stages::TransformOptions options;
  const tools::ToolInfo info{.name = "qeff-transform",
                             .description =
                                 "Builds the graph of a checkpoint with its deployment features "
                                 "and prints the graph folder.",
                             .examples =
                                 "qeff-transform ./my-model -o graph\n"
                                 "qeff-transform ./my-model --continuous-batching -o graph-cb"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        app.add_option("checkpoint", checkpoint, "Checkpoint folder")->required();
        app.add_option("-o,--output", output, "Graph folder (default: one in the cache)");
        tools::AddTransformOptions(app, options);
      },
      [&]() -> Status {
        QEFF_ASSIGN_OR_RETURN(const std::filesystem::path folder,
                              stages::Transform(checkpoint, output, options));
        tools::PrintResult(folder.string());
        return Status::Ok();
      });
}
