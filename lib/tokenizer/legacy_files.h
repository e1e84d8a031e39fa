// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Tokenizers of folders without tokenizer.json: tokenizer.model (SentencePiece or tiktoken),
// vocab.json with merges.txt, vocab.txt, *.tiktoken. They become what tokenizer.json would hold, as
// transformers converts its slow tokenizers; the class that tokenizer_config.json names, or the
// model_type of config.json, tells which rules belong to the files.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "lib/support/status.h"
#include "lib/tokenizer/config_node.h"

namespace qeff {

struct LegacyTokenizer {
  ConfigDocument file;  ///< in the form of tokenizer.json
  /// "bos_token" -> "<s>", ...: what the class, or the model, gives to roles that no file names.
  std::vector<std::pair<std::string, std::string>> roles;
};

/// Errors: kIo if there is no such file; kInvalidInput with the place in the file; kUnsupported for
/// a class whose rules are not implemented.
Result<LegacyTokenizer> ReadLegacyTokenizer(const std::filesystem::path& folder);

}  // namespace qeff
