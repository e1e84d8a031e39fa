// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Files that are written whole or not at all.
#include "lib/support/atomic_file.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/lib/artifact/temporary_folder.h"

namespace qeff {
namespace {

using artifact::NamesIn;
using artifact::TemporaryFolder;
using artifact::WriteText;
using Names = std::vector<std::string>;

Status AppendText(FileWriter& writer, std::string_view text) {
  return writer.Append(std::as_bytes(std::span(text)));
}

/// No file of this process grows beyond `limit_bytes` while this lives: as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t limit_bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit limit = {limit_bytes, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_ = {};
};

TEST_CASE("a file is replaced by what was written, and nothing is left beside it") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "out";
  REQUIRE(WriteFileAtomically(path, "text").ok());
  CHECK(*ReadSmallFile(path) == "text");
  const Status status = WriteFileAtomically(path, [&](FileWriter& writer) {
    QEFF_RETURN_IF_ERROR(AppendText(writer, "in two "));
    CHECK(*ReadSmallFile(path) == "text");  // not before all is there
    return AppendText(writer, "pieces");
  });
  REQUIRE(status.ok());
  CHECK(*ReadSmallFile(path) == "in two pieces");
  CHECK(NamesIn(folder.path()) == Names{"out"});
}

TEST_CASE("what a killed process of the same number has left is in nobody's way") {
  const TemporaryFolder folder;
  const std::string left = fmt::format("out.tmp-{}", ::getpid());
  WriteText(folder / left, "half");
  REQUIRE(WriteFileAtomically(folder / "out", "whole").ok());
  CHECK(*ReadSmallFile(folder / "out") == "whole");
  CHECK(NamesIn(folder.path()) == Names{"out"});
  WriteText(folder / left, "half");
  CHECK(CheckWritable(folder / "out").ok());
  CHECK(NamesIn(folder.path()) == Names{"out"});
}

TEST_CASE("bad_write: the old file stays, nothing is left, the error names the file") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "out";
  WriteText(path, "old");
  const Status refused = WriteFileAtomically(path, [](FileWriter& writer) {
    QEFF_RETURN_IF_ERROR(AppendText(writer, "half"));
    return InvalidInput(Location::File("source"), "no second half");
  });
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.diagnostic().ToString() == "source: error: no second half");
  Status full = Status::Ok();
  {
    const FileSizeLimit limit(10);
    full = WriteFileAtomically(path, "more than ten bytes");
  }
  REQUIRE_FALSE(full.ok());
  CHECK(full.code() == ErrorCode::kIo);
  CHECK(full.diagnostic().ToString().starts_with(path.string() + ": byte 10: error: cannot write"));
  CHECK(*ReadSmallFile(path) == "old");
  CHECK(NamesIn(folder.path()) == Names{"out"});

  std::filesystem::create_directory(folder / "taken");
  const Status taken = WriteFileAtomically(folder / "taken", "text");
  REQUIRE_FALSE(taken.ok());
  CHECK(taken.diagnostic().ToString() ==
        (folder / "taken").string() + ": error: cannot replace the file: Is a directory");
  CHECK(NamesIn(folder.path()) == Names{"out", "taken"});
}

TEST_CASE("a place is writable where a file is or can be made; looking changes nothing") {
  const TemporaryFolder folder;
  CHECK(CheckWritable(folder / "out").ok());
  CHECK(NamesIn(folder.path()).empty());
  WriteText(folder / "out", "old");
  CHECK(CheckWritable(folder / "out").ok());
  CHECK(*ReadSmallFile(folder / "out") == "old");
  CHECK(NamesIn(folder.path()) == Names{"out"});
}

TEST_CASE("bad_place: a folder, or where no file can be made") {
  const TemporaryFolder folder;
  const auto error = [&](const std::filesystem::path& name) {
    const Status status = CheckWritable(folder / name);
    REQUIRE_FALSE(status.ok());
    CHECK(status.code() == ErrorCode::kIo);
    const std::string text = status.diagnostic().ToString();
    const std::string shown = (folder / name).string();
    REQUIRE(text.starts_with(shown));
    return text.substr(shown.size());
  };
  std::filesystem::create_directory(folder / "taken");
  WriteText(folder / "file", "old");
  CHECK(error("taken") == ": error: cannot write the file: it is a folder");
  CHECK(error("nowhere/out") == ": error: cannot create the file: No such file or directory");
  CHECK(error("file/out") == ": error: cannot create the file: Not a directory");
  CHECK(NamesIn(folder.path()) == Names{"file", "taken"});
}

}  // namespace
}  // namespace qeff
