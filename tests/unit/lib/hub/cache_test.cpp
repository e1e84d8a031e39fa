// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/hub/cache.h"

#include <catch2/catch.hpp>

#include "tests/unit/lib/hub/cache_folder.h"

namespace qeff::hub {
namespace {

namespace fs = std::filesystem;

const std::string kRepo = "models--org--name";
const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";
const std::string kOther = "0123ffffffffffffffffffffffffffffffffffff";

/// A cache with one complete snapshot of org/name.
class OneModel : public CacheFolder {
 public:
  OneModel() {
    Write(kRepo + "/refs/main", kCommit);
    AddFile(kRepo, kCommit, "config.json", "c", "{}");
    AddFile(kRepo, kCommit, "model.safetensors", "m", "data");
  }
};

/// The diagnostic of an error without the cache's path.
template <typename T>
std::string ErrorText(const Result<T>& result, const CacheFolder& cache) {
  REQUIRE_FALSE(result.ok());
  std::string text = result.diagnostic().ToString();
  for (size_t at; (at = text.find(cache.path().string())) != std::string::npos;) {
    text.replace(at, cache.path().string().size(), "CACHE");
  }
  return text;
}

std::string ErrorText(const Status& status, const CacheFolder& cache) {
  REQUIRE_FALSE(status.ok());
  return ErrorText(Result<int>(Status(status.diagnostic())), cache);
}

TEST_CASE("an id leads through refs to its snapshot") {
  const OneModel cache;
  cache.Write(kRepo + "/refs/refs/pr/1", kOther + "\n");
  fs::create_directories(cache / kRepo / "snapshots" / kOther);
  for (const std::string& typed :
       {std::string("org/name"), std::string("hf://org/name"), std::string("org/name@main"),
        "org/name@" + kCommit, std::string("org/name@01234")}) {
    CAPTURE(typed);
    Result<Snapshot> found = Resolve(typed, cache.path());
    if (!found.ok()) FAIL(found.diagnostic().ToString());
    CHECK(found->folder == cache / kRepo / "snapshots" / kCommit);
    CHECK(found->repo == "org/name");
    CHECK(found->commit == kCommit);
    CHECK(found->notes.empty());
    CHECK(CheckComplete(*found).ok());
  }
  Result<Snapshot> request = Resolve("org/name@refs/pr/1", cache.path());
  REQUIRE(request.ok());
  REQUIRE(request->commit == kOther);
}

TEST_CASE("a folder wins over an id") {
  const OneModel cache;
  Result<Snapshot> found = Resolve(cache.path().string(), "no-cache");
  REQUIRE(found.ok());
  REQUIRE(found->folder == cache.path());
  REQUIRE(found->repo.empty());
}

TEST_CASE("without refs/main the only snapshot is taken, with a note") {
  const OneModel cache;
  fs::remove_all(cache / kRepo / "refs");
  Result<Snapshot> found = Resolve("org/name", cache.path());
  REQUIRE(found.ok());
  REQUIRE(found->commit == kCommit);
  REQUIRE(found->notes ==
          std::vector<std::string>{"the cache has no ref 'main' of 'org/name'; its only snapshot " +
                                   kCommit + " is taken"});
  fs::create_directories(cache / kRepo / "snapshots" / kOther);
  REQUIRE(
      ErrorText(Resolve("org/name", cache.path()), cache) ==
      "CACHE/models--org--name: error: revision 'main' of 'org/name' is not in this Hugging Face "
      "cache\nnote: snapshots there: " +
          kCommit + ", " + kOther +
          "\nnote: get it with 'qeff-fetch org/name' where there is a network, or give a folder "
          "that "
          "holds the "
          "checkpoint");
}

TEST_CASE("bad_model: an id that is not there names the cache, what is there, and what to do") {
  const OneModel cache;
  fs::create_directories(cache / "models--gpt2");
  Result<Snapshot> near = Resolve("org/nam", cache.path());
  REQUIRE(near.diagnostic().code == ErrorCode::kIo);
  REQUIRE(ErrorText(near, cache) ==
          "CACHE: error: model 'org/nam' is not in this Hugging Face cache\nnote: did you mean "
          "'org/name'?\nnote: get it with 'qeff-fetch org/nam' where there is a network, or give a "
          "folder that holds "
          "the checkpoint");
  REQUIRE(ErrorText(Resolve("somebody/else-entirely@v2", cache.path()), cache) ==
          "CACHE: error: model 'somebody/else-entirely' is not in this Hugging Face cache\nnote: "
          "models there: "
          "gpt2, org/name\nnote: get it with 'qeff-fetch somebody/else-entirely@v2' where "
          "there is a network, or give a folder that holds the checkpoint");
  REQUIRE(Resolve("org/name", "no-such-cache").diagnostic().code == ErrorCode::kIo);
  REQUIRE(Resolve("org/name", "").diagnostic().message ==
          "no Hugging Face cache to look for 'org/name' in");
}

TEST_CASE("bad_typed paths and ids") {
  const OneModel cache;
  for (const char* path : {"/no/such/folder", "./nothing", "../nothing", "~nobody", "org/name/"}) {
    CAPTURE(path);
    Result<Snapshot> found = Resolve(path, cache.path());
    REQUIRE_FALSE(found.ok());
    CHECK(found.diagnostic().code == ErrorCode::kIo);
    CHECK(found.diagnostic().message == "no such folder");
  }
  const fs::path file = cache.Write("model.safetensors", "x");
  REQUIRE(Resolve(file.string(), cache.path()).diagnostic().code == ErrorCode::kUsage);
  REQUIRE(Resolve("a/b/c", cache.path()).diagnostic().code == ErrorCode::kUsage);
  REQUIRE(Resolve("", cache.path()).diagnostic().code == ErrorCode::kUsage);
  REQUIRE(Resolve("org/name@../../../etc", cache.path()).diagnostic().code == ErrorCode::kUsage);
}

TEST_CASE("bad_revision: unknown, not unique, damaged, or without its snapshot") {
  const OneModel cache;
  REQUIRE(
      ErrorText(Resolve("org/name@v2", cache.path()), cache)
          .starts_with(
              "CACHE/models--org--name: error: revision 'v2' of 'org/name' is not in this Hugging "
              "Face cache\nnote: snapshots there: " +
              kCommit + "\nnote: get it with 'qeff-fetch org/name@v2'"));
  fs::create_directories(cache / kRepo / "snapshots" / kOther);
  Result<Snapshot> ambiguous = Resolve("org/name@0123", cache.path());
  REQUIRE(ambiguous.diagnostic().code == ErrorCode::kUsage);
  REQUIRE(ErrorText(ambiguous, cache) ==
          "MODEL: error: commit '0123' of 'org/name' is not unique\nnote: it may be: " + kCommit +
              ", " + kOther);
  REQUIRE_FALSE(Resolve("org/name@012", cache.path()).ok());
  cache.Write(kRepo + "/refs/bad", "../../../etc");
  REQUIRE(ErrorText(Resolve("org/name@bad", cache.path()), cache)
              .starts_with(
                  "CACHE/models--org--name/refs/bad: error: expected a commit of 40 hex digits"));
  cache.Write(kRepo + "/refs/gone", std::string(40, 'a'));
  REQUIRE(ErrorText(Resolve("org/name@gone", cache.path()), cache)
              .find("error: the snapshot that 'gone' of 'org/name' stands for is missing") !=
          std::string::npos);
}

TEST_CASE("bad_incomplete snapshots list what is missing") {
  const auto error = [](const OneModel& cache) {
    Result<Snapshot> snapshot = Resolve("org/name", cache.path());
    REQUIRE(snapshot.ok());
    return ErrorText(CheckComplete(*snapshot), cache);
  };
  const std::string where = "CACHE/models--org--name/snapshots/" + kCommit + ": error: ";
  const std::string note = "\nnote: get the rest with 'qeff-fetch org/name@" + kCommit + "'";
  {
    const OneModel cache;
    fs::remove(cache / kRepo / "blobs/m");
    cache.AddLink(kRepo, kCommit, "tokenizer.json", "t");
    REQUIRE(error(cache) ==
            where + "the checkpoint is incomplete, missing: model.safetensors, tokenizer.json" +
                note);
  }
  {
    const OneModel cache;
    fs::remove(cache / kRepo / "snapshots" / kCommit / "model.safetensors");
    fs::remove(cache / kRepo / "snapshots" / kCommit / "config.json");
    REQUIRE(error(cache) ==
            where + "the checkpoint is incomplete, missing: config.json, model.safetensors" + note);
  }
  {
    const OneModel cache;
    fs::remove(cache / kRepo / "snapshots" / kCommit / "model.safetensors");
    cache.AddFile(
        kRepo, kCommit, "model.safetensors.index.json", "i",
        R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}})");
    cache.AddFile(kRepo, kCommit, "2.safetensors", "2", "x");
    REQUIRE(error(cache) == where + "the checkpoint is incomplete, missing: 1.safetensors" + note);
    cache.Write(kRepo + "/blobs/i", R"({"weight_map": [1]})");
    REQUIRE(error(cache).find("key 'weight_map' must be an object") != std::string::npos);
    cache.Write(kRepo + "/blobs/i", "{");
    REQUIRE(error(cache).find("not valid JSON") != std::string::npos);
  }
  {
    const OneModel cache;
    std::string map;
    for (int i = 10; i < 30; ++i) map += fmt::format(R"("{0}": "{0}",)", i);
    fs::remove(cache / kRepo / "snapshots" / kCommit / "model.safetensors");
    cache.AddFile(kRepo, kCommit, "model.safetensors.index.json", "i",
                  "{\"weight_map\": {" + map + "\"x\": \"9\"}}");
    REQUIRE(error(cache).find("missing: 10, 11, 12, 13, 14, 15, 16, 17 and 13 more") !=
            std::string::npos);
  }
}

TEST_CASE("bad_incomplete by the tree listing of the commit") {
  const OneModel cache;
  Result<Snapshot> snapshot = Resolve("org/name", cache.path());
  REQUIRE(snapshot.ok());
  const std::string tree = kRepo + "/trees/" + kCommit + ".json";
  const std::string id = R"("blob_id": "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0")";
  const std::string sha256(64, 'a');
  const auto listing = [&](const std::string& files) {
    return R"({"format_version": 1, "files": {)" + files + "}}";
  };
  cache.Write(tree, listing(R"("config.json": {"size": 2, )" + id +
                            R"(}, "model.safetensors": {"size": 130, )" + id +
                            R"(, "lfs_sha256": ")" + sha256 + R"(", "lfs_size": 4},
                            "pytorch_model.bin": {"size": 9, )" +
                            id + R"(}, "README.md": {"size": 9, )" + id + "}"));
  REQUIRE(CheckComplete(*snapshot).ok());
  cache.Write(tree, listing(R"("config.json": {"size": 7, )" + id +
                            R"(}, "model.safetensors": {"size": 130, )" + id +
                            R"(, "lfs_sha256": ")" + sha256 + R"(", "lfs_size": 5000000000},
                            "tokenizer.json": {"size": 1, )" +
                            id + "}"));
  REQUIRE(
      ErrorText(CheckComplete(*snapshot), cache)
          .find("missing: config.json (2 of 7 bytes), model.safetensors (4 of 5000000000 bytes), "
                "tokenizer.json\n") != std::string::npos);
  cache.Write(tree, R"({"format_version": 2, "files": {"tokenizer.json": {"size": 1}}})");
  REQUIRE(CheckComplete(*snapshot).ok());
  cache.Write(tree, "{");
  REQUIRE(CheckComplete(*snapshot).ok());
}

TEST_CASE("bad_incomplete plain folder") {
  const CacheFolder folder;
  folder.Write("config.json", "{}");
  REQUIRE(ErrorText(CheckComplete({.folder = folder.path()}), folder) ==
          "CACHE: error: the checkpoint is incomplete, missing: model.safetensors\nnote: copy the "
          "missing files "
          "into the folder");
  folder.Write("pytorch_model.bin", "x");
  REQUIRE(CheckComplete({.folder = folder.path()}).ok());
  REQUIRE(CheckComplete({.folder = "no-such-folder"}).code() == ErrorCode::kIo);
}

/// Sets or unsets variables for one scope.
class Environment {
 public:
  explicit Environment(std::vector<std::pair<std::string, std::string>> values) {
    for (const char* name :
         {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME"}) {
      const char* old = ::getenv(name);
      old_.emplace_back(name, old == nullptr ? "" : old);
      ::unsetenv(name);
    }
    for (const auto& [name, value] : values) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Environment(const Environment&) = delete;
  ~Environment() {
    for (const auto& [name, value] : old_) {
      value.empty() ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value.c_str(), 1);
    }
  }

 private:
  std::vector<std::pair<std::string, std::string>> old_;
};

TEST_CASE("the cache folder follows the variables of huggingface_hub, in their order") {
  const auto folder = [](std::vector<std::pair<std::string, std::string>> values) {
    const Environment environment(std::move(values));
    return CacheFolderFromEnvironment().string();
  };
  REQUIRE(folder({{"HOME", "/h"}}) == "/h/.cache/huggingface/hub");
  REQUIRE(folder({{"HOME", "/h"}, {"XDG_CACHE_HOME", "/x"}}) == "/x/huggingface/hub");
  REQUIRE(folder({{"HF_HOME", "/f"}, {"XDG_CACHE_HOME", "/x"}}) == "/f/hub");
  REQUIRE(folder({{"HOME", "/h"}, {"HF_HOME", "~/f"}}) == "/h/f/hub");
  REQUIRE(folder({{"HUGGINGFACE_HUB_CACHE", "/old"}, {"HF_HOME", "/f"}}) == "/old");
  REQUIRE(folder({{"HF_HUB_CACHE", "/new"}, {"HUGGINGFACE_HUB_CACHE", "/old"}}) == "/new");
  REQUIRE(folder({}).empty());
}

}  // namespace
}  // namespace qeff::hub
