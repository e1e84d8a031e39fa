// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What one rendering may use. A template is untrusted input: a few characters of it can ask for any
// amount of time or memory. Operations take from the budget before they work; once something is
// exhausted, everything stops early and the interpreter returns the error.
#pragma once

#include <cstddef>
#include <cstdint>

namespace qeff::jinja {

class Budget {
 public:
  enum class Limit { kNone, kSteps, kBytes, kDepth };
  /// Far above what the templates of real models need for conversations of a megabyte.
  static constexpr int64_t kSteps = 20'000'000;
  static constexpr int64_t kBytes = int64_t{256} << 20;  ///< of all values ever made, not live ones
  static constexpr int kValueDepth = 200;                ///< containers in containers

  /// Each returns false if the limit is reached; the operation then returns early, with any result.
  bool Work(size_t steps) {
    if (static_cast<int64_t>(steps) < 0 || (steps_ -= static_cast<int64_t>(steps)) < 0) {
      return Exhaust(Limit::kSteps);
    }
    return exhausted_ == Limit::kNone;
  }
  bool Reserve(size_t bytes) {
    if (bytes > static_cast<size_t>(kBytes) || (bytes_ -= static_cast<int64_t>(bytes)) < 0) {
      return Exhaust(Limit::kBytes);
    }
    return exhausted_ == Limit::kNone;
  }
  /// For `count` copies of `bytes` bytes.
  bool Reserve(size_t count, size_t bytes) {
    if (count != 0 && bytes > static_cast<size_t>(kBytes) / count) return Exhaust(Limit::kBytes);
    return Reserve(count * bytes);
  }
  bool CheckDepth(int depth) { return depth <= kValueDepth || Exhaust(Limit::kDepth); }
  Limit exhausted() const { return exhausted_; }

  /// One level of recursion through values that can refer to themselves.
  class NestingScope {
   public:
    explicit NestingScope(Budget& budget)
        : budget_(budget), is_allowed_(budget.CheckDepth(++budget.nesting_)) {}
    NestingScope(const NestingScope&) = delete;
    NestingScope& operator=(const NestingScope&) = delete;
    ~NestingScope() { --budget_.nesting_; }
    bool is_allowed() const { return is_allowed_; }

   private:
    Budget& budget_;
    bool is_allowed_;
  };

 private:
  bool Exhaust(Limit limit) {
    if (exhausted_ == Limit::kNone) exhausted_ = limit;
    return false;
  }
  int64_t steps_ = kSteps;
  int64_t bytes_ = kBytes;
  int nesting_ = 0;
  Limit exhausted_ = Limit::kNone;
};

}  // namespace qeff::jinja
