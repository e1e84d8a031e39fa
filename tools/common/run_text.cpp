// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <utility>

#include "lib/support/atomic_file.h"
#include "lib/support/file.h"
#include "lib/support/log.h"
#include "tools/common/options.h"
#include "tools/common/profile_report.h"
#include "tools/common/run_tool.h"

namespace qeff::tools {
namespace {

Result<std::vector<int64_t>> ParseIds(std::string_view text) {
  std::vector<int64_t> ids;
  while (true) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view part = text.substr(0, comma);
    int64_t id = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), id);
    if (error != std::errc() || end != part.data() + part.size() || id < 0) {
      return UsageError(Location::Flag("--input-ids"),
                        fmt::format("expected token ids like 5,17,9, got '{}'", part));
    }
    ids.push_back(id);
    if (comma == text.size()) return ids;
    text.remove_prefix(comma + 1);
  }
}

/// One prompt a line; white space around it is dropped, blank lines too.
Result<std::vector<stages::TextPrompt>> ReadPromptsFile(const std::string& path) {
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  std::vector<stages::TextPrompt> prompts;
  size_t start = 0;
  for (int64_t line_number = 1; start < text.size(); ++line_number) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view line = std::string_view(text).substr(start, end - start);
    const size_t first = line.find_first_not_of(" \t\r");
    if (first != std::string_view::npos) {
      const std::string_view prompt =
          line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
      prompts.push_back({std::string(prompt),
                         Location::Line(path, line_number, static_cast<int64_t>(first) + 1)});
    }
    start = end + 1;
  }
  if (prompts.empty())
    return InvalidInput(Location::File(path), "no prompt in the file: expected one a line");
  return prompts;
}

/// Standard input up to its end, without its last line end.
Result<stages::TextPrompt> ReadPipedPrompt() {
  if (::isatty(STDIN_FILENO) == 1) {
    return UsageError(
        Location::Flag("--prompt"), "no prompt given",
        {"use --prompt TEXT, --prompts-file FILE, --input-ids 5,17,9, or pipe text in"});
  }
  QEFF_ASSIGN_OR_RETURN(std::string text, ReadStandardInput());
  if (text.ends_with('\n')) text.pop_back();
  return stages::TextPrompt{std::move(text), Location::File("standard input")};
}

Result<stages::TextRequest> MakeRequest(const CLI::App& app, const std::filesystem::path& qpc,
                                        const RunArguments& arguments) {
  stages::TextRequest request = MakeTextRequest(app, arguments);
  if (arguments.chat) return request;
  if (!arguments.messages_file.empty()) {
    QEFF_ASSIGN_OR_RETURN(std::string prompt, RenderMessages(qpc, arguments));
    request.prompts = {{std::move(prompt), Location::File(arguments.messages_file)}};
    request.prompts_are_rendered = true;
    return request;
  }
  for (const std::string& text : arguments.prompts) {
    request.prompts.push_back({text, Location::Flag("--prompt")});
  }
  if (!arguments.prompts_file.empty()) {
    QEFF_ASSIGN_OR_RETURN(const std::vector<stages::TextPrompt> prompts,
                          ReadPromptsFile(arguments.prompts_file));
    request.prompts.insert(request.prompts.end(), prompts.begin(), prompts.end());
  }
  for (const std::string& text : arguments.input_ids) {
    QEFF_ASSIGN_OR_RETURN(std::vector<int64_t> ids, ParseIds(text));
    request.prompts.push_back({std::move(ids), Location::Flag("--input-ids")});
  }
  if (request.prompts.empty()) {
    QEFF_ASSIGN_OR_RETURN(stages::TextPrompt prompt, ReadPipedPrompt());
    request.prompts.push_back(std::move(prompt));
  }
  return request;
}

/// What is printed before the text of a prompt: what the user wrote, neither ids nor a template's
/// text.
std::string ShownPrompt(const stages::TextRequest& request, size_t index) {
  const auto* text = std::get_if<std::string>(&request.prompts[index].content);
  return text == nullptr || request.prompts_are_rendered ? "" : *text;
}

/// Options about a chat template say nothing without one.
Status CheckTemplateOptions(const CLI::App& app, const RunArguments& arguments) {
  if (arguments.chat || !arguments.messages_file.empty()) return Status::Ok();
  for (const char* flag : {"--system", "--template-name", "--template-arg"}) {
    if (app.count(flag) > 0) {
      return UsageError(Location::Flag(flag), "expected --chat or --messages with it");
    }
  }
  return Status::Ok();
}

/// `profile` is null if none is wanted; else a program has been opened with it.
Status CheckProfile(const RunProfile* profile, const std::filesystem::path& qpc) {
  if (profile == nullptr || !profile->specializations().empty()) return Status::Ok();
  return Unsupported(Location::Flag("--profile"),
                     fmt::format("the backend of '{}' records no steps", qpc.string()),
                     {"programs compiled with --backend cpu do"});
}

Status ShowProfile(RunProfile* wanted, const RunArguments& arguments) {
  if (wanted == nullptr) return Status::Ok();
  RunProfile& profile = *wanted;
  profile.Stop();
  QEFF_ASSIGN_OR_RETURN(const std::vector<ProfileLine> lines,
                        SummarizeProfile(profile, arguments.isa));
  std::fputs(ProfileTable(lines).c_str(), stderr);
  if (profile.dropped_runs() > 0) {
    LogWarning("{} later runs are not in the profile: it holds {} events", profile.dropped_runs(),
               RunProfile::kMostEvents);
  }
  return arguments.trace.empty() ? Status::Ok() : WriteTrace(arguments.trace, profile, lines);
}

}  // namespace

stages::TextRequest MakeTextRequest(const CLI::App& app, const RunArguments& arguments) {
  stages::TextRequest request{.prompts = {},
                              .sampling = {.settings = {}, .seed = arguments.seed},
                              .max_new_tokens = {},
                              .stop_strings = arguments.stop_strings,
                              .ignore_eos = arguments.ignore_eos,
                              .parse_special = arguments.parse_special,
                              .show_special = arguments.show_special,
                              .dump_logits = arguments.dump_logits};
  SamplingSettings& settings = request.sampling.settings;
  if (app.count("--temperature") > 0) settings.temperature = arguments.temperature;
  if (app.count("--top-k") > 0) settings.top_k = arguments.top_k;
  if (app.count("--top-p") > 0) settings.top_p = arguments.top_p;
  if (app.count("--min-p") > 0) settings.min_p = arguments.min_p;
  if (app.count("--repetition-penalty") > 0)
    settings.repetition_penalty = arguments.repetition_penalty;
  if (app.count("--max-new-tokens") > 0) request.max_new_tokens = arguments.max_new_tokens;
  return request;
}

void PrintStatistics(const GenerationMetrics& m) {
  LogInfo(
      "prefill {:.3f} s ({} tokens, {:.1f} tok/s), decode {:.1f} tok/s ({} tokens), total {:.3f} s",
      m.prefill_s, m.prefill_tokens, m.prefill_tok_s, m.decode_tok_s, m.decode_tokens, m.total_s);
}

void AddRunOptions(CLI::App& app, RunArguments& arguments) {
  AddEncoderOptions(app, arguments.encoder);
  const std::string prompts = "Prompts";
  CLI::Option* raw[] = {
      app.add_option("--prompt", arguments.prompts, "Text to continue; may be given several times")
          ->allow_extra_args(false),  // else '[INST] ... [/INST]' would be read as a list
      app.add_option("--prompts-file", arguments.prompts_file, "File with one prompt a line"),
      app.add_option("--input-ids", arguments.input_ids,
                     "Token ids to continue, e.g. 5,17,9; may be given several times")};
  for (CLI::Option* option : raw) option->group(prompts);
  app.add_flag("--parse-special", arguments.parse_special,
               "Special tokens typed in a prompt become their ids")
      ->group(prompts);

  const std::string chat = "Chat (by the model's chat template)";
  CLI::Option* conversation =
      app.add_flag("--chat", arguments.chat,
                   "Talk with the model: a line of standard input is a turn, until it ends");
  CLI::Option* messages =
      app.add_option("--messages", arguments.messages_file,
                     "Answer the messages of this JSON file: a list of {\"role\", \"content\"}, or "
                     "{\"messages\", \"tools\", ...}");
  conversation->group(chat)->excludes(messages);
  messages->group(chat);
  for (CLI::Option* option : raw) {
    option->excludes(conversation);
    option->excludes(messages);
  }
  app.add_option("--system", arguments.system, "Begin with this system message")->group(chat);
  AddTemplateOptions(app, chat, arguments.chat_template);

  const std::string sampling = "Sampling (default: what generation_config.json says, else greedy)";
  app.add_option("--temperature", arguments.temperature, "0: greedy")->group(sampling);
  app.add_option("--top-k", arguments.top_k, "Draw from the k most likely tokens; 0: all")
      ->group(sampling);
  app.add_option("--top-p", arguments.top_p, "Draw from the most likely tokens that sum to p")
      ->group(sampling);
  app.add_option("--min-p", arguments.min_p, "Drop tokens less likely than p times the likeliest")
      ->group(sampling);
  app.add_option("--repetition-penalty", arguments.repetition_penalty,
                 "Over 1: tokens that were there become less likely")
      ->group(sampling);
  app.add_option("--seed", arguments.seed, "Equal seeds give equal text")
      ->capture_default_str()
      ->group(sampling);

  const std::string output = "Output";
  app.add_option("--max-new-tokens", arguments.max_new_tokens,
                 "Default: as many as the context holds")
      ->check(CLI::Range(1, 1 << 30))
      ->group(output);
  app.add_option("--stop", arguments.stop_strings,
                 "Stop before this text; may be given several times")
      ->group(output);
  app.add_flag("--ignore-eos", arguments.ignore_eos,
               "Go on after an end-of-text token (for benchmarks)")
      ->group(output);
  app.add_flag("--show-special", arguments.show_special, "Print special tokens too")->group(output);
  app.add_flag("--json", arguments.json, "Print ids, text, stop reasons and metrics as JSON")
      ->excludes(conversation)
      ->group(output);
  app.add_option("--dump-logits", arguments.dump_logits,
                 "Write the logits of each chosen token to this safetensors file")
      ->excludes(conversation)
      ->group(output);
  app.add_option(
         "--profile", arguments.trace,
         "Show the time, work and share of the machine's limit of each kind of step; with a "
         "file, also write every step as a trace for Perfetto")
      ->type_name("[FILE]")
      ->expected(0, 1)
      ->excludes(conversation)
      ->group(output);
  app.add_option("--card-plugin", arguments.card_plugin,
                 "Library that reaches the card (default: libqeff_aic_session.so of this "
                 "installation)")
      ->type_name("FILE")
      ->group("Card options");
  app.add_option(
         "--num-threads", arguments.num_threads,
         "Threads to use (default: as compiled, fewer while other programs keep processors busy)")
      ->check(CLI::Range(1, 1024))
      ->group(output);
  app.add_option("--isa", arguments.isa,
                 "Instruction set of the CPU's kernels: scalar, avx2, avx512, avx512_vnni, "
                 "avx512_bf16, amx; on arm64 scalar, neon, neon_dotprod, neon_bf16 "
                 "(default: the best one of this machine)")
      ->check(NotEmpty())
      ->group(output);
}

void AddCardRunOptions(CLI::App& app, RunArguments& arguments) {
  app.add_option_function<std::string>(
         "--devices,--device-group,--device_group",
         [&arguments](const std::string& text) { arguments.devices = ParseDevices(text); },
         "Ids of the devices that a card's program runs on, e.g. 0,1 (default: from 0 on)")
      ->type_name("IDS")
      ->group("Card options");
}

Status RunText(const CLI::App& app, const std::filesystem::path& qpc,
               const RunArguments& arguments) {
  QEFF_RETURN_IF_ERROR(CheckEncoderOptions(app));
  const std::shared_ptr<RunProfile> profile =
      app.count("--profile") > 0 ? std::make_shared<RunProfile>() : nullptr;
  if (profile != nullptr) profile->Start();
  // Found afterwards, what a long run made would be lost.
  for (const std::string& path : {arguments.trace, arguments.dump_logits}) {
    if (!path.empty()) QEFF_RETURN_IF_ERROR(CheckWritable(path));
  }
  const BackendOpenOptions open_options = {.num_threads = arguments.num_threads,
                                           .isa = arguments.isa,
                                           .devices = arguments.devices,
                                           .card_plugin = arguments.card_plugin,
                                           .profile = profile};
  if (WantsEncoder(app)) {
    const auto top_k = app.count("--top-k") > 0 ? std::optional(arguments.top_k) : std::nullopt;
    QEFF_RETURN_IF_ERROR(RunEncoder(app, qpc, arguments.encoder, open_options, top_k));
    QEFF_RETURN_IF_ERROR(CheckProfile(profile.get(), qpc));
    return ShowProfile(profile.get(), arguments);
  }
  QEFF_RETURN_IF_ERROR(CheckTemplateOptions(app, arguments));
  QEFF_ASSIGN_OR_RETURN(const stages::TextRequest request, MakeRequest(app, qpc, arguments));
  QEFF_ASSIGN_OR_RETURN(stages::TextModel model, stages::TextModel::Open(qpc, open_options));
  QEFF_RETURN_IF_ERROR(CheckProfile(profile.get(), qpc));
  if (arguments.chat) return RunChat(request, qpc, arguments, model);
  // One prompt streams as it comes. Several would mix: each is printed whole, in order.
  const bool stream = !arguments.json && request.prompts.size() == 1;
  // Not before the first token: a prompt that is refused leaves stdout empty.
  std::string unwritten = ShownPrompt(request, 0);
  bool has_written = false;
  const auto on_token = [&](const TokenEvent& event) {
    if (stream) PrintText(std::exchange(unwritten, "") + std::string(event.text));
    has_written = true;
    return Status::Ok();
  };
  Result<stages::TextResult> result = model.Run(request, on_token);
  if (stream && (result.ok() || has_written)) PrintText(unwritten + "\n");
  if (!result.ok()) return std::move(result).status();
  if (!result->sampling_note.empty()) LogInfoText(result->sampling_note);
  if (arguments.json) {
    PrintText(DumpPretty(result->ToJson()));
  } else if (!stream) {
    for (size_t i = 0; i < result->generation.outputs.size(); ++i) {
      PrintText(fmt::format("{}{}\n", ShownPrompt(request, i), result->generation.outputs[i].text));
      if (i + 1 < result->generation.outputs.size()) PrintText("--------------------\n");
    }
  }
  PrintStatistics(result->generation.metrics);
  return ShowProfile(profile.get(), arguments);
}

}  // namespace qeff::tools
