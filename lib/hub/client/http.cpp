// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/http.h"

#include <algorithm>
#include <cstdlib>
#include <random>
#include <thread>

#include "lib/hub/file_list.h"
#include "lib/support/log.h"
#include "lib/support/version.h"

namespace qeff::hub {
namespace {

constexpr size_t kMaxHeaderLines = 256;
constexpr size_t kMaxHeaderBytes = size_t{16} << 10;
constexpr int kMaxRedirects = 10;
constexpr long kReceiveBufferBytes = 512 * 1024;  // the most that libcurl takes

/// libcurl's one-time start, before there are threads.
void StartCurl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  QEFF_CHECK(started == CURLE_OK, "libcurl does not start");
}

bool IsOneOf(CURLcode code, std::initializer_list<CURLcode> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

/// Retry-After as seconds or as a date; else what the hub says of its limits, e.g.
/// `RateLimit: "api";r=0;t=55`.
std::optional<std::chrono::seconds> RetryAfter(const Headers& headers) {
  std::string text(HeaderValue(headers, "retry-after"));
  if (text.empty()) {
    const std::string_view limit = HeaderValue(headers, "ratelimit");
    const size_t left = limit.find(";r=0");
    const size_t reset = limit.find(";t=");
    if (left == limit.npos || reset == limit.npos) return std::nullopt;
    text = limit.substr(reset + 3, limit.find(';', reset + 3) - reset - 3);
  }
  char* end = nullptr;
  const long seconds = std::strtol(text.c_str(), &end, 10);
  constexpr long kMostSeconds = 7 * 86400;
  if (*end == '\0') return std::chrono::seconds(std::clamp(seconds, 0L, kMostSeconds));
  const time_t date = curl_getdate(text.c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::chrono::seconds(
      std::clamp(static_cast<long>(date - ::time(nullptr)), 0L, kMostSeconds));
}

std::string Quoted(const Subject& subject) {
  return subject.file.empty() ? fmt::format("'{}'", subject.repo)
                              : fmt::format("'{}' of '{}'", subject.file, subject.repo);
}

Status NotAllowed(long status, const Headers& headers, const std::string& where,
                  const Subject& subject, const HubSettings& settings) {
  const std::string_view code = HeaderValue(headers, "x-error-code");
  const std::string said = Printable(HeaderValue(headers, "x-error-message"));
  const bool has_token = !settings.token.empty();
  const std::string page = fmt::format("{}/{}", PublicUrl(settings.endpoint), subject.repo);
  const std::string log_in =
      has_token ? fmt::format("the token of {} was sent", settings.token_source)
                : "no token was sent: set HF_TOKEN, or log in with 'hf auth login'";
  const Location at = Location::File(where);
  if (code == "GatedRepo") {
    return IoError(at,
                   fmt::format("access to '{}' must be asked for (HTTP {})", subject.repo, status),
                   0, {fmt::format("accept its conditions at {}", page), log_in});
  }
  if (status == 401 && has_token && said.find("nvalid") != said.npos) {
    return IoError(
        at, "the hub does not accept the token (HTTP 401)", 0,
        {fmt::format("it comes from {}; make a new one at {}/settings/tokens, or unset it",
                     settings.token_source, PublicUrl(settings.endpoint))});
  }
  if (status == 401) {
    return IoError(at,
                   fmt::format("the hub has no '{}', or it is private (HTTP 401)", subject.repo), 0,
                   {"check the spelling", log_in});
  }
  return IoError(
      at,
      fmt::format("the hub refuses {} (HTTP 403){}{}", Quoted(subject), said.empty() ? "" : ": ",
                  said),
      0, {log_in, "the account, or the rights of the token, may not cover this repository"});
}

Status NotFound(const Headers& headers, const std::string& where, const Subject& subject,
                const HubSettings& settings) {
  const std::string_view code = HeaderValue(headers, "x-error-code");
  const Location at = Location::File(where);
  const std::string page = fmt::format("{}/{}", PublicUrl(settings.endpoint), subject.repo);
  if (code == "RevisionNotFound") {
    return IoError(
        at, fmt::format("'{}' has no revision '{}' (HTTP 404)", subject.repo, subject.revision), 0,
        {fmt::format("its branches and tags are listed at {}/tree/main", page)});
  }
  if (code == "EntryNotFound" || !subject.file.empty()) {
    return IoError(at, fmt::format("{} is not there (HTTP 404)", Quoted(subject)), 0,
                   {"it was listed a moment ago: run this again"});
  }
  return IoError(at, fmt::format("the hub has no '{}' (HTTP 404)", subject.repo), 0,
                 {"check the spelling", settings.token.empty()
                                            ? "if it is private, set HF_TOKEN"
                                            : fmt::format("the token of {} was sent; it may not "
                                                          "cover a private repository",
                                                          settings.token_source)});
}

size_t OnHeader(char* data, size_t one, size_t count, void* user) {
  AddHeaderLine(std::string_view(data, one * count), static_cast<Response*>(user)->headers);
  return one * count;
}

struct SmallBody {
  std::string* text;
  size_t limit_bytes;
};

size_t OnSmallBody(char* data, size_t one, size_t count, void* user) {
  auto& body = *static_cast<SmallBody*>(user);
  if (body.text->size() + one * count > body.limit_bytes) return 0;
  body.text->append(data, one * count);
  return one * count;
}

struct Attempt {
  Response response;
  Failure failure;
};

/// One try, redirects followed.
Attempt GetOnce(const HubSettings& settings, Request& request, std::string url,
                const Subject& subject, size_t limit_bytes) {
  Attempt attempt;
  for (int hops = 0; hops <= kMaxRedirects; ++hops) {
    Response& response = attempt.response;
    response = {};
    response.url = url;
    SmallBody body{&response.body, limit_bytes};
    request.Prepare(settings, url, "", settings.metadata_timeout_seconds);
    curl_easy_setopt(request.easy(), CURLOPT_ACCEPT_ENCODING, "");  // listings compress well
    curl_easy_setopt(request.easy(), CURLOPT_HEADERFUNCTION, &OnHeader);
    curl_easy_setopt(request.easy(), CURLOPT_HEADERDATA, &response);
    curl_easy_setopt(request.easy(), CURLOPT_WRITEFUNCTION, &OnSmallBody);
    curl_easy_setopt(request.easy(), CURLOPT_WRITEDATA, &body);
    const CURLcode code = curl_easy_perform(request.easy());
    if (code == CURLE_WRITE_ERROR) {
      attempt.failure.status =
          IoError(Location::File(PublicUrl(url)),
                  fmt::format("expected an answer of at most {} bytes, got more", limit_bytes));
      return attempt;
    }
    if (code != CURLE_OK) {
      attempt.failure = ExplainCurl(code, request, url, settings);
      return attempt;
    }
    response.status = request.status();
    if (response.status >= 400) {
      attempt.failure = ExplainStatus(response.status, response.headers, url, subject, settings);
      return attempt;
    }
    const std::string target = request.RedirectTarget();
    if (response.status < 300 || target.empty()) return attempt;
    attempt.failure.status = CheckRedirect(url, target);
    if (!attempt.failure.status.ok()) return attempt;
    url = target;
  }
  attempt.failure.status =
      IoError(Location::File(PublicUrl(url)), fmt::format("more than {} redirects", kMaxRedirects));
  return attempt;
}

}  // namespace

void AddHeaderLine(std::string_view line, Headers& headers) {
  if (line.starts_with("HTTP/")) {
    headers.clear();
    return;
  }
  const size_t colon = line.find(':');
  if (colon == line.npos || line.size() > kMaxHeaderBytes || headers.size() >= kMaxHeaderLines) {
    return;
  }
  std::string name(line.substr(0, colon));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view value = line.substr(colon + 1);
  constexpr std::string_view kBlank = " \t\r\n";
  value.remove_prefix(std::min(value.find_first_not_of(kBlank), value.size()));
  value = value.substr(0, value.find_last_not_of(kBlank) + 1);
  headers[name] = std::string(value);
}

std::string_view HeaderValue(const Headers& headers, std::string_view name) {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

Request::Request() {
  StartCurl();
  easy_ = curl_easy_init();
  QEFF_CHECK(easy_ != nullptr, "libcurl gives no handle");
}

Request::~Request() {
  curl_easy_cleanup(easy_);
  curl_slist_free_all(lines_);
}

void Request::Prepare(const HubSettings& settings, const std::string& url, const std::string& range,
                      long stall_seconds) {
  curl_easy_reset(easy_);
  curl_slist_free_all(lines_);
  lines_ = nullptr;
  error_text_[0] = '\0';
  const auto set = [this](CURLoption option, auto value) {
    const CURLcode code = curl_easy_setopt(easy_, option, value);
    QEFF_CHECK(code == CURLE_OK, "libcurl option {}: {}", static_cast<int>(option),
               curl_easy_strerror(code));
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, error_text_);
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(CURLOPT_USERAGENT, fmt::format("qeff/{}", Version().substr(0, Version().find(' '))).c_str());
  set(CURLOPT_CONNECTTIMEOUT, settings.metadata_timeout_seconds);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, stall_seconds);
  // Refused by a handle that still has its buffer from a failed attempt: then that one stays.
  curl_easy_setopt(easy_, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  if (!settings.ca_file.empty()) set(CURLOPT_CAINFO, settings.ca_file.c_str());
  if (!settings.ca_folder.empty()) set(CURLOPT_CAPATH, settings.ca_folder.c_str());
  // libcurl knows http_proxy in lower case only; other clients know it in capitals, too.
  const char* capitals = std::getenv("HTTP_PROXY");
  if (capitals != nullptr && std::getenv("http_proxy") == nullptr && url.starts_with("http://")) {
    set(CURLOPT_PROXY, capitals);
  }
  if (!range.empty()) set(CURLOPT_RANGE, range.c_str());
  if (!settings.token.empty() && Origin(url) == settings.token_origin) {
    lines_ = curl_slist_append(lines_, ("Authorization: Bearer " + settings.token).c_str());
    set(CURLOPT_HTTPHEADER, lines_);
  }
}

long Request::status() const {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

std::string Request::RedirectTarget() const {
  const char* target = nullptr;
  curl_easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &target);
  return target == nullptr ? "" : target;
}

std::string PublicUrl(const std::string& url) {
  std::string text = url.substr(0, url.find_first_of("?#"));
  const size_t host = text.find("://");
  const size_t at = text.find('@');
  if (host != text.npos && at != text.npos && at < text.find('/', host + 3)) {
    text.erase(host + 3, at + 1 - (host + 3));
  }
  return Printable(text);
}

Failure ExplainCurl(CURLcode code, const Request& request, const std::string& url,
                    const HubSettings& settings) {
  const std::string said =
      Printable(request.error_text()[0] != '\0' ? request.error_text() : curl_easy_strerror(code));
  const Location at = Location::File(PublicUrl(url));
  if (IsOneOf(code, {CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_ISSUER_ERROR,
                     CURLE_SSL_CACERT_BADFILE})) {
    return {.status = IoError(
                at, fmt::format("the server's certificate cannot be trusted: {}", said), 0,
                {settings.ca_file.empty()
                     ? "if your network has an authority of its own, name its certificate file in "
                       "SSL_CERT_FILE; else someone may be listening"
                     : fmt::format("the trusted ones are read from {}", settings.ca_file)})};
  }
  if (IsOneOf(code, {CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_OUT_OF_MEMORY})) {
    return {.status = IoError(at, said)};
  }
  std::vector<std::string> notes = {
      "check the network; behind a proxy set HTTPS_PROXY, for another hub HF_ENDPOINT; with "
      "HF_HUB_OFFLINE=1 only the cache is used"};
  if (IsOneOf(code, {CURLE_COULDNT_RESOLVE_PROXY, CURLE_PROXY})) {
    notes = {"check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"};
  }
  return {.may_pass = true,
          .no_contact = true,
          .status = IoError(at, fmt::format("the transfer failed: {}", said), 0, std::move(notes))};
}

Failure ExplainStatus(long status, const Headers& headers, const std::string& url,
                      const Subject& subject, const HubSettings& settings) {
  const std::string where = PublicUrl(url);
  if (status == 401 || status == 403) {
    return {.status = NotAllowed(status, headers, where, subject, settings)};
  }
  if (status == 404 || status == 410) {
    return {.status = NotFound(headers, where, subject, settings)};
  }
  const std::optional<std::chrono::seconds> wait = RetryAfter(headers);
  if (status == 429) {
    std::vector<std::string> notes = {
        wait ? fmt::format("it asks to come back after {} s", wait->count())
             : "wait some minutes and run this again"};
    if (settings.token.empty()) notes.push_back("with a token (HF_TOKEN) the limit is higher");
    return {.may_pass = true,
            .wait = wait,
            .status = IoError(Location::File(where), "too many requests (HTTP 429)", 0,
                              std::move(notes))};
  }
  if (status == 407) {
    return {.status = IoError(Location::File(where), "the proxy wants a password (HTTP 407)", 0,
                              {"write it into HTTPS_PROXY as http://USER:PASSWORD@HOST:PORT"})};
  }
  const bool may_pass = status >= 500 || status == 408 || status == 425;
  return {.may_pass = may_pass,
          .no_contact = may_pass,
          .wait = wait,
          .status =
              IoError(Location::File(where),
                      fmt::format("the server answers HTTP {} for {}", status, Quoted(subject)), 0,
                      {may_pass ? "it may be down for a while: run this again later"
                                : "expected the answers of a Hugging Face compatible hub: "
                                  "check HF_ENDPOINT"})};
}

Status CheckRedirect(const std::string& from, const std::string& to) {
  const std::string origin = Origin(to);
  if (origin.empty()) {
    return IoError(Location::File(PublicUrl(from)),
                   fmt::format("redirected to '{}', expected http or https", PublicUrl(to)));
  }
  if (from.starts_with("https:") && !origin.starts_with("https:")) {
    return IoError(Location::File(PublicUrl(from)),
                   fmt::format("redirected from https to '{}'", PublicUrl(to)), 0,
                   {"that would leave the encrypted connection, so it is not followed"});
  }
  return Status::Ok();
}

std::string UrlEncode(std::string_view text, std::string_view keep) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || keep.find(c) != keep.npos;
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::chrono::milliseconds BackoffTime(int failures) {
  constexpr double kFirst = 500;
  constexpr double kMost = 60000;
  static thread_local std::minstd_rand random(std::random_device{}());
  const double whole =
      std::min(kMost, kFirst * static_cast<double>(1 << std::min(failures - 1, 10)));
  return std::chrono::milliseconds(
      static_cast<int64_t>(whole * std::uniform_real_distribution<double>(0.5, 1)(random)));
}

Result<Response> Get(const HubSettings& settings, const std::string& url, const Subject& subject,
                     size_t limit_bytes, int attempts, bool* no_contact) {
  Request request;
  for (int failures = 1;; ++failures) {
    Attempt attempt = GetOnce(settings, request, url, subject, limit_bytes);
    if (attempt.failure.status.ok()) return std::move(attempt.response);
    if (no_contact != nullptr) *no_contact = attempt.failure.no_contact;
    constexpr std::chrono::seconds kLongestWait(300);
    const bool wait_is_long = attempt.failure.wait && *attempt.failure.wait > kLongestWait;
    if (!attempt.failure.may_pass || failures >= attempts || wait_is_long) {
      return std::move(attempt.failure.status);
    }
    std::chrono::milliseconds wait = BackoffTime(failures);
    if (attempt.failure.wait)
      wait = std::max<std::chrono::milliseconds>(wait, *attempt.failure.wait);
    LogDebug("{}; trying again in {:.1f} s", attempt.failure.status.diagnostic().message,
             static_cast<double>(wait.count()) * 1e-3);
    std::this_thread::sleep_for(wait);
  }
}

}  // namespace qeff::hub
