// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/client/transfer_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "lib/support/log.h"

namespace qeff::hub {
namespace {

constexpr auto kFirstDraw = std::chrono::seconds(1);
constexpr auto kRedraw = std::chrono::milliseconds(200);
constexpr auto kLogLine = std::chrono::seconds(5);
constexpr auto kSpeedWindow = std::chrono::seconds(10);
constexpr size_t kMaxFileLines = 8;

size_t TerminalColumns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return 80;
  return size.ws_col;
}

std::string Bytes(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= 1000000000) return fmt::format("{:.2f} GB", value * 1e-9);
  if (bytes >= 1000000) return fmt::format("{:.1f} MB", value * 1e-6);
  return fmt::format("{:.1f} kB", value * 1e-3);
}

double Share(int64_t done, int64_t total) {
  return total > 0 ? std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0)
                   : 1;
}

std::string Bar(double share) {
  constexpr size_t kCells = 20;
  const auto full = static_cast<size_t>(share * kCells);
  return "[" + std::string(full, '#') + std::string(kCells - full, '.') + "]";
}

std::string Duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::min(seconds, 1e7));
  if (whole < 100) return fmt::format("{} s", whole);
  if (whole < 6000) return fmt::format("{} min", (whole + 59) / 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace

TransferProgress::TransferProgress(Display display, int64_t total_bytes, int64_t total_files)
    : on_terminal_(::isatty(STDERR_FILENO) == 1),
      shown_(display == Display::kShown),
      total_bytes_(total_bytes),
      total_files_(total_files),
      start_(Clock::now()),
      last_draw_(start_) {}

TransferProgress::~TransferProgress() { Erase(); }

TransferProgress::File& TransferProgress::Add(const std::string& name, int64_t total_bytes,
                                              int64_t done_bytes) {
  files_.push_back({.name = name, .total_bytes = total_bytes, .done_bytes = done_bytes});
  done_bytes_ += done_bytes;
  return files_.back();
}

void TransferProgress::Remove(File& file, bool is_done) {
  if (is_done) {
    ++done_files_;
    done_bytes_ += file.total_bytes - file.done_bytes;
  } else {
    done_bytes_ -= file.done_bytes;
  }
  files_.remove_if([&](const File& other) { return &other == &file; });
}

void TransferProgress::Advance(File& file, int64_t bytes, bool from_network) {
  file.done_bytes += bytes;
  done_bytes_ += bytes;
  if (from_network) received_bytes_ += bytes;
}

void TransferProgress::Tick() {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  const auto pause = on_terminal_ ? Clock::duration(kRedraw) : Clock::duration(kLogLine);
  if (now - start_ < kFirstDraw || now - last_draw_ < pause) return;
  samples_.emplace_back(now, received_bytes_);
  while (samples_.size() > 1 && now - samples_.front().first > kSpeedWindow) samples_.pop_front();
  last_draw_ = now;
  if (on_terminal_) {
    Draw(now);
  } else {
    LogInfoText(Summary(now));
  }
}

void TransferProgress::Say(const std::string& text) {
  Erase();
  LogInfoText(text);
}

std::string TransferProgress::Summary(Clock::time_point now) {
  // The speed of the last seconds; from the start as long as there is only one sample.
  Clock::time_point since = start_;
  int64_t before_bytes = 0;
  if (samples_.size() > 1) std::tie(since, before_bytes) = samples_.front();
  const double seconds = std::chrono::duration<double>(now - since).count();
  const double speed =
      static_cast<double>(received_bytes_ - before_bytes) / std::max(seconds, 1e-3);
  std::string text = fmt::format("{} of {} ({:.0f} %), {} of {} files, {}/s", Bytes(done_bytes_),
                                 Bytes(total_bytes_), 100 * Share(done_bytes_, total_bytes_),
                                 done_files_, total_files_, Bytes(static_cast<int64_t>(speed)));
  if (speed >= 1 && done_bytes_ < total_bytes_) {
    text +=
        fmt::format(", {} left", Duration(static_cast<double>(total_bytes_ - done_bytes_) / speed));
  }
  return text;
}

void TransferProgress::Erase() {
  if (drawn_lines_ == 0) return;
  std::fputs(fmt::format("\r\033[{}A\033[J", drawn_lines_).c_str(), stderr);
  std::fflush(stderr);
  drawn_lines_ = 0;
}

void TransferProgress::Draw(Clock::time_point now) {
  const size_t columns = TerminalColumns() - 1;
  std::string text = drawn_lines_ > 0 ? fmt::format("\r\033[{}A\033[J", drawn_lines_) : "";
  drawn_lines_ = 0;
  const auto line = [&](const std::string& content) {
    size_t end = std::min(columns, content.size());
    // Not within a character.
    while (end < content.size() && (static_cast<unsigned char>(content[end]) & 0xc0) == 0x80) --end;
    text += content.substr(0, end) + "\n";
    ++drawn_lines_;
  };
  size_t shown = 0;
  for (const File& file : files_) {
    if (++shown > kMaxFileLines) break;
    const double share = Share(file.done_bytes, file.total_bytes);
    line(fmt::format("{} {:3.0f} %  {}", Bar(share), 100 * share, file.name));
  }
  line(fmt::format("{} {}", Bar(Share(done_bytes_, total_bytes_)), Summary(now)));
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace qeff::hub
