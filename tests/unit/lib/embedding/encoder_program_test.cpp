// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/encoder_program.h"

#include <catch2/catch.hpp>
#include <cstring>

namespace qeff {
namespace {

constexpr int64_t kPadId = 9;

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

Encoding Text(std::vector<int64_t> ids, int64_t type) {
  Encoding encoding;
  encoding.attention_mask.assign(ids.size(), 1);
  encoding.type_ids.assign(ids.size(), type);
  encoding.ids = std::move(ids);
  return encoding;
}

TEST_CASE("rows are padded, types converted") {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    SumSession session({{2, 8}, {3, 4}}, dtype);
    auto program = EncoderProgram::Open(session, kPadId);
    REQUIRE(program.ok());
    REQUIRE(program->output() == EncoderOutput::kEmbedding);
    REQUIRE(program->features() == 3);
    REQUIRE(program->max_tokens() == 8);
    REQUIRE(program->shapes()[0].tokens == 4);
    const Encoding first = Text({1, 2, 3}, 0);
    const Encoding second = Text({4}, 1);
    const std::vector<const Encoding*> rows = {&first, &second};
    // The longer run leaves nothing behind in the shorter one, nor the other way round.
    for (const size_t shape : {1, 0, 1}) {
      REQUIRE(program->Run(shape, rows).ok());
      const auto pad = static_cast<float>((program->shapes()[shape].tokens - 3) * kPadId);
      REQUIRE(program->Row(0)[0] == 6);
      REQUIRE(program->Row(0)[1] == 6 + pad);
      REQUIRE(program->Row(1)[0] == 4);
      REQUIRE(program->Row(1)[2] == 1);
    }
  }
}

std::string OpenError(SumSession& session) {
  const auto program = EncoderProgram::Open(session, kPadId);
  REQUIRE_FALSE(program.ok());
  return program.diagnostic().ToString();
}

TEST_CASE("bad programs") {
  SumSession none({});
  REQUIRE_THAT(OpenError(none), Catch::Contains("no specialization"));
  SumSession decoder({{1, 4}});
  decoder.infos[0].inputs[1].name = "position_ids";
  REQUIRE_THAT(OpenError(decoder), Catch::Contains("this may be a program that generates text"));
  SumSession strange({{1, 4}});
  strange.infos[0].inputs[2].name = "pixel_values";
  REQUIRE_THAT(OpenError(strange), Catch::Contains("not one of an encoder"));
  SumSession uneven({{1, 4}});
  uneven.infos[0].inputs[1].dims = {1, 5};
  REQUIRE_THAT(OpenError(uneven), Catch::Contains("expected i64 [batch, tokens], got i64 [1, 5]"));
  SumSession unnamed({{1, 4}});
  unnamed.infos[0].outputs[0].name = "scores";
  REQUIRE_THAT(OpenError(unnamed), Catch::Contains("neither 'output' nor 'logits'"));
  SumSession flat({{1, 4}});
  flat.infos[0].outputs[0].dims = {3};
  REQUIRE_THAT(OpenError(flat), Catch::Contains("expected floats for each text"));
  SumSession differing({{1, 4}, {1, 8}});
  differing.infos[1].outputs[0].dims = {1, 5};
  REQUIRE_THAT(OpenError(differing), Catch::Contains("the specializations differ"));
}

}  // namespace
}  // namespace qeff
