// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The file form of a program.
#include "backends/cpu/runtime/cache_rows.h"
#include "backends/cpu/runtime/program.h"
#include "lib/support/byte_reader.h"

namespace qeff::cpu {
namespace {

constexpr std::string_view kMagic("qeffcpu\0", 8);

// One list of fields serves both directions: Writer and Reader have the same methods, and Fields is
// called with either.

class Writer {
 public:
  template <typename T>
  void Number(T& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void Text(std::string& value) {
    Count(value.size());
    out += value;
  }
  void Bytes(std::vector<std::byte>& value) {
    Count(value.size());
    out.append(reinterpret_cast<const char*>(value.data()), value.size());
  }
  template <typename T, typename Function>
  void List(std::vector<T>& list, size_t, const Function& each) {
    Count(list.size());
    for (T& item : list) each(item);
  }
  void Symbols(std::map<std::string, int64_t>& symbols) {
    Count(symbols.size());
    for (auto& [name, value] : symbols) {
      std::string copy = name;
      Text(copy);
      Number(value);
    }
  }
  std::string out;

 private:
  void Count(size_t count) {
    auto narrow = static_cast<uint32_t>(count);
    Number(narrow);
  }
};

/// Stops reading at the first error, which stays in `status`.
class Reader {
 public:
  explicit Reader(ByteReader& bytes) : bytes_(bytes) {}
  template <typename T>
  void Number(T& value) {
    if (!status.ok()) return;
    auto result = bytes_.Read<T>("program");
    if (result.ok()) {
      value = *result;
    } else {
      status = std::move(result).status();
    }
  }
  void Text(std::string& value) {
    if (!status.ok()) return;
    auto result = bytes_.ReadString("program");
    if (result.ok()) {
      value = *std::move(result);
    } else {
      status = std::move(result).status();
    }
  }
  void Bytes(std::vector<std::byte>& value) {
    std::string text;
    Text(text);
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    value.assign(begin, begin + text.size());
  }
  /// Each item takes at least `least_bytes` of the file, so a count cannot ask for more memory than
  /// the file has.
  template <typename T, typename Function>
  void List(std::vector<T>& list, size_t least_bytes, const Function& each) {
    const uint32_t count = Count(least_bytes);
    list.resize(count);
    for (T& item : list) {
      if (status.ok()) each(item);
    }
  }
  void Symbols(std::map<std::string, int64_t>& symbols) {
    const uint32_t count = Count(12);
    for (uint32_t i = 0; i < count && status.ok(); ++i) {
      std::string name;
      Text(name);
      Number(symbols[name]);
    }
  }
  Status status = Status::Ok();

 private:
  uint32_t Count(size_t least_bytes) {
    uint32_t count = 0;
    Number(count);
    if (status.ok() && count > bytes_.remaining_bytes() / least_bytes) {
      status = InvalidInput(bytes_.where(),
                            fmt::format("a list of {} items does not fit into the {} bytes left",
                                        count, bytes_.remaining_bytes()));
    }
    return status.ok() ? count : 0;
  }
  ByteReader& bytes_;
};

/// Enumerations are stored as their number; the checks refuse numbers without a meaning.
template <typename Stream, typename Enum>
void Enumerator(Stream& stream, Enum& value) {
  auto number = static_cast<std::underlying_type_t<Enum>>(value);
  stream.Number(number);
  value = static_cast<Enum>(number);
}

template <typename Stream>
void Dims(Stream& stream, std::vector<int64_t>& dims) {
  stream.List(dims, 8, [&](int64_t& dim) { stream.Number(dim); });
}

template <typename Stream>
void Fields(Stream& stream, IoTensor& tensor) {
  stream.Text(tensor.name);
  Enumerator(stream, tensor.dtype);
  Dims(stream, tensor.dims);
  stream.Number(tensor.offset_bytes);
}

template <typename Stream>
void Fields(Stream& stream, StateTensor& state) {
  stream.Text(state.name);
  Enumerator(stream, state.dtype);
  Dims(stream, state.dims);
  Enumerator(stream, state.layout);
  Enumerator(stream, state.format);
  stream.Number(state.offset_bytes);
}

template <typename Stream>
void Fields(Stream& stream, Step& step) {
  Enumerator(stream, step.op);
  stream.Text(step.name);
  uint8_t has_barrier = step.has_barrier ? 1 : 0;
  stream.Number(has_barrier);
  step.has_barrier = has_barrier != 0;
  stream.List(step.operands, 12, [&](Operand& operand) {
    stream.Number(operand.buffer);
    stream.Number(operand.offset_bytes);
  });
  stream.Number(step.row_count.buffer);
  stream.Number(step.row_count.offset_bytes);
  stream.Number(step.row_total);
  stream.Bytes(step.params);
  Dims(stream, step.part_begin);
}

template <typename Stream>
void Fields(Stream& stream, SpecializationProgram& specialization) {
  stream.Text(specialization.name);
  stream.Symbols(specialization.symbols);
  stream.List(specialization.inputs, 17, [&](IoTensor& tensor) { Fields(stream, tensor); });
  stream.List(specialization.outputs, 17, [&](IoTensor& tensor) { Fields(stream, tensor); });
  stream.Number(specialization.arena_bytes);
  stream.Number(specialization.io_bytes);
  stream.List(specialization.buffers, 17, [&](Buffer& buffer) {
    Enumerator(stream, buffer.area);
    stream.Number(buffer.offset_bytes);
    stream.Number(buffer.size_bytes);
  });
  stream.List(specialization.steps, 39, [&](Step& step) { Fields(stream, step); });
}

template <typename Stream>
void Fields(Stream& stream, Program& program) {
  stream.Number(program.part_count);
  stream.Number(program.constants_bytes);
  stream.Number(program.state_bytes);
  stream.List(program.states, 22, [&](StateTensor& state) { Fields(stream, state); });
  stream.List(program.specializations, 36,
              [&](SpecializationProgram& specialization) { Fields(stream, specialization); });
}

Status CheckEnumerators(const Program& program, std::string_view path) {
  const auto is_known = [](DType dtype) { return static_cast<int>(dtype) < kDTypeCount; };
  bool sound = true;
  for (const StateTensor& state : program.states) {
    sound = sound && is_known(state.dtype) && state.layout <= StateLayout::kKeyPanels &&
            IsKnown(state.format);
  }
  for (const SpecializationProgram& specialization : program.specializations) {
    for (const IoTensor& tensor : specialization.inputs) sound = sound && is_known(tensor.dtype);
    for (const IoTensor& tensor : specialization.outputs) sound = sound && is_known(tensor.dtype);
  }
  if (sound) return Status::Ok();
  return InvalidInput(Location::File(path),
                      "a tensor of the program has an unknown dtype or layout",
                      {"the program is damaged or newer than this version: compile it again"});
}

}  // namespace

std::string WriteProgram(const Program& program) {
  Program copy = program;  // the field lists serve reading too and are not const
  Writer writer;
  writer.out = kMagic;
  uint32_t version = kProgramVersion;
  writer.Number(version);
  Fields(writer, copy);
  return std::move(writer.out);
}

Result<Program> ReadProgram(std::span<const std::byte> bytes, std::string_view path,
                            int64_t base_offset_bytes) {
  ByteReader reader(bytes, path, base_offset_bytes);
  QEFF_ASSIGN_OR_RETURN(const auto magic, reader.ReadBytes(kMagic.size(), "program magic"));
  if (std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0) {
    return InvalidInput(Location::Byte(path, base_offset_bytes), "not a program for the cpu");
  }
  QEFF_ASSIGN_OR_RETURN(const uint32_t version, reader.Read<uint32_t>("program version"));
  if (version != kProgramVersion) {
    return Error(ErrorCode::kVersionMismatch, Location::Byte(path, base_offset_bytes),
                 fmt::format("expected program version {}, got {}", kProgramVersion, version),
                 {"compile the model again with this version"});
  }
  Program program;
  Reader stream(reader);
  Fields(stream, program);
  QEFF_RETURN_IF_ERROR(std::move(stream.status));
  if (reader.remaining_bytes() != 0) {
    return InvalidInput(reader.where(),
                        fmt::format("{} bytes follow the program", reader.remaining_bytes()));
  }
  QEFF_RETURN_IF_ERROR(CheckEnumerators(program, path));
  QEFF_RETURN_IF_ERROR(CheckProgram(program, path));
  return program;
}

}  // namespace qeff::cpu
