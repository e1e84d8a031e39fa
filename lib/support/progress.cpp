// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/support/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace qeff {
namespace {

constexpr auto kFirstDraw = std::chrono::milliseconds(500);
constexpr auto kRedraw = std::chrono::milliseconds(100);

std::string Amount(int64_t amount, const std::string& unit) {
  if (unit != "B") return fmt::format("{} {}", amount, unit);
  return fmt::format("{:.2f} GB", static_cast<double>(amount) * 1e-9);
}

}  // namespace

Progress::Progress(std::string title, int64_t total, std::string unit)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      on_terminal_(::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_draw_(start_) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::Add(int64_t amount) {
  done_ += amount;
  if (on_terminal_) Draw();
}

void Progress::Set(int64_t amount, double share) {
  done_ = amount;
  if (on_terminal_ && IsDue()) DrawRate(share);
}

bool Progress::IsDue() {
  const auto now = std::chrono::steady_clock::now();
  if (now - start_ < kFirstDraw || now - last_draw_ < kRedraw) return false;
  last_draw_ = now;
  drawn_ = true;
  return true;
}

void Progress::DrawRate(double share) {
  const double seconds = std::chrono::duration<double>(last_draw_ - start_).count();
  std::string line = fmt::format("\r\033[K{}: {}  {:.1f} {}/s", title_, Amount(done_, unit_),
                                 static_cast<double>(done_) / seconds, unit_);
  if (share > 0) {
    line += fmt::format("  {:3.0f} %  {:.0f} s left", std::min(1.0, share) * 100,
                        std::max(0.0, seconds / share - seconds));
  }
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

void Progress::Draw() {
  if (!IsDue()) return;
  const double share =
      total_ > 0 ? std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_)) : 0;
  const double seconds = std::chrono::duration<double>(last_draw_ - start_).count();
  const double left = share > 0 ? seconds / share - seconds : 0;
  std::fputs(fmt::format("\r\033[K{}: {:3.0f} %  {} of {}  {:.0f} s left", title_, share * 100,
                         Amount(done_, unit_), Amount(total_, unit_), left)
                 .c_str(),
             stderr);
  std::fflush(stderr);
}

}  // namespace qeff
