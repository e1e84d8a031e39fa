// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What becomes of a compiler's output: the log, the progress, and the error that it explains.
#include "backends/aic100/run_compiler.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "backends/aic100/compiler_messages.h"
#include "lib/support/file.h"

namespace qeff::aic100 {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / fmt::format("qeff-run-compiler-{}", ::getpid())) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }

 private:
  fs::path path_;
};

std::string TextOf(const fs::path& path) { return ReadSmallFile(path).value(); }

/// What is written to stderr while it lives goes to a file.
class CapturedStderr {
 public:
  explicit CapturedStderr(const fs::path& path) : saved_(::dup(STDERR_FILENO)) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(file >= 0);
    ::dup2(file, STDERR_FILENO);
    ::close(file);
  }
  ~CapturedStderr() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
  }

 private:
  int saved_;
};

Status RunScript(const Folder& folder, const std::string& script) {
  return RunCompiler({"/bin/sh", "-c", script}, folder / "log");
}

TEST_CASE(
    "the compiler's output is in the log as it comes, and its last line is told as progress") {
  const Folder folder;
  {
    const CapturedStderr captured(folder / "stderr");
    const Status status =
        RunCompiler({"/bin/sh", "-c", "echo Reading; echo 'Compile started ...' >&2; sleep 2.5"},
                    folder / "log", std::chrono::seconds(1));
    CHECK(status.ok());
  }
  CHECK(TextOf(folder / "log") == "Reading\nCompile started ...\n");
  const std::string told = TextOf(folder / "stderr");
  CHECK(told.find("compiling with /bin/sh; its output: ") != std::string::npos);
  CHECK(told.find("compiling for 1 s: Compile started ...") != std::string::npos);
  CHECK(told.find("compiling for 2 s: Compile started ...") != std::string::npos);
}

TEST_CASE("bad_output: each known message becomes its meaning and its remedy") {
  const Folder folder;
  for (const KnownMessage& known : KnownMessages()) {
    INFO(known.text);
    const Status status =
        RunScript(folder, fmt::format("echo 'step 1'; echo 'E: {} (17)' >&2; exit 3", known.text));
    REQUIRE_FALSE(status.ok());
    const Diagnostic& error = status.diagnostic();
    CHECK(error.code == known.code);
    CHECK(error.message == fmt::format("the compiler failed: exit code 3: {}", known.meaning));
    REQUIRE(error.notes.size() == 4);
    CHECK(error.notes[0] == known.remedy);
    CHECK(error.notes[1] == fmt::format("its last line: E: {} (17)", known.text));
    CHECK(error.notes[2] == fmt::format("all it printed: {}", (folder / "log").string()));
  }
}

TEST_CASE("bad_output: a message is found in front of much other output") {
  const Folder folder;
  const Status status = RunScript(
      folder,
      "echo 'write: No space left on device'; seq 1 100000; echo 'Compilation failed'; exit 1");
  REQUIRE_FALSE(status.ok());
  CHECK(status.diagnostic().message.ends_with("the disk is full"));
  CHECK(status.diagnostic().notes[1] == "its last line: Compilation failed");
}

TEST_CASE("bad_end: unknown messages, signals and a full disk under the log") {
  const Folder folder;
  const Status unknown = RunScript(folder, "echo 'assertion failed'; exit 134");
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.diagnostic().code == ErrorCode::kBackend);
  CHECK(unknown.diagnostic().message == "the compiler failed: exit code 134");
  const Status killed = RunScript(folder, "kill -KILL $$");
  REQUIRE_FALSE(killed.ok());
  CHECK(killed.diagnostic().message == "the compiler failed: killed by signal 9 (Killed)");
  CHECK(killed.diagnostic().notes[0].starts_with("if nobody stopped it, the host ran out"));
  if (fs::exists("/dev/full")) {
    const Status full = RunCompiler({"/bin/echo", "hello"}, "/dev/full");
    REQUIRE_FALSE(full.ok());
    CHECK(full.diagnostic().code == ErrorCode::kIo);
    CHECK(full.diagnostic().message.starts_with("cannot write the log"));
  }
}

TEST_CASE("docs/cloud-ai-100.md explains every known message and status") {
  const std::string docs = TextOf("docs/cloud-ai-100.md");
  for (const KnownMessage& known : KnownMessages()) {
    INFO(known.text);
    CHECK(docs.find(fmt::format("`{}`", known.text)) != std::string::npos);
    CHECK(docs.find(known.meaning) != std::string::npos);
  }
  for (const KnownStatus& known : KnownStatuses()) {
    INFO(known.status);
    CHECK(docs.find(fmt::format("status {}", known.status)) != std::string::npos);
    CHECK(docs.find(known.meaning) != std::string::npos);
  }
}

}  // namespace
}  // namespace qeff::aic100
