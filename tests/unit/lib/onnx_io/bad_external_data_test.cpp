// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Names of data files that try to leave the model's folder, and entries that lie.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "lib/onnx_io/reader.h"
#include "tests/unit/lib/onnx_io/onnx_test.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

using Entries = std::vector<std::pair<std::string, std::string>>;

void SetExternal(const Entries& entries, onnx::TensorProto* tensor) {
  tensor->set_data_location(onnx::TensorProto_DataLocation_EXTERNAL);
  for (const auto& [key, value] : entries) {
    onnx::StringStringEntryProto* entry = tensor->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
}

/// A folder "model" beside a file "secret"; inside, "data" with the 24 bytes that AddModel needs.
class ModelFolder {
 public:
  ModelFolder() {
    fs::create_directory(path());
    WriteText(path() / "data", std::string(24, '\0'));
    WriteText(outside(), std::string(24, 's'));
  }
  fs::path path() const { return folder_.path() / "model"; }
  fs::path outside() const { return folder_.path() / "secret"; }
  std::string Error(const Entries& entries) const {
    onnx::ModelProto model = AddModel();
    SetExternal(entries, model.mutable_graph()->mutable_initializer(0));
    return ReadError(Store(model, path()));
  }
  std::string ErrorOf(const std::string& location) const { return Error({{"location", location}}); }

 private:
  TemporaryFolder folder_;
};

/// A process that makes "data" a file, a link to `outside`, a file, ... until the object goes.
class Exchanger {
 public:
  Exchanger(const fs::path& folder, const fs::path& outside) : process_(::fork()) {
    while (process_ == 0) {
      std::error_code ignored;
      fs::create_symlink(outside, folder / "link", ignored);
      fs::rename(folder / "link", folder / "data", ignored);
      WriteText(folder / "good", std::string(24, '\0'));
      fs::rename(folder / "good", folder / "data", ignored);
    }
  }
  ~Exchanger() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

 private:
  pid_t process_;
};

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("external data in the model's folder is mapped") {
  const ModelFolder folder;
  REQUIRE(folder.Error({{"location", "data"}}) == "");
  REQUIRE(folder.Error({{"location", "./data"}, {"offset", "0"}, {"length", "24"}}) == "");
  REQUIRE(folder.Error({{"location", "data"}, {"checksum", "0123"}}) == "");
  fs::create_directory(folder.path() / "sub");
  WriteText(folder.path() / "sub/data", std::string(4096 + 24, 'x'));
  REQUIRE(folder.Error({{"location", "sub/data"}, {"offset", "4096"}}) == "");
}

TEST_CASE("data files of a Hugging Face snapshot are links to its blobs") {
  const TemporaryFolder cache;
  const fs::path repo = cache.path() / "models--org--name";
  fs::create_directories(repo / "blobs");
  fs::create_directories(repo / "snapshots/abc/onnx");
  onnx::ModelProto model = AddModel();
  SetExternal({{"location", "model.onnx_data"}}, model.mutable_graph()->mutable_initializer(0));
  WriteText(repo / "blobs/1111", model.SerializeAsString());
  WriteText(repo / "blobs/2222", std::string(24, 'x'));
  const fs::path snapshot = repo / "snapshots/abc/onnx";
  fs::create_symlink("../../../blobs/1111", snapshot / "model.onnx");
  fs::create_symlink("../../../blobs/2222", snapshot / "model.onnx_data");
  REQUIRE(ReadError(snapshot / "model.onnx") == "");
  // Another repository's blobs are not this one's.
  fs::create_directories(cache.path() / "models--org--other/blobs");
  WriteText(cache.path() / "models--org--other/blobs/3333", std::string(24, 'x'));
  fs::remove(snapshot / "model.onnx_data");
  fs::create_symlink("../../../../models--org--other/blobs/3333", snapshot / "model.onnx_data");
  REQUIRE(Contains(ReadError(snapshot / "model.onnx"), "leads out of the model's folder"));
}

TEST_CASE("data beside the real file is found through a link to the model") {
  const ModelFolder folder;
  REQUIRE(folder.ErrorOf("data") == "");
  const TemporaryFolder other;
  fs::create_symlink(folder.path() / "model.onnx", other.path() / "model.onnx");
  fs::create_symlink(folder.path() / "data", other.path() / "data");
  REQUIRE(ReadError(other.path() / "model.onnx") == "");
}

TEST_CASE("bad_location names are refused before the file system sees them") {
  const ModelFolder folder;
  REQUIRE(folder.ErrorOf("../secret") ==
          (folder.path() / "model.onnx").string() +
              ": tensor 'w': error: external data location '../secret' contains '..'\n"
              "note: expected a path below the folder of the .onnx file");
  REQUIRE(Contains(folder.ErrorOf("a/../../secret"), "contains '..'"));
  REQUIRE(Contains(folder.ErrorOf(folder.outside().string()), "is absolute"));
  REQUIRE(Contains(folder.ErrorOf("/dev/zero"), "is absolute"));
  REQUIRE(Contains(folder.ErrorOf("/proc/self/mem"), "is absolute"));
  REQUIRE(Contains(folder.ErrorOf("..\\secret"), "backslash"));
  REQUIRE(Contains(folder.ErrorOf(""), "is empty"));
  REQUIRE(Contains(folder.ErrorOf(std::string("data\0x", 6)), "not UTF-8 text"));
  REQUIRE(Contains(folder.ErrorOf(std::string(4096, 'a')), "is too long"));
  REQUIRE(Contains(folder.ErrorOf("data\xff"), "not UTF-8 text"));
  REQUIRE(Contains(folder.ErrorOf("absent"), "cannot find the data file"));
}

TEST_CASE("bad_location that leads elsewhere is refused") {
  const ModelFolder folder;
  fs::create_symlink(folder.outside(), folder.path() / "link");
  REQUIRE(Contains(folder.ErrorOf("link"), "leads out of the model's folder"));
  fs::create_directory_symlink(folder.outside().parent_path(), folder.path() / "up");
  REQUIRE(Contains(folder.ErrorOf("up/secret"), "leads out of the model's folder"));
  fs::create_symlink("/dev/zero", folder.path() / "zero");
  REQUIRE(Contains(folder.ErrorOf("zero"), "leads out of the model's folder"));
  fs::create_symlink("/proc/self/mem", folder.path() / "mem");
  REQUIRE(Contains(folder.ErrorOf("mem"), "leads out of the model's folder"));
  fs::create_hard_link(folder.outside(), folder.path() / "hard");
  REQUIRE(Contains(folder.ErrorOf("hard"), "has hard links"));
  REQUIRE(::mkfifo((folder.path() / "fifo").c_str(), 0600) == 0);
  REQUIRE(Contains(folder.ErrorOf("fifo"), "is not a regular file"));
  fs::create_directory(folder.path() / "directory");
  REQUIRE(Contains(folder.ErrorOf("directory"), "is not a regular file"));
  fs::create_symlink("loop", folder.path() / "loop");
  REQUIRE(Contains(folder.ErrorOf("loop"), "cannot find the data file"));
}

TEST_CASE("bad_entries of external data are refused") {
  const ModelFolder folder;
  const std::pair<std::string, std::string> data = {"location", "data"};
  REQUIRE(Contains(folder.Error({data, {"basepath", "/"}}), "got 'basepath'"));
  REQUIRE(Contains(folder.Error({data, data}), "'location' is given twice"));
  REQUIRE(Contains(folder.Error({}), "is empty"));
  for (const char* number : {"-1", "+1", "", "1x", " 1", "0x10", "1.0", "18446744073709551616"}) {
    INFO(number);
    REQUIRE(Contains(folder.Error({data, {"offset", number}}), "expected a number of bytes"));
    REQUIRE(Contains(folder.Error({data, {"length", number}}), "expected a number of bytes"));
  }
  REQUIRE(Contains(folder.Error({data, {"offset", "1"}}), "which has 24 bytes"));
  REQUIRE(Contains(folder.Error({data, {"offset", "18446744073709551615"}}), "which has 24 bytes"));
  REQUIRE(Contains(folder.Error({data, {"length", "23"}}), "expected 24 bytes of external data"));
  REQUIRE(Contains(folder.Error({data, {"length", "1125899906842624"}}), "expected 24 bytes"));
  onnx::ModelProto model = AddModel();
  onnx::TensorProto* tensor = model.mutable_graph()->mutable_initializer(0);
  SetExternal({data}, tensor);
  tensor->set_raw_data(std::string(24, 'x'));
  REQUIRE(Contains(ReadError(Store(model, folder.path())), "both inline and external data"));
  tensor->clear_data_location();
  REQUIRE(Contains(ReadError(Store(model, folder.path())), "inline data names an external file"));
}

TEST_CASE("bad_location is refused wherever a tensor can be") {
  const ModelFolder folder;
  const Entries secret = {{"location", "../secret"}};
  const auto error = [&](const std::function<void(onnx::ModelProto*)>& change) {
    onnx::ModelProto model = AddModel();
    model.mutable_graph()->mutable_initializer(0)->set_raw_data(std::string(24, 'x'));
    change(&model);
    return ReadError(Store(model, folder.path()));
  };
  const auto set_tensor = [&](onnx::NodeProto* node, const char* name) {
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::TENSOR);
    *attribute->mutable_t() = AddModel().graph().initializer(0);
    SetExternal(secret, attribute->mutable_t());
  };
  const auto add_constant = [&](onnx::NodeProto* node) {
    node->set_op_type("Constant");
    node->add_output("c");
    set_tensor(node, "value");
  };
  REQUIRE(error([](onnx::ModelProto*) {}) == "");
  REQUIRE(Contains(
      error([&](onnx::ModelProto* model) { add_constant(model->mutable_graph()->add_node()); }),
      "contains '..'"));
  REQUIRE(Contains(error([&](onnx::ModelProto* model) {
                     set_tensor(model->mutable_graph()->mutable_node(0), "attribute");
                   }),
                   "contains '..'"));
  REQUIRE(Contains(error([&](onnx::ModelProto* model) {
                     onnx::FunctionProto* function = model->add_functions();
                     function->set_name("F");
                     function->set_domain("local");
                     function->add_opset_import()->set_version(17);
                     add_constant(function->add_node());
                   }),
                   "contains '..'"));
  REQUIRE(Contains(error([&](onnx::ModelProto* model) {
                     auto* sparse = model->mutable_graph()->add_sparse_initializer();
                     SetExternal(secret, sparse->mutable_values());
                   }),
                   "sparse initializers"));
  REQUIRE(Contains(error([&](onnx::ModelProto* model) {
                     onnx::NodeProto* node = model->mutable_graph()->add_node();
                     node->set_op_type("Constant");
                     node->add_output("c");
                     onnx::AttributeProto* attribute = node->add_attribute();
                     attribute->set_name("sparse_value");
                     attribute->set_type(onnx::AttributeProto::SPARSE_TENSOR);
                     SetExternal(secret, attribute->mutable_sparse_tensor()->mutable_values());
                   }),
                   "attribute 'sparse_value' is of ONNX attribute type 11"));
  REQUIRE(Contains(error([&](onnx::ModelProto* model) {
                     onnx::NodeProto* node = model->mutable_graph()->mutable_node(0);
                     onnx::AttributeProto* attribute = node->add_attribute();
                     attribute->set_name("then_branch");
                     attribute->set_type(onnx::AttributeProto::GRAPH);
                     SetExternal(secret, attribute->mutable_g()->add_initializer());
                   }),
                   "attribute 'then_branch' is a graph: control flow"));
  REQUIRE(Contains(error([&](onnx::ModelProto* model) {
                     SetExternal(
                         secret,
                         model->add_training_info()->mutable_initialization()->add_initializer());
                   }),
                   "training_info"));
}

TEST_CASE(
    "bad_exchange of a data file for a link while the model is read changes nothing outside") {
  // The file is checked again through its descriptor: whichever of the two is opened, bytes of the
  // file outside are never returned.
  const ModelFolder folder;
  onnx::ModelProto model = AddModel();
  SetExternal({{"location", "data"}}, model.mutable_graph()->mutable_initializer(0));
  const fs::path path = Store(model, folder.path());
  const Exchanger exchanger(folder.path(), folder.outside());
  for (int i = 0; i < 2000; ++i) {
    const Result<ir::Model> read = ReadOnnx(path);
    if (!read.ok()) continue;
    const auto bytes = ir::ReadWholeWeight(*read->graph.constants().at(0)->constant());
    if (bytes->at(0) != std::byte{0}) FAIL("bytes of a file outside of the folder were read");
  }
}

}  // namespace qeff::onnx_io
