// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/verify.h"

#include <catch2/catch.hpp>

#include "tests/unit/lib/hub/cache_folder.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

const std::string kRepo = "models--org--name";
const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";
// Of "hello\n", from sha256sum and git hash-object.
const std::string kSha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const std::string kGit = "ce013625030ba8dba906f756967f9e9ca394464a";

TEST_CASE("blobs are checked against the hashes in their names") {
  const CacheFolder cache;
  cache.AddFile(kRepo, kCommit, "model.safetensors", kSha256, "hello\n");
  cache.AddFile(kRepo, kCommit, "config.json", kGit, "hello\n");
  cache.AddFile(kRepo, kCommit, "vocab.json", "not-a-hash", "x");
  cache.Write(kRepo + "/snapshots/" + kCommit + "/note.txt", "y");
  Result<VerifyReport> report = VerifyHashes({.folder = cache / kRepo / "snapshots" / kCommit});
  REQUIRE(report.ok());
  REQUIRE(report->verified == std::vector<std::string>{"config.json", "model.safetensors"});
  REQUIRE(report->unknown == std::vector<std::string>{"note.txt", "vocab.json"});
  REQUIRE(report->verified_bytes == 12);
}

TEST_CASE("a blob of more than one piece is hashed whole") {
  const CacheFolder cache;
  // sha256sum of 20,000,000 zero bytes.
  cache.AddFile(kRepo, kCommit, "model.safetensors",
                "9e21c61969cd3e077a1b2b58ddb583b175e13c6479d2d83912eaddc23c0cdd52",
                std::string(20'000'000, '\0'));
  REQUIRE(VerifyHashes({.folder = cache / kRepo / "snapshots" / kCommit})->verified.size() == 1);
}

TEST_CASE("bad_content and links to nothing are found") {
  for (const std::string& hash : {kSha256, kGit}) {
    CAPTURE(hash);
    const CacheFolder cache;
    const fs::path folder = cache / kRepo / "snapshots" / kCommit;
    cache.AddFile(kRepo, kCommit, "model.safetensors", hash, "hellO\n");
    Result<VerifyReport> report = VerifyHashes({.folder = folder});
    REQUIRE_FALSE(report.ok());
    REQUIRE(report.diagnostic().code == ErrorCode::kInvalidInput);
    REQUIRE(report.diagnostic().where.file == (folder / "model.safetensors").string());
    REQUIRE(report.diagnostic().message.starts_with("expected the content with hash " + hash +
                                                    ", got "));
    REQUIRE(report.diagnostic().notes[0].find("blobs/" + hash) != std::string::npos);
    fs::remove(cache / kRepo / "blobs" / hash);
    REQUIRE(VerifyHashes({.folder = folder}).diagnostic().code == ErrorCode::kIo);
  }
  REQUIRE(VerifyHashes({.folder = "no-such-folder"}).diagnostic().code == ErrorCode::kIo);
}

}  // namespace
}  // namespace qeff::hub
