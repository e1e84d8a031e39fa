// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/transfer.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <list>
#include <memory>
#include <vector>

#include "lib/hub/client/hash_pool.h"
#include "lib/hub/client/http.h"
#include "lib/hub/client/response_head.h"
#include "lib/support/hash.h"
#include "lib/support/log.h"

namespace qeff::hub {
namespace {

using Clock = std::chrono::steady_clock;

// A range is long enough that its request costs nothing, and short enough that ranges side by side
// end near each other: hashing goes in order and waits for the first.
constexpr int64_t kRangeBytes = 16 * PartFile::kBlockBytes;
constexpr int kMaxRedirects = 10;
constexpr size_t kMaxErrorBodyBytes = 2048;
constexpr std::chrono::seconds kLongestWait(600);
constexpr int kPollMilliseconds = 200;

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
  Clock::time_point not_before;
  int64_t frontier = 0;  // written without a gap from the start
};

/// What the head of a response means for the connection.
enum class Mode { kUnknown, kContent, kRedirect, kError, kNoRanges, kRefused };

struct Connection {
  Request request;
  ActiveFile* file = nullptr;  // null: idle
  std::unique_ptr<Segment> segment;
  std::string url;
  Headers headers;
  Mode mode = Mode::kUnknown;
  Status refusal = Status::Ok();  // with kRefused: why; not worth another attempt
  std::string error_body;
  bool got_bytes = false;
  class Engine* engine = nullptr;
};

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

class Engine {
 public:
  Engine(const HubSettings& settings, const TransferPlan& plan, TransferProgress& progress);
  ~Engine();
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

size_t OnBodyData(char* data, size_t one, size_t count, void* user) {
  auto& connection = *static_cast<Connection*>(user);
  return connection.engine->OnBody(connection, data, one * count);
}

size_t OnHeaderData(char* data, size_t one, size_t count, void* user) {
  AddHeaderLine(std::string_view(data, one * count), static_cast<Connection*>(user)->headers);
  return one * count;
}

Engine::Engine(const HubSettings& settings, const TransferPlan& plan, TransferProgress& progress)
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

Engine::~Engine() {
  for (const auto& connection : connections_) {
    if (connection->file != nullptr) curl_multi_remove_handle(multi_, connection->request.easy());
  }
  for (ActiveFile& file : files_) {
    hashes_.Remove(file.hash);
    progress_.Remove(file.line, false);
  }
  curl_multi_cleanup(multi_);
}

Status Engine::Run() {
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
Status Engine::FillConnections() {
  const Clock::time_point now = Clock::now();
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

Status Engine::OpenFile(TransferJob job) {
  ActiveFile& file = files_.emplace_back(std::move(job), hashes_, progress_);
  SplitIntoSegments(file);
  AdvanceFrontier(file);
  return Status::Ok();
}

void Engine::SplitIntoSegments(ActiveFile& file) {
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

void Engine::AdvanceFrontier(ActiveFile& file) {
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

void Engine::Start(Connection& connection, ActiveFile& file) {
  connection.file = &file;
  connection.segment = std::move(file.pending.front());
  file.pending.pop_front();
  ++file.running;
  connection.headers.clear();
  connection.mode = Mode::kUnknown;
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

Status Engine::Mismatch(const Connection& connection, std::string what) const {
  return IoError(Location::File(PublicUrl(connection.url)),
                 fmt::format("'{}': {}", connection.file->job.file.path, what), 0,
                 {"the server, or a proxy on the way, does not send what the hub lists; nothing "
                  "was kept of it"});
}

/// What the hub itself says about a file must be what it lists.
Status Engine::CheckHubHeaders(const Connection& connection) const {
  if (Origin(connection.url) != Origin(settings_.endpoint)) return Status::Ok();
  const RepoFile& file = connection.file->job.file;
  const std::string_view commit = HeaderValue(connection.headers, "x-repo-commit");
  if (!commit.empty() && commit != plan_.commit) {
    return Mismatch(connection, fmt::format("expected it of commit {}, the hub sends that of {}",
                                            plan_.commit, Printable(commit)));
  }
  std::string_view etag = Unquoted(HeaderValue(connection.headers, "x-linked-etag"));
  if (etag.empty()) etag = Unquoted(HeaderValue(connection.headers, "etag"));
  if (IsContentHash(etag) && etag.size() == file.etag().size() && etag != file.etag()) {
    return Mismatch(
        connection,
        fmt::format("expected the content with hash {}, the hub announces {}", file.etag(), etag));
  }
  const std::optional<int64_t> size_bytes = HeaderNumber(connection.headers, "x-linked-size");
  if (size_bytes && *size_bytes != file.size_bytes) {
    return Mismatch(connection, fmt::format("expected {} bytes, the hub announces {}",
                                            file.size_bytes, *size_bytes));
  }
  return Status::Ok();
}

/// Decides, once per response, what becomes of its body.
void Engine::ReadHead(Connection& connection) {
  const long status = connection.request.status();
  if (status >= 400 || status < 200) {
    connection.mode = Mode::kError;
    return;
  }
  connection.refusal = CheckHubHeaders(connection);
  if (!connection.refusal.ok()) {
    connection.mode = Mode::kRefused;
  } else if (status >= 300) {
    connection.mode = Mode::kRedirect;
  } else {
    ReadContentHead(connection, status);
  }
}

void Engine::ReadContentHead(Connection& connection, long status) {
  ActiveFile& file = *connection.file;
  Segment& segment = *connection.segment;
  const int64_t size_bytes = file.job.file.size_bytes;
  const auto refuse = [&](std::string what) {
    connection.mode = Mode::kRefused;
    connection.refusal = Mismatch(connection, std::move(what));
  };
  if (status == 206) {
    const std::optional<ContentRange> range =
        ParseContentRange(HeaderValue(connection.headers, "content-range"));
    if (!range || range->first != segment.position) {
      return refuse(fmt::format("expected the range from byte {}, got '{}'", segment.position,
                                Printable(HeaderValue(connection.headers, "content-range"))));
    }
    if (range->total.value_or(size_bytes) != size_bytes) {
      return refuse(fmt::format("expected {} bytes, the server has {}", size_bytes, *range->total));
    }
    if (IsEncoded(connection.headers)) {
      connection.mode = Mode::kNoRanges;  // a range of the encoded content is of no use
      return;
    }
    TakeContent(connection);
    return;
  }
  const std::optional<int64_t> announced = HeaderNumber(connection.headers, "content-length");
  if (!IsEncoded(connection.headers) && announced.value_or(size_bytes) != size_bytes) {
    return refuse(
        fmt::format("expected {} bytes, the server announces {}", size_bytes, *announced));
  }
  if (segment.position == 0 && segment.end == size_bytes) return TakeContent(connection);
  // The whole file, although a part was asked for. It will do if nothing else was begun.
  const bool is_fresh = segment.position == 0 && file.running == 1 && file.frontier == 0 &&
                        file.job.part.done_bytes() == 0;
  if (!is_fresh) {
    connection.mode = Mode::kNoRanges;
    return;
  }
  file.has_ranges = false;
  file.pending.clear();
  segment.end = size_bytes;
  TakeContent(connection);
}

void Engine::TakeContent(Connection& connection) {
  connection.mode = Mode::kContent;
  connection.file->has_content = true;
  connection.file->redirects = 0;
}

size_t Engine::OnBody(Connection& connection, const char* data, size_t data_bytes) {
  if (connection.mode == Mode::kUnknown) ReadHead(connection);
  if (connection.mode == Mode::kRedirect) return data_bytes;
  if (connection.mode == Mode::kError) {
    const size_t room =
        kMaxErrorBodyBytes - std::min(kMaxErrorBodyBytes, connection.error_body.size());
    connection.error_body.append(data, std::min(room, data_bytes));
    return data_bytes;
  }
  if (connection.mode != Mode::kContent) return 0;
  ActiveFile& file = *connection.file;
  Segment& segment = *connection.segment;
  if (static_cast<int64_t>(data_bytes) > segment.end - segment.position) {
    connection.mode = Mode::kRefused;
    connection.refusal = Mismatch(
        connection,
        fmt::format("expected the range to end at byte {}, the server sends more", segment.end));
    return 0;
  }
  PartFile& part = file.job.part;
  if (Status written = part.Write(segment.position, data, data_bytes); !written.ok()) {
    connection.mode = Mode::kRefused;
    connection.refusal = std::move(written);
    return 0;
  }
  std::span<const std::byte> bytes = std::as_bytes(std::span(data, data_bytes));
  while (!bytes.empty()) {
    const int64_t block = segment.position / PartFile::kBlockBytes;
    const int64_t block_end = std::min(part.size_bytes(), (block + 1) * PartFile::kBlockBytes);
    const size_t piece = std::min(bytes.size(), static_cast<size_t>(block_end - segment.position));
    if (!segment.block_hash) segment.block_hash.emplace();
    segment.block_hash->Update(bytes.first(piece));
    segment.position += static_cast<int64_t>(piece);
    bytes = bytes.subspan(piece);
    if (segment.position == block_end) {
      part.MarkDone(block, segment.block_hash->HexDigest());
      segment.block_hash.reset();
    }
  }
  connection.got_bytes = true;
  progress_.Advance(file.line, static_cast<int64_t>(data_bytes), true);
  return data_bytes;
}

Status Engine::TakeMessages() {
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
void Engine::PutBack(Connection& connection) {
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

Status Engine::Finish(Connection& connection, CURLcode code) {
  // A response without a body has not been looked at yet.
  const bool has_head = connection.request.status() != 0;
  if (connection.mode == Mode::kUnknown && has_head && code == CURLE_OK) ReadHead(connection);
  switch (connection.mode) {
    case Mode::kRefused: {
      ActiveFile& file = *connection.file;
      PutBack(connection);
      AdvanceFrontier(file);
      return std::move(connection.refusal);
    }
    case Mode::kRedirect:
      return FollowRedirect(connection);
    case Mode::kNoRanges: {
      ActiveFile& file = *connection.file;
      file.has_ranges = false;
      PutBack(connection);
      return Restart(file);
    }
    case Mode::kError: {
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
    case Mode::kContent:
    case Mode::kUnknown:
      return FinishContent(connection, code);
  }
  return Status::Ok();
}

Status Engine::FinishContent(Connection& connection, CURLcode code) {
  ActiveFile& file = *connection.file;
  const Segment& segment = *connection.segment;
  if (connection.mode == Mode::kContent) file.direct_url = connection.url;
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

Status Engine::FollowRedirect(Connection& connection) {
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
Status Engine::Fail(Connection& connection, Failure failure) {
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
  file.not_before = Clock::now() + wait;
  progress_.Say(fmt::format("'{}': {}; trying again in {:.1f} s", file.job.file.path,
                            failure.status.diagnostic().message,
                            static_cast<double>(wait.count()) * 1e-3));
  return file.has_ranges ? Status::Ok() : Restart(file);
}

/// Has the hub say anew where the content is.
void Engine::AskAgain(ActiveFile& file) {
  file.direct_url.clear();
  file.has_content = false;
}

/// Forgets all of a file and begins again.
Status Engine::Restart(ActiveFile& file) {
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

Status Engine::TakeHashes() {
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

Status Engine::TakeHash(ActiveFile& file, bool& is_done) {
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

}  // namespace

Status Transfer(const HubSettings& settings, const TransferPlan& plan, TransferProgress& progress) {
  const NoPipeSignal no_signal;
  return Engine(settings, plan, progress).Run();
}

}  // namespace qeff::hub
