// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/process.h"

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "backends/aic100/card_session.h"
#include "backends/aic100/compiler_messages.h"
#include "backends/aic100/sdk.h"

namespace qeff::aic100 {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

ProcessEnd RunShell(const std::string& script, std::string& output, milliseconds limit = {}) {
  const auto end = RunProcess({"/bin/sh", "-c", script},
                              {.time_limit = limit, .on_output = [&output](std::string_view text) {
                                 output += text;
                                 return Status::Ok();
                               }});
  REQUIRE(end.ok());
  return *end;
}

TEST_CASE("output of both streams and the exit code come back") {
  std::string output;
  const ProcessEnd end = RunShell("echo one; echo two >&2; exit 7", output);
  CHECK(end.ToString() == "exit code 7");
  CHECK(output == "one\ntwo\n");
}

TEST_CASE("arguments are not read by a shell") {
  std::string output;
  const auto end = RunProcess({"/bin/echo", "$HOME", "a b", "`id`"},
                              {.on_output = [&output](std::string_view text) {
                                output += text;
                                return Status::Ok();
                              }});
  REQUIRE(end.ok());
  CHECK(output == "$HOME a b `id`\n");
}

TEST_CASE("a signal and a time limit end a program") {
  std::string output;
  CHECK(RunShell("kill -SEGV $$", output).signal == SIGSEGV);
  const ProcessEnd slow = RunShell("echo started; exec sleep 30", output, milliseconds(300));
  CHECK(slow.timed_out);
  CHECK_FALSE(slow.ok());
  CHECK(slow.ToString() == "no answer in time");
  CHECK(output == "started\n");
}

TEST_CASE("a process that a program leaves behind is not waited for") {
  std::string output;
  const auto start = std::chrono::steady_clock::now();
  CHECK(RunShell("sleep 20 & echo done", output).ok());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  CHECK(output == "done\n");
}

TEST_CASE("bad_program: it is not there, or may not run") {
  const auto absent = RunProcess({"/nowhere/qaic-compile"}, {});
  REQUIRE_FALSE(absent.ok());
  CHECK(absent.diagnostic().code == ErrorCode::kBackend);
  CHECK(absent.diagnostic().message == "cannot be started: No such file or directory");
}

TEST_CASE("a command line can be pasted into a shell") {
  CHECK(ShellLine({"/a/b", "-m=x.onnx", "it's", "a b", ""}) ==
        R"(/a/b -m=x.onnx 'it'\''s' 'a b' '')");
}

/// A folder of its own that goes with the test.
class Folder {
 public:
  explicit Folder(const std::string& name)
      : path_(fs::temp_directory_path() / ("qeff-aic100-" + name)) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }
  void Write(const std::string& name, const std::string& content, bool executable = false) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << content;
    if (executable) fs::permissions(path_ / name, fs::perms::owner_all);
  }

 private:
  fs::path path_;
};

TEST_CASE("the generation of the card is what its firmware says, in time") {
  const Folder sdk("sdk");
  CHECK(DetectHardwareVersion(sdk.path()) == "ai100");
  sdk.Write("tools/qaic-util", "#!/bin/sh\nprintf 'QID 0\\n\\tFW IMAGE_VARIANT:AIC200.X\\n'\n",
            true);
  CHECK(DetectHardwareVersion(sdk.path()) == "ai200");
  sdk.Write("tools/qaic-util", "#!/bin/sh\nprintf 'QID 0\\n\\tNSP IMAGE_VARIANT:AIC200.X\\n'\n",
            true);
  CHECK(DetectHardwareVersion(sdk.path()) == "ai100");
  sdk.Write("tools/qaic-util", "#!/bin/sh\necho 'FW IMAGE_VARIANT:AIC200'\nexec sleep 30\n", true);
  CHECK(DetectHardwareVersion(sdk.path(), milliseconds(300)) == "ai100");
}

TEST_CASE("the older compiler is taken if the newer one is not there") {
  const Folder sdk("older");
  sdk.Write("exec/qaic-exec", "#!/bin/sh\n", true);
  const auto older = FindCompiler(sdk.path());
  REQUIRE(older.ok());
  CHECK(older->is_qaic_exec);
  sdk.Write("exec/qaic-compile", "#!/bin/sh\n", true);
  CHECK_FALSE(FindCompiler(sdk.path())->is_qaic_exec);
  sdk.Write("versions/apps.xml", "<v><base_version>1.21.2</base_version></v>");
  CHECK(ReadSdkVersions(sdk.path()).apps == "1.21.2");
  CHECK_FALSE(ReadSdkVersions(sdk.path()).platform);
}

TEST_CASE("what keeps a card from being used is told apart") {
  const Folder root("root");
  REQUIRE(DiagnoseCard(root.path()).size() == 1);
  CHECK(DiagnoseCard(root.path())[0].starts_with("this machine has no Cloud AI card"));
  const std::string device = "sys/bus/pci/devices/0000:01:00.0/";
  root.Write(device + "vendor", "0x17cb\n");
  root.Write(device + "device", "0xa100\n");
  REQUIRE(DiagnoseCard(root.path()).size() == 1);
  CHECK(DiagnoseCard(root.path())[0].find("no driver has taken it") != std::string::npos);
  root.Write(device + "accel/accel0/dev", "");
  REQUIRE(DiagnoseCard(root.path()).size() == 1);
  CHECK(DiagnoseCard(root.path())[0].find("add the user to group qaic") != std::string::npos);
  root.Write("dev/accel/accel0", "");
  CHECK(DiagnoseCard(root.path()).empty());
}

TEST_CASE("known messages of the vendor's programs are recognized") {
  REQUIRE(Recognize("x\nIOCTL: Connection timed out ERROR\n") != nullptr);
  CHECK(Recognize("x\nIOCTL: Connection timed out ERROR\n")->code == ErrorCode::kBackend);
  CHECK(Recognize("Unsupported operators: Foo")->code == ErrorCode::kUnsupported);
  CHECK(Recognize("all is well") == nullptr);
}

}  // namespace
}  // namespace qeff::aic100
