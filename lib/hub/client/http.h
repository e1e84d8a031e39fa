// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// One HTTP request, and what its failure means: try again, or tell the user. The only folder that
// includes libcurl.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/hub/client/settings.h"
#include "lib/support/status.h"

namespace qeff::hub {

/// Header lines of one response; names in lower case.
using Headers = std::map<std::string, std::string, std::less<>>;

/// Adds one line as libcurl hands it over; a status line starts anew. Lines beyond 256 or of more
/// than 16 KiB are left out.
void AddHeaderLine(std::string_view line, Headers& headers);

/// Returns the value of a header, "" if it is not there.
std::string_view HeaderValue(const Headers& headers, std::string_view name);

/// A libcurl handle with what every request of ours has in common: no redirect is followed by
/// itself, http and https only, certificates are checked, the token goes to its own origin only.
class Request {
 public:
  Request();
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  /// Prepares for `url`. `range` is e.g. "0-99", empty: everything. `stall_seconds` is how long
  /// nothing may come. Clears what the request was before; the connection stays.
  void Prepare(const HubSettings& settings, const std::string& url, const std::string& range,
               long stall_seconds);
  CURL* easy() const { return easy_; }
  const char* error_text() const { return error_text_; }
  long status() const;
  /// The target of a redirect as an absolute URL; "" if there is none.
  std::string RedirectTarget() const;

 private:
  CURL* easy_;
  curl_slist* lines_ = nullptr;
  char error_text_[CURL_ERROR_SIZE] = "";
};

/// Why an attempt did not succeed.
struct Failure {
  bool may_pass = false;    ///< worth another attempt
  bool no_contact = false;  ///< no answer of the hub at all, or one that it is not well
  std::optional<std::chrono::seconds> wait;  ///< what the server asks for (Retry-After)
  Status status = Status::Ok();
};

/// What is asked for, for messages.
struct Subject {
  std::string repo;      ///< "org/name"
  std::string revision;  ///< branch, tag or commit
  std::string file;      ///< empty: the repository
};

/// The failure of a transfer that ended with `code`; `url` is shown without query and password.
Failure ExplainCurl(CURLcode code, const Request& request, const std::string& url,
                    const HubSettings& settings);
/// The failure of a response with a status of 400 and more, by the hub's headers.
Failure ExplainStatus(long status, const Headers& headers, const std::string& url,
                      const Subject& subject, const HubSettings& settings);

/// Returns `url` without query, fragment and user, which may be secrets.
std::string PublicUrl(const std::string& url);

/// Checks the target of a redirect. Errors: kIo if it is not http or https, or leaves https.
Status CheckRedirect(const std::string& from, const std::string& to);

/// Percent-encodes `text` but for letters, digits, "-._~" and the characters in `keep`.
std::string UrlEncode(std::string_view text, std::string_view keep = "");

/// How long to wait before an attempt: doubling from half a second to a minute, a random half of it
/// taken off so that many clients do not come back together.
std::chrono::milliseconds BackoffTime(int failures);

struct Response {
  long status = 0;
  Headers headers;
  std::string body;
  std::string url;  ///< after redirects
};

/// Returns the answer to a GET for something small, redirects followed. Tries again, up to
/// `attempts` times, what may pass. Errors: as ExplainCurl and ExplainStatus; kIo for more than
/// `limit_bytes`, for too many redirects. `no_contact`, if it is not null, says whether the hub
/// could not be reached.
Result<Response> Get(const HubSettings& settings, const std::string& url, const Subject& subject,
                     size_t limit_bytes, int attempts, bool* no_contact = nullptr);

}  // namespace qeff::hub
