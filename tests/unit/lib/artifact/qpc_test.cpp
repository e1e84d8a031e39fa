// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/qpc.h"

#include <catch2/catch.hpp>

#include "tests/unit/lib/artifact/hand_made_qpc.h"
#include "tests/unit/lib/artifact/temporary_folder.h"

namespace qeff::artifact {
namespace {

Result<QpcFile> OpenBytes(const std::string& bytes) {
  const TemporaryFolder folder;
  WriteText(folder / "programqpc.bin", bytes);
  return QpcFile::Open(folder / "programqpc.bin");  // stays mapped when the folder goes
}

std::string MessageFor(const std::string& bytes) {
  const Result<QpcFile> file = OpenBytes(bytes);
  if (file.ok()) return "accepted";
  CHECK(file.diagnostic().code == ErrorCode::kInvalidInput);
  CHECK_FALSE(file.diagnostic().where.file.empty());
  return file.diagnostic().message;
}

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Patched(std::string bytes, size_t at, uint64_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
  return bytes;
}

TEST_CASE("segments are found whatever the alignment, base and minor version") {
  for (const uint64_t alignment : {1, 8, 64, 4096}) {
    for (const uint64_t base : {uint64_t{0}, uint64_t{0x55c0d24001e0}}) {
      const Result<QpcFile> file =
          OpenBytes(HandMade{.minor = 9, .base = base, .alignment = alignment}.Bytes());
      REQUIRE(file.ok());
      REQUIRE(file->segments().size() == 4);
      CHECK(file->segments()[0].name == "network.elf");
      const QpcSegment constants = *file->Get("constants.bin");
      CHECK(Text(constants.data) == "weights");
      CHECK(constants.static_size_bytes == 7);
      CHECK(constants.file_offset_bytes % static_cast<int64_t>(alignment) == 0);
      CHECK(Text(file->file().bytes().subspan(static_cast<size_t>(constants.file_offset_bytes),
                                              7)) == "weights");
    }
  }
}

TEST_CASE("unknown, nested and repeated segments and absent constants are accepted") {
  HandMade container;
  container.segments.pop_back();
  container.segments.push_back({"QAicGraph_slice00", HandMade{}.Bytes()});
  container.segments.push_back({"networkdesc.bin", "second"});
  const Result<QpcFile> file = OpenBytes(container.Bytes());
  REQUIRE(file.ok());
  CHECK(file->Find("constants.bin") == nullptr);
  CHECK(Text(file->Find("networkdesc.bin")->data) == "desc");
  CHECK(file->segments().size() == 5);
  const QpcSegment nested = *file->Get("QAicGraph_slice00");
  REQUIRE(IsQpc(nested.data));
  CHECK_FALSE(IsQpc(file->Find("networkdesc.bin")->data));
  const auto inner = ReadQpcSegments(nested.data, "programqpc.bin", nested.file_offset_bytes);
  REQUIRE(inner.ok());
  CHECK(Text(inner->at(3).data) == "weights");
  CHECK(inner->at(3).file_offset_bytes > nested.file_offset_bytes);
}

TEST_CASE("bad_header: magic, compression type and size are judged") {
  CHECK(MessageFor(HandMade{.magic = 0x464c457f}.Bytes()) ==
        "expected a QPC with magic number 0x00a1cd7c, got 0x464c457f");
  CHECK(MessageFor(HandMade{.compression = 0}.Bytes()) == "expected compression type 1, got 0");
  const std::string good = HandMade{}.Bytes();
  CHECK(MessageFor(HandMade{.size_error = 1}.Bytes()) ==
        fmt::format("the header says {} bytes, got {}", good.size() + 1, good.size()));
  CHECK(MessageFor(good + '\0') ==
        fmt::format("the header says {} bytes, got {}", good.size(), good.size() + 1));
  CHECK(MessageFor("") == "magic number needs 4 bytes, 0 are left");
}

TEST_CASE("bad_version: programs of a later major version are not run; what is in them is shown") {
  const std::string bytes = HandMade{.major = 3}.Bytes();
  const Result<QpcFile> file = OpenBytes(bytes);
  REQUIRE_FALSE(file.ok());
  CHECK(file.diagnostic().code == ErrorCode::kVersionMismatch);
  CHECK(file.diagnostic().message == "the container has version 3.1, this qeff reads 0.x");
  const auto segments = ReadQpcSegments(std::as_bytes(std::span(bytes)), "programqpc.bin");
  REQUIRE(segments.ok());
  CHECK(segments->size() == 4);
}

TEST_CASE(
    "bad_segments: the program needs its three segments, and a description that is not empty") {
  for (const size_t missing : {0, 1, 2}) {
    HandMade container;
    const std::string name = container.segments[missing].name;
    container.segments.erase(container.segments.begin() + static_cast<int64_t>(missing));
    CHECK(MessageFor(container.Bytes()) == fmt::format("expected a segment '{}', got none", name));
  }
  HandMade container;
  container.segments[1].data.clear();
  CHECK(MessageFor(container.Bytes()) ==
        "segment 'networkdesc.bin' is empty: the program would have no inputs");
  CHECK(MessageFor(HandMade{.segments = {}}.Bytes()) ==
        "expected a segment 'constantsdesc.bin', got none");
}

TEST_CASE("bad_pointers: no pointer may leave the file") {
  for (const uint64_t base : {uint64_t{0}, uint64_t{4096}, UINT64_MAX - 100}) {
    const std::string good = HandMade{.base = base}.Bytes();
    const uint64_t outside[] = {base - 1, base + good.size() + 1, base + good.size() - 3,
                                UINT64_MAX - 1};
    for (size_t field :
         {HandMade::kTableAt, HandMade::kEntriesAt + 32 + 16, HandMade::kEntriesAt + 32 + 24}) {
      for (const uint64_t pointer : outside) {
        if (pointer - base < good.size() && field == HandMade::kEntriesAt + 32 + 16)
          continue;  // a name may lie there
        INFO("field " << field << " pointer " << pointer << " base " << base);
        CHECK(MessageFor(Patched(good, field, pointer)) != "accepted");
      }
    }
    for (const uint64_t size_bytes :
         {uint64_t{good.size()}, UINT64_MAX, UINT64_MAX - good.size()}) {
      CHECK(MessageFor(Patched(good, HandMade::kEntriesAt + 32, size_bytes))
                .find("lies outside the file") != std::string::npos);
    }
    for (const uint64_t count : {uint64_t{1000}, uint64_t{1} << 59, UINT64_MAX}) {
      CHECK(MessageFor(Patched(good, HandMade::kCountAt, count)) ==
            fmt::format("a table of {} segments does not fit in {} bytes", count, good.size()));
    }
  }
}

TEST_CASE("bad_name: a name without end, or too long") {
  std::string unterminated = HandMade{.segments = {{"a", "0123456789"}}}.Bytes();
  unterminated = Patched(unterminated, HandMade::kEntriesAt + 16, unterminated.size() - 5);
  CHECK(MessageFor(unterminated) ==
        "expected a NUL within 1024 bytes of the name of segment 0, got none");
  CHECK(MessageFor(HandMade{.segments = {{std::string(2000, 'n'), "x"}}}.Bytes()) ==
        "expected a NUL within 1024 bytes of the name of segment 0, got none");
}

TEST_CASE("bad_container: cut at every byte, and every byte changed, never reads outside") {
  const std::string good = HandMade{.alignment = 8}.Bytes();
  const auto read = [](const std::string& bytes) {
    return ReadQpcSegments(std::as_bytes(std::span(bytes)), "programqpc.bin");
  };
  for (size_t size_bytes = 0; size_bytes < good.size(); ++size_bytes) {
    CHECK_FALSE(read(std::string(good.data(), size_bytes)).ok());
  }
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char change : {'\x01', '\x80', '\xff'}) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      const auto segments = read(bytes);
      if (!segments.ok()) continue;
      for (const QpcSegment& segment : *segments) {
        const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
        CHECK(segment.data.data() >= begin);
        CHECK(segment.data.data() + segment.data.size() <= begin + bytes.size());
      }
    }
  }
}

/// Collects what a writer appends.
QpcWriter::AppendBytes AppendTo(std::string& out) {
  return [&out](std::span<const std::byte> bytes) {
    out += Text(bytes);
    return Status::Ok();
  };
}

TEST_CASE("what the writer streams is the hand-made container") {
  const HandMade expected;
  std::vector<QpcSegmentPlan> plan;
  for (const auto& segment : expected.segments) {
    plan.push_back({.name = segment.name,
                    .size_bytes = segment.data.size(),
                    .alignment_bytes = 1,
                    .static_size_bytes = segment.static_size_bytes});
  }
  std::string out;
  Result<QpcWriter> writer = QpcWriter::Create(plan, "programqpc.bin", AppendTo(out));
  REQUIRE(writer.ok());
  for (const auto& segment : expected.segments) {
    REQUIRE(writer->BeginSegment(segment.name).ok());
    for (const char& byte : segment.data)
      REQUIRE(writer->Append(std::as_bytes(std::span(&byte, 1))).ok());
  }
  REQUIRE(writer->Finish().ok());
  CHECK(out == expected.Bytes());
}

TEST_CASE("the writer aligns each segment as planned, with zeros between") {
  const std::vector<QpcSegmentPlan> plan = {
      {.name = "network.elf"},
      {.name = "networkdesc.bin", .size_bytes = 3, .alignment_bytes = 8},
      {.name = "constantsdesc.bin", .size_bytes = 24},
      {.name = "constants.bin", .size_bytes = 5, .alignment_bytes = 4096}};
  std::string out;
  Result<QpcWriter> writer = QpcWriter::Create(plan, "programqpc.bin", AppendTo(out));
  REQUIRE(writer.ok());
  for (const QpcSegmentPlan& segment : plan) {
    REQUIRE(writer->BeginSegment(segment.name).ok());
    const std::string data(segment.size_bytes, 'x');
    REQUIRE(writer->Append(std::as_bytes(std::span(data))).ok());
  }
  REQUIRE(writer->Finish().ok());
  CHECK(static_cast<int64_t>(out.size()) == writer->file_size_bytes());
  CHECK(writer->data_offset_bytes(3) % 4096 == 0);
  CHECK(std::count(out.begin(), out.end(), '\xEE') == 0);
  const Result<QpcFile> file = OpenBytes(out);
  REQUIRE(file.ok());
  for (size_t i = 0; i < plan.size(); ++i) {
    CHECK(file->segments()[i].file_offset_bytes == writer->data_offset_bytes(i));
    CHECK(file->segments()[i].data.size() == plan[i].size_bytes);
  }
}

TEST_CASE("bad_plan: names, alignments and sizes are checked before anything is written") {
  const auto message = [](std::vector<QpcSegmentPlan> plan) {
    std::string out;
    const Result<QpcWriter> writer =
        QpcWriter::Create(std::move(plan), "programqpc.bin", AppendTo(out));
    REQUIRE_FALSE(writer.ok());
    CHECK(out.empty());
    return writer.diagnostic().message;
  };
  CHECK(message({{.name = "a"}, {.name = "a"}}) == "segment 'a' is there twice");
  CHECK(message({{.name = std::string("a\0b", 3)}}) ==
        "expected a segment name of less than 1024 bytes without NUL, got 3 bytes");
  CHECK(message({{.name = "a", .alignment_bytes = 0}}) ==
        "segment 'a': expected an alignment that is a power of two up to 2097152, got 0");
  CHECK(
      message({{.name = "a", .size_bytes = INT64_MAX}, {.name = "b", .size_bytes = UINT64_MAX}}) ==
      "segment 'a' of 9223372036854775807 bytes makes the file larger than 2^63 bytes");
}

TEST_CASE("an error of the sink stops the writer") {
  const auto full = [](std::span<const std::byte>) {
    return IoError(Location::File("f"), "cannot write");
  };
  CHECK(QpcWriter::Create({{.name = "a"}}, "f", full).diagnostic().code == ErrorCode::kIo);
}

}  // namespace
}  // namespace qeff::artifact
