// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/program_file.h"

#include "lib/artifact/network_desc.h"
#include "lib/artifact/qpc.h"

namespace qeff {
namespace {

constexpr uint64_t kPageBytes = 4096;
/// Constants that fill several of them begin at one, so that they can be mapped with huge pages.
constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;
constexpr uint64_t kLeastHugePages = 16;

Result<artifact::TensorDesc> Describe(const ir::Value& value, std::string_view name) {
  const auto type = artifact::NetworkTypeFor(*value.type().dtype);
  if (!type) {
    return Unsupported(Location::Node("", name), fmt::format("a program cannot take or give {}",
                                                             DTypeName(*value.type().dtype)));
  }
  artifact::TensorDesc desc{.type = *type};
  for (const ir::Dim& dim : *value.type().shape)
    desc.dims.push_back(static_cast<int32_t>(dim.value()));
  return desc;
}

/// What a reader of the container sees of the program: bindings of the first specialization, shapes
/// of all.
Result<artifact::NetworkDesc> DescribeNetwork(const std::vector<SpecializedGraph>& graphs,
                                              int num_cores) {
  artifact::NetworkDesc network{.network_name = graphs.front().graph.name(),
                                .num_cores = static_cast<uint32_t>(num_cores)};
  for (const SpecializedGraph& specialized : graphs) {
    const ir::Graph& graph = specialized.graph;
    const bool is_first = &specialized == &graphs.front();
    std::vector<artifact::TensorShape> shapes;
    const auto add = [&](const ir::Value& value, const std::string& name, bool is_input) -> Status {
      QEFF_ASSIGN_OR_RETURN(const artifact::TensorDesc desc, Describe(value, name));
      shapes.push_back({desc.type, desc.dims});
      const std::string partner = name + std::string(ir::kRetainedStateSuffix);
      const bool is_state = is_input ? graph.FindOutput(partner) != nullptr
                                     : name.ends_with(ir::kRetainedStateSuffix);
      const artifact::IoBinding binding{
          .name = name, .initial = desc, .transformed = desc, .is_partial_allowed = is_state};
      if (is_first) (is_input ? network.inputs : network.outputs).push_back(binding);
      return Status::Ok();
    };
    for (const ir::Value* input : graph.inputs())
      QEFF_RETURN_IF_ERROR(add(*input, input->name(), true));
    for (const ir::GraphOutput& output : graph.outputs())
      QEFF_RETURN_IF_ERROR(add(*output.value, output.name, false));
    network.allowed_shapes.push_back(std::move(shapes));
  }
  const auto batch = graphs.front().symbols.find("batch_size");
  network.batch_size =
      batch == graphs.front().symbols.end() ? 1 : static_cast<int32_t>(batch->second);
  return network;
}

}  // namespace

Status WriteProgramFile(const std::vector<SpecializedGraph>& graphs, int num_cores,
                        const ProgramContent& content, artifact::ArtifactWriter& out) {
  QEFF_ASSIGN_OR_RETURN(const artifact::NetworkDesc network, DescribeNetwork(graphs, num_cores));
  const std::string network_bytes = artifact::EncodeNetworkDesc(network);
  const std::string constants_desc =
      artifact::EncodeConstantsDesc({.static_size_bytes = content.constants_bytes});
  std::vector<artifact::QpcSegmentPlan> plan = {
      {.name = std::string(artifact::kNetworkElf), .size_bytes = 0},
      {.name = std::string(artifact::kNetworkDesc), .size_bytes = network_bytes.size()},
      {.name = std::string(artifact::kConstantsDesc), .size_bytes = constants_desc.size()},
      {.name = content.segment, .size_bytes = content.program.size()},
      {.name = std::string(artifact::kConstants),
       .size_bytes = content.constants_bytes,
       .alignment_bytes = content.constants_bytes >= kLeastHugePages * kHugePageBytes
                              ? kHugePageBytes
                              : kPageBytes,
       .static_size_bytes = content.constants_bytes}};
  QEFF_ASSIGN_OR_RETURN(artifact::ArtifactFile file,
                        out.NewFile(kProgramFileName, artifact::HashKind::kXxh3));
  const auto append = [&file](std::span<const std::byte> bytes) { return file.Append(bytes); };
  QEFF_ASSIGN_OR_RETURN(artifact::QpcWriter writer,
                        artifact::QpcWriter::Create(std::move(plan), kProgramFileName, append));
  const auto segment = [&writer](std::string_view name, const std::string& bytes) -> Status {
    QEFF_RETURN_IF_ERROR(writer.BeginSegment(name));
    return writer.Append(std::as_bytes(std::span(bytes)));
  };
  QEFF_RETURN_IF_ERROR(segment(artifact::kNetworkElf, ""));
  QEFF_RETURN_IF_ERROR(segment(artifact::kNetworkDesc, network_bytes));
  QEFF_RETURN_IF_ERROR(segment(artifact::kConstantsDesc, constants_desc));
  QEFF_RETURN_IF_ERROR(segment(content.segment, content.program));
  QEFF_RETURN_IF_ERROR(writer.BeginSegment(artifact::kConstants));
  if (content.constants_bytes > 0) {
    QEFF_RETURN_IF_ERROR(content.write_constants(
        [&writer](std::span<const std::byte> bytes) { return writer.Append(bytes); }));
  }
  QEFF_RETURN_IF_ERROR(writer.Finish());
  return file.Close();
}

}  // namespace qeff
