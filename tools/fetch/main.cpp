// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/hub_fetch.h"
#include "tools/common/run_tool.h"
#include "tools/fetch/prune.h"

namespace {

using namespace qeff;

struct Arguments {
  std::string model;
  stages::HubFetchOptions options;
  bool dry_run = false;
  bool list = false;
  bool prune = false;
  bool yes = false;
};

void AddOptions(CLI::App& app, Arguments& arguments) {
  stages::HubFetchOptions& options = arguments.options;
  app.add_option("model", arguments.model,
                 "org/name[@revision], an hf:// or file: URI, the address of a model on a hub or "
                 "mirror, or a folder");
  app.add_option("-o,--output", options.fetch.output, "Copy the checkpoint to this folder");
  app.add_option("--local-dir", options.local_dir,
                 "Fetch into this folder instead of the Hugging Face cache");
  app.add_option("--include", options.selection.include,
                 "Fetch the files that match one of these patterns, instead of what running the "
                 "model needs")
      ->expected(1)
      ->take_all();
  app.add_option("--exclude", options.selection.exclude,
                 "Do not fetch files that match one of these patterns")
      ->expected(1)
      ->take_all();
  app.add_flag("--all", options.selection.all, "Fetch every file of the repository");
  app.add_option("--subfolder", options.selection.subfolder,
                 "The model is in this folder of the repository");
  app.add_flag("--dry-run", arguments.dry_run, "Print what would be fetched, with sizes");
  app.add_flag("--verify", options.fetch.verify_hashes,
               "Read all files and compare them with the hashes that are known");
  app.add_option("--connections", options.connections, "Transfers side by side")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--attempts", options.attempts,
                 "How often to try again, with growing pauses, while nothing comes; 15 take about "
                 "six minutes")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  auto* list = app.add_flag("--list", arguments.list, "Print the models of the cache");
  auto* prune = app.add_flag("--prune", arguments.prune,
                             "Show what no model of the cache needs, ask, and remove it");
  app.add_flag("--yes", arguments.yes, "Prune without asking")->needs(prune);
  list->excludes(prune);
}

Status Run(const Arguments& arguments) {
  if (arguments.list || arguments.prune) {
    if (!arguments.model.empty()) {
      return UsageError(Location::Flag(arguments.list ? "--list" : "--prune"),
                        "works on the whole cache, expected no model");
    }
    if (arguments.prune) {
      return tools::Prune(arguments.yes ? tools::Consent::kGiven : tools::Consent::kAsk);
    }
    tools::PrintText(stages::CacheTable());
    return Status::Ok();
  }
  if (arguments.model.empty()) {
    return UsageError(Location::Flag("MODEL"), "expected a model to fetch",
                      {"give e.g. org/name, or see 'qeff-fetch --help'"});
  }
  if (arguments.dry_run) {
    QEFF_ASSIGN_OR_RETURN(const std::string table,
                          stages::DryRun(arguments.model, arguments.options));
    tools::PrintResult(table);
    return Status::Ok();
  }
  QEFF_ASSIGN_OR_RETURN(const std::filesystem::path folder,
                        stages::FetchFromHub(arguments.model, arguments.options));
  tools::PrintResult(folder.string());
  return Status::Ok();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  const tools::ToolInfo info{
      .name = "qeff-fetch",
      .description =
          "Fetches a model into the Hugging Face cache, checks it and prints its folder.",
      .examples =
          "qeff-fetch org/name                        # what running it needs; nothing twice\n"
          "qeff-fetch org/name@v1.1 --verify          # another revision; hashes everything again\n"
          "qeff-fetch org/name --dry-run              # what would be fetched, with sizes\n"
          "qeff-fetch org/name --include '*Q4_K_M*'   # files of your choice\n"
          "qeff-fetch org/name --local-dir ./model    # into a folder of yours\n"
          "HF_ENDPOINT=https://mirror.example qeff-fetch org/name\n"
          "qeff-fetch ./my-model                      # a folder: only checked\n"
          "qeff-fetch --list                          # what the cache holds"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        AddOptions(app, arguments);
        app.parse_complete_callback(
            [&] { arguments.options.show_progress = app.get_option("--quiet")->count() == 0; });
      },
      [&]() { return Run(arguments); });
}
