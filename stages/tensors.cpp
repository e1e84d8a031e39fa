// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/tensors.h"

#include <algorithm>

#include "lib/checkpoint/safetensors.h"
#include "stages/stages.h"

namespace qeff::stages {
namespace {

std::string Describe(const TensorInfo& info) {
  return fmt::format("{} {} [{}]", info.name, DTypeName(info.dtype), fmt::join(info.dims, ", "));
}

bool Fits(const SpecializationInfo& specialization, const std::vector<NamedTensor>& tensors) {
  const auto is_given = [&](const TensorInfo& input) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const NamedTensor& tensor) {
      return tensor.info.name == input.name && tensor.info.dtype == input.dtype &&
             tensor.info.dims == input.dims;
    });
  };
  return tensors.size() == specialization.inputs.size() &&
         std::all_of(specialization.inputs.begin(), specialization.inputs.end(), is_given);
}

Status NoneFits(const Session& session, const std::vector<NamedTensor>& tensors) {
  const auto list = [](std::vector<std::string> parts) {
    return fmt::format("{}", fmt::join(parts, ", "));
  };
  std::vector<std::string> given;
  for (const NamedTensor& tensor : tensors) given.push_back(Describe(tensor.info));
  std::vector<std::string> notes;
  for (const SpecializationInfo& specialization : session.specializations()) {
    std::vector<std::string> wanted;
    for (const TensorInfo& input : specialization.inputs) wanted.push_back(Describe(input));
    notes.push_back(fmt::format("'{}' takes {}", specialization.name, list(std::move(wanted))));
  }
  return UsageError(Location::Flag("--input-tensors"),
                    fmt::format("no specialization takes {}", list(std::move(given))),
                    std::move(notes));
}

}  // namespace

Result<std::vector<NamedTensor>> RunTensors(Session& session,
                                            const std::vector<NamedTensor>& inputs) {
  const std::vector<SpecializationInfo>& all = session.specializations();
  const auto chosen =
      std::find_if(all.begin(), all.end(), [&](const auto& entry) { return Fits(entry, inputs); });
  if (chosen == all.end()) return NoneFits(session, inputs);
  const auto index = static_cast<size_t>(chosen - all.begin());
  for (const NamedTensor& input : inputs) {
    const std::span<std::byte> buffer = session.Input(index, input.info.name);
    QEFF_CHECK(buffer.size() == input.data.size(), "size of input '{}'", input.info.name);
    std::copy(input.data.begin(), input.data.end(), buffer.begin());
  }
  QEFF_RETURN_IF_ERROR(session.Run(index));
  std::vector<NamedTensor> outputs;
  for (const TensorInfo& output : chosen->outputs) {
    const std::span<const std::byte> buffer = session.Output(index, output.name);
    outputs.push_back({output, {buffer.begin(), buffer.end()}});
  }
  return outputs;
}

Status RunTensors(const std::filesystem::path& qpc, const BackendOpenOptions& options,
                  const std::filesystem::path& inputs, const std::filesystem::path& outputs) {
  QEFF_ASSIGN_OR_RETURN(const checkpoint::SafetensorsFile file,
                        checkpoint::SafetensorsFile::Open(inputs));
  std::vector<NamedTensor> tensors;
  for (const checkpoint::StoredTensor& stored : file.tensors()) {
    const std::span<const std::byte> data = file.Data(stored);
    tensors.push_back({{.name = stored.name, .dtype = stored.dtype, .dims = stored.shape},
                       {data.begin(), data.end()}});
  }
  QEFF_ASSIGN_OR_RETURN(const std::unique_ptr<Session> session, OpenProgram(qpc, options));
  QEFF_ASSIGN_OR_RETURN(const std::vector<NamedTensor> results, RunTensors(*session, tensors));
  std::vector<checkpoint::TensorToWrite> written;
  for (const NamedTensor& result : results) {
    written.push_back({.name = result.info.name,
                       .dtype = result.info.dtype,
                       .shape = result.info.dims,
                       .data = result.data});
  }
  return checkpoint::WriteSafetensors(outputs, written);
}

}  // namespace qeff::stages
