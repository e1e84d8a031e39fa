// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A session whose results can be told from its inputs, for tests of what runs encoders.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/generation/session.h"
#include "lib/tokenizer/encoding.h"

namespace qeff {

/// Gives for each row the sum of its ids where the mask is 1, the sum of all ids, and the sum of
/// its type ids.
class SumSession : public Session {
 public:
  explicit SumSession(std::vector<std::pair<int64_t, int64_t>> shapes, DType dtype = DType::kF32) {
    for (const auto& [rows, tokens] : shapes) {
      const auto input = [&](const char* name) {
        return TensorInfo{name, DType::kI64, {rows, tokens}};
      };
      infos.push_back(
          {.name = "Embedding",
           .symbols = {},
           .inputs = {input("input_ids"), input("attention_mask"), input("token_type_ids")},
           .outputs = {{"output", dtype, {rows, 3}}}});
    }
    inputs_.resize(infos.size());
  }
  const std::vector<SpecializationInfo>& specializations() const override { return infos; }
  const std::vector<TensorInfo>& retained_state() const override { return states_; }
  std::span<std::byte> Input(size_t specialization, std::string_view name) override {
    for (const TensorInfo& input : infos[specialization].inputs) {
      if (input.name != name) continue;
      auto& buffer = inputs_[specialization][input.name];
      buffer.resize(static_cast<size_t>(input.dims[0] * input.dims[1]));
      return std::as_writable_bytes(std::span(buffer));
    }
    return {};
  }
  std::span<const std::byte> Output(size_t, std::string_view) const override { return output_; }
  Status Run(size_t specialization) override {
    const TensorInfo& output = infos[specialization].outputs[0];
    const auto tokens = static_cast<size_t>(infos[specialization].inputs[0].dims[1]);
    const auto& buffers = inputs_[specialization];
    output_.clear();
    ++calls;
    if (on_run) QEFF_RETURN_IF_ERROR(on_run(buffers.at("input_ids")));
    for (size_t row = 0; row < static_cast<size_t>(output.dims[0]); ++row) {
      float sums[3] = {0, 0, 0};
      for (size_t i = row * tokens; i < (row + 1) * tokens; ++i) {
        sums[0] += static_cast<float>(buffers.at("attention_mask")[i] * buffers.at("input_ids")[i]);
        sums[1] += static_cast<float>(buffers.at("input_ids")[i]);
        sums[2] += static_cast<float>(buffers.at("token_type_ids")[i]);
      }
      for (const float sum : sums) Store(sum, output.dtype);
    }
    return Status::Ok();
  }
  Status ResetState() override { return Status::Ok(); }
  Result<std::vector<float>> ReadState(std::string_view) const override {
    return std::vector<float>();
  }

  std::vector<SpecializationInfo> infos;
  int64_t calls = 0;
  /// If set, decides with the ids of a call whether it succeeds.
  std::function<Status(std::span<const int64_t> ids)> on_run;

 private:
  /// bf16 by cutting, which is exact for the small sums here.
  void Store(float value, DType dtype) {
    std::byte bytes[4];
    std::memcpy(bytes, &value, sizeof(value));
    output_.insert(output_.end(), dtype == DType::kF32 ? bytes : bytes + 2, bytes + 4);
  }
  std::vector<std::map<std::string, std::vector<int64_t>>> inputs_;
  std::vector<TensorInfo> states_;
  std::vector<std::byte> output_;
};

inline Encoding Text(std::vector<int64_t> ids, int64_t type) {
  Encoding encoding;
  encoding.attention_mask.assign(ids.size(), 1);
  encoding.type_ids.assign(ids.size(), type);
  encoding.ids = std::move(ids);
  return encoding;
}

}  // namespace qeff
