// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/support/status.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace qeff {

std::string Location::ToString() const {
  std::string text = file;
  if (line > 0) text += fmt::format(":{}:{}", line, std::max<int64_t>(column, 1));
  const auto append = [&text](std::string part) {
    text += (text.empty() ? "" : ": ") + std::move(part);
  };
  if (byte_offset >= 0) append(fmt::format("byte {}", byte_offset));
  if (!node.empty()) {
    append(node_index >= 0 ? fmt::format("node '{}' (#{})", node, node_index)
                           : fmt::format("node '{}'", node));
  }
  if (!tensor.empty()) append(fmt::format("tensor '{}'", tensor));
  if (!flag.empty()) append(flag);
  return text;
}

std::string Diagnostic::ToString() const {
  const std::string place = where.ToString();
  std::string text = fmt::format("{}{}{}: {}", place, place.empty() ? "" : ": ",
                                 severity == Severity::kError ? "error" : "warning", message);
  for (const std::string& note : notes) text += "\nnote: " + note;
  return text;
}

Status Error(ErrorCode code, Location where, std::string message, std::vector<std::string> notes) {
  return Status(Diagnostic{.code = code,
                           .where = std::move(where),
                           .message = std::move(message),
                           .notes = std::move(notes)});
}

Status IoError(Location where, std::string message, int errno_value,
               std::vector<std::string> notes) {
  if (errno_value != 0) message += fmt::format(": {}", std::strerror(errno_value));
  return Error(ErrorCode::kIo, std::move(where), std::move(message), std::move(notes));
}

void Diagnostics::Add(Diagnostic diagnostic) {
  if (diagnostic.severity == Severity::kError && ++error_count_ > kLimit) return;
  findings_.push_back(std::move(diagnostic));
}

void Diagnostics::AddError(Location where, std::string message, std::vector<std::string> notes) {
  Add({.where = std::move(where), .message = std::move(message), .notes = std::move(notes)});
}

void Diagnostics::AddWarning(Location where, std::string message, std::vector<std::string> notes) {
  Add({.severity = Severity::kWarning,
       .where = std::move(where),
       .message = std::move(message),
       .notes = std::move(notes)});
}

Status Diagnostics::ToStatus() const {
  const Diagnostic* first = nullptr;
  std::vector<std::string> others;
  for (const Diagnostic& finding : findings_) {
    if (finding.severity != Severity::kError) continue;
    if (first == nullptr) {
      first = &finding;
    } else {
      others.push_back(fmt::format("also: {}{}{}", finding.where.ToString(),
                                   finding.where.ToString().empty() ? "" : ": ", finding.message));
    }
  }
  if (first == nullptr) return Status::Ok();
  Diagnostic all = *first;
  all.notes.insert(all.notes.end(), others.begin(), others.end());
  if (error_count_ > kLimit) all.notes.push_back(fmt::format("and {} more", error_count_ - kLimit));
  return Status(std::move(all));
}

std::optional<std::string> Nearest(std::string_view word,
                                   const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t j = 0; j <= candidate.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t above = row[j];
        row[j] = std::min(
            {row[j] + 1, row[j - 1] + 1, diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

void CheckFailed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "internal error: %s:%d: check '%s' failed: %s\n", file, line, condition,
               message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace qeff
