// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/run_tool.h"
#include "tools/inspect/readers.h"
#include "tools/inspect/tokenize.h"

namespace {

using namespace qeff;

struct Arguments {
  std::string path;
  bool json = false;
  bool dot = false;
  bool verify = false;
  bool all = false;
  bool device = false;
  inspect::DeviceRequest machine;
  inspect::ReadOptions read;
  inspect::TokenizeOptions tokenize;
  inspect::TemplateRequest chat_template;
};

void AddTokenizeOptions(CLI::App& app, inspect::TokenizeOptions& options) {
  CLI::Option* all[] = {
      app.add_option("--encode", options.text, "Print the ids that the tokenizer makes of TEXT")
          ->type_name("TEXT"),
      app.add_option("--encode-file", options.text_file,
                     "A JSON string, or a list of two for a pair, a line in ('-': standard input); "
                     "a list of ids a line out")
          ->type_name("FILE"),
      app.add_option("--decode", options.ids, "Print the text of ids like 1,2,3")->type_name("IDS"),
      app.add_option("--decode-file", options.ids_file,
                     "A JSON list of ids a line in; a JSON string a line out")
          ->type_name("FILE")};
  for (CLI::Option* one : all) {
    for (CLI::Option* other : all) {
      if (one != other) one->excludes(other);
    }
  }
  app.add_option("--pair", options.second_text, "The second text of a pair")
      ->type_name("TEXT")
      ->needs(all[0]);
  app.add_flag(
      "--add-special,!--no-special", options.adds_special,
      "Put the model's special tokens around texts and keep them in decoded ones (default)");
  app.add_flag("--parse-special", options.parses_special,
               "Take special tokens that stand in a text as tokens");
  app.add_flag("--cut-and-pad", options.cuts_and_pads,
               "Apply \"truncation\" and \"padding\" of tokenizer.json");
}

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
  if (arguments.device) {
    const inspect::DeviceReport device = inspect::ReadDevice(arguments.machine);
    tools::PrintText(arguments.json ? PrintJson(device.report)
                                    : PrintText(device.report, {.row_limit = 0}));
    if (device.failed_checks == 0) return Status::Ok();
    return Error(ErrorCode::kBackend, Location::Flag("--device"),
                 fmt::format("{} of the checks failed", device.failed_checks));
  }
  if (arguments.path.empty()) {
    return UsageError(Location::Flag("path"), "expected a folder or file, got none",
                      {"or --device, for the card of this machine"});
  }
  if (arguments.tokenize.is_asked_for()) {
    inspect::TokenizeOptions options = arguments.tokenize;
    options.prints_json = arguments.json;
    return inspect::Tokenize(arguments.path, options);
  }
  if (!arguments.chat_template.messages_file.empty()) {
    QEFF_ASSIGN_OR_RETURN(const std::string text,
                          inspect::ApplyTemplate(arguments.path, arguments.chat_template));
    tools::PrintText(text);
    return Status::Ok();
  }
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

void AddTemplateOptions(CLI::App& app, inspect::TemplateRequest& request, CLI::Option* json) {
  const std::string group = "Chat template";
  CLI::Option* apply =
      app.add_option("--apply-template", request.messages_file,
                     "Print the text that the chat template makes of this JSON file: a list of "
                     "messages, or {\"messages\", \"tools\", \"documents\", ...}");
  apply->excludes(json)->group(group);
  app.add_flag_function(
         "--add-generation-prompt,!--no-add-generation-prompt",
         [&request](std::int64_t count) { request.add_generation_prompt = count > 0; },
         "End with what comes before the model's answer (default: as the file says, else no)")
      ->needs(apply)
      ->group(group);
  tools::AddTemplateOptions(app, group, request.arguments);
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
          "qeff-inspect graph --dot | dot -Tsvg > graph.svg\n"
          "qeff-inspect ./my-model --encode 'Hello, world!' --json\n"
          "qeff-inspect ./my-model --decode 15496,11,995\n"
          "qeff-inspect --device                    # is there a card, can it be used?\n"
          "qeff-inspect ./my-model --apply-template messages.json --add-generation-prompt"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        CLI::Option* path = app.add_option("path", arguments.path, "Folder or file");
        CLI::Option* device = app.add_flag("--device", arguments.device,
                                           "What this machine has of a Cloud AI card, its driver "
                                           "and its software");
        device->excludes(path);
        app.add_option("--sdk", arguments.machine.sdk, "Folder of the vendor's SDK")
            ->needs(device)
            ->capture_default_str();
        app.add_option("--system-root", arguments.machine.system_root,
                       "Folder that holds sys and dev of the machine with the card")
            ->needs(device)
            ->capture_default_str();
        app.add_option("--card-plugin", arguments.machine.plugin,
                       "Library that reaches the card (default: libqeff_aic_session.so of this "
                       "installation)")
            ->needs(device);
        CLI::Option* json = app.add_flag("--json", arguments.json, "Print one JSON object");
        app.add_flag("--dot", arguments.dot, "Print the graph in Graphviz's language")
            ->excludes(json);
        AddTemplateOptions(app, arguments.chat_template, json);
        app.add_flag("--verify", arguments.verify, "Hash every file and compare");
        app.add_flag("--tensors", arguments.read.list_tensors, "List every weight");
        app.add_flag("--all", arguments.all, "Do not cut long tables");
        AddTokenizeOptions(app, arguments.tokenize);
      },
      [&] { return Run(arguments); });
}
