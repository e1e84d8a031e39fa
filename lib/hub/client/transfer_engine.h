// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How Transfer works inside: connections that each get a range of a file, and what has happened to
// the files so far. One thread; hashes come from others. The parts: transfer.cpp divides the work
// and collects hashes, transfer_response.cpp judges what a server sends, transfer_outcome.cpp
// decides what follows from how a request ended.
#pragma once

#include <chrono>
#include <deque>
#include <list>
#include <memory>
#include <vector>

#include "lib/hub/client/hash_pool.h"
#include "lib/hub/client/http.h"
#include "lib/hub/client/response_head.h"
#include "lib/hub/client/transfer.h"
#include "lib/support/hash.h"

namespace qeff::hub {

using TransferClock = std::chrono::steady_clock;

/// Bytes [begin, end) of a file that one request asks for; [begin, position) are written.
struct Segment {
  int64_t begin;
  int64_t position;
  int64_t end;
  std::optional<Xxh3> block_hash;  // of what is written of the block of `position`
};

struct ActiveFile {
  ActiveFile(TransferJob made, HashPool& pool, TransferProgress& progress)
      : job(std::move(made)),
        hash(pool.Add(job.part, job.file.etag())),
        line(progress.Add(job.file.path, job.file.size_bytes, job.part.done_bytes())) {}

  TransferJob job;
  HashPool::Task& hash;
  TransferProgress::File& line;
  std::deque<std::unique_ptr<Segment>> pending;  // by position
  int running = 0;
  std::string direct_url;      // where the hub sends us for the content; empty: not asked yet
  int redirects = 0;           // since the last content
  bool has_content = false;    // direct_url has sent some: further ranges may be asked for
  bool has_ranges = true;      // false: the server only sends whole files
  bool was_restarted = false;  // because its content was wrong
  int restarts = 0;
  int failures = 0;  // attempts since the last new byte
  TransferClock::time_point not_before;
  int64_t frontier = 0;  // written without a gap from the start
};

/// What the head of a response means for the connection.
enum class ResponseMode { kUnknown, kContent, kRedirect, kError, kNoRanges, kRefused };

struct Connection {
  Request request;
  ActiveFile* file = nullptr;  // null: idle
  std::unique_ptr<Segment> segment;
  std::string url;
  Headers headers;
  ResponseMode mode = ResponseMode::kUnknown;
  Status refusal = Status::Ok();  // with kRefused: why; not worth another attempt
  std::string error_body;
  bool got_bytes = false;
  class TransferEngine* engine = nullptr;
};

class TransferEngine {
 public:
  TransferEngine(const HubSettings& settings, const TransferPlan& plan, TransferProgress& progress);
  ~TransferEngine();
  Status Run();

  size_t OnBody(Connection& connection, const char* data, size_t data_bytes);

 private:
  Status FillConnections();
  Status OpenFile(TransferJob job);
  void Start(Connection& connection, ActiveFile& file);
  Status TakeMessages();
  Status Finish(Connection& connection, CURLcode code);
  Status FinishContent(Connection& connection, CURLcode code);
  Status FollowRedirect(Connection& connection);
  Status Fail(Connection& connection, Failure failure);
  void PutBack(Connection& connection);
  void ReadHead(Connection& connection);
  void ReadContentHead(Connection& connection, long status);
  static void TakeContent(Connection& connection);
  Status CheckHubHeaders(const Connection& connection) const;
  static void AskAgain(ActiveFile& file);
  Status Restart(ActiveFile& file);
  Status TakeHashes();
  Status TakeHash(ActiveFile& file, bool& is_done);
  void SplitIntoSegments(ActiveFile& file);
  void AdvanceFrontier(ActiveFile& file);
  Subject SubjectOf(const ActiveFile& file) const {
    return {.repo = plan_.repo.name, .revision = plan_.commit, .file = file.job.file.path};
  }
  Status Mismatch(const Connection& connection, std::string what) const;

  const HubSettings& settings_;
  const TransferPlan& plan_;
  TransferProgress& progress_;
  CURLM* multi_;
  HashPool hashes_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::list<ActiveFile> files_;
  bool has_more_ = true;
  bool has_ended_ = false;  // a request or a file, since the last wait
};

}  // namespace qeff::hub
