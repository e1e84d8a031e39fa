// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/background_sink.h"

#include <algorithm>

namespace qeff::cpu {
namespace {

/// A huge page: file systems that can keep what one call writes in one piece of the page cache, and
/// a mapping of the program then has entries for huge pages.
constexpr size_t kBlockBytes = size_t{2} << 20;

}  // namespace

BackgroundSink::BackgroundSink(const ByteSink& sink) : sink_(sink), thread_([this] { Loop(); }) {}

BackgroundSink::~BackgroundSink() {
  {
    const std::lock_guard lock(mutex_);
    is_closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Status BackgroundSink::Append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const size_t count = std::min(bytes.size(), kBlockBytes - filling_.size());
    filling_.insert(filling_.end(), bytes.begin(),
                    bytes.begin() + static_cast<std::ptrdiff_t>(count));
    bytes = bytes.subspan(count);
    if (filling_.size() == kBlockBytes) QEFF_RETURN_IF_ERROR(HandOver());
  }
  return Status::Ok();
}

Status BackgroundSink::Finish() {
  QEFF_RETURN_IF_ERROR(HandOver());
  return HandOver();  // nothing more: waits for the last block
}

Status BackgroundSink::HandOver() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !is_writing_; });
  if (failure_) return Status(*failure_);
  std::swap(filling_, writing_);
  filling_.clear();
  is_writing_ = !writing_.empty();
  changed_.notify_all();
  return Status::Ok();
}

void BackgroundSink::Loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return is_writing_ || is_closing_; });
    if (!is_writing_) return;
    lock.unlock();
    Status status = sink_(writing_);
    lock.lock();
    is_writing_ = false;
    if (!status.ok()) failure_ = status.diagnostic();
    changed_.notify_all();
  }
}

}  // namespace qeff::cpu
