// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The two small segments of a QPC that tell a runtime what the program takes and gives:
// networkdesc.bin (a protobuf message, description version 9.0) and constantsdesc.bin. Field
// numbers are those of AICNetworkDesc.proto of the open runtime; fields of it that are not here are
// skipped by the reader.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/artifact/qpc.h"
#include "lib/support/dtype.h"
#include "lib/support/status.h"

namespace qeff::artifact {

/// Element types of the description. Files may hold other numbers: kept as they are.
enum class NetworkType : int32_t {
  kFloat = 0,
  kFloat16 = 1,
  kInt8Q = 2,
  kUInt8Q = 3,
  kInt16Q = 4,
  kInt32Q = 5,
  kInt32I = 6,
  kInt64I = 7,
  kInt8 = 8,
  kBfloat16 = 11,
};

/// Returns the type for elements of `dtype`, nothing if the format has none.
std::optional<NetworkType> NetworkTypeFor(DType dtype);
/// Returns what the elements are stored as (quantised types as their integers), nothing for an
/// unknown type.
std::optional<DType> StorageDType(NetworkType type);

/// Shape and type of a tensor. A quantised real value is (stored - quantization_offset) *
/// quantization_scale.
struct TensorDesc {
  NetworkType type = NetworkType::kFloat;
  float quantization_scale = 0;
  int32_t quantization_offset = 0;
  std::vector<int32_t> dims;
  int32_t layout = 0;  ///< 0 is row-major
};

/// What the host does to a tensor on its way to the card, by number: 6 copies it to a DMA buffer.
struct TensorTransform {
  static constexpr int32_t kCopyDmaBuffer = 6;
  int32_t kind = 0;
  int32_t buffer_offset_bytes = 0;  ///< of kCopyDmaBuffer
  int32_t buffer_number = 0;        ///< of kCopyDmaBuffer
};

/// An input or an output. The user sees an input as `initial` and an output as `transformed`.
struct IoBinding {
  std::string name;
  TensorDesc initial;
  TensorDesc transformed;
  std::vector<TensorTransform> transforms;
  bool is_partial_allowed =
      false;  ///< may be given smaller than its shape, or not at all: retained state
  uint32_t alignment_bytes = 0;
};

/// Memory that host and card share; its place in the list is its number.
struct DmaBuffer {
  uint32_t size_bytes = 0;
  int32_t direction = 0;  ///< 0 to the card, 1 from it
};

struct TensorShape {
  NetworkType type = NetworkType::kFloat;
  std::vector<int32_t> dims;
};

struct NetworkDesc {
  static constexpr uint32_t kMajorVersion = 9;  ///< readers warn about others
  uint32_t major_version = kMajorVersion;
  uint32_t minor_version = 0;
  std::string network_name;
  std::vector<IoBinding> inputs;
  std::vector<IoBinding> outputs;
  std::vector<DmaBuffer> dma_buffers;
  uint32_t num_cores = 0;
  uint32_t num_threads = 0;      ///< of each core
  uint32_t num_hvx_threads = 0;  ///< of these, with a vector unit
  int32_t batch_size = 0;
  /// One entry per specialization: the shapes of all inputs in order, then of all outputs.
  std::vector<std::vector<TensorShape>> allowed_shapes;
};

/// Returns the bytes of networkdesc.bin, those that the official writer gives for the same values.
std::string EncodeNetworkDesc(const NetworkDesc& desc);

/// Decodes networkdesc.bin; `path` names the file in errors, `base_offset_bytes` is where `bytes`
/// starts in it. At most 16 MiB are read, with 65536 inputs and as many outputs. Errors:
/// kInvalidInput (no valid protobuf, a field of another type than the schema's, an entry of
/// allowed_shapes whose length is not the number of inputs and outputs).
Result<NetworkDesc> DecodeNetworkDesc(std::span<const std::byte> bytes, std::string_view path,
                                      int64_t base_offset_bytes = 0);

/// A description and the segment that it was found in, with the names of the containers around it.
struct FoundNetworkDesc {
  NetworkDesc desc;
  std::string segment;
};
/// Finds the description of the model's inputs: that of the container itself, or of the first
/// container nested in it that has inputs (programs for several devices, up to 4 containers deep).
/// Errors: those of reading; kInvalidInput for more than 65536 segments in all.
Result<std::optional<FoundNetworkDesc>> FindNetworkDesc(const std::vector<QpcSegment>& segments,
                                                        std::string_view path);

/// Returns the bytes of a tensor as runtimes count them: product of the dims that are not 0, times
/// the element. Errors: kUnsupported for an unknown type; kInvalidInput for a negative dim or more
/// than 2^63 - 1 bytes. `name` is for messages.
Result<int64_t> TensorBytes(const TensorDesc& tensor, std::string_view path, std::string_view name);

/// constantsdesc.bin, 24 bytes.
struct ConstantsDesc {
  static constexpr size_t kBytes = 24;
  uint64_t static_size_bytes = 0;   ///< of the first part of constants.bin
  uint64_t dynamic_size_bytes = 0;  ///< of the rest
  uint8_t static_ecc = 0;
  uint8_t dynamic_ecc = 0;
};

std::string EncodeConstantsDesc(const ConstantsDesc& desc);
/// Errors: kInvalidInput if `bytes` is not 24 bytes.
Result<ConstantsDesc> DecodeConstantsDesc(std::span<const std::byte> bytes, std::string_view path,
                                          int64_t base_offset_bytes = 0);

}  // namespace qeff::artifact
