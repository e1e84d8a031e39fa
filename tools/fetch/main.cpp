// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/stages.h"
#include "tools/common/run_tool.h"

int main(int argc, char** argv) {
  using namespace qeff;
  std::string model;
  stages::FetchOptions options;
  const tools::ToolInfo info{
      .name = "qeff-fetch",
      .description = "Finds a checkpoint, checks that it is whole and prints its folder.",
      .examples =
          "qeff-fetch ./my-model                      # a folder\n"
          "qeff-fetch org/name                        # in the Hugging Face cache\n"
          "qeff-fetch org/name@v1.1 --verify          # another revision; reads everything and "
          "compares hashes\n"
          "qeff-fetch org/name -o ./copy              # copies it out of the cache"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        app.add_option("model", model,
                       "A folder, or org/name[@revision] that is in the Hugging Face cache")
            ->required();
        app.add_option("-o,--output", options.output, "Copy the checkpoint to this folder");
        app.add_flag("--verify", options.verify_hashes,
                     "Read all files and compare them with the hashes that the cache knows");
      },
      [&]() -> Status {
        QEFF_ASSIGN_OR_RETURN(const std::filesystem::path folder, stages::Fetch(model, options));
        tools::PrintResult(folder.string());
        return Status::Ok();
      });
}
