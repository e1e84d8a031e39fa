// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>

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
  return "";
}

/// Everything in the container, nested containers after the segment that holds them.
struct Contents {
  Table segments{
      .name = "segments", .columns = {"name", "size_bytes", "offset_bytes", "content"}, .rows = {}};
  /// The outermost network description and sizes of constants; null if there are none.
  std::optional<QpcSegment> network;
  std::optional<QpcSegment> constants;
};

Status Collect(std::span<const std::byte> bytes, const std::string& path, int64_t offset_bytes,
               const std::string& prefix, Contents& contents) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<QpcSegment> segments,
                        artifact::ReadQpcSegments(bytes, path, offset_bytes));
  for (const QpcSegment& segment : segments) {
    if (segment.name == artifact::kNetworkDesc && !contents.network) contents.network = segment;
    if (segment.name == artifact::kConstantsDesc && !contents.constants)
      contents.constants = segment;
  }
  const int depth = static_cast<int>(std::count(prefix.begin(), prefix.end(), '/'));
  for (const QpcSegment& segment : segments) {
    if (contents.segments.rows.size() == kMostSegments) {
      return InvalidInput(Location::Byte(path, segment.file_offset_bytes),
                          fmt::format("expected at most {} segments, got more", kMostSegments));
    }
    const std::string name = prefix + std::string(segment.name);
    contents.segments.rows.push_back({name, static_cast<int64_t>(segment.data.size()),
                                      segment.file_offset_bytes, DescribeSegment(segment)});
    if (artifact::IsQpc(segment.data) && depth < kDeepestNesting) {
      QEFF_RETURN_IF_ERROR(
          Collect(segment.data, path, segment.file_offset_bytes, name + "/", contents));
    }
  }
  return Status::Ok();
}

Result<std::vector<Cell>> DescribeBinding(const artifact::IoBinding& binding,
                                          const artifact::TensorDesc& tensor,
                                          const std::string& path) {
  Cell size_bytes;
  if (artifact::StorageDType(tensor.type)) {
    QEFF_ASSIGN_OR_RETURN(const int64_t known_bytes,
                          artifact::TensorBytes(tensor, path, binding.name));
    size_bytes = known_bytes;
  }
  return std::vector<Cell>{binding.name, TypeName(tensor.type), ToShape(tensor.dims), size_bytes,
                           binding.is_partial_allowed};
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

Status AddNetwork(const QpcSegment& segment, const std::string& path, Report& report) {
  QEFF_ASSIGN_OR_RETURN(const artifact::NetworkDesc network,
                        artifact::DecodeNetworkDesc(segment.data, path, segment.file_offset_bytes));
  Fields summary{.name = "network", .fields = {}};
  summary.Add("name", network.network_name);
  summary.Add("description_version",
              fmt::format("{}.{}", network.major_version, network.minor_version));
  summary.Add("cores", static_cast<int64_t>(network.num_cores));
  summary.Add("batch_size", static_cast<int64_t>(network.batch_size));
  summary.Add("specializations", static_cast<int64_t>(network.allowed_shapes.size()));
  report.Add(std::move(summary));
  const std::vector<std::string> columns = {"name", "type", "dims", "size_bytes", "may_be_partial"};
  Table inputs{.name = "inputs", .columns = columns, .rows = {}};
  for (const artifact::IoBinding& binding : network.inputs) {
    QEFF_ASSIGN_OR_RETURN(std::vector<Cell> row, DescribeBinding(binding, binding.initial, path));
    inputs.rows.push_back(std::move(row));
  }
  report.Add(std::move(inputs));
  Table outputs{.name = "outputs", .columns = columns, .rows = {}};
  for (const artifact::IoBinding& binding : network.outputs) {
    QEFF_ASSIGN_OR_RETURN(std::vector<Cell> row,
                          DescribeBinding(binding, binding.transformed, path));
    outputs.rows.push_back(std::move(row));
  }
  report.Add(std::move(outputs));
  report.Add(DifferingShapes(network));
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
  Fields summary;
  summary.Add("program_bytes", static_cast<int64_t>(mapped.bytes().size()));
  if (contents.constants) {
    QEFF_ASSIGN_OR_RETURN(const artifact::ConstantsDesc constants,
                          artifact::DecodeConstantsDesc(contents.constants->data, mapped.path(),
                                                        contents.constants->file_offset_bytes));
    summary.Add("static_constants_bytes", static_cast<int64_t>(constants.static_size_bytes));
    summary.Add("dynamic_constants_bytes", static_cast<int64_t>(constants.dynamic_size_bytes));
  }
  report.Add(std::move(summary));
  report.Add(std::move(contents.segments));
  if (contents.network) QEFF_RETURN_IF_ERROR(AddNetwork(*contents.network, mapped.path(), report));
  if (folder.empty()) return Status::Ok();
  const std::filesystem::path specializations = folder / artifact::kSpecializationsName;
  std::error_code error;
  if (!std::filesystem::exists(specializations, error)) return Status::Ok();
  return AddSpecializations(specializations, report);
}

}  // namespace qeff::inspect
