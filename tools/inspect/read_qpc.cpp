// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "backends/program_file.h"
#include "lib/artifact/compile_files.h"
#include "lib/artifact/network_desc.h"
#include "lib/artifact/qpc.h"
#include "lib/support/file.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

using artifact::QpcSegment;

/// Containers inside containers: one level is what compilers make.
constexpr int kDeepestNesting = 4;
/// Of a file in all; hostile ones can nest the same bytes again and again.
constexpr size_t kMostSegments = 65536;

/// Name of a type of the description; numbers we have no name for stay numbers.
std::string TypeName(artifact::NetworkType type) {
  static const std::map<artifact::NetworkType, std::string> names = {
      {artifact::NetworkType::kFloat, "f32"},
      {artifact::NetworkType::kFloat16, "f16"},
      {artifact::NetworkType::kInt8Q, "i8 quantized"},
      {artifact::NetworkType::kUInt8Q, "u8 quantized"},
      {artifact::NetworkType::kInt16Q, "i16 quantized"},
      {artifact::NetworkType::kInt32Q, "i32 quantized"},
      {artifact::NetworkType::kInt32I, "i32"},
      {artifact::NetworkType::kInt64I, "i64"},
      {artifact::NetworkType::kInt8, "i8"},
      {artifact::NetworkType::kBfloat16, "bf16"}};
  const auto found = names.find(type);
  return found != names.end() ? found->second : fmt::format("type {}", static_cast<int32_t>(type));
}

ir::Shape ToShape(const std::vector<int32_t>& dims) { return {dims.begin(), dims.end()}; }

/// Host steps by their number, see artifact::TensorTransform.
std::string StepName(const artifact::TensorTransform& step) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "convert", "convert to d32", "convert from d32", "dequantize", "transpose", "quantize",
      "copy"};
  if (step.kind == artifact::TensorTransform::kCopyDmaBuffer)
    return fmt::format("copy to buffer {} + {}", step.buffer_number, step.buffer_offset_bytes);
  const auto kind = static_cast<size_t>(step.kind);
  return kind < kNames.size() ? std::string(kNames[kind]) : fmt::format("step {}", step.kind);
}

/// What a segment holds, as far as its name or its first bytes say.
std::string DescribeSegment(const QpcSegment& segment) {
  constexpr std::string_view kElfMagic =
      "\x7f"
      "ELF";
  const std::string_view data(reinterpret_cast<const char*>(segment.data.data()),
                              segment.data.size());
  if (artifact::IsQpc(segment.data)) return "container";
  if (data.starts_with(kElfMagic)) return "ELF program";
  if (segment.name == artifact::kNetworkElf && data.empty()) return "no program for a card";
  if (segment.name == artifact::kNetworkDesc) return "inputs, outputs, shapes";
  if (segment.name == artifact::kConstantsDesc) return "sizes of constants";
  if (segment.name == artifact::kConstants) return "constants";
  if (segment.name == artifact::kSimulatedSegment) return "label of a simulated card";
  if (data.empty()) return "";
  constexpr size_t kShownBytes = 8;
  std::string start;
  for (const char c : data.substr(0, kShownBytes))
    start += fmt::format(" {:02x}", static_cast<unsigned char>(c));
  return fmt::format("starts with{}", start);
}

/// Everything in the container, nested containers after the segment that holds them.
struct Contents {
  Table segments{.name = "segments",
                 .columns = {"name", "size_bytes", "offset_bytes", "aligned_to", "content"},
                 .rows = {}};
  /// The outermost ones; null if there are none.
  std::optional<QpcSegment> elf;
  std::optional<QpcSegment> constants_desc;
  std::optional<QpcSegment> constants;
};

/// The largest power of two, up to a page, that divides an offset.
int64_t AlignmentOf(int64_t offset_bytes) {
  constexpr int64_t kPageBytes = 4096;
  int64_t alignment = 1;
  while (alignment < kPageBytes && offset_bytes % (2 * alignment) == 0) alignment *= 2;
  return alignment;
}

Status Collect(std::span<const std::byte> bytes, const std::string& path, int64_t offset_bytes,
               const std::string& prefix, Contents& contents) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<QpcSegment> segments,
                        artifact::ReadQpcSegments(bytes, path, offset_bytes));
  for (const QpcSegment& segment : segments) {
    for (const auto& [name, found] : {std::pair{artifact::kNetworkElf, &contents.elf},
                                      {artifact::kConstantsDesc, &contents.constants_desc},
                                      {artifact::kConstants, &contents.constants}})
      if (segment.name == name && !*found) *found = segment;
  }
  const int depth = static_cast<int>(std::count(prefix.begin(), prefix.end(), '/'));
  for (const QpcSegment& segment : segments) {
    if (contents.segments.rows.size() == kMostSegments) {
      return InvalidInput(Location::Byte(path, segment.file_offset_bytes),
                          fmt::format("expected at most {} segments, got more", kMostSegments));
    }
    const std::string name = prefix + std::string(segment.name);
    contents.segments.rows.push_back(
        {name, static_cast<int64_t>(segment.data.size()), segment.file_offset_bytes,
         AlignmentOf(segment.file_offset_bytes), DescribeSegment(segment)});
    if (artifact::IsQpc(segment.data) && depth < kDeepestNesting) {
      QEFF_RETURN_IF_ERROR(
          Collect(segment.data, path, segment.file_offset_bytes, name + "/", contents));
    }
  }
  return Status::Ok();
}

/// Removes the columns from `first` on that have nothing in any row.
void DropEmptyColumns(Table& table, size_t first) {
  for (size_t column = table.columns.size(); column-- > first;) {
    const bool is_empty = std::ranges::all_of(table.rows, [column](const std::vector<Cell>& row) {
      return std::holds_alternative<std::monostate>(row[column]);
    });
    if (!is_empty) continue;
    table.columns.erase(table.columns.begin() + static_cast<int64_t>(column));
    for (std::vector<Cell>& row : table.rows) row.erase(row.begin() + static_cast<int64_t>(column));
  }
}

/// Index of each binding: inputs in order, then outputs; a name twice means its last.
std::map<std::string, int64_t> IndexBindings(const artifact::NetworkDesc& network) {
  std::map<std::string, int64_t> indices;
  int64_t index = 0;
  for (const auto* list : {&network.inputs, &network.outputs})
    for (const artifact::IoBinding& binding : *list) indices[binding.name] = index++;
  return indices;
}

/// The other half of a state that stays on the card; nothing for any other binding.
Cell FindStatePartner(const std::map<std::string, int64_t>& indices, std::string name,
                      bool is_input) {
  const std::string_view suffix = ir::kRetainedStateSuffix;
  if (is_input) {
    name += suffix;
  } else if (name.ends_with(suffix)) {
    name.resize(name.size() - suffix.size());
  } else {
    return {};
  }
  const auto found = indices.find(name);
  return found == indices.end() ? Cell() : Cell(found->second);
}

/// The inputs, as their users see them, or the outputs.
Result<Table> DescribeBindings(const artifact::NetworkDesc& network, bool is_input,
                               const std::string& path) {
  Table table{.name = is_input ? "inputs" : "outputs",
              .columns = {"index", "name", "type", "dims", "size_bytes", "may_be_partial",
                          "same_state_as", "scale", "zero_point", "host_steps"},
              .rows = {}};
  constexpr size_t kFirstOptional = 6;
  const std::map<std::string, int64_t> indices = IndexBindings(network);
  int64_t index = is_input ? 0 : static_cast<int64_t>(network.inputs.size());
  for (const artifact::IoBinding& binding : is_input ? network.inputs : network.outputs) {
    const artifact::TensorDesc& tensor = is_input ? binding.initial : binding.transformed;
    std::vector<Cell> row = {index++, binding.name, TypeName(tensor.type), ToShape(tensor.dims)};
    row.resize(table.columns.size());
    if (artifact::StorageDType(tensor.type)) {
      QEFF_ASSIGN_OR_RETURN(row[4], artifact::TensorBytes(tensor, path, binding.name));
    }
    row[5] = binding.is_partial_allowed;
    row[6] = FindStatePartner(indices, binding.name, is_input);
    if (tensor.quantization_scale != 0) {
      row[7] = double{tensor.quantization_scale};
      row[8] = int64_t{tensor.quantization_offset};
    }
    if (!binding.transforms.empty()) {
      std::vector<std::string> steps;
      for (const artifact::TensorTransform& step : binding.transforms)
        steps.push_back(StepName(step));
      row[9] = std::move(steps);
    }
    table.rows.push_back(std::move(row));
  }
  DropEmptyColumns(table, kFirstOptional);
  return table;
}

/// Shapes of the inputs and outputs that are not the same in all specializations.
Table DifferingShapes(const artifact::NetworkDesc& network) {
  Table table{
      .name = "specialized_shapes", .columns = {"specialization", "name", "dims"}, .rows = {}};
  for (size_t tensor = 0; tensor < network.inputs.size() + network.outputs.size(); ++tensor) {
    std::set<std::vector<int32_t>> shapes;
    for (const auto& entry : network.allowed_shapes) shapes.insert(entry[tensor].dims);
    if (shapes.size() < 2) continue;
    const bool is_input = tensor < network.inputs.size();
    const std::string& name = is_input ? network.inputs[tensor].name
                                       : network.outputs[tensor - network.inputs.size()].name;
    for (size_t i = 0; i < network.allowed_shapes.size(); ++i) {
      table.rows.push_back(
          {static_cast<int64_t>(i), name, ToShape(network.allowed_shapes[i][tensor].dims)});
    }
  }
  return table;
}

Status AddNetwork(const artifact::FoundNetworkDesc& found, const std::string& path,
                  Report& report) {
  const artifact::NetworkDesc& network = found.desc;
  Fields summary{.name = "network", .fields = {}};
  if (found.segment != artifact::kNetworkDesc) summary.Add("found_in", found.segment);
  summary.Add("name", network.network_name);
  summary.Add("description_version",
              fmt::format("{}.{}", network.major_version, network.minor_version));
  if (network.major_version != artifact::NetworkDesc::kMajorVersion)
    summary.Add("problem", fmt::format("qeff knows descriptions of version {}.x",
                                       artifact::NetworkDesc::kMajorVersion));
  summary.Add("cores", static_cast<int64_t>(network.num_cores));
  if (network.num_threads > 0) summary.Add("threads", int64_t{network.num_threads});
  if (network.num_hvx_threads > 0) summary.Add("hvx_threads", int64_t{network.num_hvx_threads});
  summary.Add("batch_size", static_cast<int64_t>(network.batch_size));
  summary.Add("specializations", static_cast<int64_t>(network.allowed_shapes.size()));
  report.Add(std::move(summary));
  for (const bool is_input : {true, false}) {
    QEFF_ASSIGN_OR_RETURN(Table table, DescribeBindings(network, is_input, path));
    report.Add(std::move(table));
  }
  report.Add(DifferingShapes(network));
  Table buffers{.name = "dma_buffers", .columns = {"index", "size_bytes", "direction"}, .rows = {}};
  for (const artifact::DmaBuffer& buffer : network.dma_buffers) {
    buffers.rows.push_back({static_cast<int64_t>(buffers.rows.size()), int64_t{buffer.size_bytes},
                            std::string(buffer.direction == 0 ? "to the card" : "from the card")});
  }
  report.Add(std::move(buffers));
  return Status::Ok();
}

/// What the sizes of constants say, and where they are not those of the constants.
Status AddConstants(const Contents& contents, const std::string& path, Fields& summary) {
  if (!contents.constants_desc) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const artifact::ConstantsDesc desc,
                        artifact::DecodeConstantsDesc(contents.constants_desc->data, path,
                                                      contents.constants_desc->file_offset_bytes));
  summary.Add("static_constants_bytes", static_cast<int64_t>(desc.static_size_bytes));
  summary.Add("dynamic_constants_bytes", static_cast<int64_t>(desc.dynamic_size_bytes));
  if (!contents.constants) return Status::Ok();
  const uint64_t there = contents.constants->data.size();
  if (desc.static_size_bytes != contents.constants->static_size_bytes ||
      desc.dynamic_size_bytes != there - std::min(there, desc.static_size_bytes)) {
    summary.Add("problem", fmt::format("constants.bin has {} bytes, {} of them static", there,
                                       contents.constants->static_size_bytes));
  }
  return Status::Ok();
}

Status AddSpecializations(const std::filesystem::path& path, Report& report) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<artifact::Specialization> specializations,
                        artifact::ReadSpecializations(path));
  Table table{.name = "specializations", .columns = {"name"}, .rows = {}};
  for (const artifact::Specialization& specialization : specializations) {
    for (const auto& [symbol, value] : specialization.symbols) {
      if (std::find(table.columns.begin(), table.columns.end(), symbol) == table.columns.end())
        table.columns.push_back(symbol);
    }
  }
  for (const artifact::Specialization& specialization : specializations) {
    std::vector<Cell> row = {specialization.graph_name};
    for (size_t i = 1; i < table.columns.size(); ++i) {
      const std::optional<int64_t> value = specialization.Find(table.columns[i]);
      row.emplace_back();
      if (value) row.back() = *value;
    }
    table.rows.push_back(std::move(row));
  }
  report.Add(std::move(table));
  return Status::Ok();
}

}  // namespace

Status ReadQpc(const std::filesystem::path& file, const std::filesystem::path& folder,
               Report& report) {
  QEFF_ASSIGN_OR_RETURN(const MappedFile mapped, MappedFile::Open(file));
  Contents contents;
  QEFF_RETURN_IF_ERROR(Collect(mapped.bytes(), mapped.path(), 0, "", contents));
  QEFF_ASSIGN_OR_RETURN(const std::vector<QpcSegment> segments,
                        artifact::ReadQpcSegments(mapped.bytes(), mapped.path()));
  Fields summary;
  const artifact::QpcHeader header = artifact::ReadQpcHeader(mapped.bytes());
  summary.Add("container_version",
              fmt::format("{}.{}", header.major_version, header.minor_version));
  if (header.base != 0) summary.Add("base_address", fmt::format("{:#x}", header.base));
  summary.Add("program_bytes", static_cast<int64_t>(mapped.bytes().size()));
  const bool is_simulated = std::ranges::any_of(segments, [](const QpcSegment& segment) {
    return segment.name == artifact::kSimulatedSegment;
  });
  if (is_simulated) summary.Add("simulated_card", true);
  QEFF_RETURN_IF_ERROR(AddConstants(contents, mapped.path(), summary));
  report.Add(std::move(summary));
  report.Add(std::move(contents.segments));
  if (contents.elf && DescribeSegment(*contents.elf) == "ELF program") {
    const Status elf =
        ReadElf(contents.elf->data, mapped.path(), contents.elf->file_offset_bytes, report);
    // No reader needs what is in it.
    if (!elf.ok()) {
      Fields fields{.name = "network_elf", .fields = {}};
      fields.Add("problem", elf.diagnostic().message);
      report.Add(std::move(fields));
    }
  }
  for (const QpcSegment& segment : segments) {
    if (segment.name != kCpuProgramSegment) continue;
    const Status program =
        ReadCpuProgram(segment.data, mapped.path(), segment.file_offset_bytes, report);
    if (!program.ok()) {  // of another version: the container can be shown all the same
      Fields fields{.name = "cpu_program", .fields = {}};
      fields.Add("problem", program.diagnostic().message);
      report.Add(std::move(fields));
    }
  }
  QEFF_ASSIGN_OR_RETURN(const auto network, artifact::FindNetworkDesc(segments, mapped.path()));
  if (network) QEFF_RETURN_IF_ERROR(AddNetwork(*network, mapped.path(), report));
  if (folder.empty()) return Status::Ok();
  const std::filesystem::path specializations = folder / artifact::kSpecializationsName;
  std::error_code error;
  if (!std::filesystem::exists(specializations, error)) return Status::Ok();
  return AddSpecializations(specializations, report);
}

}  // namespace qeff::inspect
