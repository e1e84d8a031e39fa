// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// `qeff-inspect DIR --encode TEXT` and the like: what a tokenizer makes of texts and of ids.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lib/support/status.h"

namespace qeff::inspect {

struct TokenizeOptions {
  // One of these four is there.
  std::optional<std::string> text;
  std::optional<std::string> text_file;  ///< "-" is standard input
  std::optional<std::string> ids;
  std::optional<std::string> ids_file;

  std::optional<std::string> second_text;  ///< makes a pair of `text`
  bool adds_special = true;                ///< when decoding: keeps them in the text
  bool parses_special = false;
  bool cuts_and_pads = false;  ///< as "truncation" and "padding" of the file say
  bool prints_json = false;    ///< ids with tokens, type ids and mask

  bool is_asked_for() const {
    return text.has_value() || text_file.has_value() || ids.has_value() || ids_file.has_value();
  }
};

/// Prints ids for texts, or texts for ids, one line for each. Errors: those of the tokenizer;
/// kInvalidInput for a line that is no JSON of the expected form; kUsage for ids that are none.
Status Tokenize(const std::filesystem::path& path, const TokenizeOptions& options);

}  // namespace qeff::inspect
