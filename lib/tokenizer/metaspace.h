// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The options that Metaspace has as a pre-tokenizer and as a decoder.
#pragma once

#include <string>

#include "lib/support/status.h"

namespace qeff {

class ConfigNode;

/// Which pieces get the replacement character before them.
enum class PrependScheme { kAlways, kFirst, kNever };

struct MetaspaceOptions {
  std::string replacement = "\xE2\x96\x81";  ///< one character that stands for a blank (U+2581)
  PrependScheme prepend = PrependScheme::kAlways;
  bool splits = true;  ///< a new piece starts at each replacement character
};

/// Reads the members of today's files, and "add_prefix_space" of older ones. Errors: kInvalidInput.
Result<MetaspaceOptions> MetaspaceOptionsFromConfig(const ConfigNode& node);

}  // namespace qeff
