// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/transfer.h"

#include <signal.h>

#include <algorithm>

#include "lib/hub/client/transfer_engine.h"

namespace qeff::hub {
namespace {

// A range is long enough that its request costs nothing, and short enough that ranges side by side
// end near each other: hashing goes in order and waits for the first.
constexpr int64_t kRangeBytes = 16 * PartFile::kBlockBytes;
constexpr int kPollMilliseconds = 200;

/// A write to a connection that the other side has closed must be an error, not the end of the
/// process.
class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before_);
  }
  ~NoPipeSignal() {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    const timespec at_once{};
    while (sigtimedwait(&pipe, nullptr, &at_once) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_;
};

size_t OnBodyData(char* data, size_t one, size_t count, void* user) {
  auto& connection = *static_cast<Connection*>(user);
  return connection.engine->OnBody(connection, data, one * count);
}

size_t OnHeaderData(char* data, size_t one, size_t count, void* user) {
  AddHeaderLine(std::string_view(data, one * count), static_cast<Connection*>(user)->headers);
  return one * count;
}

}  // namespace

TransferEngine::TransferEngine(const HubSettings& settings, const TransferPlan& plan,
                               TransferProgress& progress)
    : settings_(settings),
      plan_(plan),
      progress_(progress),
      multi_(curl_multi_init()),
      hashes_([this] { curl_multi_wakeup(multi_); }) {
  QEFF_CHECK(multi_ != nullptr, "libcurl gives no handle");
  for (int i = 0; i < plan.connections; ++i) {
    connections_.push_back(std::make_unique<Connection>());
    connections_.back()->engine = this;
  }
}

TransferEngine::~TransferEngine() {
  for (const auto& connection : connections_) {
    if (connection->file != nullptr) curl_multi_remove_handle(multi_, connection->request.easy());
  }
  for (ActiveFile& file : files_) {
    hashes_.Remove(file.hash);
    progress_.Remove(file.line, false);
  }
  curl_multi_cleanup(multi_);
}

Status TransferEngine::Run() {
  while (true) {
    QEFF_RETURN_IF_ERROR(FillConnections());
    if (files_.empty() && !has_more_) return Status::Ok();
    int running = 0;
    curl_multi_perform(multi_, &running);
    QEFF_RETURN_IF_ERROR(TakeMessages());
    QEFF_RETURN_IF_ERROR(TakeHashes());
    for (ActiveFile& file : files_) AdvanceFrontier(file);
    progress_.Tick();
    // What ended makes room for something to start: no reason to wait then.
    if (!std::exchange(has_ended_, false)) {
      curl_multi_poll(multi_, nullptr, 0, kPollMilliseconds, nullptr);
    }
  }
}

/// Gives every idle connection a segment of the first file that has one, and opens further files
/// while there are connections left.
Status TransferEngine::FillConnections() {
  const TransferClock::time_point now = TransferClock::now();
  for (const auto& connection : connections_) {
    if (connection->file != nullptr) continue;
    while (true) {
      const auto file =
          std::find_if(files_.begin(), files_.end(), [&](const ActiveFile& candidate) {
            // The first answer says where the content is and whether ranges work.
            const bool is_known = candidate.has_content || candidate.running == 0;
            return !candidate.pending.empty() && is_known && candidate.not_before <= now;
          });
      if (file != files_.end()) {
        Start(*connection, *file);
        break;
      }
      // Files that only wait for their hash hold descriptors, too.
      if (!has_more_ || files_.size() >= 2 * connections_.size()) return Status::Ok();
      QEFF_ASSIGN_OR_RETURN(NextJob next, plan_.next());
      has_more_ = next.kind != NextJob::Kind::kNone;
      if (next.kind != NextJob::Kind::kJob) return Status::Ok();
      QEFF_RETURN_IF_ERROR(OpenFile(std::move(*next.job)));
    }
  }
  return Status::Ok();
}

Status TransferEngine::OpenFile(TransferJob job) {
  ActiveFile& file = files_.emplace_back(std::move(job), hashes_, progress_);
  SplitIntoSegments(file);
  AdvanceFrontier(file);
  return Status::Ok();
}

void TransferEngine::SplitIntoSegments(ActiveFile& file) {
  const PartFile& part = file.job.part;
  for (int64_t block = 0; block < part.block_count();) {
    if (part.IsDone(block)) {
      ++block;
      continue;
    }
    const int64_t begin = block * PartFile::kBlockBytes;
    int64_t end = begin;
    while (block < part.block_count() && !part.IsDone(block) && end - begin < kRangeBytes) {
      end = std::min(part.size_bytes(), ++block * PartFile::kBlockBytes);
    }
    file.pending.push_back(
        std::make_unique<Segment>(Segment{.begin = begin, .position = begin, .end = end}));
  }
}

void TransferEngine::AdvanceFrontier(ActiveFile& file) {
  const PartFile& part = file.job.part;
  const int64_t before = file.frontier;
  while (file.frontier < part.size_bytes() && part.IsDone(file.frontier / PartFile::kBlockBytes)) {
    file.frontier = std::min(part.size_bytes(),
                             (file.frontier / PartFile::kBlockBytes + 1) * PartFile::kBlockBytes);
  }
  const auto extend = [&](const Segment& segment) {
    if (segment.begin <= file.frontier && file.frontier < segment.position) {
      file.frontier = segment.position;
    }
  };
  for (const auto& connection : connections_) {
    if (connection->file == &file) extend(*connection->segment);
  }
  for (const auto& segment : file.pending) extend(*segment);
  if (file.frontier != before || part.size_bytes() == 0) {
    hashes_.SetReady(file.hash, file.frontier);
  }
}

void TransferEngine::Start(Connection& connection, ActiveFile& file) {
  connection.file = &file;
  connection.segment = std::move(file.pending.front());
  file.pending.pop_front();
  ++file.running;
  connection.headers.clear();
  connection.mode = ResponseMode::kUnknown;
  connection.refusal = Status::Ok();
  connection.error_body.clear();
  connection.got_bytes = false;
  connection.url = file.direct_url.empty() ? file.job.url : file.direct_url;
  const Segment& segment = *connection.segment;
  const bool is_whole = segment.position == 0 && segment.end == file.job.file.size_bytes;
  const std::string range =
      is_whole || !file.has_ranges ? "" : fmt::format("{}-{}", segment.position, segment.end - 1);
  Request& request = connection.request;
  request.Prepare(settings_, connection.url, range, settings_.download_timeout_seconds);
  // Also decodes what a server encodes although it was not asked to.
  curl_easy_setopt(request.easy(), CURLOPT_ACCEPT_ENCODING, "identity");
  curl_easy_setopt(request.easy(), CURLOPT_HEADERFUNCTION, &OnHeaderData);
  curl_easy_setopt(request.easy(), CURLOPT_HEADERDATA, &connection);
  curl_easy_setopt(request.easy(), CURLOPT_WRITEFUNCTION, &OnBodyData);
  curl_easy_setopt(request.easy(), CURLOPT_WRITEDATA, &connection);
  curl_easy_setopt(request.easy(), CURLOPT_PRIVATE, &connection);
  curl_multi_add_handle(multi_, request.easy());
}

Status TransferEngine::TakeMessages() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    has_ended_ = true;
    const CURLcode code = message->data.result;
    char* user = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
    curl_multi_remove_handle(multi_, message->easy_handle);
    QEFF_RETURN_IF_ERROR(Finish(*reinterpret_cast<Connection*>(user), code));
  }
  return Status::Ok();
}

/// Makes the connection idle and what its segment lacks pending again.
void TransferEngine::PutBack(Connection& connection) {
  ActiveFile& file = *connection.file;
  if (connection.segment->position < connection.segment->end) {
    file.pending.push_front(std::move(connection.segment));
    std::sort(file.pending.begin(), file.pending.end(),
              [](const auto& a, const auto& b) { return a->position < b->position; });
  }
  connection.segment.reset();
  connection.file = nullptr;
  --file.running;
}

Status TransferEngine::TakeHashes() {
  for (auto file = files_.begin(); file != files_.end();) {
    bool is_done = false;
    QEFF_RETURN_IF_ERROR(TakeHash(*file, is_done));
    if (is_done) {
      has_ended_ = true;
      hashes_.Remove(file->hash);
      progress_.Remove(file->line, true);
      file = files_.erase(file);
    } else {
      ++file;
    }
  }
  return Status::Ok();
}

Status TransferEngine::TakeHash(ActiveFile& file, bool& is_done) {
  std::optional<Result<std::string>> outcome = hashes_.TakeOutcome(file.hash);
  if (!outcome) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const std::string got, std::move(*outcome));
  if (got == file.job.file.etag()) {
    is_done = true;
    return plan_.publish(file.job);
  }
  const std::string message = fmt::format("'{}': expected the content with hash {}, got {}",
                                          file.job.file.path, file.job.file.etag(), got);
  if (!file.was_restarted && file.job.file.size_bytes > 0) {
    progress_.Say(message + "; getting it once more");
    file.was_restarted = true;
    AskAgain(file);
    return Restart(file);
  }
  file.job.part.Discard();
  return IoError(
      Location::File(PublicUrl(file.job.url)), message, 0,
      {"the server, or a proxy on the way, changes the content; nothing was kept of it"});
}

Status Transfer(const HubSettings& settings, const TransferPlan& plan, TransferProgress& progress) {
  const NoPipeSignal no_signal;
  return TransferEngine(settings, plan, progress).Run();
}

}  // namespace qeff::hub
