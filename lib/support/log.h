// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Messages for people on stderr: debugging text and notes. Errors are Status values and are printed
// once, by the tool. stdout belongs to the product of a program and is never written here.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace qeff {

enum class LogLevel { kQuiet, kNormal, kVerbose };

/// Sets what is shown; called once by a tool. Default kNormal.
void SetLogLevel(LogLevel level);

void LogInfoText(const std::string& text);     ///< shown from kNormal
void LogWarningText(const std::string& text);  ///< shown always
void LogDebugText(const std::string& text);    ///< shown with kVerbose

template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  LogInfoText(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogWarning(fmt::format_string<Args...> format, Args&&... args) {
  LogWarningText(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogDebug(fmt::format_string<Args...> format, Args&&... args) {
  LogDebugText(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace qeff
