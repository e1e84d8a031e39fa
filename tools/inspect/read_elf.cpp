// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The program of a card as far as its ELF headers say: 32 bits, little-endian, for Hexagon.
#include "lib/support/byte_reader.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

/// Fields of the header and of a section's entry, at the offsets of the ELF specification.
constexpr uint64_t kMachineAt = 18;
constexpr uint64_t kEntryAt = 24;
constexpr uint64_t kSectionTableAt = 32;
constexpr uint64_t kSectionEntryAt = 46;
constexpr uint64_t kSectionEntryBytes = 40;
constexpr uint32_t kTypeWithoutData = 8;  // SHT_NOBITS
constexpr uint16_t kHexagon = 164;

struct Section {
  uint32_t name_at = 0;
  uint32_t type = 0;
  uint32_t address = 0;
  uint32_t offset_bytes = 0;
  uint32_t size_bytes = 0;
};

Result<Section> ReadSection(ByteReader& reader, uint64_t at) {
  QEFF_RETURN_IF_ERROR(reader.Seek(at, "a section"));
  Section section;
  QEFF_ASSIGN_OR_RETURN(section.name_at, reader.Read<uint32_t>("name of a section"));
  QEFF_ASSIGN_OR_RETURN(section.type, reader.Read<uint32_t>("type of a section"));
  QEFF_RETURN_IF_ERROR(reader.Read<uint32_t>("flags of a section").status());
  QEFF_ASSIGN_OR_RETURN(section.address, reader.Read<uint32_t>("address of a section"));
  QEFF_ASSIGN_OR_RETURN(section.offset_bytes, reader.Read<uint32_t>("offset of a section"));
  QEFF_ASSIGN_OR_RETURN(section.size_bytes, reader.Read<uint32_t>("size of a section"));
  return section;
}

std::string NameAt(std::span<const std::byte> bytes, const Section& names, uint32_t at) {
  std::string name;
  for (uint64_t i = uint64_t{names.offset_bytes} + at; i < bytes.size() && name.size() < 256; ++i) {
    const char character = static_cast<char>(bytes[static_cast<size_t>(i)]);
    if (character == '\0') break;
    name += character;
  }
  return name;
}

}  // namespace

Status ReadElf(std::span<const std::byte> bytes, const std::string& path, int64_t offset_bytes,
               Report& report) {
  Fields fields{.name = "network_elf", .fields = {}};
  ByteReader reader(bytes, path, offset_bytes);
  constexpr size_t kClassAt = 4;
  constexpr std::byte kClass32{1};
  if (bytes.size() <= kClassAt || bytes[kClassAt] != kClass32) {
    return InvalidInput(reader.where(), "expected an ELF file of 32 bits, got another");
  }
  QEFF_RETURN_IF_ERROR(reader.Seek(kMachineAt, "the machine"));
  QEFF_ASSIGN_OR_RETURN(const uint16_t machine, reader.Read<uint16_t>("machine"));
  fields.Add("machine", machine == kHexagon ? "Hexagon" : fmt::format("{}", machine));
  QEFF_RETURN_IF_ERROR(reader.Seek(kEntryAt, "the entry"));
  QEFF_ASSIGN_OR_RETURN(const uint32_t entry, reader.Read<uint32_t>("entry"));
  fields.Add("entry", fmt::format("{:#x}", entry));
  QEFF_RETURN_IF_ERROR(reader.Seek(kSectionTableAt, "the section table"));
  QEFF_ASSIGN_OR_RETURN(const uint32_t table, reader.Read<uint32_t>("section table"));
  QEFF_RETURN_IF_ERROR(reader.Seek(kSectionEntryAt, "the section table"));
  QEFF_ASSIGN_OR_RETURN(const uint16_t entry_bytes, reader.Read<uint16_t>("size of an entry"));
  QEFF_ASSIGN_OR_RETURN(const uint16_t count, reader.Read<uint16_t>("number of sections"));
  QEFF_ASSIGN_OR_RETURN(const uint16_t names_index, reader.Read<uint16_t>("section of names"));
  if (count == 0) {
    report.Add(std::move(fields));
    return Status::Ok();
  }
  if (entry_bytes != kSectionEntryBytes || names_index >= count) {
    return InvalidInput(reader.where(), "the section table of the ELF file is damaged");
  }
  QEFF_ASSIGN_OR_RETURN(
      const Section names,
      ReadSection(reader, uint64_t{table} + uint64_t{names_index} * kSectionEntryBytes));
  Table sections{.name = "network_elf_sections",
                 .columns = {"name", "address", "offset_bytes", "size_bytes"},
                 .rows = {}};
  for (uint64_t i = 0; i < count; ++i) {
    QEFF_ASSIGN_OR_RETURN(const Section section,
                          ReadSection(reader, uint64_t{table} + i * kSectionEntryBytes));
    if (section.type == 0) continue;
    Cell offset;
    if (section.type != kTypeWithoutData) offset = offset_bytes + int64_t{section.offset_bytes};
    sections.rows.push_back({NameAt(bytes, names, section.name_at),
                             fmt::format("{:#x}", section.address), offset,
                             int64_t{section.size_bytes}});
  }
  report.Add(std::move(fields));
  report.Add(std::move(sections));
  return Status::Ok();
}

}  // namespace qeff::inspect
