// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/wire.h"

#include <limits>
#include <optional>
#include <span>

namespace qeff::onnx_io {
namespace {

// Numbers of the fields that are looked into; onnx.proto.
constexpr uint32_t kModelGraph = 7;
constexpr uint32_t kGraphInitializer = 5;
constexpr uint32_t kTensorRawData = 9;

constexpr uint32_t kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5;

/// One field of a message: its number, all of its bytes, and the content of a delimited one.
struct Field {
  uint32_t number = 0;
  uint32_t wire_type = 0;
  std::string_view whole;
  std::string_view content;
};

/// Walks the fields of one message.
class WireReader {
 public:
  WireReader(std::string_view message, const char* file_begin, std::string_view path)
      : rest_(message), file_begin_(file_begin), path_(path) {}

  /// Nothing at the end of the message.
  Result<std::optional<Field>> Next() {
    if (rest_.empty()) return std::optional<Field>();
    const std::string_view begin = rest_;
    QEFF_ASSIGN_OR_RETURN(const uint64_t tag, Varint());
    Field field;
    field.number = static_cast<uint32_t>(tag >> 3);
    field.wire_type = static_cast<uint32_t>(tag & 7);
    if (tag > std::numeric_limits<uint32_t>::max() || field.number == 0) {
      return Damaged("a field without a number");
    }
    uint64_t size_bytes = 0;
    if (field.wire_type == kVarint) {
      QEFF_RETURN_IF_ERROR(Varint().status());
    } else if (field.wire_type == kDelimited) {
      QEFF_ASSIGN_OR_RETURN(size_bytes, Varint());
    } else if (field.wire_type == kFixed64) {
      size_bytes = 8;
    } else if (field.wire_type == kFixed32) {
      size_bytes = 4;
    } else {
      return Damaged(fmt::format("field {} has wire type {}", field.number, field.wire_type));
    }
    if (size_bytes > rest_.size()) {
      return Damaged(fmt::format("field {} needs {} bytes, {} are left", field.number, size_bytes,
                                 rest_.size()));
    }
    field.content = rest_.substr(0, size_bytes);
    rest_.remove_prefix(size_bytes);
    field.whole = begin.substr(0, begin.size() - rest_.size());
    return std::optional<Field>(field);
  }

 private:
  Result<uint64_t> Varint() {
    uint64_t value = 0;
    for (size_t i = 0; i < 10 && i < rest_.size(); ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      value |= uint64_t{byte & 0x7fu} << (7 * i);
      if (byte < 0x80) {
        rest_.remove_prefix(i + 1);
        return value;
      }
    }
    return Damaged("an unfinished number");
  }

  Status Damaged(std::string what) const {
    return InvalidInput(Location::Byte(path_, rest_.data() - file_begin_),
                        fmt::format("expected an ONNX model, got {}", what),
                        {"the file is cut short, damaged or not ONNX: fetch or make it again"});
  }

  std::string_view rest_;
  const char* file_begin_;
  std::string_view path_;
};

class Scanner {
 public:
  explicit Scanner(const MappedFile& file) : file_(file) {}

  Result<ScannedModel> Scan() {
    const auto bytes = file_.bytes();
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    begin_ = text.data();
    ScannedModel result;
    std::string model;
    std::string graph;
    onnx::GraphProto initializers;
    WireReader fields(text, begin_, file_.path());
    while (true) {
      QEFF_ASSIGN_OR_RETURN(const std::optional<Field> field, fields.Next());
      if (!field) break;
      if (field->number == kModelGraph && field->wire_type == kDelimited) {
        QEFF_RETURN_IF_ERROR(ScanGraph(field->content, &graph, &initializers, &result));
      } else {
        QEFF_RETURN_IF_ERROR(Keep(field->whole, &model));
      }
    }
    QEFF_RETURN_IF_ERROR(Parse(model, &result.model));
    if (!graph.empty() || initializers.initializer_size() > 0) {
      QEFF_RETURN_IF_ERROR(Parse(graph, result.model.mutable_graph()));
      result.model.mutable_graph()->mutable_initializer()->Swap(initializers.mutable_initializer());
    }
    return result;
  }

 private:
  Status ScanGraph(std::string_view content, std::string* graph, onnx::GraphProto* initializers,
                   ScannedModel* result) {
    WireReader fields(content, begin_, file_.path());
    while (true) {
      QEFF_ASSIGN_OR_RETURN(const std::optional<Field> field, fields.Next());
      if (!field) return Status::Ok();
      if (field->number != kGraphInitializer || field->wire_type != kDelimited) {
        QEFF_RETURN_IF_ERROR(Keep(field->whole, graph));
        continue;
      }
      std::string tensor;
      RawRange range;
      QEFF_RETURN_IF_ERROR(ScanTensor(field->content, &tensor, &range));
      QEFF_RETURN_IF_ERROR(Parse(tensor, initializers->add_initializer()));
      result->initializer_data.push_back(range);
    }
  }

  Status ScanTensor(std::string_view content, std::string* tensor, RawRange* range) {
    WireReader fields(content, begin_, file_.path());
    while (true) {
      QEFF_ASSIGN_OR_RETURN(const std::optional<Field> field, fields.Next());
      if (!field) return Status::Ok();
      const bool is_data = field->number == kTensorRawData && field->wire_type == kDelimited;
      if (is_data && range->offset_bytes >= 0) {
        return InvalidInput(Location::Byte(file_.path(), field->whole.data() - begin_),
                            "a tensor has raw data twice");
      }
      if (is_data && field->content.size() >= kInFileBytes) {
        *range = {field->content.data() - begin_, static_cast<int64_t>(field->content.size())};
      } else {
        QEFF_RETURN_IF_ERROR(Keep(field->whole, tensor));
      }
    }
  }

  Status Keep(std::string_view bytes, std::string* message) {
    kept_bytes_ += bytes.size();
    if (kept_bytes_ > kMostParsedBytes) {
      return Unsupported(Location::Byte(file_.path(), bytes.data() - begin_),
                         fmt::format("the model has more than {} bytes besides the raw data of its "
                                     "initializers",
                                     kMostParsedBytes),
                         {"store the weights as external data"});
    }
    message->append(bytes);
    return Status::Ok();
  }

  template <typename Message>
  Status Parse(const std::string& bytes, Message* message) const {
    // Nesting is bounded by protobuf's own recursion limit of 100.
    if (message->ParsePartialFromString(bytes)) return Status::Ok();
    return InvalidInput(Location::File(file_.path()),
                        fmt::format("expected an ONNX model, got a damaged {}",
                                    std::string(message->GetDescriptor()->name())),
                        {"the file is cut short, damaged or not ONNX: fetch or make it again"});
  }

  const MappedFile& file_;
  const char* begin_ = nullptr;
  size_t kept_bytes_ = 0;
};

}  // namespace

Result<ScannedModel> ScanModel(const MappedFile& file) {
  constexpr size_t kProtobufLimitBytes = size_t{1} << 31;
  if (file.bytes().size() >= kProtobufLimitBytes) {
    return Unsupported(
        Location::File(file.path()),
        fmt::format("an ONNX file has less than 2 GiB, this one has {} bytes", file.bytes().size()),
        {"store the weights as external data"});
  }
  return Scanner(file).Scan();
}

}  // namespace qeff::onnx_io
