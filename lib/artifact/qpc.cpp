// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/qpc.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "lib/support/byte_reader.h"

namespace qeff::artifact {
namespace {

constexpr uint32_t kMagic = 0x00A1CD7C;
constexpr uint8_t kMajorVersion = 0;
constexpr uint8_t kMinorVersion = 1;
// Despite the name of the field nothing is compressed; 0 marks a memory image whose pointers are
// live.
constexpr uint16_t kCompressionType = 1;
constexpr uint64_t kHeaderBytes = 40;
constexpr uint64_t kEntryBytes = 32;
// Keeps the scan for a NUL short when a hostile table points many entries at the same bytes.
constexpr uint64_t kNameLimitBytes = 1024;
// The largest page that a mapping can have.
constexpr uint64_t kAlignmentLimitBytes = uint64_t{2} << 20;
constexpr uint64_t kFileLimitBytes = uint64_t{1} << 63;

void PutBytes(std::string& out, const void* data, size_t size_bytes) {
  out.append(static_cast<const char*>(data), size_bytes);
}
template <typename T>
void Put(std::string& out, T value) {
  PutBytes(out, &value, sizeof(value));
}

Status CheckPlan(const std::vector<QpcSegmentPlan>& plan, std::string_view path) {
  std::unordered_set<std::string_view> names;
  for (const QpcSegmentPlan& segment : plan) {
    if (segment.name.find('\0') != std::string::npos || segment.name.size() >= kNameLimitBytes) {
      return InvalidInput(
          Location::File(path),
          fmt::format("expected a segment name of less than {} bytes without NUL, got {} bytes",
                      kNameLimitBytes, segment.name.size()));
    }
    if (!names.insert(segment.name).second) {
      return InvalidInput(Location::File(path),
                          fmt::format("segment '{}' is there twice", segment.name));
    }
    if (!std::has_single_bit(segment.alignment_bytes) ||
        segment.alignment_bytes > kAlignmentLimitBytes) {
      return InvalidInput(
          Location::File(path),
          fmt::format("segment '{}': expected an alignment that is a power of two up to {}, got {}",
                      segment.name, kAlignmentLimitBytes, segment.alignment_bytes));
    }
  }
  return Status::Ok();
}

struct Entry {
  uint64_t size_bytes;
  uint64_t static_size_bytes;
  uint64_t name;
  uint64_t start;
};

struct Header {
  uint64_t size_bytes;
  uint64_t base;
  uint64_t segment_count;
  uint64_t table;
};

/// Returns the offset of the `size_bytes` bytes that `pointer` points at, or an error if they leave
/// the file.
Result<uint64_t> ResolvePointer(uint64_t pointer, uint64_t size_bytes, const Header& header,
                                const Location& where, std::string_view what) {
  if (pointer < header.base || pointer - header.base > header.size_bytes ||
      size_bytes > header.size_bytes - (pointer - header.base)) {
    return InvalidInput(
        where,
        fmt::format(
            "{} of {} bytes at address {:#x} lies outside the file of {} bytes at base {:#x}", what,
            size_bytes, pointer, header.size_bytes, header.base),
        {"the file is cut short or damaged: compile it again"});
  }
  return pointer - header.base;
}

Result<Header> ReadHeader(ByteReader& reader, size_t actual_bytes) {
  const Location start = reader.where();
  QEFF_ASSIGN_OR_RETURN(const uint32_t magic, reader.Read<uint32_t>("magic number"));
  if (magic != kMagic) {
    return InvalidInput(
        start,
        fmt::format("expected a QPC with magic number {:#010x}, got {:#010x}", kMagic, magic),
        {"name the programqpc.bin in the folder that qeff-compile printed"});
  }
  QEFF_RETURN_IF_ERROR(reader.Read<uint16_t>("version").status());
  const Location compression_at = reader.where();
  QEFF_ASSIGN_OR_RETURN(const uint16_t compression, reader.Read<uint16_t>("compression type"));
  if (compression != kCompressionType) {
    return InvalidInput(compression_at, fmt::format("expected compression type {}, got {}",
                                                    kCompressionType, compression));
  }
  Header header{};
  const Location size_at = reader.where();
  QEFF_ASSIGN_OR_RETURN(header.size_bytes, reader.Read<uint64_t>("size"));
  if (header.size_bytes != actual_bytes) {
    return InvalidInput(
        size_at, fmt::format("the header says {} bytes, got {}", header.size_bytes, actual_bytes),
        {"the file is cut short or damaged: compile it again"});
  }
  QEFF_ASSIGN_OR_RETURN(header.base, reader.Read<uint64_t>("base address"));
  QEFF_ASSIGN_OR_RETURN(header.segment_count, reader.Read<uint64_t>("number of segments"));
  QEFF_ASSIGN_OR_RETURN(header.table, reader.Read<uint64_t>("address of the segment table"));
  return header;
}

Result<Entry> ReadEntry(ByteReader& reader) {
  Entry entry{};
  QEFF_ASSIGN_OR_RETURN(entry.size_bytes, reader.Read<uint64_t>("segment size"));
  QEFF_ASSIGN_OR_RETURN(entry.static_size_bytes, reader.Read<uint64_t>("segment offset"));
  QEFF_ASSIGN_OR_RETURN(entry.name, reader.Read<uint64_t>("address of a segment name"));
  QEFF_ASSIGN_OR_RETURN(entry.start, reader.Read<uint64_t>("address of segment data"));
  return entry;
}

}  // namespace

Result<QpcWriter> QpcWriter::Create(std::vector<QpcSegmentPlan> plan, std::string_view path,
                                    AppendBytes append) {
  QEFF_RETURN_IF_ERROR(CheckPlan(plan, path));
  QpcWriter writer(std::move(plan), std::move(append));
  uint64_t offset = kHeaderBytes + kEntryBytes * writer.plan_.size();
  for (const QpcSegmentPlan& segment : writer.plan_) offset += segment.name.size() + 1;
  writer.front_bytes_ = offset;
  for (const QpcSegmentPlan& segment : writer.plan_) {
    // Both terms are at most 2^63 - 1, so the sum does not wrap.
    offset =
        (offset + segment.alignment_bytes - 1) / segment.alignment_bytes * segment.alignment_bytes;
    writer.data_offsets_.push_back(offset);
    if (segment.size_bytes >= kFileLimitBytes || offset + segment.size_bytes >= kFileLimitBytes) {
      return InvalidInput(
          Location::File(path),
          fmt::format("segment '{}' of {} bytes makes the file larger than 2^63 bytes",
                      segment.name, segment.size_bytes));
    }
    offset += segment.size_bytes;
  }
  writer.file_size_bytes_ = offset;
  QEFF_RETURN_IF_ERROR(writer.WriteFront());
  return writer;
}

Status QpcWriter::WriteFront() {
  std::string front;
  Put(front, kMagic);
  Put(front, kMajorVersion);
  Put(front, kMinorVersion);
  Put(front, kCompressionType);
  Put(front, file_size_bytes_);
  Put(front, uint64_t{0});
  Put(front, uint64_t{plan_.size()});
  Put(front, kHeaderBytes);
  uint64_t name_offset = kHeaderBytes + kEntryBytes * plan_.size();
  for (size_t i = 0; i < plan_.size(); ++i) {
    Put(front, plan_[i].size_bytes);
    Put(front, plan_[i].static_size_bytes);
    Put(front, name_offset);
    Put(front, data_offsets_[i]);
    name_offset += plan_[i].name.size() + 1;
  }
  for (const QpcSegmentPlan& segment : plan_)
    PutBytes(front, segment.name.c_str(), segment.name.size() + 1);
  return Write(std::as_bytes(std::span(front)));
}

Status QpcWriter::BeginSegment(std::string_view name) {
  const uint64_t end_bytes = begun_segments_ == 0 ? front_bytes_
                                                  : data_offsets_[begun_segments_ - 1] +
                                                        plan_[begun_segments_ - 1].size_bytes;
  QEFF_CHECK(written_bytes_ == end_bytes, "segment before '{}' ends at byte {}, planned {}", name,
             written_bytes_, end_bytes);
  QEFF_CHECK(begun_segments_ < plan_.size() && plan_[begun_segments_].name == name,
             "segment '{}' is not number {} of the plan", name, begun_segments_);
  return PadTo(data_offsets_[begun_segments_++]);
}

Status QpcWriter::Append(std::span<const std::byte> bytes) {
  QEFF_CHECK(begun_segments_ > 0, "data before the first segment");
  const size_t segment = begun_segments_ - 1;
  QEFF_CHECK(bytes.size() <= data_offsets_[segment] + plan_[segment].size_bytes - written_bytes_,
             "segment '{}' gets more than its {} bytes", plan_[segment].name,
             plan_[segment].size_bytes);
  return Write(bytes);
}

Status QpcWriter::Finish() {
  QEFF_CHECK(begun_segments_ == plan_.size() && written_bytes_ == file_size_bytes_,
             "container ends after {} of {} segments at byte {} of {}", begun_segments_,
             plan_.size(), written_bytes_, file_size_bytes_);
  return Status::Ok();
}

Status QpcWriter::Write(std::span<const std::byte> bytes) {
  QEFF_RETURN_IF_ERROR(append_(bytes));
  written_bytes_ += bytes.size();
  return Status::Ok();
}

Status QpcWriter::PadTo(uint64_t offset_bytes) {
  static constexpr std::byte kZeros[4096]{};
  while (written_bytes_ < offset_bytes) {
    const auto piece_bytes = std::min<uint64_t>(offset_bytes - written_bytes_, sizeof(kZeros));
    QEFF_RETURN_IF_ERROR(Write(std::span(kZeros).first(static_cast<size_t>(piece_bytes))));
  }
  return Status::Ok();
}

bool IsQpc(std::span<const std::byte> bytes) {
  return bytes.size() >= kHeaderBytes && std::memcmp(bytes.data(), &kMagic, sizeof(kMagic)) == 0;
}

QpcHeader ReadQpcHeader(std::span<const std::byte> bytes) {
  constexpr size_t kMajorAt = 4;
  constexpr size_t kMinorAt = 5;
  constexpr size_t kBaseAt = 16;
  QpcHeader header{.major_version = static_cast<uint8_t>(bytes[kMajorAt]),
                   .minor_version = static_cast<uint8_t>(bytes[kMinorAt])};
  std::memcpy(&header.base, bytes.data() + kBaseAt, sizeof(header.base));
  return header;
}

Result<std::vector<QpcSegment>> ReadQpcSegments(std::span<const std::byte> bytes,
                                                std::string_view path, int64_t base_offset_bytes) {
  ByteReader reader(bytes, path, base_offset_bytes);
  QEFF_ASSIGN_OR_RETURN(const Header header, ReadHeader(reader, bytes.size()));
  if (header.segment_count > bytes.size() / kEntryBytes) {
    return InvalidInput(reader.where(),
                        fmt::format("a table of {} segments does not fit in {} bytes",
                                    header.segment_count, bytes.size()));
  }
  QEFF_ASSIGN_OR_RETURN(const uint64_t table,
                        ResolvePointer(header.table, header.segment_count * kEntryBytes, header,
                                       reader.where(), "the segment table"));
  QEFF_RETURN_IF_ERROR(reader.Seek(table, "the segment table"));
  std::vector<QpcSegment> segments;
  for (uint64_t i = 0; i < header.segment_count; ++i) {
    const Location where = reader.where();
    QEFF_ASSIGN_OR_RETURN(const Entry entry, ReadEntry(reader));
    QEFF_ASSIGN_OR_RETURN(
        const uint64_t name_at,
        ResolvePointer(entry.name, 1, header, where, fmt::format("the name of segment {}", i)));
    const char* name = reinterpret_cast<const char*>(bytes.data()) + name_at;
    const size_t name_bytes =
        ::strnlen(name, std::min<uint64_t>(bytes.size() - name_at, kNameLimitBytes));
    if (name_bytes == bytes.size() - name_at || name_bytes == kNameLimitBytes) {
      return InvalidInput(
          Location::Byte(path, base_offset_bytes + static_cast<int64_t>(name_at)),
          fmt::format("expected a NUL within {} bytes of the name of segment {}, got none",
                      kNameLimitBytes, i));
    }
    QEFF_ASSIGN_OR_RETURN(const uint64_t start,
                          ResolvePointer(entry.start, entry.size_bytes, header, where,
                                         fmt::format("the data of segment {}", i)));
    segments.push_back(
        {.name = std::string_view(name, name_bytes),
         .data = bytes.subspan(static_cast<size_t>(start), static_cast<size_t>(entry.size_bytes)),
         .file_offset_bytes = base_offset_bytes + static_cast<int64_t>(start),
         .static_size_bytes = entry.static_size_bytes});
  }
  return segments;
}

Result<QpcFile> QpcFile::Open(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  QEFF_ASSIGN_OR_RETURN(std::vector<QpcSegment> segments,
                        ReadQpcSegments(file.bytes(), file.path()));
  const QpcHeader header = ReadQpcHeader(file.bytes());
  if (header.major_version > kMajorVersion) {
    return Error(ErrorCode::kVersionMismatch, Location::File(path.string()),
                 fmt::format("the container has version {}.{}, this qeff reads {}.x",
                             header.major_version, header.minor_version, kMajorVersion),
                 {"use a qeff that knows it, or compile again for this one"});
  }
  QpcFile qpc(std::move(file), std::move(segments));
  for (const std::string_view name : {kConstantsDesc, kNetworkDesc, kNetworkElf}) {
    QEFF_RETURN_IF_ERROR(qpc.Get(name).status());
  }
  if (qpc.Find(kNetworkDesc)->data.empty()) {
    return InvalidInput(
        Location::File(path.string()),
        fmt::format("segment '{}' is empty: the program would have no inputs", kNetworkDesc),
        {"compile it again"});
  }
  return qpc;
}

const QpcSegment* QpcFile::Find(std::string_view name) const {
  const auto found =
      std::find_if(segments_.begin(), segments_.end(),
                   [name](const QpcSegment& segment) { return segment.name == name; });
  return found == segments_.end() ? nullptr : &*found;
}

Result<QpcSegment> QpcFile::Get(std::string_view name) const {
  const QpcSegment* segment = Find(name);
  if (segment == nullptr) {
    return InvalidInput(Location::File(file_.path()),
                        fmt::format("expected a segment '{}', got none", name),
                        {"the file is no complete program: compile it again"});
  }
  return *segment;
}

}  // namespace qeff::artifact
