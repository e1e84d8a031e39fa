// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Hashes files while they are still being written: threads follow, in order, what is there so far,
// so that the hash is known a moment after the last byte. They read through the page cache; memory
// does not grow with the files.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/hub/content_hash.h"
#include "lib/hub/part_file.h"
#include "lib/support/status.h"

namespace qeff::hub {

class HashPool {
 public:
  /// One file. Only the pool looks inside.
  struct Task {
    PartFile* part;
    std::string expected;
    ContentHash hash;
    int64_t ready_bytes = 0;  // written without a gap from the start
    int64_t hashed_bytes = 0;
    bool is_busy = false;
    std::optional<Result<std::string>> outcome;
  };

  /// `on_outcome` is called from any thread whenever there is something for TakeOutcome.
  explicit HashPool(std::function<void()> on_outcome);
  HashPool(const HashPool&) = delete;
  ~HashPool();

  /// `part` must stay until Remove. The kind of hash is that of `expected`.
  Task& Add(PartFile& part, const std::string& expected);
  /// The first `ready_bytes` of the file are written.
  void SetReady(Task& task, int64_t ready_bytes);
  /// Starts from the first byte again; nothing is ready then.
  void Restart(Task& task);
  /// Returns the hash, once the whole file is hashed and on the disk; nothing before. Errors: kIo.
  std::optional<Result<std::string>> TakeOutcome(Task& task);
  void Remove(Task& task);

 private:
  void Work();
  Task* FindWork();

  std::function<void()> on_outcome_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Task> tasks_;
  bool ends_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace qeff::hub
