// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/metaspace.h"

#include "lib/tokenizer/config_node.h"

namespace qeff {

Result<MetaspaceOptions> MetaspaceOptionsFromConfig(const ConfigNode& node) {
  MetaspaceOptions options;
  QEFF_ASSIGN_OR_RETURN(options.replacement,
                        node.Member("replacement").CharacterOr(options.replacement));
  QEFF_ASSIGN_OR_RETURN(options.splits, node.Member("split").BooleanOr(true));
  QEFF_ASSIGN_OR_RETURN(const bool adds_prefix, node.Member("add_prefix_space").BooleanOr(true));
  const ConfigNode scheme_node = node.Member("prepend_scheme");
  QEFF_ASSIGN_OR_RETURN(const std::string scheme,
                        scheme_node.StringOr(adds_prefix ? "always" : "never"));
  if (scheme == "always") {
    options.prepend = PrependScheme::kAlways;
  } else if (scheme == "first") {
    options.prepend = PrependScheme::kFirst;
  } else if (scheme == "never") {
    options.prepend = PrependScheme::kNever;
  } else {
    return scheme_node.Expected("always, first or never");
  }
  if (!adds_prefix && options.prepend != PrependScheme::kNever) {
    return scheme_node.Expected("never, as 'add_prefix_space' is false");
  }
  return options;
}

}  // namespace qeff
