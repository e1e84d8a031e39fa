// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "lib/checkpoint/safetensors.h"
#include "lib/checkpoint/safetensors_header.h"
#include "lib/support/atomic_file.h"
#include "lib/support/json.h"

namespace qeff::checkpoint {
namespace {

Status CheckTensors(const std::vector<const TensorToWrite*>& tensors, const std::string& path) {
  const TensorToWrite* previous = nullptr;
  for (const TensorToWrite* tensor : tensors) {
    const Location where = Location::Tensor(path, tensor->name);
    if (tensor->name == "__metadata__") {
      return InvalidInput(where, "the name '__metadata__' is reserved by the format");
    }
    if (previous != nullptr && previous->name == tensor->name) {
      return InvalidInput(where, "tensor is to be written twice");
    }
    if (SafetensorsName(tensor->dtype).empty()) {
      return InvalidInput(where, fmt::format("the safetensors format has no dtype for '{}'",
                                             DTypeName(tensor->dtype)));
    }
    QEFF_ASSIGN_OR_RETURN(const int64_t size_bytes,
                          CheckedTensorBytes(tensor->dtype, tensor->shape, where));
    if (size_bytes != static_cast<int64_t>(tensor->data.size())) {
      return InvalidInput(where, fmt::format("expected {} bytes for {} [{}], got {}", size_bytes,
                                             SafetensorsName(tensor->dtype),
                                             fmt::join(tensor->shape, ", "), tensor->data.size()));
    }
    previous = tensor;
  }
  return Status::Ok();
}

std::string HeaderText(const std::vector<const TensorToWrite*>& tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::string text = "{";
  if (!metadata.empty()) {
    text += "\"__metadata__\":{";
    for (size_t i = 0; i < metadata.size(); ++i) {
      text += fmt::format("{}{}:{}", i > 0 ? "," : "", DumpText(metadata[i].first),
                          DumpText(metadata[i].second));
    }
    text += tensors.empty() ? "}" : "},";
  }
  int64_t offset_bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorToWrite& tensor = *tensors[i];
    const int64_t end_bytes = offset_bytes + static_cast<int64_t>(tensor.data.size());
    text += fmt::format(R"({}{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                        i > 0 ? "," : "", DumpText(tensor.name), SafetensorsName(tensor.dtype),
                        fmt::join(tensor.shape, ","), offset_bytes, end_bytes);
    offset_bytes = end_bytes;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

Status WriteSafetensors(const std::filesystem::path& path, std::span<const TensorToWrite> tensors,
                        const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(),
            [](const TensorToWrite* a, const TensorToWrite* b) { return a->name < b->name; });
  QEFF_RETURN_IF_ERROR(CheckTensors(order, path.string()));
  std::stable_sort(order.begin(), order.end(), [](const TensorToWrite* a, const TensorToWrite* b) {
    return SafetensorsRank(a->dtype) > SafetensorsRank(b->dtype);
  });

  const std::string header = HeaderText(order, metadata);
  return WriteFileAtomically(path, [&](FileWriter& writer) {
    const uint64_t header_bytes = header.size();
    QEFF_RETURN_IF_ERROR(writer.Append(std::as_bytes(std::span(&header_bytes, 1))));
    QEFF_RETURN_IF_ERROR(writer.Append(std::as_bytes(std::span(header))));
    for (const TensorToWrite* tensor : order) QEFF_RETURN_IF_ERROR(writer.Append(tensor->data));
    return Status::Ok();
  });
}

}  // namespace qeff::checkpoint
