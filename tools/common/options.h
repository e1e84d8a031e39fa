// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The command-line options of the stages. A stage's own program and qeff-infer, which runs them
// all, take the same ones from here.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/chat_template/template_files.h"
#include "stages/stages.h"
#include "stages/text.h"
#include "tools/common/run_encoder.h"

namespace qeff::tools {

void AddTransformOptions(CLI::App& app, stages::TransformOptions& options);

/// Text of options that become enumerations after parsing.
struct ExportArguments {
  std::string dtype = "f32";
  std::string weights = "external";
  bool subfunctions = false;
  std::optional<bool> clip_to_f16;
};
/// `weights_option`: another name where --weights are those of a program.
void AddExportOptions(CLI::App& app, ExportArguments& arguments,
                      const std::string& weights_option = "--weights");
stages::ExportOptions ToExportOptions(const ExportArguments& arguments,
                                      const stages::TransformOptions& transform);

/// Reads "0,1", or "[0,1]" as QEfficient's --device_group has it. Throws CLI::ValidationError for
/// anything else and for a device twice.
std::vector<int> ParseDevices(std::string text);

struct CompileArguments {
  stages::CompileOptions options;
  std::vector<int> devices;      ///< of --devices; empty: not said
  std::optional<int> num_cores;  ///< absent: the backend's default
  std::string weights = "auto";  ///< a name of kWeightStorageNames
  std::string compute = "f32";
  std::vector<std::pair<std::string, int64_t>> dims;
};
void AddCompileOptions(CLI::App& app, CompileArguments& arguments);
stages::CompileOptions ToCompileOptions(const CompileArguments& arguments);

/// What a chat template is told besides the messages.
struct TemplateArguments {
  std::string name;
  std::vector<std::string> arguments;  ///< "name=JSON"
};
void AddTemplateOptions(CLI::App& app, const std::string& group, TemplateArguments& arguments);
/// Puts the arguments into `request`. Errors: kUsage.
Status ApplyTemplateArguments(const TemplateArguments& arguments, ChatRequest& request);

struct RunArguments {
  EncoderArguments encoder;
  std::vector<std::string> prompts;
  std::string prompts_file;
  std::vector<std::string> input_ids;
  bool chat = false;
  std::string messages_file;
  std::string system;
  TemplateArguments chat_template;
  double temperature = 0;
  int64_t top_k = 0;
  double top_p = 0;
  double min_p = 0;
  double repetition_penalty = 0;
  uint64_t seed = 0;
  int64_t max_new_tokens = 0;
  std::vector<std::string> stop_strings;
  std::string dump_logits;
  bool ignore_eos = false;
  bool parse_special = false;
  bool show_special = false;
  bool json = false;
  std::string trace;  ///< of --profile; empty: no file
  int num_threads = 0;
  std::string isa;
  std::vector<int> devices;
  std::string card_plugin;
};
void AddRunOptions(CLI::App& app, RunArguments& arguments);

/// The sampling and output options of `arguments`, without prompts.
stages::TextRequest MakeTextRequest(const CLI::App& app, const RunArguments& arguments);

/// Reads the user's turns from standard input, one a line, and streams the replies to stdout.
/// Errors: kInvalidInput without a chat template; those of TextModel::Run.
Status RunChat(const stages::TextRequest& settings, const std::filesystem::path& qpc,
               const RunArguments& arguments, stages::TextModel& model);

/// Returns the conversation of --messages as a prompt. Errors: as ReadChatRequest, ChatTemplates.
Result<std::string> RenderMessages(const std::filesystem::path& qpc, const RunArguments& arguments);

void PrintStatistics(const GenerationMetrics& metrics);

/// Which card runs the program; apart, because --devices of qeff-infer compiles for them, too.
void AddCardRunOptions(CLI::App& app, RunArguments& arguments);

/// Generates text as the run arguments say: streams it to stdout (or prints JSON) and the
/// statistics to stderr. With no prompt on the command line, standard input is the prompt. With
/// --embed, --classify or --rerank it is RunEncoder instead.
Status RunText(const CLI::App& app, const std::filesystem::path& qpc,
               const RunArguments& arguments);

}  // namespace qeff::tools
