// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/artifact_folder.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "lib/support/file.h"
#include "tests/unit/lib/artifact/temporary_folder.h"

namespace qeff::artifact {
namespace {

namespace fs = std::filesystem;

Manifest ExampleManifest(std::string tool = "qeff-export") {
  return {.format = std::string(kOnnxFormat),
          .tool = std::move(tool),
          .tool_version = "0.1.0",
          .options = {{"dtype", std::string("f32")}, {"subfunctions", false}},
          .modules = {{.name = "model", .files = {"model.onnx"}}}};
}

/// Makes an artifact that holds `content`.
Status MakeArtifact(const fs::path& path, std::string_view content) {
  QEFF_ASSIGN_OR_RETURN(ArtifactWriter writer, ArtifactWriter::Create(path));
  QEFF_RETURN_IF_ERROR(writer.WriteFile("model.onnx", content));
  return writer.Commit(ExampleManifest());
}

std::string Content(const fs::path& path) {
  Result<std::string> content = ReadSmallFile(path);
  return content.ok() ? *content : "(" + content.diagnostic().message + ")";
}

TEST_CASE("a committed artifact holds its files, their hashes and nothing beside it") {
  const TemporaryFolder folder;
  const fs::path path = folder / "deep" / "out";
  WriteText(folder / "config.json", "{}");
  Result<ArtifactWriter> writer = ArtifactWriter::Create(path);
  REQUIRE(writer.ok());
  Result<ArtifactFile> data = writer->NewFile("vision/model.onnx.data", HashKind::kXxh3);
  REQUIRE(data.ok());
  REQUIRE(data->Append("abc").ok());
  REQUIRE(data->AlignTo(8).ok());
  REQUIRE(data->offset_bytes() == 8);
  REQUIRE(data->Append("xyz").ok());
  REQUIRE(data->Close().ok());
  REQUIRE(writer->WriteFile("model.onnx", "abc").ok());
  REQUIRE(writer->CopyFile(folder / "config.json", "config.json").ok());
  WriteText(writer->temporary_path() / "foreign.bin", "123456789");
  REQUIRE(writer->AddWrittenFile("foreign.bin", HashKind::kSha256).ok());
  REQUIRE_FALSE(fs::exists(path));
  REQUIRE(writer->Commit(ExampleManifest()).ok());

  REQUIRE(NamesIn(folder / "deep") == std::vector<std::string>{"out"});
  const Result<Manifest> manifest = ReadManifest(path, kOnnxFormat);
  REQUIRE(manifest.ok());
  // sha256sum and xxh128sum of the same bytes.
  CHECK(manifest->files.at("model.onnx").hash ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(manifest->files.at("foreign.bin").hash ==
        "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225");
  CHECK(manifest->files.at("vision/model.onnx.data").hash == "865287f24907c7ffa2ceb131d472599c");
  CHECK(manifest->files.at("vision/model.onnx.data").size_bytes == 11);
  CHECK(Content(path / "config.json") == "{}");
  Diagnostics findings;
  VerifyFiles(path, *manifest, findings);
  CHECK(findings.error_count() == 0);
}

TEST_CASE("the same content gives the same manifest whatever the path") {
  const TemporaryFolder folder;
  REQUIRE(MakeArtifact(folder / "a", "1").ok());
  REQUIRE(MakeArtifact(folder / "b" / "c", "1").ok());
  CHECK(Content(folder / "a" / "manifest.json") == Content(folder / "b" / "c" / "manifest.json"));
}

TEST_CASE("an earlier artifact is replaced and an empty folder is taken over") {
  const TemporaryFolder folder;
  REQUIRE(fs::create_directory(folder / "out"));
  REQUIRE(MakeArtifact(folder / "out", "old").ok());
  REQUIRE(MakeArtifact(folder / "out" / "", "new").ok());
  CHECK(Content(folder / "out" / "model.onnx") == "new");
  CHECK(NamesIn(folder.path()) == std::vector<std::string>{"out"});
}

TEST_CASE("an artifact behind a symbolic link is replaced behind the link") {
  const TemporaryFolder folder;
  REQUIRE(MakeArtifact(folder / "disk" / "real", "old").ok());
  fs::create_directory_symlink(folder / "disk" / "real", folder / "link");
  REQUIRE(MakeArtifact(folder / "link", "new").ok());
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(Content(folder / "disk" / "real" / "model.onnx") == "new");
}

TEST_CASE("a writer without commit leaves the earlier artifact and nothing else") {
  const TemporaryFolder folder;
  REQUIRE(MakeArtifact(folder / "out", "old").ok());
  {
    Result<ArtifactWriter> writer = ArtifactWriter::Create(folder / "out");
    REQUIRE(writer.ok());
    REQUIRE(writer->WriteFile("model.onnx", "new").ok());
    CHECK(NamesIn(folder.path()).size() == 2);
  }
  CHECK(NamesIn(folder.path()) == std::vector<std::string>{"out"});
  CHECK(Content(folder / "out" / "model.onnx") == "old");
}

TEST_CASE(
    "what a killed process left is removed by the next writer, what a running one writes is not") {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    Result<ArtifactWriter> writer = ArtifactWriter::Create(folder / "out");
    if (!writer.ok() || !writer->WriteFile("model.onnx", "half").ok()) ::_exit(1);
    ::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  REQUIRE(NamesIn(folder.path()).size() == 1);
  REQUIRE_FALSE(fs::exists(folder / "out"));

  Result<ArtifactWriter> running = ArtifactWriter::Create(folder / "out");
  REQUIRE(running.ok());
  CHECK(NamesIn(folder.path()).size() == 1);
  REQUIRE(MakeArtifact(folder / "out", "second").ok());
  CHECK(NamesIn(folder.path()).size() == 2);
  REQUIRE(running->WriteFile("model.onnx", "first").ok());
  REQUIRE(running->Commit(ExampleManifest()).ok());
  CHECK(Content(folder / "out" / "model.onnx") == "first");
}

TEST_CASE("a process killed at any moment leaves the earlier artifact or the new one, whole") {
  const TemporaryFolder folder;
  REQUIRE(MakeArtifact(folder / "out", "first").ok());
  for (int round = 0; round < 40; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      while (true) (void)MakeArtifact(folder / "out", std::string(100'000, 'x')).ok();
    }
    ::usleep(static_cast<useconds_t>(2'000 + 137 * round));
    ::kill(child, SIGKILL);
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    const Result<Manifest> manifest = ReadManifest(folder / "out", kOnnxFormat);
    REQUIRE(manifest.ok());
    Diagnostics findings;
    VerifyFiles(folder / "out", *manifest, findings);
    REQUIRE(findings.error_count() == 0);
  }
  REQUIRE(MakeArtifact(folder / "out", "last").ok());
  CHECK(NamesIn(folder.path()) == std::vector<std::string>{"out"});
}

TEST_CASE("a leftover with our own process number is removed unless it is in use") {
  const TemporaryFolder folder;
  WriteText(folder / fmt::format(".out.tmp-{}-0", ::getpid()) / "model.onnx", "half");
  REQUIRE(MakeArtifact(folder / "out", "new").ok());
  CHECK(NamesIn(folder.path()) == std::vector<std::string>{"out"});
}

TEST_CASE("an artifact that a killed process had moved aside is put back") {
  const TemporaryFolder folder;
  REQUIRE(MakeArtifact(folder / "out", "old").ok());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  fs::rename(folder / "out", folder / fmt::format(".out.tmp-{}-0.old", child));
  { REQUIRE(ArtifactWriter::Create(folder / "out").ok()); }
  CHECK(Content(folder / "out" / "model.onnx") == "old");
  CHECK(NamesIn(folder.path()) == std::vector<std::string>{"out"});
}

TEST_CASE("bad_output_path: nothing of the user's is replaced") {
  const TemporaryFolder folder;
  WriteText(folder / "file", "mine");
  WriteText(folder / "mine" / "notes.txt", "mine");
  WriteText(folder / "other" / "manifest.json", "{\"name\": \"a web page\"}");
  REQUIRE(MakeArtifact(folder / "mixed", "old").ok());
  WriteText(folder / "mixed" / "notes.txt", "mine");

  const auto message = [&](const char* name) {
    const Result<ArtifactWriter> writer = ArtifactWriter::Create(folder / name);
    REQUIRE_FALSE(writer.ok());
    CHECK(writer.diagnostic().code == ErrorCode::kUsage);
    CHECK(writer.diagnostic().notes.at(0) == "choose another output folder, or remove this one");
    return writer.diagnostic().message;
  };
  CHECK(message("file") == "expected a folder to write to, got a file");
  CHECK(message("mine") ==
        "expected an earlier artifact or an empty folder, got a folder without 'manifest.json'");
  CHECK(message("other") ==
        "expected an earlier artifact, got a 'manifest.json' of another program");
  CHECK(message("mixed") == "the folder holds 'notes.txt', which its manifest does not name");
  CHECK(NamesIn(folder.path()) == std::vector<std::string>{"file", "mine", "mixed", "other"});
  CHECK_FALSE(ArtifactWriter::Create("").ok());
  CHECK_FALSE(ArtifactWriter::Create("/").ok());
}

TEST_CASE("bad_full_disk: the error has place and cause, and nothing is left behind") {
  const TemporaryFolder folder;
  REQUIRE(MakeArtifact(folder / "out", "old").ok());
  // A limit on file size stands in for the full disk: write() fails in the same way after a part.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small{.rlim_cur = 100'000, .rlim_max = before.rlim_max};
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Status status = MakeArtifact(folder / "out", std::string(1'000'000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, old_handler);
  REQUIRE_FALSE(status.ok());
  CHECK(status.code() == ErrorCode::kIo);
  CHECK(status.diagnostic().where.byte_offset == 100'000);
  CHECK(NamesIn(folder.path()) == std::vector<std::string>{"out"});
  CHECK(Content(folder / "out" / "model.onnx") == "old");
}

}  // namespace
}  // namespace qeff::artifact
