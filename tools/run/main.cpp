// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "stages/tensors.h"
#include "tools/common/options.h"
#include "tools/common/run_tool.h"

namespace {

/// A run on given tensors knows no texts: only where it runs can be said with it.
qeff::Status CheckTensorOptions(const CLI::App& app) {
  const std::set<std::string> allowed = {"--input-tensors", "--output-tensors", "--num-threads",
                                         "--isa",           "--devices",        "--card-plugin",
                                         "--quiet",         "--verbose"};
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    const std::string flag = "--" + option->get_lnames().front();
    if (allowed.contains(flag)) continue;
    return qeff::UsageError(qeff::Location::Flag(flag),
                            "the option has no meaning with --input-tensors");
  }
  return qeff::Status::Ok();
}

}  // namespace

int main(int argc, char** argv) {
  using namespace qeff;
  std::string qpc;
  tools::RunArguments arguments;
  std::string input_tensors;
  std::string output_tensors;
  const CLI::App* parsed = nullptr;
  const tools::ToolInfo info{
      .name = "qeff-run",
      .description =
          "Continues prompts with a compiled model, or embeds, classifies and ranks texts: results "
          "on stdout, statistics on stderr.",
      .examples =
          "qeff-run qpc --prompt \"Once upon a time\"\n"
          "echo \"Once upon a time\" | qeff-run qpc --max-new-tokens 50\n"
          "qeff-run qpc --prompt A --prompt B --temperature 0.8 --seed 7\n"
          "qeff-run qpc --chat --system \"You are brief.\"\n"
          "qeff-run qpc --messages messages.json\n"
          "qeff-run qpc --input-ids 5,17,9 --json\n"
          "qeff-run qpc --embed \"A text\"\n"
          "qeff-run qpc --embed --input texts.txt --output vectors.npy --resume\n"
          "qeff-run qpc --embed \"A text\" --search vectors.npy --top-k 5\n"
          "qeff-run qpc --classify \"A text\" --table\n"
          "qeff-run qpc --classify \"Ann lives in Rome.\" --aggregation simple\n"
          "qeff-run qpc --fill-mask \"Paris is the [MASK] of France.\"\n"
          "qeff-run qpc --rerank \"A question\" --documents texts.txt\n"
          "qeff-run qpc --input-tensors in.safetensors --output-tensors out.safetensors\n"
          "qeff-run qpc --devices 0 --prompt \"Once upon a time\""};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        parsed = &app;
        app.add_option("qpc", qpc, "QPC folder")->required();
        CLI::Option* outputs = app.add_option("--output-tensors", output_tensors,
                                              "safetensors file for the outputs of that run")
                                   ->type_name("FILE");
        CLI::Option* inputs =
            app.add_option("--input-tensors", input_tensors,
                           "Run once on the tensors of a safetensors file, named as the inputs")
                ->type_name("FILE")
                ->needs(outputs);
        outputs->needs(inputs);
        tools::AddRunOptions(app, arguments);
        tools::AddCardRunOptions(app, arguments);
      },
      [&]() -> Status {
        if (input_tensors.empty()) return tools::RunText(*parsed, qpc, arguments);
        QEFF_RETURN_IF_ERROR(CheckTensorOptions(*parsed));
        return stages::RunTensors(qpc,
                                  {.num_threads = arguments.num_threads,
                                   .isa = arguments.isa,
                                   .devices = arguments.devices,
                                   .card_plugin = arguments.card_plugin},
                                  input_tensors, output_tensors);
      });
}
