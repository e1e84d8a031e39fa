// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What qeff-run and qeff-infer do with embedding models, rerankers and classifiers.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "lib/support/status.h"

namespace qeff::tools {

struct EncoderArguments {
  std::vector<std::string> embed;      ///< one empty text: read --input
  std::vector<std::string> classify;   ///< likewise
  std::vector<std::string> fill_mask;  ///< likewise
  std::string aggregation = "none";    ///< of the labels of tokens
  std::string query;                   ///< of --rerank
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

/// True if --embed, --classify, --fill-mask or --rerank was given.
bool WantsEncoder(const CLI::App& app);

/// Errors: kUsage if options for embeddings and for generated text are mixed.
Status CheckEncoderOptions(const CLI::App& app);

/// Runs what the arguments ask for: results to stdout or --output, statistics to stderr.
/// `top_k`: of --search and --fill-mask, if it was given. Errors: kUsage for options that do not go
/// together; those of stages::EncoderModel.
Status RunEncoder(const CLI::App& app, const std::filesystem::path& qpc,
                  const EncoderArguments& arguments, const BackendOpenOptions& options,
                  std::optional<int64_t> top_k);

}  // namespace qeff::tools
