// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/support/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace qeff {
namespace {

spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = spdlog::stderr_color_mt("qeff");
    made->set_pattern("%^%l%$: %v");
    return made;
  }();
  return *logger;
}

}  // namespace

void SetLogLevel(LogLevel level) {
  Logger().set_level(level == LogLevel::kQuiet     ? spdlog::level::warn
                     : level == LogLevel::kVerbose ? spdlog::level::debug
                                                   : spdlog::level::info);
}

void LogInfoText(const std::string& text) { Logger().info(text); }
void LogWarningText(const std::string& text) { Logger().warn(text); }
void LogDebugText(const std::string& text) { Logger().debug(text); }

}  // namespace qeff
