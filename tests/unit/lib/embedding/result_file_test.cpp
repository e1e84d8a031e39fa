// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/result_file.h"

#include <catch2/catch.hpp>

#include "lib/embedding/npy.h"
#include "tests/unit/lib/checkpoint/test_files.h"

namespace qeff {
namespace {

const std::vector<std::string> kTexts = {"a", "b", "c", "d"};

ResultFileOptions Npy(const checkpoint::TemporaryFolder& folder, bool resumes,
                      std::string settings = "model 1") {
  return {.path = folder / "out.npy",
          .format = ResultFormat::kNpy,
          .columns = 2,
          .settings = std::move(settings),
          .resumes = resumes};
}

void Append(ResultFile& file, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    const float row[2] = {static_cast<float>(i), -static_cast<float>(i)};
    file.AppendRow(kTexts[i], std::as_bytes(std::span(row)));
  }
}

/// Two rows saved, a third written but not saved, and no end: as after kill -9.
void Interrupt(const checkpoint::TemporaryFolder& folder) {
  auto file = ResultFile::Open(Npy(folder, false));
  REQUIRE(file.ok());
  Append(*file, 0, 2);
  REQUIRE(file->Save().ok());
  const std::string part = *ReadSmallFile(file->part_path());
  REQUIRE(part.substr(0, kNpyHeaderBytes) == NpyHeader(2, 2));
  checkpoint::WriteText(file->part_path(), part + "half a row");
}

TEST_CASE("rows get the file's name at the end") {
  const checkpoint::TemporaryFolder folder;
  auto file = ResultFile::Open(Npy(folder, false));
  Append(*file, 0, 4);
  REQUIRE_FALSE(std::filesystem::exists(folder / "out.npy"));
  REQUIRE(file->Finish().ok());
  const auto matrix = NpyMatrix::Open(folder / "out.npy");
  REQUIRE(matrix.ok());
  REQUIRE(matrix->rows() == 4);
  REQUIRE(matrix->Row(3)[1] == -3);
  REQUIRE_FALSE(std::filesystem::exists(folder / "out.npy.part"));
  REQUIRE_FALSE(std::filesystem::exists(folder / "out.npy.part.json"));
}

TEST_CASE("an interrupted file goes on after its last saved row") {
  const checkpoint::TemporaryFolder whole_folder;
  auto whole = ResultFile::Open(Npy(whole_folder, false));
  Append(*whole, 0, 4);
  REQUIRE(whole->Finish().ok());

  const checkpoint::TemporaryFolder folder;
  Interrupt(folder);
  {  // interrupted again at once: nothing changes
    auto file = ResultFile::Open(Npy(folder, true));
    REQUIRE(file.ok());
    REQUIRE(file->resumed_rows() == 2);
  }
  auto file = ResultFile::Open(Npy(folder, true));
  REQUIRE(file.ok());
  REQUIRE(file->resumed_rows() == 2);
  for (size_t i = 0; i < 2; ++i) file->SkipInput(kTexts[i]);
  REQUIRE(file->CheckResumed().ok());
  Append(*file, 2, 4);
  REQUIRE(file->Finish().ok());
  REQUIRE(*ReadSmallFile(folder / "out.npy") == *ReadSmallFile(whole_folder / "out.npy"));
}

TEST_CASE("without a part, or without resuming, a file starts anew") {
  const checkpoint::TemporaryFolder folder;
  REQUIRE(ResultFile::Open(Npy(folder, true))->resumed_rows() == 0);
  Interrupt(folder);
  REQUIRE(ResultFile::Open(Npy(folder, false))->resumed_rows() == 0);
  REQUIRE(std::filesystem::file_size(folder / "out.npy.part") == kNpyHeaderBytes);
}

TEST_CASE("bad resumptions") {
  const checkpoint::TemporaryFolder folder;
  Interrupt(folder);
  REQUIRE_THAT(ResultFile::Open(Npy(folder, true, "model 2")).diagnostic().message,
               Catch::Contains("cannot be resumed"));
  {
    auto file = ResultFile::Open(Npy(folder, true));
    file->SkipInput("a");
    file->SkipInput("other");
    REQUIRE(file->CheckResumed().diagnostic().message ==
            "the first 2 texts are not those that the rows were made from");
  }
  std::filesystem::resize_file(folder / "out.npy.part", 130);
  REQUIRE_THAT(ResultFile::Open(Npy(folder, true)).diagnostic().message,
               Catch::Contains("expected at least the 144 bytes"));
  checkpoint::WriteText(folder / "out.npy.part.json", R"({"version": 1, "rows": -3, "bytes": 0})");
  REQUIRE(ResultFile::Open(Npy(folder, true)).diagnostic().message == "damaged");
  checkpoint::WriteText(folder / "out.npy.part.json", "{");
  REQUIRE_FALSE(ResultFile::Open(Npy(folder, true)).ok());
}

}  // namespace
}  // namespace qeff
