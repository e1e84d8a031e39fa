// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/checkpoint.h"

#include <catch2/catch.hpp>
#include <iostream>
#include <map>

#include "tests/unit/lib/checkpoint/test_files.h"

namespace qeff::checkpoint {
namespace {

namespace fs = std::filesystem;

/// A safetensors file that holds one byte per name.
std::string ByteTensors(const std::vector<std::string>& names) {
  std::string header = "{";
  for (size_t i = 0; i < names.size(); ++i) {
    header += fmt::format(R"({}"{}":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}})",
                          i > 0 ? "," : "", names[i], i, i + 1);
  }
  return Safetensors(header + "}", names.size());
}

using Files = std::map<std::string, std::string>;  // name -> content

/// A folder with config.json and the given files.
class Folder : public TemporaryFolder {
 public:
  explicit Folder(const Files& files) {
    WriteText(*this / "config.json", R"({"model_type": "llama"})");
    for (const auto& [name, content] : files) WriteText(*this / name, content);
  }
  /// The error of opening it, without the folder's path; "" if it opens.
  std::string Error() const {
    Result<Checkpoint> checkpoint = Checkpoint::Open(path());
    if (checkpoint.ok()) return "";
    std::string text = checkpoint.diagnostic().ToString();
    for (size_t at; (at = text.find(path().string())) != std::string::npos;) {
      text.replace(at, path().string().size(), "DIR");
    }
    return text;
  }
};

constexpr char kIndex[] = "model.safetensors.index.json";
constexpr char kFirst[] = "model-00001-of-00002.safetensors";
constexpr char kSecond[] = "model-00002-of-00002.safetensors";

std::string Index(const std::string& map, const std::string& metadata = R"({"total_size": 3})") {
  return R"({"metadata": )" + metadata + R"(, "weight_map": {)" + map + "}}";
}

const std::string kGoodMap = R"("a": "model-00001-of-00002.safetensors",
    "b": "model-00002-of-00002.safetensors", "c": "model-00001-of-00002.safetensors")";

TEST_CASE("a single file gives its tensors by name, and the carried files") {
  const Folder folder(Files{{"model.safetensors", ByteTensors({"b", "a"})},
                            {"generation_config.json", "{}"},
                            {"tokenizer.json", "{}"},
                            {"tokenizer_config.json", "{}"},
                            {"tokenizer.model", "x"},
                            {"chat_template.jinja", "x"},
                            {"README.md", "x"},
                            {"pytorch_model.bin", "x"}});
  Result<Checkpoint> checkpoint = Checkpoint::Open(folder.path());
  REQUIRE(checkpoint.ok());
  REQUIRE(checkpoint->tensors().size() == 2);
  REQUIRE(checkpoint->tensors()[0].name == "a");
  const TensorRef* b = checkpoint->Find("b");
  REQUIRE(b != nullptr);
  REQUIRE(b->bytes()[0] == std::byte{0});
  REQUIRE(checkpoint->Find("a")->bytes()[0] == std::byte{1});
  REQUIRE(b->file->path() == (folder / "model.safetensors").string());
  REQUIRE(checkpoint->Find("c") == nullptr);
  REQUIRE(checkpoint->has_generation_config());
  REQUIRE(checkpoint->carried_files() ==
          std::vector<std::string>{"chat_template.jinja", "config.json", "generation_config.json",
                                   "tokenizer.json", "tokenizer.model", "tokenizer_config.json"});
  const std::vector<InputFile> files = checkpoint->input_files();
  REQUIRE(files.size() == 7);
  REQUIRE(files[0].role == "tokenizer");
  REQUIRE(files[1].role == "config");
  REQUIRE(files[6].role == "weights");
  REQUIRE(files[6].path == folder / "model.safetensors");
  REQUIRE(*checkpoint->OpenConfig()->String("model_type") == "llama");
}

TEST_CASE("shards are found through the index") {
  const Folder folder(Files{{kIndex, Index(kGoodMap)},
                            {kFirst, ByteTensors({"a", "c"})},
                            {kSecond, ByteTensors({"b"})},
                            {"not_in_index.safetensors", "x"}});
  Result<Checkpoint> checkpoint = Checkpoint::Open(folder.path());
  if (!checkpoint.ok()) FAIL(checkpoint.diagnostic().ToString());
  REQUIRE(checkpoint->weight_files() == std::vector<fs::path>{folder / kFirst, folder / kSecond});
  REQUIRE(checkpoint->Find("b")->file_index == 1);
  REQUIRE(checkpoint->Find("c")->file_index == 0);
  REQUIRE(checkpoint->warnings().empty());
  // The names that the lookup refers to survive a move.
  const Checkpoint moved = std::move(*checkpoint);
  REQUIRE(moved.Find("c")->bytes()[0] == std::byte{1});
}

TEST_CASE("a wrong total size is a warning") {
  const Folder folder(Files{{kIndex, Index(kGoodMap, R"({"total_size": 4})")},
                            {kFirst, ByteTensors({"a", "c"})},
                            {kSecond, ByteTensors({"b"})}});
  Result<Checkpoint> checkpoint = Checkpoint::Open(folder.path());
  REQUIRE(checkpoint.ok());
  REQUIRE(checkpoint->warnings().size() == 1);
  REQUIRE(checkpoint->warnings()[0].severity == Severity::kWarning);
  REQUIRE(checkpoint->warnings()[0].message ==
          "'metadata.total_size' is 4, but the shards hold 3 bytes");
}

TEST_CASE("the only safetensors file is taken under any name, adapters aside") {
  REQUIRE(
      Folder(Files{{"weights.safetensors", ByteTensors({"a"})}, {"adapter_model.safetensors", "x"}})
          .Error() == "");
}

TEST_CASE("bad_folder: missing, without config, without weights") {
  Result<Checkpoint> checkpoint = Checkpoint::Open("no-such-folder");
  REQUIRE_FALSE(checkpoint.ok());
  REQUIRE(checkpoint.diagnostic().code == ErrorCode::kIo);
  REQUIRE(checkpoint.diagnostic().ToString().find(
              "no-such-folder: error: cannot read the folder") == 0);

  const TemporaryFolder empty;
  checkpoint = Checkpoint::Open(empty.path());
  REQUIRE(checkpoint.diagnostic().code == ErrorCode::kIo);
  REQUIRE(checkpoint.diagnostic().message == "the file is missing");

  REQUIRE(Folder(Files{}).Error() ==
          "DIR: error: the folder holds no weights, expected 'model.safetensors'\nnote: the "
          "download is "
          "incomplete: run qeff-fetch again");
  REQUIRE(Folder(Files{{"adapter_model.safetensors", "x"}}).Error().find("holds no weights") !=
          std::string::npos);
}

TEST_CASE("bad_pickle: PyTorch files are never read, and the error says what to do") {
  const std::string error = Folder(Files{{"pytorch_model.bin", "x"}}).Error();
  REQUIRE(error.find("DIR: error: expected weights in *.safetensors, got only PyTorch files") == 0);
  REQUIRE(error.find("save_pretrained") != std::string::npos);
}

TEST_CASE("bad_config in the folder") {
  REQUIRE(Folder(Files{{"config.json", "{"}}).Error().find("DIR/config.json:1:") == 0);
  REQUIRE(Folder(Files{{"generation_config.json", "[]"}}).Error() ==
          "DIR/generation_config.json: error: expected a JSON object, got a list");
}

TEST_CASE("bad_link: a file of a broken cache is not just left out") {
  const Folder folder(Files{{"model.safetensors", ByteTensors({"a"})}});
  fs::create_symlink("../blobs/absent", folder / "tokenizer.json");
  REQUIRE(folder.Error() ==
          "DIR/tokenizer.json: error: the file is a link to nothing\nnote: the download is "
          "incomplete: run "
          "qeff-fetch again");
}

TEST_CASE("bad_shard_missing names the shard and the index") {
  const std::string error =
      Folder(Files{{kIndex, Index(kGoodMap)}, {kFirst, ByteTensors({"a", "c"})}}).Error();
  REQUIRE(
      error ==
      "DIR/model-00002-of-00002.safetensors: error: cannot open the file: No such file or "
      "directory\nnote: "
      "it is file 2 of 2 in 'model.safetensors.index.json'\nnote: the download is incomplete: run "
      "qeff-fetch again");
  REQUIRE(Folder(Files{{kFirst, ByteTensors({"a"})}, {kSecond, ByteTensors({"b"})}}).Error() ==
          "DIR: error: 2 safetensors files ('model-00001-of-00002.safetensors', ...), but no "
          "'model.safetensors.index.json'\nnote: the download is incomplete: run qeff-fetch again");
  REQUIRE(Folder(Files{{kFirst, ByteTensors({"a"})}})
              .Error()
              .find("but no 'model.safetensors.index.json'") != std::string::npos);
}

TEST_CASE("bad_index: tensors that only one side knows, or that lie elsewhere") {
  const std::string absent = Folder(Files{{kIndex, Index(kGoodMap)},
                                          {kFirst, ByteTensors({"a", "c"})},
                                          {kSecond, ByteTensors({})}})
                                 .Error();
  REQUIRE(absent ==
          "DIR/model.safetensors.index.json: tensor 'b': error: expected the tensor in "
          "'model-00002-of-00002.safetensors', it is in no shard\nnote: index and shards are of "
          "different "
          "versions: fetch the checkpoint again");
  const std::string extra = Folder(Files{{kIndex, Index(kGoodMap)},
                                         {kFirst, ByteTensors({"a", "c", "d"})},
                                         {kSecond, ByteTensors({"b"})}})
                                .Error();
  REQUIRE(extra.find("DIR/model-00001-of-00002.safetensors: tensor 'd': error: "
                     "'model.safetensors.index.json' does not list this tensor") == 0);
  const std::string elsewhere = Folder(Files{{kIndex, Index(kGoodMap)},
                                             {kFirst, ByteTensors({"a", "b"})},
                                             {kSecond, ByteTensors({"c"})}})
                                    .Error();
  REQUIRE(elsewhere.find(
              "tensor 'b': error: 'model.safetensors.index.json' says that this tensor is in "
              "'model-00002-of-00002.safetensors'") != std::string::npos);
  const std::string twice = Folder(Files{{kIndex, Index(kGoodMap)},
                                         {kFirst, ByteTensors({"a", "b", "c"})},
                                         {kSecond, ByteTensors({"b"})}})
                                .Error();
  REQUIRE(twice.find("DIR/model-00001-of-00002.safetensors: tensor 'b': error: ") == 0);
}

TEST_CASE("bad_index content is refused, and no shard name leads out of the folder") {
  const auto error = [](const std::string& index) {
    return Folder(Files{{kIndex, index}}).Error();
  };
  for (const char* name :
       {"../evil.safetensors", "/etc/passwd", "sub/x.safetensors", "..", "", "x.bin"}) {
    CAPTURE(name);
    REQUIRE(
        error(Index(std::string("\"a\": \"") + name + "\"")) ==
        std::string(
            "DIR/model.safetensors.index.json: error: key 'weight_map.a': expected the name of a "
            ".safetensors file in the same folder, got \"") +
            name + "\"");
  }
  REQUIRE(error(Index("\"a\": 1")).find("got 1") != std::string::npos);
  REQUIRE(error("{}").find("key 'weight_map' must be an object") != std::string::npos);
  REQUIRE(error(Index("")).find("key 'weight_map' must be an object") != std::string::npos);
  REQUIRE(error(Index(R"("a": "x.safetensors", "a": "y.safetensors")")).find("appears twice") !=
          std::string::npos);
  REQUIRE(error("{").find("not valid JSON") != std::string::npos);
}

TEST_CASE("checkpoints of the goldens and models in the shared data open") {
  const fs::path shared = SharedFolder();
  if (shared.empty()) {
    std::cout << "SKIPPED: no folder ../shared\n";
    return;
  }
  int count = 0;
  for (const auto& entry : fs::directory_iterator(shared / "goldens/causal")) {
    if (!fs::exists(entry.path() / "config.json")) continue;
    CAPTURE(entry.path().string());
    Result<Checkpoint> checkpoint = Checkpoint::Open(entry.path());
    if (!checkpoint.ok()) FAIL(checkpoint.diagnostic().ToString());
    REQUIRE(!checkpoint->tensors().empty());
    // Families that came with transformers 5 have no older spelling.
    const fs::path old_config = entry.path() / "config.v4.json";
    if (fs::exists(old_config)) REQUIRE(ConfigReader::Read(old_config).ok());
    ++count;
  }
  REQUIRE(count > 60);
  for (const char* name : {"stories260k", "tinystories-656k"}) {
    REQUIRE(Checkpoint::Open(shared / "data/models" / name).ok());
  }
  REQUIRE(Checkpoint::Open(shared / "data/models/stories260k-lora").diagnostic().code ==
          ErrorCode::kIo);
}

}  // namespace
}  // namespace qeff::checkpoint
