// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Which hub is asked and how: the environment variables of the Hugging Face libraries, and nothing
// else. These are the conventions of another program, not options of ours; the token is a secret
// and for that reason never a flag.
#pragma once

#include <string>
#include <vector>

#include "lib/support/status.h"

namespace qeff::hub {

struct HubSettings {
  std::string endpoint = "https://huggingface.co";  ///< HF_ENDPOINT, without '/' at its end
  std::string token;          ///< of HF_TOKEN or the token file; empty: none. Never printed
  std::string token_source;   ///< for messages: "HF_TOKEN", or the file
  std::string token_origin;   ///< the only scheme://host:port that gets the token
  bool offline = false;       ///< HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE
  bool use_links = true;      ///< not HF_HUB_DISABLE_SYMLINKS
  bool show_progress = true;  ///< not HF_HUB_DISABLE_PROGRESS_BARS
  long metadata_timeout_seconds = 10;  ///< HF_HUB_ETAG_TIMEOUT
  long download_timeout_seconds = 10;  ///< HF_HUB_DOWNLOAD_TIMEOUT: without a byte
  std::string ca_file;                 ///< SSL_CERT_FILE, else REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE
  std::string ca_folder;               ///< SSL_CERT_DIR
  std::vector<std::string> warnings;   ///< for the user, e.g. a token file that others can read
};

/// Reads the environment. Errors: kUsage (a value that cannot be meant, with the variable's name);
/// kIo (a token file that cannot be read).
Result<HubSettings> SettingsFromEnvironment();

/// Returns scheme://host:port in lower case, the port always there; "" if `url` is not http or
/// https.
std::string Origin(const std::string& url);

}  // namespace qeff::hub
