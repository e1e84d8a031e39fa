// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <span>

#include "tools/common/run_encoder.h"

namespace qeff::tools {

void AddEncoderOptions(CLI::App& app, EncoderArguments& arguments) {
  const std::string group = "Embeddings, classes, ranking";
  const auto texts = [&](const std::string& name, std::vector<std::string>& values,
                         const std::string& help) {
    return app.add_option(name, values, help)
        ->expected(0, 1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->allow_extra_args(false)  // else '[MASK]' would be read as a list
        ->type_name("[TEXT]")
        ->group(group);
  };
  CLI::Option* embed =
      texts("--embed", arguments.embed,
            "Embed this text; may be given several times; without a text: --input");
  CLI::Option* classify =
      texts("--classify", arguments.classify,
            "Classify this text, or its tokens if the model labels tokens; likewise")
          ->excludes(embed);
  app.add_option("--aggregation", arguments.aggregation,
                 "Entities of --classify: none (each token that is not 'O') or simple (neighbours "
                 "with the same label)")
      ->check(CLI::IsMember({"none", "simple"}))
      ->capture_default_str()
      ->group(group);
  CLI::Option* fill_mask =
      texts("--fill-mask", arguments.fill_mask,
            "The --top-k likeliest tokens (default: 5) for each mask of this text; likewise")
          ->excludes(embed)
          ->excludes(classify);
  app.add_option("--rerank", arguments.query, "Sort --documents by their fit to this query")
      ->type_name("QUERY")
      ->excludes(embed)
      ->excludes(classify)
      ->excludes(fill_mask)
      ->group(group);
  const auto file = [&](const std::string& name, std::string& value, const std::string& help) {
    app.add_option(name, value, help)->type_name("FILE")->group(group);
  };
  file("--input", arguments.input, "File with one text a line (default: standard input)");
  file("--documents", arguments.documents,
       "File with one document a line, for --rerank, or to show what --search finds");
  app.add_option("--field", arguments.field, "Lines are JSON objects with the text in this member")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--prompt-name", arguments.prompt_name,
                 "Which of the model's prompts stands before each text (default: as the model "
                 "says)")
      ->type_name("NAME")
      ->group(group);
  app.add_flag("--lossy", arguments.is_lossy, "Replace bytes that are not UTF-8 by U+FFFD")
      ->group(group);
  app.add_flag("--no-truncate", arguments.refuses_long, "Refuse texts that are too long")
      ->group(group);
  app.add_option("--output", arguments.output,
                 "Write rows to this file instead of stdout: float32 [texts, size] if its name "
                 "ends in .npy, else JSON lines")
      ->type_name("FILE")
      ->group(group);
  app.add_flag("--resume", arguments.resumes, "Go on with an --output that was interrupted")
      ->group(group);
  app.add_flag("--table", arguments.is_table, "Lines for people instead of JSON")->group(group);
  app.add_flag("--similarity", arguments.shows_similarity,
               "Print how alike the texts are, as a matrix")
      ->group(group);
  file("--search", arguments.search,
       "Find the --top-k rows of this .npy file that are most like each text (default: 10)");
}

Status CheckEncoderOptions(const CLI::App& app) {
  constexpr auto kOfText = std::to_array<const char*>({"--prompt",
                                                       "--prompts-file",
                                                       "--input-ids",
                                                       "--parse-special",
                                                       "--chat",
                                                       "--messages",
                                                       "--system",
                                                       "--template-name",
                                                       "--template-arg",
                                                       "--temperature",
                                                       "--top-p",
                                                       "--min-p",
                                                       "--repetition-penalty",
                                                       "--seed",
                                                       "--max-new-tokens",
                                                       "--stop",
                                                       "--ignore-eos",
                                                       "--show-special",
                                                       "--json",
                                                       "--dump-logits"});
  constexpr auto kOfEncoders = std::to_array<const char*>(
      {"--aggregation", "--input", "--documents", "--field", "--prompt-name", "--lossy",
       "--no-truncate", "--output", "--resume", "--table", "--similarity", "--search"});
  const bool wants_encoder = WantsEncoder(app);
  for (const char* flag : wants_encoder ? std::span<const char* const>(kOfText)
                                        : std::span<const char* const>(kOfEncoders)) {
    if (app.count(flag) == 0) continue;
    return UsageError(Location::Flag(flag),
                      wants_encoder
                          ? "the option is for generated text, not for embeddings and classes"
                          : "expected --embed, --classify, --fill-mask or --rerank with it");
  }
  return Status::Ok();
}

bool WantsEncoder(const CLI::App& app) {
  return app.count("--embed") + app.count("--classify") + app.count("--fill-mask") +
             app.count("--rerank") >
         0;
}

}  // namespace qeff::tools
