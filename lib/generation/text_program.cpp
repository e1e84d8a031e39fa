// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/text_program.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "lib/support/float16.h"

namespace qeff {
namespace {

constexpr std::string_view kInputIds = "input_ids";
constexpr std::string_view kPositionIds = "position_ids";
constexpr std::string_view kBatchIndex = "batch_index";
constexpr std::string_view kComputeContext = "comp_ctx_lengths";
constexpr std::string_view kLogitsToKeep = "num_logits_to_keep";
constexpr std::string_view kLogits = "logits";
constexpr int64_t kPaddingPosition = -1;

const TensorInfo* FindTensor(const std::vector<TensorInfo>& tensors, std::string_view name) {
  const auto found = std::ranges::find(tensors, name, &TensorInfo::name);
  return found == tensors.end() ? nullptr : &*found;
}

Location Place(const SpecializationInfo& info, std::string_view tensor) {
  return Location::Tensor(fmt::format("specialization '{}'", info.name), tensor);
}

/// Returns the input, which must be i64 of rank 2, at least [1, 1]; `columns` other than 0 must
/// match.
Result<const TensorInfo*> FindIndexInput(const SpecializationInfo& info, std::string_view name,
                                         int64_t rows, int64_t columns) {
  const TensorInfo* tensor = FindTensor(info.inputs, name);
  const Location where = Place(info, name);
  if (tensor == nullptr) {
    return Unsupported(where, "the program has no such input",
                       {"text generation needs a decoder that was exported with a KV cache"});
  }
  const auto& dims = tensor->dims;
  if (tensor->dtype != DType::kI64 || dims.size() != 2 || dims[0] < 1 || dims[1] < 1 ||
      (rows != 0 && dims[0] != rows) || (columns != 0 && dims[1] != columns)) {
    return Unsupported(where, fmt::format("expected i64 [{}, {}], got {} [{}]",
                                          rows == 0 ? "batch" : std::to_string(rows),
                                          columns == 0 ? "tokens" : std::to_string(columns),
                                          DTypeName(tensor->dtype), fmt::join(dims, ", ")));
  }
  return tensor;
}

std::span<int64_t> AsI64(std::span<std::byte> bytes) {
  return {reinterpret_cast<int64_t*>(bytes.data()), bytes.size() / sizeof(int64_t)};
}

/// Inputs whose values we know how to make; all others would be silently zero.
bool IsKnownInput(std::string_view name) {
  return name == kInputIds || name == kPositionIds || name == kBatchIndex ||
         name == kComputeContext || name == kLogitsToKeep;
}

}  // namespace

Result<TextProgram> TextProgram::Open(Session& session, int64_t pad_id) {
  TextProgram program(session, pad_id);
  std::vector<Variant> variants;
  for (size_t i = 0; i < session.specializations().size(); ++i) {
    QEFF_RETURN_IF_ERROR(program.AddVariant(i, variants));
  }
  if (variants.empty()) {
    return InvalidInput(Location::Tensor("", kInputIds), "the program has no specialization");
  }
  QEFF_RETURN_IF_ERROR(program.Divide(variants));
  return program;
}

Status TextProgram::AddVariant(size_t specialization, std::vector<Variant>& variants) {
  const SpecializationInfo& info = session_->specializations()[specialization];
  for (const TensorInfo& input : info.inputs) {
    if (!IsKnownInput(input.name)) {
      return Unsupported(Place(info, input.name),
                         "text generation does not know how to fill this input");
    }
  }
  QEFF_ASSIGN_OR_RETURN(const TensorInfo* ids, FindIndexInput(info, kInputIds, 0, 0));
  Variant variant = {
      .specialization = specialization, .rows = ids->dims[0], .tokens = ids->dims[1]};
  QEFF_RETURN_IF_ERROR(FindIndexInput(info, kPositionIds, variant.rows, variant.tokens).status());

  const auto symbol = info.symbols.find("ctx_len");
  if (symbol == info.symbols.end() || symbol->second < 1) {
    return InvalidInput(Place(info, kPositionIds),
                        "the specialization has no symbol 'ctx_len' above 0");
  }
  variant.context_tokens = symbol->second;
  if (const TensorInfo* lengths = FindTensor(info.inputs, kComputeContext)) {
    if (lengths->dims.size() != 1) {
      return Unsupported(Place(info, kComputeContext),
                         fmt::format("expected one dimension, got {}", lengths->dims.size()));
    }
    variant.context_tokens = std::min(symbol->second, lengths->dims[0]);
  }
  const bool has_slot_index = FindTensor(info.inputs, kBatchIndex) != nullptr;
  if (has_slot_index) {
    QEFF_RETURN_IF_ERROR(FindIndexInput(info, kBatchIndex, variant.rows, 1).status());
  }
  QEFF_RETURN_IF_ERROR(ReadLogits(info, variant));
  if (variants.empty()) {
    ctx_len_ = symbol->second;
    has_slot_index_ = has_slot_index;
  } else if (ctx_len_ != symbol->second || has_slot_index_ != has_slot_index) {
    return InvalidInput(Place(info, kPositionIds),
                        "the specializations differ in 'ctx_len' or in having 'batch_index'");
  }
  variants.push_back(variant);
  return Status::Ok();
}

Status TextProgram::ReadLogits(const SpecializationInfo& info, Variant& variant) {
  const TensorInfo* logits = FindTensor(info.outputs, kLogits);
  const Location where = Place(info, kLogits);
  if (logits == nullptr) return Unsupported(where, "the program has no such output");
  const auto& dims = logits->dims;
  const bool is_float =
      logits->dtype == DType::kF32 || logits->dtype == DType::kF16 || logits->dtype == DType::kBf16;
  if (!is_float || dims.size() != 3 || dims[0] != variant.rows || dims[1] < 1 || dims[2] < 1) {
    return Unsupported(where,
                       fmt::format("expected f32, f16 or bf16 [{}, kept, vocabulary], got {} [{}]",
                                   variant.rows, DTypeName(logits->dtype), fmt::join(dims, ", ")));
  }
  if (vocab_size_ != 0 && vocab_size_ != dims[2]) {
    return InvalidInput(
        where, fmt::format("expected vocabulary size {} as in the first specialization, got {}",
                           vocab_size_, dims[2]));
  }
  vocab_size_ = dims[2];
  variant.kept_rows = dims[1];
  variant.logits_dtype = logits->dtype;
  return Status::Ok();
}

Status TextProgram::Divide(const std::vector<Variant>& variants) {
  // With equal T, the one with fewer rows prefills a slot and the one with more decodes all of
  // them.
  const auto order = [](const Variant& v) { return std::tuple(v.tokens, -v.rows); };
  const auto [decode, prefill] = std::ranges::minmax_element(variants, {}, order);
  slots_ = decode->rows;
  if (prefill->rows > slots_ || (!has_slot_index_ && prefill->rows != slots_)) {
    return InvalidInput(Place(session_->specializations()[prefill->specialization], kInputIds),
                        fmt::format("expected a prefill batch of {}{}, got {}",
                                    has_slot_index_ ? "at most " : "", slots_, prefill->rows));
  }
  const auto collect = [&](const Variant& like, std::vector<Variant>& out) {
    for (const Variant& variant : variants) {
      if (order(variant) == order(like)) out.push_back(variant);
    }
    std::ranges::stable_sort(out, {}, &Variant::context_tokens);
  };
  collect(*decode, decode_);
  collect(*prefill, prefill_);
  return Status::Ok();
}

const TextProgram::Variant& TextProgram::Choose(Phase phase,
                                                std::span<const RowInput> inputs) const {
  int64_t needed_tokens = 0;
  for (const RowInput& input : inputs) {
    needed_tokens = std::max(needed_tokens, input.position + std::ssize(input.ids));
  }
  for (const Variant& variant : Class(phase)) {
    if (needed_tokens <= variant.context_tokens) return variant;
  }
  QEFF_CHECK(false, "position {} lies outside the context of {} tokens", needed_tokens - 1,
             context_tokens(phase));
}

int64_t TextProgram::RowOf(const Variant& variant, std::span<const RowInput> inputs,
                           size_t index) const {
  return variant.rows == slots_ ? inputs[index].slot : static_cast<int64_t>(index);
}

void TextProgram::FillSlotIndex(const Variant& variant, std::span<const RowInput> inputs) {
  const std::span<int64_t> slot_of_row =
      AsI64(session_->Input(variant.specialization, kBatchIndex));
  if (variant.rows == slots_) {
    for (int64_t row = 0; row < variant.rows; ++row) slot_of_row[row] = row;
    return;
  }
  // Padding rows write nothing, but get slots of their own, so that no two rows of a run share one.
  int64_t unused = 0;
  const auto is_used = [&](int64_t slot) {
    return std::ranges::find(inputs, slot, &RowInput::slot) != inputs.end();
  };
  for (size_t row = 0; row < slot_of_row.size(); ++row) {
    if (row < inputs.size()) {
      slot_of_row[row] = inputs[row].slot;
      continue;
    }
    while (is_used(unused)) ++unused;
    slot_of_row[row] = unused++;
  }
}

Status TextProgram::Run(Phase phase, std::span<const RowInput> inputs) {
  QEFF_CHECK(std::ssize(inputs) <= rows(phase), "{} inputs for {} rows", inputs.size(),
             rows(phase));
  const Variant& variant = Choose(phase, inputs);
  const std::span<int64_t> ids = AsI64(session_->Input(variant.specialization, kInputIds));
  const std::span<int64_t> positions = AsI64(session_->Input(variant.specialization, kPositionIds));
  QEFF_CHECK(std::ssize(ids) == variant.rows * variant.tokens && ids.size() == positions.size(),
             "the session's buffers do not have the sizes of its specialization");
  std::ranges::fill(ids, pad_id_);
  std::ranges::fill(positions, kPaddingPosition);
  logits_rows_.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const RowInput& input = inputs[i];
    const int64_t token_count = std::ssize(input.ids);
    QEFF_CHECK(token_count >= 1 && token_count <= variant.tokens, "{} tokens for {} columns",
               token_count, variant.tokens);
    const int64_t row = RowOf(variant, inputs, i);
    for (int64_t t = 0; t < token_count; ++t) {
      ids[row * variant.tokens + t] = input.ids[t];
      positions[row * variant.tokens + t] = input.position + t;
    }
    // The graph keeps the `kept_rows` tokens that end at the last one, or the first `kept_rows` if
    // there are not so many.
    const int64_t kept_row = std::min(token_count, variant.kept_rows) - 1;
    logits_rows_.push_back(row * variant.kept_rows + kept_row);
  }
  if (has_slot_index_) FillSlotIndex(variant, inputs);
  // Only the lengths of these two carry meaning.
  for (const std::string_view name : {kComputeContext, kLogitsToKeep}) {
    std::ranges::fill(session_->Input(variant.specialization, name), std::byte{0});
  }
  last_ = variant;
  return session_->Run(variant.specialization);
}

std::span<const float> TextProgram::Logits(size_t index) {
  const std::span<const std::byte> bytes = session_->Output(last_.specialization, kLogits);
  const int64_t row_bytes = DTypeBytes(last_.logits_dtype, vocab_size_);
  QEFF_CHECK(std::ssize(bytes) == last_.rows * last_.kept_rows * row_bytes,
             "the session's logits do not have the size of its specialization");
  const std::byte* row = bytes.data() + logits_rows_[index] * row_bytes;
  if (last_.logits_dtype == DType::kF32) {
    return {reinterpret_cast<const float*>(row), static_cast<size_t>(vocab_size_)};
  }
  const auto* halves = reinterpret_cast<const uint16_t*>(row);
  converted_.resize(vocab_size_);
  const auto convert = last_.logits_dtype == DType::kF16 ? F16ToF32 : Bf16ToF32;
  std::transform(halves, halves + vocab_size_, converted_.begin(), convert);
  return converted_;
}

}  // namespace qeff
