// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/settings.h"

#include <curl/curl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "lib/hub/cache.h"
#include "lib/support/file.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxTokenBytes = 4096;
constexpr long kMaxTimeoutSeconds = 86400;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// As huggingface_hub reads switches.
bool IsOn(const char* name) {
  std::string value = Environment(name);
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

Status ReadSeconds(const char* name, long& seconds) {
  const std::string text = Environment(name);
  if (text.empty()) return Status::Ok();
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 ||
      value > kMaxTimeoutSeconds) {
    return UsageError(Location::Flag(name),
                      fmt::format("expected seconds, 0 to {}, got '{}'", kMaxTimeoutSeconds, text));
  }
  if (value > 0) seconds = value;  // 0 means the default there
  return Status::Ok();
}

std::string Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == text.npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

/// A token goes into a header: anything but visible ASCII could become a header of its own.
Status CheckToken(const HubSettings& settings) {
  const bool visible = std::all_of(settings.token.begin(), settings.token.end(),
                                   [](char c) { return c > ' ' && c < 0x7f; });
  if (visible) return Status::Ok();
  return UsageError(Location::Flag(settings.token_source),
                    "the token has characters that no token has",
                    {"make a new one in the settings of your account, or unset it"});
}

Status ReadToken(HubSettings& settings) {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    settings.token = Trimmed(Environment(name));
    settings.token_source = name;
    if (!settings.token.empty()) return CheckToken(settings);
  }
  fs::path path = Environment("HF_TOKEN_PATH");
  if (path.empty()) {
    const fs::path home = HomeFolderFromEnvironment();
    if (home.empty()) return Status::Ok();
    path = home / "token";
  }
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kMaxTokenBytes));
  settings.token = Trimmed(text);
  settings.token_source = path.string();
  struct stat info {};
  constexpr unsigned kOthers = 077;
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & kOthers) != 0) {
    settings.warnings.push_back(
        fmt::format("others may read the token file: run 'chmod 600 {}'", path.string()));
  }
  return CheckToken(settings);
}

}  // namespace

std::string Origin(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  if (parsed == nullptr || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    return "";
  }
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    std::string value;
    if (curl_url_get(parsed.get(), which, &text, CURLU_DEFAULT_PORT) == CURLUE_OK) value = text;
    curl_free(text);
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return value;
  };
  const std::string scheme = part(CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return "";
  return fmt::format("{}://{}:{}", scheme, part(CURLUPART_HOST), part(CURLUPART_PORT));
}

Result<HubSettings> SettingsFromEnvironment() {
  HubSettings settings;
  if (std::string endpoint = Environment("HF_ENDPOINT"); !endpoint.empty()) {
    while (endpoint.ends_with('/')) endpoint.pop_back();
    if (Origin(endpoint).empty()) {
      return UsageError(Location::Flag("HF_ENDPOINT"),
                        fmt::format("expected an http:// or https:// URL, got '{}'", endpoint));
    }
    settings.endpoint = endpoint;
  }
  settings.token_origin = Origin(settings.endpoint);
  settings.offline = IsOn("HF_HUB_OFFLINE") || IsOn("TRANSFORMERS_OFFLINE");
  settings.use_links = !IsOn("HF_HUB_DISABLE_SYMLINKS");
  settings.show_progress = !IsOn("HF_HUB_DISABLE_PROGRESS_BARS");
  QEFF_RETURN_IF_ERROR(ReadSeconds("HF_HUB_ETAG_TIMEOUT", settings.metadata_timeout_seconds));
  QEFF_RETURN_IF_ERROR(ReadSeconds("HF_HUB_DOWNLOAD_TIMEOUT", settings.download_timeout_seconds));
  for (const char* name : {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}) {
    settings.ca_file = Environment(name);
    if (!settings.ca_file.empty()) break;
  }
  settings.ca_folder = Environment("SSL_CERT_DIR");
  if (!IsOn("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
    QEFF_RETURN_IF_ERROR(ReadToken(settings));
  }
  return settings;
}

}  // namespace qeff::hub
