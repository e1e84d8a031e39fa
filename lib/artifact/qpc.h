// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The QPC container, the form of every programqpc.bin: named segments of bytes behind a header and
// a table. Written by the backends, read by sessions and qeff-inspect; what the segments mean is
// theirs to know. Layout: a header of 40 bytes, a table of 32 bytes a segment, all names with a NUL
// after each, then the data. All integers are little-endian; "pointers" are file offsets plus
// `base`, which is 0 in files that we write. Segments may be larger than 4 GiB, but the card's
// runtime reports their sizes modulo 2^32.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/file.h"
#include "lib/support/status.h"

namespace qeff::artifact {

// Segments that every container needs, and the one for weights. kNetworkElf may be empty: then no
// card loads the program.
inline constexpr std::string_view kNetworkElf = "network.elf";
inline constexpr std::string_view kNetworkDesc = "networkdesc.bin";
inline constexpr std::string_view kConstantsDesc = "constantsdesc.bin";
inline constexpr std::string_view kConstants = "constants.bin";
/// Only in programs of a stand-in for the card's compiler (tests): they run on no card.
inline constexpr std::string_view kSimulatedSegment = "qeff.simulated";

/// What is known of a segment before its data is written.
struct QpcSegmentPlan {
  std::string name;  ///< unique in the container, without NUL
  uint64_t size_bytes = 0;
  /// Of the data's file offset, a power of two up to 2 MiB; 4096 for data that is used where it is
  /// mapped.
  uint64_t alignment_bytes = 64;
  uint64_t static_size_bytes = 0;  ///< only for kConstants: bytes before the dynamic constants
};

/// Writes a container front to back, so that it can be hashed on the way: sizes are planned ahead,
/// data is streamed.
class QpcWriter {
 public:
  using AppendBytes = std::function<Status(std::span<const std::byte>)>;

  /// Writes header, table and names through `append`, which receives every byte of the file in
  /// order; `path` names the file in errors. Errors: kInvalidInput (a name twice or with a NUL, an
  /// alignment that is not a power of two up to 2 MiB, sizes whose sum passes 2^63); those of
  /// `append`.
  static Result<QpcWriter> Create(std::vector<QpcSegmentPlan> plan, std::string_view path,
                                  AppendBytes append);

  /// Ends the segment before and starts the next one of the plan, which must be `name`.
  Status BeginSegment(std::string_view name);
  /// Appends data of the current segment.
  Status Append(std::span<const std::byte> bytes);
  /// Ends the last segment. Every segment must have received exactly its planned bytes.
  Status Finish();

  /// File offset of the data of segment `index` of the plan.
  int64_t data_offset_bytes(size_t index) const {
    return static_cast<int64_t>(data_offsets_[index]);
  }
  /// Size of the whole file.
  int64_t file_size_bytes() const { return static_cast<int64_t>(file_size_bytes_); }

 private:
  QpcWriter(std::vector<QpcSegmentPlan> plan, AppendBytes append)
      : plan_(std::move(plan)), append_(std::move(append)) {}
  Status WriteFront();
  Status Write(std::span<const std::byte> bytes);
  Status PadTo(uint64_t offset_bytes);

  std::vector<QpcSegmentPlan> plan_;
  AppendBytes append_;
  std::vector<uint64_t> data_offsets_;
  uint64_t front_bytes_ = 0;
  uint64_t file_size_bytes_ = 0;
  uint64_t written_bytes_ = 0;
  size_t begun_segments_ = 0;
};

/// One segment; name and data point into the bytes that were read.
struct QpcSegment {
  std::string_view name;
  std::span<const std::byte> data;
  int64_t file_offset_bytes = 0;  ///< of the data
  uint64_t static_size_bytes =
      0;  ///< the table's "offset" field: for kConstants, the bytes before the dynamic constants
};

/// Returns true if `bytes` start as a container does; true for the programs nested in a
/// multi-device container.
bool IsQpc(std::span<const std::byte> bytes);

/// What else the header says.
struct QpcHeader {
  uint8_t major_version = 0;  ///< of the layout; readers of the vendor ignore it
  uint8_t minor_version = 0;
  uint64_t base = 0;  ///< what pointers are relative to
};
/// Requires: IsQpc(bytes).
QpcHeader ReadQpcHeader(std::span<const std::byte> bytes);

/// Returns the segments of a container in table order, a repeated name included; `path` names the
/// file in errors and `base_offset_bytes` is where `bytes` starts in it (for nested containers).
/// Every pointer is checked. Version fields are not judged. Errors: kInvalidInput (magic, size
/// field, compression type, a table, name or data outside the bytes).
Result<std::vector<QpcSegment>> ReadQpcSegments(std::span<const std::byte> bytes,
                                                std::string_view path,
                                                int64_t base_offset_bytes = 0);

/// A mapped container. Unknown segments are kept; a repeated name means its first segment.
class QpcFile {
 public:
  /// Maps and checks the file. Errors: kIo; those of ReadQpcSegments; kVersionMismatch for a later
  /// major version; kInvalidInput if kNetworkElf, kNetworkDesc or kConstantsDesc is missing, or
  /// kNetworkDesc is empty.
  static Result<QpcFile> Open(const std::filesystem::path& path);

  const std::vector<QpcSegment>& segments() const { return segments_; }
  /// Returns null if there is no such segment.
  const QpcSegment* Find(std::string_view name) const;
  /// Errors: kInvalidInput if there is no such segment.
  Result<QpcSegment> Get(std::string_view name) const;
  const MappedFile& file() const { return file_; }

 private:
  QpcFile(MappedFile file, std::vector<QpcSegment> segments)
      : file_(std::move(file)), segments_(std::move(segments)) {}
  MappedFile file_;
  std::vector<QpcSegment> segments_;
};

}  // namespace qeff::artifact
