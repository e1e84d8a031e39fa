// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/lib/generation/fake_session.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <limits>

#include "lib/support/float16.h"

namespace qeff {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

int64_t Bytes(const TensorInfo& tensor) {
  int64_t count = 1;
  for (const int64_t dim : tensor.dims) count *= dim;
  return DTypeBytes(tensor.dtype, count);
}

int64_t IndexOf(const std::vector<TensorInfo>& tensors, std::string_view name) {
  const auto found = std::ranges::find(tensors, name, &TensorInfo::name);
  return found == tensors.end() ? -1 : found - tensors.begin();
}

}  // namespace

FakeSession::FakeSession(const FakeProgram& program, ToyModel model)
    : program_(program), model_(std::move(model)), slots_(program.batch) {
  const auto contexts_or_none = [](const std::vector<int64_t>& contexts) {
    return contexts.empty() ? std::vector<int64_t>{0} : contexts;
  };
  if (program.prefill_tokens != program.decode_tokens) {
    const int64_t rows = program.has_slot_index ? program.prefill_batch : program.batch;
    const auto& contexts =
        program.prefill_contexts.empty() ? program.compute_contexts : program.prefill_contexts;
    for (const int64_t context : contexts_or_none(contexts)) {
      Add("Prefill", rows, program.prefill_tokens, 1, context);
    }
  }
  for (const int64_t context : contexts_or_none(program.compute_contexts)) {
    Add("Decode", program.batch, program.decode_tokens, std::max<int64_t>(program.kept_rows, 1),
        context);
  }
  Allocate();
}

void FakeSession::Add(std::string name, int64_t rows, int64_t tokens, int64_t kept_rows,
                      int64_t compute_context) {
  SpecializationInfo info = {.name = std::move(name),
                             .symbols = {{"ctx_len", program_.context_tokens}}};
  info.inputs.push_back({"input_ids", DType::kI64, {rows, tokens}});
  info.inputs.push_back({"position_ids", DType::kI64, {rows, tokens}});
  if (program_.has_slot_index) info.inputs.push_back({"batch_index", DType::kI64, {rows, 1}});
  if (compute_context > 0) {
    info.inputs.push_back({"comp_ctx_lengths", DType::kI64, {compute_context}});
  }
  if (program_.kept_rows > 0) {
    info.inputs.push_back({"num_logits_to_keep", DType::kI64, {kept_rows, 1}});
  }
  info.outputs.push_back({"logits", program_.logits_dtype, {rows, kept_rows, program_.vocab_size}});
  infos_.push_back(std::move(info));
}

void FakeSession::Allocate() {
  for (const SpecializationInfo& info : infos_) {
    Buffers& buffers = buffers_.emplace_back();
    for (const TensorInfo& input : info.inputs) {
      buffers.inputs.emplace_back(Bytes(input), std::byte{0x55});
    }
    for (const TensorInfo& output : info.outputs) buffers.outputs.emplace_back(Bytes(output));
  }
}

std::span<std::byte> FakeSession::Input(size_t specialization, std::string_view name) {
  const int64_t index = IndexOf(infos_[specialization].inputs, name);
  if (index < 0) return {};
  return buffers_[specialization].inputs[index];
}

std::span<const std::byte> FakeSession::Output(size_t specialization, std::string_view name) const {
  const int64_t index = IndexOf(infos_[specialization].outputs, name);
  if (index < 0) return {};
  return buffers_[specialization].outputs[index];
}

int64_t FakeSession::SlotOfRow(size_t specialization, int64_t row) {
  if (!program_.has_slot_index) return row;
  const auto* slots = reinterpret_cast<const int64_t*>(Input(specialization, "batch_index").data());
  const int64_t rows = infos_[specialization].inputs[0].dims[0];
  for (int64_t other = 0; other < row; ++other) REQUIRE(slots[other] != slots[row]);
  REQUIRE(rows <= program_.batch);
  REQUIRE(slots[row] >= 0);
  REQUIRE(slots[row] < program_.batch);
  return slots[row];
}

void FakeSession::CheckComputeContext(size_t specialization, int64_t last_position) const {
  if (program_.compute_contexts.empty()) return;
  const auto context_of = [](const SpecializationInfo& info) {
    return info.inputs[IndexOf(info.inputs, "comp_ctx_lengths")].dims[0];
  };
  const int64_t used = context_of(infos_[specialization]);
  REQUIRE(used > last_position);
  for (const SpecializationInfo& other : infos_) {
    if (other.name != infos_[specialization].name) continue;
    if (context_of(other) > last_position) REQUIRE(used <= context_of(other));
  }
}

Status FakeSession::Run(size_t specialization) {
  ++runs_;
  const SpecializationInfo& info = infos_[specialization];
  const auto* positions =
      reinterpret_cast<const int64_t*>(Input(specialization, "position_ids").data());
  const int64_t rows = info.inputs[0].dims[0];
  const int64_t last = *std::max_element(positions, positions + rows * info.inputs[0].dims[1]);
  REQUIRE(last >= 0);  // a run of nothing but padding is a waste
  REQUIRE(last < program_.context_tokens);
  CheckComputeContext(specialization, last);
  for (const std::string_view name : {"comp_ctx_lengths", "num_logits_to_keep"}) {
    for (const std::byte byte : Input(specialization, name)) REQUIRE(byte == std::byte{0});
  }
  for (int64_t row = 0; row < rows; ++row) RunRow(specialization, row);
  return Status::Ok();
}

void FakeSession::RunRow(size_t specialization, int64_t row) {
  const SpecializationInfo& info = infos_[specialization];
  const int64_t tokens = info.inputs[0].dims[1];
  const int64_t kept_rows = info.outputs[0].dims[1];
  const auto* ids =
      reinterpret_cast<const int64_t*>(Input(specialization, "input_ids").data()) + row * tokens;
  const auto* positions =
      reinterpret_cast<const int64_t*>(Input(specialization, "position_ids").data()) + row * tokens;
  TokenIds& cache = slots_[SlotOfRow(specialization, row)];
  std::vector<std::vector<float>> logits(tokens, std::vector<float>(program_.vocab_size, kNaN));
  int64_t last_column = 0;
  for (int64_t column = 0; column < tokens; ++column) {
    if (positions[column] == -1) {
      REQUIRE(ids[column] == program_.pad_id);
      continue;
    }
    if (positions[column] == 0 && !cache.empty()) finished_.push_back(std::exchange(cache, {}));
    REQUIRE(positions[column] == std::ssize(cache));
    cache.push_back(ids[column]);
    logits[column] = model_(cache);
    last_column = column;
  }
  const int64_t start = last_column < kept_rows ? 0 : last_column + 1 - kept_rows;
  for (int64_t kept = 0; kept < kept_rows; ++kept) {
    WriteLogits(specialization, row * kept_rows + kept, logits[start + kept]);
  }
}

void FakeSession::WriteLogits(size_t specialization, int64_t row,
                              const std::vector<float>& logits) {
  std::byte* out = buffers_[specialization].outputs[0].data() +
                   DTypeBytes(program_.logits_dtype, row * program_.vocab_size);
  if (program_.logits_dtype == DType::kF32) {
    std::memcpy(out, logits.data(), logits.size() * sizeof(float));
    return;
  }
  const auto convert = program_.logits_dtype == DType::kF16 ? F32ToF16 : F32ToBf16;
  for (size_t i = 0; i < logits.size(); ++i) {
    const uint16_t half = convert(logits[i]);
    std::memcpy(out + 2 * i, &half, 2);
  }
}

Status FakeSession::ResetState() {
  for (TokenIds& slot : slots_) slot.clear();
  return Status::Ok();
}

Result<std::vector<float>> FakeSession::ReadState(std::string_view name) const {
  return InvalidInput(Location::Tensor("", name), "the fake session has no state to read");
}

std::vector<TokenIds> FakeSession::Fed() const {
  std::vector<TokenIds> all = finished_;
  for (const TokenIds& slot : slots_) {
    if (!slot.empty()) all.push_back(slot);
  }
  std::ranges::sort(all);
  return all;
}

std::vector<float> HashedLogits(const TokenIds& history, int64_t vocab_size) {
  uint64_t state = 1469598103934665603u;
  for (const int64_t id : history) state = (state ^ static_cast<uint64_t>(id + 1)) * 1099511628211u;
  std::vector<float> logits;
  for (int64_t i = 0; i < vocab_size; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    logits.push_back(static_cast<float>(state >> 54) / 128.0f - 4.0f);  // multiples of 2^-7
  }
  // Exactly one maximum, also after rounding to 16 bits.
  logits[state % static_cast<uint64_t>(vocab_size)] = 8.0f;
  return logits;
}

ToyModel HashModel(int64_t vocab_size) {
  return [=](const TokenIds& history) { return HashedLogits(history, vocab_size); };
}

ToyModel ScriptModel(int64_t vocab_size, size_t prompt_tokens, TokenIds script) {
  return [=](const TokenIds& history) {
    std::vector<float> logits(vocab_size, -1.0f);
    const size_t next =
        std::min(history.size() - std::min(history.size(), prompt_tokens), script.size() - 1);
    logits[script[next]] = 1.0f;
    return logits;
  };
}

TokenIds Continue(const ToyModel& model, const TokenIds& prompt, int64_t tokens) {
  TokenIds history = prompt;
  for (int64_t i = 0; i < tokens; ++i) {
    const std::vector<float> logits = model(history);
    history.push_back(std::ranges::max_element(logits) - logits.begin());
  }
  return TokenIds(history.begin() + std::ssize(prompt), history.end());
}

}  // namespace qeff
