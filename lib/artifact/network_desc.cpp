// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/network_desc.h"

#include "lib/artifact/protobuf_wire.h"
#include "lib/support/byte_reader.h"

namespace qeff::artifact {
namespace {

// An empty binding takes two bytes in the file and hundreds in memory, so both are limited. A
// program of 200 layers and 20 specializations has 1600 bindings and a description of 1 MiB.
constexpr size_t kDescLimitBytes = size_t{16} << 20;
constexpr size_t kBindingLimit = 65536;

// ---- field numbers ----

namespace network {
enum : uint32_t {
  kMajorVersion = 1,
  kMinorVersion = 2,
  kName = 3,
  kInputs = 4,
  kOutputs = 5,
  kDmaBuffers = 6,
  kNumCores = 7,
  kNumThreads = 8,
  kNumHvxThreads = 9,
  kBatchSize = 14,
  kAllowedShapes = 18,
};
}  // namespace network
namespace binding {
enum : uint32_t {
  kName = 1,
  kInitial = 2,
  kTransformed = 3,
  kTransforms = 4,
  kIsPartialAllowed = 5,
  kAlignment = 6
};
}  // namespace binding
namespace descriptor {
enum : uint32_t { kType = 1, kScale = 2, kOffset = 3, kDims = 4, kLayout = 5 };
}  // namespace descriptor
namespace transform {
enum : uint32_t { kKind = 1, kCopyDmaBuffer = 9 };
enum : uint32_t { kBufferOffset = 2, kBufferNumber = 3 };  // inside kCopyDmaBuffer
}  // namespace transform
namespace dma_buffer {
enum : uint32_t { kSize = 1, kDirection = 2 };
}  // namespace dma_buffer
namespace shapes {
enum : uint32_t { kShapes = 1 };
enum : uint32_t { kType = 1, kDims = 2 };  // inside one shape
}  // namespace shapes

// ---- writing ----

WireWriter Encode(const TensorDesc& tensor) {
  WireWriter writer;
  writer.Int32(descriptor::kType, static_cast<int32_t>(tensor.type));
  writer.Float(descriptor::kScale, tensor.quantization_scale);
  writer.Int32(descriptor::kOffset, tensor.quantization_offset);
  writer.Int32s(descriptor::kDims, tensor.dims);
  writer.Int32(descriptor::kLayout, tensor.layout);
  return writer;
}

WireWriter Encode(const TensorTransform& value) {
  WireWriter writer;
  writer.Int32(transform::kKind, value.kind);
  if (value.kind == TensorTransform::kCopyDmaBuffer) {
    WireWriter copy;
    copy.Int32(transform::kBufferOffset, value.buffer_offset_bytes);
    copy.Int32(transform::kBufferNumber, value.buffer_number);
    writer.Message(transform::kCopyDmaBuffer, copy);
  }
  return writer;
}

WireWriter Encode(const IoBinding& value) {
  WireWriter writer;
  writer.String(binding::kName, value.name);
  writer.Message(binding::kInitial, Encode(value.initial));
  writer.Message(binding::kTransformed, Encode(value.transformed));
  for (const TensorTransform& step : value.transforms)
    writer.Message(binding::kTransforms, Encode(step));
  writer.Bool(binding::kIsPartialAllowed, value.is_partial_allowed);
  writer.Uint32(binding::kAlignment, value.alignment_bytes);
  return writer;
}

WireWriter Encode(const DmaBuffer& value) {
  WireWriter writer;
  writer.Uint32(dma_buffer::kSize, value.size_bytes);
  writer.Int32(dma_buffer::kDirection, value.direction);
  return writer;
}

WireWriter Encode(const std::vector<TensorShape>& specialization) {
  WireWriter writer;
  for (const TensorShape& shape : specialization) {
    WireWriter one;
    one.Int32(shapes::kType, static_cast<int32_t>(shape.type));
    one.Int32s(shapes::kDims, shape.dims);
    writer.Message(shapes::kShapes, one);
  }
  return writer;
}

// ---- reading ----

/// Calls `on_field(field)` for each field of a message. The nesting of calls is that of the schema:
/// four messages deep.
template <typename OnField>
Status ForEachField(std::span<const std::byte> message, std::string_view path, int64_t offset_bytes,
                    const OnField& on_field) {
  WireReader reader(message, path, offset_bytes);
  while (!reader.at_end()) {
    QEFF_ASSIGN_OR_RETURN(const WireField field, reader.Next());
    if (field.number != 0) QEFF_RETURN_IF_ERROR(on_field(field));
  }
  return Status::Ok();
}

/// Reads fields by the schema's types. A number in place of a message (or the reverse) is damage,
/// not a later version.
class FieldChecker {
 public:
  explicit FieldChecker(std::string_view path) : path_(path) {}

  Status Is(const WireField& field, WireType type, std::string_view what) const {
    if (field.type == type) return Status::Ok();
    return InvalidInput(Location::Byte(path_, field.offset_bytes),
                        fmt::format("expected {} with wire type {}, got {}", what,
                                    static_cast<int>(type), static_cast<int>(field.type)));
  }
  Status Read(const WireField& field, uint32_t& value) const {
    value = field.AsUint32();
    return Is(field, WireType::kVarint, "a number");
  }
  Status Read(const WireField& field, int32_t& value) const {
    value = field.AsInt32();
    return Is(field, WireType::kVarint, "a number");
  }
  Status Read(const WireField& field, NetworkType& value) const {
    value = static_cast<NetworkType>(field.AsInt32());
    return Is(field, WireType::kVarint, "an element type");
  }
  Status Read(const WireField& field, bool& value) const {
    value = field.AsBool();
    return Is(field, WireType::kVarint, "a truth value");
  }
  Status Read(const WireField& field, float& value) const {
    value = field.AsFloat();
    return Is(field, WireType::kFixed32, "a float");
  }
  Status Read(const WireField& field, std::string& value) const {
    QEFF_RETURN_IF_ERROR(Is(field, WireType::kBytes, "a string"));
    value = field.AsString();
    return Status::Ok();
  }
  Status Read(const WireField& field, std::vector<int32_t>& values) const {
    if (field.type != WireType::kVarint)
      QEFF_RETURN_IF_ERROR(Is(field, WireType::kBytes, "numbers"));
    return AppendInt32s(field, path_, values);
  }
  template <typename OnField>
  Status ReadMessage(const WireField& field, const OnField& on_field) const {
    QEFF_RETURN_IF_ERROR(Is(field, WireType::kBytes, "a message"));
    return ForEachField(field.bytes, path_, field.offset_bytes, on_field);
  }

 private:
  std::string_view path_;
};

Status Decode(const FieldChecker& checker, const WireField& message, TensorDesc& tensor) {
  return checker.ReadMessage(message, [&](const WireField& field) {
    switch (field.number) {
      case descriptor::kType:
        return checker.Read(field, tensor.type);
      case descriptor::kScale:
        return checker.Read(field, tensor.quantization_scale);
      case descriptor::kOffset:
        return checker.Read(field, tensor.quantization_offset);
      case descriptor::kDims:
        return checker.Read(field, tensor.dims);
      case descriptor::kLayout:
        return checker.Read(field, tensor.layout);
      default:
        return Status::Ok();
    }
  });
}

Status Decode(const FieldChecker& checker, const WireField& message, TensorTransform& value) {
  return checker.ReadMessage(message, [&](const WireField& field) {
    if (field.number == transform::kKind) return checker.Read(field, value.kind);
    if (field.number != transform::kCopyDmaBuffer) return Status::Ok();
    return checker.ReadMessage(field, [&](const WireField& inner) {
      if (inner.number == transform::kBufferOffset)
        return checker.Read(inner, value.buffer_offset_bytes);
      if (inner.number == transform::kBufferNumber) return checker.Read(inner, value.buffer_number);
      return Status::Ok();
    });
  });
}

Status Decode(const FieldChecker& checker, const WireField& message, IoBinding& value) {
  return checker.ReadMessage(message, [&](const WireField& field) {
    switch (field.number) {
      case binding::kName:
        return checker.Read(field, value.name);
      case binding::kInitial:
        return Decode(checker, field, value.initial);
      case binding::kTransformed:
        return Decode(checker, field, value.transformed);
      case binding::kTransforms:
        return Decode(checker, field, value.transforms.emplace_back());
      case binding::kIsPartialAllowed:
        return checker.Read(field, value.is_partial_allowed);
      case binding::kAlignment:
        return checker.Read(field, value.alignment_bytes);
      default:
        return Status::Ok();
    }
  });
}

Status Decode(const FieldChecker& checker, const WireField& message, DmaBuffer& value) {
  return checker.ReadMessage(message, [&](const WireField& field) {
    if (field.number == dma_buffer::kSize) return checker.Read(field, value.size_bytes);
    if (field.number == dma_buffer::kDirection) return checker.Read(field, value.direction);
    return Status::Ok();
  });
}

Status Decode(const FieldChecker& checker, const WireField& message,
              std::vector<TensorShape>& specialization) {
  return checker.ReadMessage(message, [&](const WireField& field) {
    if (field.number != shapes::kShapes) return Status::Ok();
    TensorShape& shape = specialization.emplace_back();
    return checker.ReadMessage(field, [&](const WireField& inner) {
      if (inner.number == shapes::kType) return checker.Read(inner, shape.type);
      if (inner.number == shapes::kDims) return checker.Read(inner, shape.dims);
      return Status::Ok();
    });
  });
}

}  // namespace

std::optional<NetworkType> NetworkTypeFor(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return NetworkType::kFloat;
    case DType::kF16:
      return NetworkType::kFloat16;
    case DType::kBf16:
      return NetworkType::kBfloat16;
    case DType::kI8:
      return NetworkType::kInt8;
    case DType::kU8:
      return NetworkType::kUInt8Q;
    case DType::kI16:
      return NetworkType::kInt16Q;
    case DType::kI32:
      return NetworkType::kInt32I;
    case DType::kI64:
      return NetworkType::kInt64I;
    default:
      return std::nullopt;
  }
}

std::optional<DType> StorageDType(NetworkType type) {
  switch (type) {
    case NetworkType::kFloat:
      return DType::kF32;
    case NetworkType::kFloat16:
      return DType::kF16;
    case NetworkType::kBfloat16:
      return DType::kBf16;
    case NetworkType::kInt8Q:
    case NetworkType::kInt8:
      return DType::kI8;
    case NetworkType::kUInt8Q:
      return DType::kU8;
    case NetworkType::kInt16Q:
      return DType::kI16;
    case NetworkType::kInt32Q:
    case NetworkType::kInt32I:
      return DType::kI32;
    case NetworkType::kInt64I:
      return DType::kI64;
  }
  return std::nullopt;
}

std::string EncodeNetworkDesc(const NetworkDesc& desc) {
  WireWriter writer;
  writer.Uint32(network::kMajorVersion, desc.major_version);
  writer.Uint32(network::kMinorVersion, desc.minor_version);
  writer.String(network::kName, desc.network_name);
  for (const IoBinding& input : desc.inputs) writer.Message(network::kInputs, Encode(input));
  for (const IoBinding& output : desc.outputs) writer.Message(network::kOutputs, Encode(output));
  for (const DmaBuffer& buffer : desc.dma_buffers)
    writer.Message(network::kDmaBuffers, Encode(buffer));
  writer.Uint32(network::kNumCores, desc.num_cores);
  writer.Uint32(network::kNumThreads, desc.num_threads);
  writer.Uint32(network::kNumHvxThreads, desc.num_hvx_threads);
  writer.Int32(network::kBatchSize, desc.batch_size);
  for (const auto& specialization : desc.allowed_shapes) {
    writer.Message(network::kAllowedShapes, Encode(specialization));
  }
  return writer.bytes();
}

Result<NetworkDesc> DecodeNetworkDesc(std::span<const std::byte> bytes, std::string_view path,
                                      int64_t base_offset_bytes) {
  if (bytes.size() > kDescLimitBytes) {
    return InvalidInput(Location::Byte(path, base_offset_bytes),
                        fmt::format("expected a network description of at most {} bytes, got {}",
                                    kDescLimitBytes, bytes.size()));
  }
  const FieldChecker checker(path);
  NetworkDesc desc{.major_version = 0};
  const auto add_binding = [&](const WireField& field, std::vector<IoBinding>& bindings) -> Status {
    if (bindings.size() == kBindingLimit) {
      return InvalidInput(Location::Byte(path, field.offset_bytes),
                          fmt::format("more than {} bindings", kBindingLimit));
    }
    return Decode(checker, field, bindings.emplace_back());
  };
  QEFF_RETURN_IF_ERROR(ForEachField(bytes, path, base_offset_bytes, [&](const WireField& field) {
    switch (field.number) {
      case network::kMajorVersion:
        return checker.Read(field, desc.major_version);
      case network::kMinorVersion:
        return checker.Read(field, desc.minor_version);
      case network::kName:
        return checker.Read(field, desc.network_name);
      case network::kInputs:
        return add_binding(field, desc.inputs);
      case network::kOutputs:
        return add_binding(field, desc.outputs);
      case network::kDmaBuffers:
        return Decode(checker, field, desc.dma_buffers.emplace_back());
      case network::kNumCores:
        return checker.Read(field, desc.num_cores);
      case network::kNumThreads:
        return checker.Read(field, desc.num_threads);
      case network::kNumHvxThreads:
        return checker.Read(field, desc.num_hvx_threads);
      case network::kBatchSize:
        return checker.Read(field, desc.batch_size);
      case network::kAllowedShapes:
        return Decode(checker, field, desc.allowed_shapes.emplace_back());
      default:
        return Status::Ok();
    }
  }));
  const size_t binding_count = desc.inputs.size() + desc.outputs.size();
  for (size_t i = 0; i < desc.allowed_shapes.size(); ++i) {
    if (desc.allowed_shapes[i].size() == binding_count) continue;
    return InvalidInput(
        Location::Byte(path, base_offset_bytes),
        fmt::format("allowed shapes {}: expected {} shapes (inputs, then outputs), got {}", i,
                    binding_count, desc.allowed_shapes[i].size()));
  }
  return desc;
}

namespace {

Result<std::optional<FoundNetworkDesc>> FindBelow(const std::vector<QpcSegment>& segments,
                                                  std::string_view path, const std::string& prefix,
                                                  int depth, size_t& segment_count) {
  // The same bytes can be nested in themselves again and again.
  constexpr int kDeepestNesting = 4;
  constexpr size_t kMostSegments = 65536;
  segment_count += segments.size();
  if (segment_count > kMostSegments) {
    return InvalidInput(Location::File(path),
                        fmt::format("expected at most {} segments, got more", kMostSegments));
  }
  for (const QpcSegment& segment : segments) {
    if (segment.name != kNetworkDesc || segment.data.empty()) continue;
    QEFF_ASSIGN_OR_RETURN(NetworkDesc desc,
                          DecodeNetworkDesc(segment.data, path, segment.file_offset_bytes));
    if (!desc.inputs.empty()) {
      return std::optional(
          FoundNetworkDesc{.desc = std::move(desc), .segment = prefix + std::string(segment.name)});
    }
  }
  if (depth == kDeepestNesting) return std::optional<FoundNetworkDesc>();
  for (const QpcSegment& segment : segments) {
    if (!IsQpc(segment.data)) continue;
    QEFF_ASSIGN_OR_RETURN(const auto nested,
                          ReadQpcSegments(segment.data, path, segment.file_offset_bytes));
    QEFF_ASSIGN_OR_RETURN(
        auto found, FindBelow(nested, path, prefix + std::string(segment.name) + "/", depth + 1,
                              segment_count));
    if (found) return found;
  }
  return std::optional<FoundNetworkDesc>();
}

}  // namespace

Result<std::optional<FoundNetworkDesc>> FindNetworkDesc(const std::vector<QpcSegment>& segments,
                                                        std::string_view path) {
  size_t segment_count = 0;
  return FindBelow(segments, path, "", 0, segment_count);
}

Result<int64_t> TensorBytes(const TensorDesc& tensor, std::string_view path,
                            std::string_view name) {
  const std::optional<DType> dtype = StorageDType(tensor.type);
  if (!dtype) {
    return Unsupported(
        Location::Tensor(path, name),
        fmt::format("element type {} is not known", static_cast<int32_t>(tensor.type)));
  }
  int64_t size_bytes = DTypeBits(*dtype) / 8;
  for (const int32_t dim : tensor.dims) {
    if (dim < 0 || (dim > 0 && __builtin_mul_overflow(size_bytes, int64_t{dim}, &size_bytes))) {
      return InvalidInput(
          Location::Tensor(path, name),
          fmt::format("expected dims that are not negative and fit 2^63 bytes, got [{}]",
                      fmt::join(tensor.dims, ", ")));
    }
  }
  return size_bytes;
}

std::string EncodeConstantsDesc(const ConstantsDesc& desc) {
  std::string bytes(ConstantsDesc::kBytes, '\0');
  std::memcpy(bytes.data(), &desc.static_size_bytes, sizeof(uint64_t));
  std::memcpy(bytes.data() + sizeof(uint64_t), &desc.dynamic_size_bytes, sizeof(uint64_t));
  bytes[16] = static_cast<char>(desc.static_ecc);
  bytes[17] = static_cast<char>(desc.dynamic_ecc);
  return bytes;
}

Result<ConstantsDesc> DecodeConstantsDesc(std::span<const std::byte> bytes, std::string_view path,
                                          int64_t base_offset_bytes) {
  ByteReader reader(bytes, path, base_offset_bytes);
  if (bytes.size() != ConstantsDesc::kBytes) {
    return InvalidInput(reader.where(),
                        fmt::format("expected a description of the constants of {} bytes, got {}",
                                    ConstantsDesc::kBytes, bytes.size()));
  }
  ConstantsDesc desc;
  QEFF_ASSIGN_OR_RETURN(desc.static_size_bytes, reader.Read<uint64_t>("static size"));
  QEFF_ASSIGN_OR_RETURN(desc.dynamic_size_bytes, reader.Read<uint64_t>("dynamic size"));
  QEFF_ASSIGN_OR_RETURN(desc.static_ecc, reader.Read<uint8_t>("static ECC"));
  QEFF_ASSIGN_OR_RETURN(desc.dynamic_ecc, reader.Read<uint8_t>("dynamic ECC"));
  return desc;
}

}  // namespace qeff::artifact
