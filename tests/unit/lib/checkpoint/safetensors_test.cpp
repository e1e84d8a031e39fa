// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/checkpoint/safetensors.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <iostream>

#include "tests/unit/lib/checkpoint/test_files.h"

namespace qeff::checkpoint {
namespace {

namespace fs = std::filesystem;

/// Opens a file made of `content` and returns the error's text without the folder, or "" if it
/// opens.
std::string ErrorOf(const std::string& content) {
  const TemporaryFolder folder;
  Result<SafetensorsFile> file =
      SafetensorsFile::Open(WriteText(folder / "m.safetensors", content));
  if (file.ok()) return "";
  std::string text = file.diagnostic().ToString();
  for (size_t at; (at = text.find(folder.path().string() + "/")) != std::string::npos;) {
    text.erase(at, folder.path().string().size() + 1);
  }
  return text;
}

constexpr char kDamaged[] = "\nnote: the file is damaged: fetch or make it again";
constexpr char kIncomplete[] = "\nnote: the download is incomplete: run qeff-fetch again";

std::string Entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}

/// A header of one or more entries.
std::string Header(const std::vector<std::string>& entries) {
  return fmt::format("{{{}}}", fmt::join(entries, ","));
}

TEST_CASE("a file gives its tensors in the order of their bytes, and its metadata") {
  const TemporaryFolder folder;
  const std::string header =
      Header({Entry("b", "F32", "[2,1]", "[4,12]"), R"("__metadata__":{"format":"pt","a":""})",
              Entry("a", "BF16", "[2]", "[0,4]"), Entry("none", "I64", "[3,0]", "[12,12]"),
              Entry("scalar", "U8", "[]", "[12,13]")}) +
      "   ";
  Result<SafetensorsFile> file =
      SafetensorsFile::Open(WriteText(folder / "m.safetensors", Safetensors(header, 13)));
  REQUIRE(file.ok());
  REQUIRE(file->tensors().size() == 4);
  REQUIRE(file->header_bytes() == static_cast<int64_t>(8 + header.size()));
  REQUIRE(file->tensors()[0].name == "a");
  REQUIRE(file->tensors()[0].dtype == DType::kBf16);
  REQUIRE(file->tensors()[2].name == "none");
  const StoredTensor* b = file->Find("b");
  REQUIRE(b != nullptr);
  REQUIRE(b->shape == std::vector<int64_t>{2, 1});
  REQUIRE(b->offset_bytes == file->header_bytes() + 4);
  REQUIRE(b->size_bytes == 8);
  REQUIRE(file->Data(*b).front() == std::byte{4});
  REQUIRE(file->Find("scalar")->shape.empty());
  REQUIRE(file->Find("c") == nullptr);
  REQUIRE(file->metadata() ==
          std::vector<std::pair<std::string, std::string>>{{"format", "pt"}, {"a", ""}});
}

TEST_CASE("a file without tensors is valid") { REQUIRE(ErrorOf(Safetensors("{}")) == ""); }

TEST_CASE("all dtypes of the format are known, with their sizes") {
  struct Case {
    const char* name;
    DType dtype;
    int bytes_of_8;
  };
  const Case cases[] = {
      {"BOOL", DType::kBool, 8},      {"F4", DType::kF4E2M1, 4},
      {"F6_E2M3", DType::kF6E2M3, 6}, {"F6_E3M2", DType::kF6E3M2, 6},
      {"U8", DType::kU8, 8},          {"I8", DType::kI8, 8},
      {"F8_E5M2", DType::kF8E5M2, 8}, {"F8_E4M3", DType::kF8E4M3, 8},
      {"F8_E8M0", DType::kF8E8M0, 8}, {"I16", DType::kI16, 16},
      {"U16", DType::kU16, 16},       {"F16", DType::kF16, 16},
      {"BF16", DType::kBf16, 16},     {"I32", DType::kI32, 32},
      {"U32", DType::kU32, 32},       {"F32", DType::kF32, 32},
      {"C64", DType::kComplex64, 64}, {"F64", DType::kF64, 64},
      {"I64", DType::kI64, 64},       {"U64", DType::kU64, 64},
  };
  for (const Case& test : cases) {
    CAPTURE(test.name);
    const std::string offsets = fmt::format("[0,{}]", test.bytes_of_8);
    REQUIRE(ErrorOf(Safetensors(Header({Entry("t", test.name, "[2,4]", offsets)}),
                                static_cast<size_t>(test.bytes_of_8))) == "");
    REQUIRE(DTypeFromSafetensorsName(test.name) == test.dtype);
    REQUIRE(SafetensorsName(test.dtype) == test.name);
  }
  REQUIRE(SafetensorsName(DType::kI4).empty());
}

TEST_CASE("bad_truncated files name the place and say what to do") {
  REQUIRE(ErrorOf("") ==
          "m.safetensors: byte 0: error: the header's length needs 8 bytes, 0 are left\nnote: the "
          "file is "
          "cut short or damaged: fetch or make it again");
  const std::string whole = Safetensors(Header({Entry("t", "F32", "[2]", "[0,8]")}), 8);
  REQUIRE(ErrorOf(whole) == "");
  REQUIRE(
      ErrorOf(whole.substr(0, 40)) ==
      std::string("m.safetensors: byte 0: error: header length is 54, but only 32 bytes follow") +
          kIncomplete);
  REQUIRE(ErrorOf(whole.substr(0, whole.size() - 1)) ==
          std::string(
              "m.safetensors: tensor 't': error: data ends at byte 70, but the file has 69 bytes") +
              kIncomplete);
  for (size_t length = 0; length < whole.size(); ++length) {
    REQUIRE(ErrorOf(whole.substr(0, length)) != "");
  }
}

TEST_CASE("bad_header_length beyond the format's limit is refused before anything is read") {
  std::string file = Safetensors("{}");
  const uint64_t length = 100'000'001;
  std::memcpy(file.data(), &length, sizeof(length));
  REQUIRE(ErrorOf(file) ==
          "m.safetensors: byte 0: error: header length is 100000001, expected at most "
          "100000000\nnote: this "
          "is not a safetensors file, or its first bytes are damaged");
  file.replace(0, 8, "\xff\xff\xff\xff\xff\xff\xff\xff");
  REQUIRE(ErrorOf(file).find("header length is 18446744073709551615") != std::string::npos);
}

TEST_CASE("bad_header text is refused with its place") {
  const std::string entry = Entry("t", "U8", "[1]", "[0,1]");
  REQUIRE(ErrorOf(Safetensors(" {" + entry + "}", 1)) ==
          "m.safetensors: byte 8: error: header must start with '{'\nnote: this is not a "
          "safetensors file, "
          "or its first bytes are damaged");
  REQUIRE(ErrorOf(Safetensors("[]")).find("header must start with '{'") != std::string::npos);
  REQUIRE(ErrorOf(Safetensors("")).find("header must start with '{'") != std::string::npos);
  REQUIRE(ErrorOf(Safetensors("{}\n")) ==
          std::string("m.safetensors: byte 10: error: header must end with '}' and spaces") +
              kDamaged);
  REQUIRE(ErrorOf(Safetensors(std::string("{}\0", 3))) ==
          std::string("m.safetensors: byte 10: error: header must end with '}' and spaces") +
              kDamaged);
  REQUIRE(ErrorOf(Safetensors("{\"t\":}"))
              .find("m.safetensors: byte 13: error: header is not valid JSON") == 0);
  REQUIRE(ErrorOf(Safetensors("{} {}")).find("header is not valid JSON") != std::string::npos);
  REQUIRE(ErrorOf(Safetensors("{\"\xff\":{}}")).find("header is not valid JSON") !=
          std::string::npos);
  REQUIRE(ErrorOf(Safetensors("{" + entry)).find("header is not valid JSON") != std::string::npos);
}

TEST_CASE("bad_duplicate keys are refused at every level") {
  const std::string entry = Entry("t", "U8", "[1]", "[0,1]");
  const std::string other = Entry("t", "U8", "[1]", "[1,2]");
  REQUIRE(ErrorOf(Safetensors(Header({entry, other}), 2)) ==
          std::string("m.safetensors: tensor 't': error: tensor appears twice in the header") +
              kDamaged);
  REQUIRE(ErrorOf(Safetensors(
              R"({"t":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1)) ==
          std::string("m.safetensors: tensor 't': error: key 'dtype' appears twice") + kDamaged);
  REQUIRE(ErrorOf(Safetensors(R"({"__metadata__":{"a":"1","a":"2"}})"))
              .find("key 'a' appears twice in '__metadata__'") != std::string::npos);
  REQUIRE(ErrorOf(Safetensors(R"({"__metadata__":{},"__metadata__":{}})"))
              .find("key '__metadata__' appears twice") != std::string::npos);
}

TEST_CASE("bad_metadata other than strings is refused") {
  REQUIRE(ErrorOf(Safetensors(R"({"__metadata__":{"a":1}})"))
              .find("'__metadata__' must hold strings only, 'a' is the number 1") !=
          std::string::npos);
  REQUIRE(ErrorOf(Safetensors(R"({"__metadata__":{"a":{}}})"))
              .find("'__metadata__' must hold strings only, 'a' is an object") !=
          std::string::npos);
  REQUIRE(ErrorOf(Safetensors(R"({"__metadata__":null})"))
              .find("'__metadata__' must be an object of strings, got null") != std::string::npos);
}

TEST_CASE("bad_entry: each field is checked") {
  const auto error = [](const std::string& entry, size_t data_bytes) {
    const std::string text = ErrorOf(Safetensors("{\"t\":" + entry + "}", data_bytes));
    const std::string prefix = "m.safetensors: tensor 't': error: ";
    REQUIRE(text.starts_with(prefix));
    return text.substr(prefix.size(), text.find('\n') - prefix.size());
  };
  REQUIRE(error("1", 0) == "entry must be an object, got the number 1");
  REQUIRE(error("{}", 0) == "key 'dtype' is missing");
  REQUIRE(error(R"({"dtype":"U8"})", 0) == "key 'shape' is missing");
  REQUIRE(error(R"({"dtype":"U8","shape":[1]})", 1) == "key 'data_offsets' is missing");
  REQUIRE(error(R"({"dtype":8,"shape":[1],"data_offsets":[0,1]})", 1) ==
          "'dtype' must be a string, got the number 8");
  REQUIRE(error(R"({"dtype":"U9","shape":[1],"data_offsets":[0,1]})", 1) ==
          "dtype 'U9' is not one of the safetensors format");
  REQUIRE(error(R"({"dtype":"F8_E4M3FNUZ","shape":[1],"data_offsets":[0,1]})", 1) ==
          "dtype 'F8_E4M3FNUZ' is not supported");
  REQUIRE(error(R"({"dtype":"U8","shape":1,"data_offsets":[0,1]})", 1) ==
          "'shape' must be an array of integers >= 0, got the number 1");
  REQUIRE(error(R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})", 1) ==
          "'shape' must be an array of integers >= 0, got the negative number -1");
  REQUIRE(error(R"({"dtype":"U8","shape":[1.0],"data_offsets":[0,1]})", 1) ==
          "'shape' must be an array of integers >= 0, got the number 1.0");
  REQUIRE(error(R"({"dtype":"U8","shape":[[1]],"data_offsets":[0,1]})", 1) ==
          "'shape' must be an array of integers >= 0, got an array");
  REQUIRE(error(R"({"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]})", 1) ==
          "'shape' has the number 18446744073709551615, expected at most 9223372036854775807");
  REQUIRE(error(R"({"dtype":"U8","shape":[1],"data_offsets":[0]})", 1) ==
          "'data_offsets' has 1 numbers, expected 2");
  REQUIRE(error(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,2]})", 1) ==
          "'data_offsets' has more than 2 numbers");
  REQUIRE(error(R"({"dtype":"U8","shape":[1],"data_offsets":[1,0]})", 1) ==
          "'data_offsets' end before they begin: [1, 0]");
  REQUIRE(error(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1],"scale":1})", 1) ==
          "unknown key 'scale', expected 'dtype', 'shape' and 'data_offsets'");
  std::string many = "1";
  for (int i = 0; i < 64; ++i) many += ",1";
  REQUIRE(error(R"({"dtype":"U8","shape":[)" + many + R"(],"data_offsets":[0,1]})", 1) ==
          "'shape' has more than 64 dimensions");
}

TEST_CASE("bad_size: dtype x shape must be the bytes, without overflow") {
  const auto error = [](const std::string& entry, size_t data_bytes) {
    const std::string text = ErrorOf(Safetensors(Header({entry}), data_bytes));
    return text.substr(0, text.find('\n'));
  };
  REQUIRE(error(Entry("t", "F32", "[2]", "[0,7]"), 7) ==
          "m.safetensors: tensor 't': error: expected 8 bytes for F32 [2], got 7 ('data_offsets' "
          "[0, 7])");
  REQUIRE(error(Entry("t", "F32", "[4611686018427387904,4]", "[0,0]"), 0) ==
          "m.safetensors: tensor 't': error: shape is too large: [4611686018427387904, 4]");
  REQUIRE(error(Entry("t", "U8", "[4294967296,4294967296]", "[0,0]"), 0) ==
          "m.safetensors: tensor 't': error: shape is too large: [4294967296, 4294967296]");
  REQUIRE(error(Entry("t", "F4", "[3]", "[0,2]"), 2) ==
          "m.safetensors: tensor 't': error: F4 [3] does not fill whole bytes");
  REQUIRE(error(Entry("t", "U8", "[1]", "[9223372036854775806,9223372036854775807]"), 1) ==
          "m.safetensors: tensor 't': error: 'data_offsets' [9223372036854775806, "
          "9223372036854775807] are "
          "too large");
}

TEST_CASE("bad_layout: overlap, holes and trailing bytes are refused") {
  REQUIRE(ErrorOf(Safetensors(
              Header({Entry("a", "U8", "[4]", "[0,4]"), Entry("b", "U8", "[4]", "[2,6]")}), 6)) ==
          std::string(
              "m.safetensors: tensor 'b': error: data begins at byte 115, expected byte 117: it "
              "overlaps the tensor before it") +
              kDamaged);
  REQUIRE(
      ErrorOf(Safetensors(
                  Header({Entry("a", "U8", "[1]", "[0,1]"), Entry("b", "U8", "[1]", "[3,4]")}), 4))
          .find("tensor 'b': error: data begins at byte 116, expected byte 114: 2 bytes before it "
                "belong to no tensor") != std::string::npos);
  REQUIRE(ErrorOf(Safetensors(Header({Entry("a", "U8", "[1]", "[1,2]")}), 2))
              .find("1 bytes before it belong to no tensor") != std::string::npos);
  REQUIRE(
      ErrorOf(Safetensors(Header({Entry("a", "U8", "[1]", "[0,1]")}), 3)) ==
      std::string("m.safetensors: byte 62: error: 2 bytes follow the last tensor, expected none") +
          kDamaged);
  REQUIRE(ErrorOf(Safetensors("{}", 1)).find("1 bytes follow the last tensor") !=
          std::string::npos);
}

TEST_CASE("bad_missing file is an error of the machine") {
  Result<SafetensorsFile> file = SafetensorsFile::Open("no-such.safetensors");
  REQUIRE_FALSE(file.ok());
  REQUIRE(file.diagnostic().code == ErrorCode::kIo);
}

TEST_CASE("a header of 50,000 tensors is read in well under a second") {
  std::vector<std::string> entries;
  for (int i = 0; i < 50'000; ++i) {
    entries.push_back(Entry(fmt::format("model.layers.{}.self_attn.q_proj.weight", i), "U8", "[1]",
                            fmt::format("[{},{}]", i, i + 1)));
  }
  const TemporaryFolder folder;
  const fs::path path = WriteText(folder / "m.safetensors", Safetensors(Header(entries), 50'000));
  const auto start = std::chrono::steady_clock::now();
  Result<SafetensorsFile> file = SafetensorsFile::Open(path);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  REQUIRE(file.ok());
  REQUIRE(file->tensors().size() == 50'000);
  // Measured 0.06 s; the limit leaves room for a slow machine that does other things.
  REQUIRE(elapsed.count() < 2.0);
}

TEST_CASE("the silero-vad file of the shared data opens") {
  const fs::path shared = SharedFolder();
  if (shared.empty()) {
    std::cout << "SKIPPED: no folder ../shared\n";
    return;
  }
  Result<SafetensorsFile> file =
      SafetensorsFile::Open(shared / "data/models/silero-vad/silero_vad_16k.safetensors");
  REQUIRE(file.ok());
  REQUIRE(!file->tensors().empty());
}

}  // namespace
}  // namespace qeff::checkpoint
