// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/background_sink.h"

#include <algorithm>
#include <cstring>

namespace qeff::cpu {
namespace {

/// A huge page: file systems that can keep what one call writes in one piece of the page cache, and
/// a mapping of the program then has entries for huge pages.
constexpr size_t kBlockBytes = size_t{2} << 20;

}  // namespace

void BackgroundSink::Buffer::Reserve(size_t more_bytes) {
  if (size_bytes + more_bytes <= capacity_bytes) return;
  // Rounded, so that pieces of a few sizes soon need no new one.
  capacity_bytes = (size_bytes + more_bytes + 2 * kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  // Not a vector: its zeros would be written for nothing.
  auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity_bytes);
  if (size_bytes > 0) std::memcpy(larger.get(), bytes.get(), size_bytes);
  bytes = std::move(larger);
}

BackgroundSink::BackgroundSink(const ByteSink& sink) : sink_(sink), thread_([this] { Loop(); }) {}

BackgroundSink::~BackgroundSink() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<std::span<std::byte>> BackgroundSink::Next(size_t size_bytes) {
  if (filling_.size_bytes >= kBlockBytes) {
    QEFF_RETURN_IF_ERROR(HandOver(filling_.size_bytes / kBlockBytes * kBlockBytes));
  }
  filling_.Reserve(size_bytes);
  const std::span<std::byte> place(filling_.bytes.get() + filling_.size_bytes, size_bytes);
  filling_.size_bytes += size_bytes;
  return place;
}

Status BackgroundSink::AppendZeros(size_t size_bytes) {
  QEFF_ASSIGN_OR_RETURN(const std::span<std::byte> place, Next(size_bytes));
  std::fill(place.begin(), place.end(), std::byte{0});
  return Status::Ok();
}

Status BackgroundSink::Finish() {
  QEFF_RETURN_IF_ERROR(HandOver(filling_.size_bytes));
  return HandOver(0);  // nothing more: waits for the last block
}

/// Gives the first `size_bytes` to the other thread; the rest stays.
Status BackgroundSink::HandOver(size_t size_bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !is_writing_; });
  if (failure_) return Status(*failure_);
  std::swap(filling_, writing_);
  filling_.size_bytes = 0;
  if (const size_t rest_bytes = writing_.size_bytes - size_bytes; rest_bytes > 0) {
    filling_.Reserve(rest_bytes);
    std::memcpy(filling_.bytes.get(), writing_.bytes.get() + size_bytes, rest_bytes);
    filling_.size_bytes = rest_bytes;
    writing_.size_bytes = size_bytes;
  }
  is_writing_ = size_bytes > 0;
  changed_.notify_all();
  return Status::Ok();
}

Status BackgroundSink::WriteAll() const {
  for (size_t begin = 0; begin < writing_.size_bytes; begin += kBlockBytes) {
    const size_t count = std::min(kBlockBytes, writing_.size_bytes - begin);
    QEFF_RETURN_IF_ERROR(sink_(std::span(writing_.bytes.get() + begin, count)));
  }
  return Status::Ok();
}

void BackgroundSink::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_writing_ || is_closing_; });
    if (!is_writing_) return;
    lock.unlock();
    Status status = WriteAll();
    lock.lock();
    is_writing_ = false;
    if (!status.ok()) failure_ = status.diagnostic();
    changed_.notify_all();
  }
}

}  // namespace qeff::cpu
