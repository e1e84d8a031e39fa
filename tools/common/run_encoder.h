// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What qeff-run and qeff-infer do with embedding models, rerankers and classifiers.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "lib/support/status.h"

namespace qeff::tools {

struct EncoderArguments {
  std::vector<std::string> embed;     ///< one empty text: read --input
  std::vector<std::string> classify;  ///< likewise
  std::string query;                  ///< of --rerank
  std::string documents;
  std::string input = "-";
  std::string field;
  std::string prompt_name;
  bool is_lossy = false;
  bool refuses_long = false;
  std::string output;
  bool resumes = false;
  bool is_table = false;
  bool shows_similarity = false;
  std::string search;
};

/// Adds the options in groups of their own.
void AddEncoderOptions(CLI::App& app, EncoderArguments& arguments);

/// True if --embed, --classify or --rerank was given.
bool WantsEncoder(const CLI::App& app);

/// Errors: kUsage if options for embeddings and for generated text are mixed.
Status CheckEncoderOptions(const CLI::App& app);

/// Runs what the arguments ask for: results to stdout or --output, statistics to stderr.
/// `neighbors`: of --search. Errors: kUsage for options that do not go together; those of
/// stages::EncoderModel.
Status RunEncoder(const CLI::App& app, const std::filesystem::path& qpc,
                  const EncoderArguments& arguments, const BackendOpenOptions& options,
                  int64_t neighbors);

}  // namespace qeff::tools
