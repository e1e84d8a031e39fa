// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/hash_pool.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace qeff::hub {
namespace {

// Fits the second-level cache, where the hash then finds what was read.
constexpr size_t kReadBytes = size_t{256} << 10;
// One turn of a thread; small enough that several files share the threads fairly.
constexpr int64_t kTurnBytes = int64_t{8} << 20;
// Less than this is not worth waking up for, unless it is the end.
constexpr int64_t kLeastBytes = int64_t{1} << 20;

/// Hashes [from, to) of the file. Errors: kIo.
Status HashPiece(const PartFile& part, int64_t from, int64_t to, std::vector<std::byte>& buffer,
                 ContentHash& hash) {
  while (from < to) {
    const size_t wanted = std::min(buffer.size(), static_cast<size_t>(to - from));
    const ssize_t got = ::pread(part.descriptor(), buffer.data(), wanted, from);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return IoError(Location::Byte(part.path().string(), from), "cannot read what was written",
                     got < 0 ? errno : 0);
    }
    hash.Update(std::span(buffer).first(static_cast<size_t>(got)));
    from += got;
  }
  return Status::Ok();
}

}  // namespace

HashPool::HashPool(std::function<void()> on_outcome) : on_outcome_(std::move(on_outcome)) {
  const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
  for (unsigned i = 0; i < count; ++i) threads_.emplace_back([this] { Work(); });
}

HashPool::~HashPool() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

HashPool::Task& HashPool::Add(PartFile& part, const std::string& expected) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(
      {.part = &part, .expected = expected, .hash = ContentHash(expected, part.size_bytes())});
  return tasks_.back();
}

void HashPool::SetReady(Task& task, int64_t ready_bytes) {
  {
    const std::lock_guard lock(mutex_);
    task.ready_bytes = ready_bytes;
    const bool is_end = ready_bytes == task.part->size_bytes();
    if (!is_end && ready_bytes - task.hashed_bytes < kLeastBytes) return;
  }
  changed_.notify_one();
}

void HashPool::Restart(Task& task) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !task.is_busy; });
  task.hash = ContentHash(task.expected, task.part->size_bytes());
  task.ready_bytes = 0;
  task.hashed_bytes = 0;
  task.outcome.reset();
}

std::optional<Result<std::string>> HashPool::TakeOutcome(Task& task) {
  const std::lock_guard lock(mutex_);
  return std::exchange(task.outcome, std::nullopt);
}

void HashPool::Remove(Task& task) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !task.is_busy; });
  tasks_.remove_if([&](const Task& other) { return &other == &task; });
}

HashPool::Task* HashPool::FindWork() {
  for (Task& task : tasks_) {
    const int64_t left = task.ready_bytes - task.hashed_bytes;
    const bool is_end = task.ready_bytes == task.part->size_bytes();
    if (!task.is_busy && !task.outcome && (left >= kLeastBytes || is_end)) return &task;
  }
  return nullptr;
}

void HashPool::Work() {
  std::vector<std::byte> buffer(kReadBytes);
  std::unique_lock lock(mutex_);
  while (true) {
    Task* task = nullptr;
    changed_.wait(lock, [&] { return ends_ || (task = FindWork()) != nullptr; });
    if (ends_) return;
    task->is_busy = true;
    const int64_t from = task->hashed_bytes;
    const int64_t to = std::min(task->ready_bytes, from + kTurnBytes);
    const bool is_last = to == task->part->size_bytes();
    lock.unlock();
    Status status = HashPiece(*task->part, from, to, buffer, task->hash);
    if (status.ok() && is_last) status = task->part->Sync();
    lock.lock();
    task->hashed_bytes = to;
    task->is_busy = false;
    if (!status.ok()) {
      task->outcome = Result<std::string>(std::move(status));
    } else if (is_last) {
      task->outcome = Result<std::string>(task->hash.HexDigest());
    }
    changed_.notify_all();
    if (task->outcome) on_outcome_();
  }
}

}  // namespace qeff::hub
