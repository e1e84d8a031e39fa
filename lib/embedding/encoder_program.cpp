// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/encoder_program.h"

#include <algorithm>
#include <cstring>

#include "lib/support/float16.h"

namespace qeff {
namespace {

constexpr std::string_view kInputIds = "input_ids";
constexpr std::string_view kAttentionMask = "attention_mask";
constexpr std::string_view kTokenTypeIds = "token_type_ids";

const TensorInfo* FindTensor(const std::vector<TensorInfo>& tensors, std::string_view name) {
  const auto found = std::ranges::find(tensors, name, &TensorInfo::name);
  return found == tensors.end() ? nullptr : &*found;
}

Location Place(const SpecializationInfo& info, std::string_view tensor) {
  return Location::Tensor(fmt::format("specialization '{}'", info.name), tensor);
}

Status CheckInputs(const SpecializationInfo& info, BatchShape& shape) {
  for (const std::string_view name : {kInputIds, kAttentionMask}) {
    if (FindTensor(info.inputs, name) != nullptr) continue;
    return Unsupported(
        Place(info, name), "the program has no such input",
        {"this may be a program that generates text; for embeddings export the model "
         "with --pooling mean, cls, max or last"});
  }
  const TensorInfo& ids = *FindTensor(info.inputs, kInputIds);
  for (const TensorInfo& input : info.inputs) {
    if (input.name != kInputIds && input.name != kAttentionMask && input.name != kTokenTypeIds) {
      return Unsupported(Place(info, input.name), "the input is not one of an encoder");
    }
    if (input.dtype != DType::kI64 || input.dims.size() != 2 || input.dims != ids.dims ||
        input.dims[0] < 1 || input.dims[1] < 1) {
      return Unsupported(Place(info, input.name),
                         fmt::format("expected i64 [batch, tokens], got {} [{}]",
                                     DTypeName(input.dtype), fmt::join(input.dims, ", ")));
    }
  }
  shape = {.rows = ids.dims[0], .tokens = ids.dims[1]};
  return Status::Ok();
}

std::span<int64_t> AsI64(std::span<std::byte> bytes) {
  return {reinterpret_cast<int64_t*>(bytes.data()), bytes.size() / sizeof(int64_t)};
}

}  // namespace

Result<EncoderProgram> EncoderProgram::Open(Session& session, int64_t pad_id) {
  EncoderProgram program(session, pad_id);
  for (size_t i = 0; i < session.specializations().size(); ++i)
    QEFF_RETURN_IF_ERROR(program.AddSpecialization(i));
  if (program.shapes_.empty()) {
    return InvalidInput(Location::Tensor("", kInputIds), "the program has no specialization");
  }
  std::vector<size_t> order(program.shapes_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](size_t i) { return program.shapes_[i].tokens; });
  const std::vector<BatchShape> shapes = program.shapes_;
  program.specializations_ = order;
  for (size_t i = 0; i < order.size(); ++i) program.shapes_[i] = shapes[order[i]];
  return program;
}

Status EncoderProgram::AddSpecialization(size_t index) {
  const SpecializationInfo& info = session_->specializations()[index];
  BatchShape shape;
  QEFF_RETURN_IF_ERROR(CheckInputs(info, shape));
  shapes_.push_back(shape);
  return ReadOutput(info, shape);
}

Status EncoderProgram::ReadOutput(const SpecializationInfo& info, const BatchShape& shape) {
  const TensorInfo* states = FindTensor(info.outputs, "output");
  const TensorInfo* tensor = states != nullptr ? states : FindTensor(info.outputs, "logits");
  if (tensor == nullptr) {
    return Unsupported(Place(info, "output"), "the program has neither 'output' nor 'logits'");
  }
  const auto& dims = tensor->dims;
  const bool is_per_token = dims.size() == 3 && dims[1] == shape.tokens;
  const bool is_float =
      tensor->dtype == DType::kF32 || tensor->dtype == DType::kF16 || tensor->dtype == DType::kBf16;
  if (!is_float || (!is_per_token && dims.size() != 2) || dims[0] != shape.rows ||
      dims.back() < 1) {
    return Unsupported(Place(info, tensor->name),
                       fmt::format("expected floats for each text or token, got {} [{}]",
                                   DTypeName(tensor->dtype), fmt::join(dims, ", ")));
  }
  const EncoderOutput kind =
      states != nullptr
          ? (is_per_token ? EncoderOutput::kTokenStates : EncoderOutput::kEmbedding)
          : (is_per_token ? EncoderOutput::kTokenLogits : EncoderOutput::kClassLogits);
  if (shapes_.size() > 1 && (kind != output_ || dims.back() != features_)) {
    return InvalidInput(Place(info, tensor->name), "the specializations differ in their output");
  }
  output_ = kind;
  features_ = dims.back();
  output_name_ = tensor->name;
  return Status::Ok();
}

Status EncoderProgram::Run(size_t shape, std::span<const Encoding* const> rows) {
  const auto tokens = static_cast<size_t>(shapes_[shape].tokens);
  const auto capacity = static_cast<size_t>(shapes_[shape].rows);
  QEFF_CHECK(rows.size() <= capacity, "{} rows for a shape of {}", rows.size(), capacity);
  const size_t specialization = specializations_[shape];
  const std::span<int64_t> ids = AsI64(session_->Input(specialization, kInputIds));
  const std::span<int64_t> mask = AsI64(session_->Input(specialization, kAttentionMask));
  const std::span<int64_t> types = AsI64(session_->Input(specialization, kTokenTypeIds));
  std::ranges::fill(ids, pad_id_);
  std::ranges::fill(mask, 0);
  std::ranges::fill(types, 0);
  for (size_t row = 0; row < rows.size(); ++row) {  // the others have no token: nobody reads them
    const size_t begin = row * tokens;
    const Encoding& text = *rows[row];
    QEFF_CHECK(!text.ids.empty() && text.ids.size() <= tokens, "{} tokens for a shape of {}",
               text.ids.size(), tokens);
    std::ranges::copy(text.ids, ids.begin() + static_cast<ptrdiff_t>(begin));
    std::ranges::copy(text.attention_mask, mask.begin() + static_cast<ptrdiff_t>(begin));
    if (!types.empty())
      std::ranges::copy(text.type_ids, types.begin() + static_cast<ptrdiff_t>(begin));
  }
  last_shape_ = shape;
  return session_->Run(specialization);
}

std::span<const float> EncoderProgram::Row(size_t index) {
  const size_t specialization = specializations_[last_shape_];
  const std::span<const std::byte> bytes = session_->Output(specialization, output_name_);
  const SpecializationInfo& info = session_->specializations()[specialization];
  const TensorInfo& tensor = *FindTensor(info.outputs, output_name_);
  const auto row_elements = static_cast<size_t>(
      tensor.dims.size() == 3 ? tensor.dims[1] * tensor.dims[2] : tensor.dims[1]);
  if (tensor.dtype == DType::kF32) {
    return {reinterpret_cast<const float*>(bytes.data()) + index * row_elements, row_elements};
  }
  converted_.resize(row_elements);
  for (size_t i = 0; i < row_elements; ++i) {
    uint16_t element = 0;
    std::memcpy(&element, bytes.data() + (index * row_elements + i) * sizeof(element),
                sizeof(element));
    converted_[i] = tensor.dtype == DType::kF16 ? F16ToF32(element) : Bf16ToF32(element);
  }
  return converted_;
}

}  // namespace qeff
