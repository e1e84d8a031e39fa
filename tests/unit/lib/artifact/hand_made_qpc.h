// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Containers put together byte by byte, for tests of readers.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace qeff::artifact {

/// A container put together byte by byte, independently of QpcWriter, with every field open to
/// damage.
struct HandMade {
  struct Segment {
    std::string name;
    std::string data;
    uint64_t static_size_bytes = 0;
  };
  std::vector<Segment> segments = {{"network.elf", ""},
                                   {"networkdesc.bin", "desc"},
                                   {"constantsdesc.bin", std::string(24, '\0')},
                                   {"constants.bin", "weights", 7}};
  uint32_t magic = 0x00A1CD7C;
  uint8_t major = 0;
  uint8_t minor = 1;
  uint16_t compression = 1;
  uint64_t base = 0;
  uint64_t alignment = 1;
  int64_t size_error = 0;
  // Where fields of the finished bytes lie.
  static constexpr size_t kCountAt = 24, kTableAt = 32, kEntriesAt = 40, kEntryBytes = 32;

  std::string Bytes() const {
    std::string out(kEntriesAt + kEntryBytes * segments.size(), '\0');
    const auto put = [&out](size_t at, auto value) {
      std::memcpy(out.data() + at, &value, sizeof(value));
    };
    for (size_t i = 0; i < segments.size(); ++i) {
      put(kEntriesAt + kEntryBytes * i + 16, base + out.size());
      out += segments[i].name + '\0';
    }
    for (size_t i = 0; i < segments.size(); ++i) {
      while (out.size() % alignment != 0) out += '\xEE';
      put(kEntriesAt + kEntryBytes * i, uint64_t{segments[i].data.size()});
      put(kEntriesAt + kEntryBytes * i + 8, segments[i].static_size_bytes);
      put(kEntriesAt + kEntryBytes * i + 24, base + out.size());
      out += segments[i].data;
    }
    put(0, magic);
    put(4, major);
    put(5, minor);
    put(6, compression);
    put(8, out.size() + size_error);
    put(16, base);
    put(kCountAt, uint64_t{segments.size()});
    put(kTableAt, base + kEntriesAt);
    return out;
  }
};

}  // namespace qeff::artifact
