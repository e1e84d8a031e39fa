// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lib/hub/client/transfer_engine.h"

namespace qeff::hub {
namespace {

constexpr size_t kMaxErrorBodyBytes = 2048;

}  // namespace

Status TransferEngine::Mismatch(const Connection& connection, std::string what) const {
  return IoError(Location::File(PublicUrl(connection.url)),
                 fmt::format("'{}': {}", connection.file->job.file.path, what), 0,
                 {"the server, or a proxy on the way, does not send what the hub lists; nothing "
                  "was kept of it"});
}

/// What the hub itself says about a file must be what it lists.
Status TransferEngine::CheckHubHeaders(const Connection& connection) const {
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
void TransferEngine::ReadHead(Connection& connection) {
  const long status = connection.request.status();
  if (status >= 400 || status < 200) {
    connection.mode = ResponseMode::kError;
    return;
  }
  connection.refusal = CheckHubHeaders(connection);
  if (!connection.refusal.ok()) {
    connection.mode = ResponseMode::kRefused;
  } else if (status >= 300) {
    connection.mode = ResponseMode::kRedirect;
  } else {
    ReadContentHead(connection, status);
  }
}

void TransferEngine::ReadContentHead(Connection& connection, long status) {
  ActiveFile& file = *connection.file;
  Segment& segment = *connection.segment;
  const int64_t size_bytes = file.job.file.size_bytes;
  const auto refuse = [&](std::string what) {
    connection.mode = ResponseMode::kRefused;
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
      connection.mode = ResponseMode::kNoRanges;  // a range of the encoded content is of no use
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
    connection.mode = ResponseMode::kNoRanges;
    return;
  }
  file.has_ranges = false;
  file.pending.clear();
  segment.end = size_bytes;
  TakeContent(connection);
}

void TransferEngine::TakeContent(Connection& connection) {
  connection.mode = ResponseMode::kContent;
  connection.file->has_content = true;
  connection.file->redirects = 0;
}

size_t TransferEngine::OnBody(Connection& connection, const char* data, size_t data_bytes) {
  if (connection.mode == ResponseMode::kUnknown) ReadHead(connection);
  if (connection.mode == ResponseMode::kRedirect) return data_bytes;
  if (connection.mode == ResponseMode::kError) {
    const size_t room =
        kMaxErrorBodyBytes - std::min(kMaxErrorBodyBytes, connection.error_body.size());
    connection.error_body.append(data, std::min(room, data_bytes));
    return data_bytes;
  }
  if (connection.mode != ResponseMode::kContent) return 0;
  ActiveFile& file = *connection.file;
  Segment& segment = *connection.segment;
  if (static_cast<int64_t>(data_bytes) > segment.end - segment.position) {
    connection.mode = ResponseMode::kRefused;
    connection.refusal = Mismatch(
        connection,
        fmt::format("expected the range to end at byte {}, the server sends more", segment.end));
    return 0;
  }
  PartFile& part = file.job.part;
  if (Status written = part.Write(segment.position, data, data_bytes); !written.ok()) {
    connection.mode = ResponseMode::kRefused;
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

}  // namespace qeff::hub
