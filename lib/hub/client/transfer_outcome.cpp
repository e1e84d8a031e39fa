// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/transfer_engine.h"
#include "lib/support/log.h"

namespace qeff::hub {
namespace {

constexpr int kMaxRedirects = 10;
constexpr std::chrono::seconds kLongestWait(600);

}  // namespace

Status TransferEngine::Finish(Connection& connection, CURLcode code) {
  // A response without a body has not been looked at yet.
  const bool has_head = connection.request.status() != 0;
  if (connection.mode == ResponseMode::kUnknown && has_head && code == CURLE_OK)
    ReadHead(connection);
  switch (connection.mode) {
    case ResponseMode::kRefused: {
      ActiveFile& file = *connection.file;
      PutBack(connection);
      AdvanceFrontier(file);
      return std::move(connection.refusal);
    }
    case ResponseMode::kRedirect:
      return FollowRedirect(connection);
    case ResponseMode::kNoRanges: {
      ActiveFile& file = *connection.file;
      file.has_ranges = false;
      PutBack(connection);
      return Restart(file);
    }
    case ResponseMode::kError: {
      const long status = connection.request.status();
      ActiveFile& file = *connection.file;
      if (status == 416 && !file.was_restarted) {
        // A range that the server does not have; the whole file shows who is right.
        LogDebug("'{}': the server refuses a range; getting the whole file", file.job.file.path);
        file.was_restarted = true;
        file.has_ranges = false;
        PutBack(connection);
        return Restart(file);
      }
      const bool is_elsewhere = !file.direct_url.empty() && file.direct_url != file.job.url;
      Failure failure =
          ExplainStatus(status, connection.headers, connection.url, SubjectOf(file), settings_);
      // Addresses that the hub hands out expire: ask it for a new one.
      const bool may_be_expired = status == 401 || status == 403 || status == 404 || status == 410;
      if (is_elsewhere && may_be_expired) {
        failure.may_pass = true;
        AskAgain(file);
      }
      return Fail(connection, std::move(failure));
    }
    case ResponseMode::kContent:
    case ResponseMode::kUnknown:
      return FinishContent(connection, code);
  }
  return Status::Ok();
}

Status TransferEngine::FinishContent(Connection& connection, CURLcode code) {
  ActiveFile& file = *connection.file;
  const Segment& segment = *connection.segment;
  if (connection.mode == ResponseMode::kContent) file.direct_url = connection.url;
  if (connection.got_bytes) file.failures = 0;
  // All of it is there: what went wrong after it does not matter.
  if (segment.position == segment.end) {
    PutBack(connection);
    return Status::Ok();
  }
  if (code != CURLE_OK) {
    return Fail(connection, ExplainCurl(code, connection.request, connection.url, settings_));
  }
  Failure cut{.may_pass = true, .no_contact = true};
  cut.status = Mismatch(connection, fmt::format("the content ends at byte {}, expected {}",
                                                segment.position, segment.end));
  return Fail(connection, std::move(cut));
}

Status TransferEngine::FollowRedirect(Connection& connection) {
  ActiveFile& file = *connection.file;
  const std::string from = connection.url;
  const std::string target = connection.request.RedirectTarget();
  PutBack(connection);
  if (target.empty()) {
    return IoError(Location::File(PublicUrl(from)), "redirected without a target");
  }
  QEFF_RETURN_IF_ERROR(CheckRedirect(from, target));
  if (++file.redirects > kMaxRedirects) {
    return IoError(
        Location::File(PublicUrl(file.job.url)),
        fmt::format("more than {} redirects for '{}'", kMaxRedirects, file.job.file.path), 0,
        {"the server leads in a circle: check HF_ENDPOINT and the proxy"});
  }
  file.direct_url = target;
  return Status::Ok();
}

/// Waits and tries again, or gives up.
Status TransferEngine::Fail(Connection& connection, Failure failure) {
  ActiveFile& file = *connection.file;
  PutBack(connection);
  ++file.failures;
  const bool wait_is_long = failure.wait && *failure.wait > kLongestWait;
  if (!failure.may_pass || file.failures >= plan_.attempts || wait_is_long) {
    if (!failure.may_pass) return std::move(failure.status);
    return std::move(failure.status)
        .WithNote("what was received is kept: run this again, and it goes on from there");
  }
  // A mirror may have other addresses that work.
  if (file.failures % 3 == 0) AskAgain(file);
  std::chrono::milliseconds wait = BackoffTime(file.failures);
  if (failure.wait) wait = std::max<std::chrono::milliseconds>(wait, *failure.wait);
  file.not_before = TransferClock::now() + wait;
  progress_.Say(fmt::format("'{}': {}; trying again in {:.1f} s", file.job.file.path,
                            failure.status.diagnostic().message,
                            static_cast<double>(wait.count()) * 1e-3));
  return file.has_ranges ? Status::Ok() : Restart(file);
}

/// Has the hub say anew where the content is.
void TransferEngine::AskAgain(ActiveFile& file) {
  file.direct_url.clear();
  file.has_content = false;
}

/// Forgets all of a file and begins again.
Status TransferEngine::Restart(ActiveFile& file) {
  if (++file.restarts > plan_.attempts) {
    return IoError(
        Location::File(PublicUrl(file.job.url)),
        fmt::format("'{}': the server sends no ranges, and the whole file was cut {} times",
                    file.job.file.path, plan_.attempts),
        0, {"try it over a better network, or from another mirror (HF_ENDPOINT)"});
  }
  for (const auto& connection : connections_) {
    if (connection->file != &file) continue;
    curl_multi_remove_handle(multi_, connection->request.easy());
    PutBack(*connection);
  }
  hashes_.Restart(file.hash);
  file.pending.clear();
  file.frontier = 0;
  progress_.Advance(file.line, -file.line.done_bytes, false);
  QEFF_RETURN_IF_ERROR(file.job.part.Restart());
  if (file.has_ranges) {
    SplitIntoSegments(file);
  } else {
    file.pending.push_back(std::make_unique<Segment>(
        Segment{.begin = 0, .position = 0, .end = file.job.file.size_bytes}));
  }
  return Status::Ok();
}

}  // namespace qeff::hub
