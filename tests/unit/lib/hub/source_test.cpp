// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Texts of strangers and users: what a model is called, names of files, patterns, messages.
#include <catch2/catch.hpp>

#include "lib/hub/file_list.h"
#include "lib/hub/model_source.h"
#include "lib/hub/select.h"
#include "tests/unit/lib/hub/cache_folder.h"

namespace qeff::hub {
namespace {

std::string Parsed(std::string_view typed) {
  const Result<ModelSource> source = ParseModelSource(typed);
  if (!source.ok()) return source.diagnostic().code == ErrorCode::kUsage ? "usage" : "other";
  if (!source->folder.empty()) return "folder " + source->folder.string();
  return fmt::format("{}|{}|{}|{}", source->endpoint, source->repo.name, source->repo.revision,
                     source->subfolder);
}

TEST_CASE("forms of a model") {
  CHECK(Parsed("org/name") == "|org/name|main|");
  CHECK(Parsed("org/name@refs/pr/1") == "|org/name|refs/pr/1|");
  CHECK(Parsed("hf://org/name") == "|org/name|main|");
  CHECK(Parsed("hf://models/org/name@v1/a/b/") == "|org/name|v1|a/b");
  CHECK(Parsed("hf://org/name/a%20b") == "|org/name|main|a b");
  CHECK(Parsed("hf://org/name@refs/pr/12/a") == "|org/name|refs/pr/12|a");
  CHECK(Parsed("hf://org/name@feature%2Fx/a") == "|org/name|feature/x|a");
  CHECK(Parsed("https://huggingface.co/org/name") == "https://huggingface.co|org/name|main|");
  CHECK(Parsed("https://h:8/hub/org/name@v1/") == "https://h:8/hub|org/name|v1|");
  CHECK(Parsed("http://h/org/name/tree/refs/pr/3?x=y#z") == "http://h|org/name|refs/pr/3|");
  const CacheFolder folder;
  CHECK(Parsed("file://" + folder.path().string()) == "folder " + folder.path().string());
  CHECK(Parsed("file:" + folder.path().string()) == "folder " + folder.path().string());
  CHECK(Parsed("file://localhost" + folder.path().string()) == "folder " + folder.path().string());
}

TEST_CASE("bad_forms of a model") {
  for (const char* typed :
       {"", "a/b/c", "org/name@", "org/name@../x", "hf://", "hf://datasets/org/name",
        "hf://org/name/../../x", "hf://org/name/%2e%2e/x", "hf://org/name@a%2F..%2Fb",
        "file:", "file://elsewhere/x", "file:%00", "http://", "http://h", "http://h/name",
        "https://h/spaces/org/name", "https://h/org/name/tree/main/sub", "ftp://h/org/name"}) {
    CHECK((typed + std::string(" ") + Parsed(typed)) == typed + std::string(" usage"));
  }
  CHECK(Parsed("file:///no/such/folder") == "other");
}

TEST_CASE("bad_file names") {
  const Location where = Location::File("list");
  for (const char* name : {"a", "a/b.c", "..a", "a..", "a b", "ä/ö", "-x", "C", "ab:c"}) {
    CHECK(CheckFileName(name, where).ok());
  }
  for (const char* name : {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "C:", "c:x", "a:b",
                           "a/Z:/b", "\n", "a\x7f", "\xc2\x9b", ".git", "a/.GIT/x"}) {
    CHECK_FALSE(CheckFileName(name, where).ok());
  }
  CHECK(CheckFileName(std::string(255, 'a'), where).ok());
  CHECK_FALSE(CheckFileName(std::string(256, 'a'), where).ok());
  CHECK_FALSE(CheckFileName(std::string_view("a\0b", 3), where).ok());
}

TEST_CASE("text of strangers is shown without effect") {
  CHECK(Printable("plain ä£ text") == "plain ä£ text");
  CHECK(Printable("\x1b[2J\n\x7f") == "\\x1b[2J\\x0a\\x7f");
  CHECK(Printable("\xc2\x9b"
                  "31m") == "\\xc2\\x9b31m");
  CHECK(Printable("abcdef", 3) == "abc...");
}

TEST_CASE("patterns match as in Python's fnmatch") {
  CHECK(MatchesPattern("a/b.json", "*.json"));
  CHECK(MatchesPattern("a/b/c", "a/"));
  CHECK(MatchesPattern(".a", "*"));
  CHECK(MatchesPattern("a.b", "a?b"));
  CHECK(MatchesPattern("b1", "[!a]1"));
  CHECK(MatchesPattern("a\\b", "a\\b"));
  CHECK_FALSE(MatchesPattern("a.json.x", "*.json"));
  CHECK_FALSE(MatchesPattern("A", "a"));
}

TEST_CASE("a listing survives being written and read") {
  const CacheFolder folder;
  const std::vector<RepoFile> files = {
      {.path = "a", .size_bytes = 0, .git_sha1 = std::string(40, 'a')},
      {.path = "b/ä \"",
       .size_bytes = 5000000000,
       .git_sha1 = std::string(40, 'b'),
       .sha256 = std::string(64, 'c'),
       .xet_hash = std::string(64, 'd')}};
  const auto path = folder.Write("list.json", DumpFileList(files));
  const auto read = ReadFileList(path);
  REQUIRE(read.has_value());
  REQUIRE(read->size() == 2);
  CHECK((*read)[1].path == files[1].path);
  CHECK((*read)[1].size_bytes == 5000000000);
  CHECK((*read)[0].etag() == files[0].git_sha1);
  CHECK((*read)[1].etag() == files[1].sha256);
  CHECK((*read)[1].xet_hash == files[1].xet_hash);
  folder.Write("list.json", R"({"format_version":1,"files":{"../x":{"size":1,"blob_id":")" +
                                std::string(40, 'a') + "\"}}}");
  CHECK_FALSE(ReadFileList(path).has_value());
}

}  // namespace
}  // namespace qeff::hub
