// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/network_desc.h"

#include <catch2/catch.hpp>

namespace qeff::artifact {
namespace {

// Made by Google's protobuf for Python (SerializeToString, deterministic) from the message
// definitions of the open runtime, with the values of ExampleDesc.
constexpr std::string_view kOfficial =
    "08091a056c6c616d6122260a09696e7075745f69647312060807220201201a06080722020120220908064a05"
    "10ac02180222260a0a706173745f6b65792e3012090801220501028001101a09080122050102800110280130"
    "402a380a066c6f676974731216150000003f18fdffffffffffffffff0122040101c0021a16150000003f18fd"
    "ffffffffffffffff0122040101c0022a340a18706173745f6b65792e305f52657461696e6564537461746512"
    "090801220501028001101a0908012205010280011028013040381070019201260a060807120201200a090801"
    "120501028001100a0612040101c0020a090801120501028001109201260a060807120201010a090801120501"
    "028001100a0612040101c0020a09080112050102800110";
// The same with dma_buffers, num_threads, and fields that this reader skips: thread_groups,
// thread_group_names, cluster_offsets, and a second transform of the first input that has scale and
// shuffle.
constexpr std::string_view kOfficialWithMore =
    "08091a056c6c616d6122340a09696e7075745f69647312060807220201201a06080722020120220908064a05"
    "10ac021802220c08041d0000c03f3a0300020122260a0a706173745f6b65792e301209080122050102800110"
    "1a09080122050102800110280130402a380a066c6f676974731216150000003f18fdffffffffffffffff0122"
    "040101c0021a16150000003f18fdffffffffffffffff0122040101c0022a340a18706173745f6b65792e305f"
    "52657461696e6564537461746512090801220501028001101a09080122050102800110280130403203088020"
    "3810400452030102036a0348565870018a0101079201260a060807120201200a090801120501028001100a06"
    "12040101c0020a090801120501028001109201260a060807120201010a090801120501028001100a06120401"
    "01c0020a09080112050102800110";
// batch_size -1, one input 'x' with io_initial dims [-1, 300] and an empty io_transformed.
constexpr std::string_view kOfficialNegative =
    "22150a0178120e220cffffffffffffffffff01ac021a0070ffffffffffffffffff01";

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

Result<NetworkDesc> Decode(const std::string& bytes) {
  return DecodeNetworkDesc(std::as_bytes(std::span(bytes)), "programqpc.bin", 1000);
}

IoBinding Binding(std::string name, TensorDesc tensor) {
  return {.name = std::move(name), .initial = tensor, .transformed = tensor};
}

NetworkDesc ExampleDesc() {
  const TensorDesc cache{.type = NetworkType::kFloat16, .dims = {1, 2, 128, 16}};
  NetworkDesc desc{.network_name = "llama", .num_cores = 16, .batch_size = 1};
  desc.inputs = {Binding("input_ids", {.type = NetworkType::kInt64I, .dims = {1, 32}}),
                 Binding("past_key.0", cache)};
  desc.inputs[0].transforms = {
      {.kind = TensorTransform::kCopyDmaBuffer, .buffer_offset_bytes = 300, .buffer_number = 2}};
  desc.outputs = {
      Binding("logits",
              {.quantization_scale = 0.5F, .quantization_offset = -3, .dims = {1, 1, 320}}),
      Binding("past_key.0_RetainedState", cache)};
  for (IoBinding* state : {&desc.inputs[1], &desc.outputs[1]}) {
    state->is_partial_allowed = true;
    state->alignment_bytes = 64;
  }
  for (const int32_t tokens : {32, 1}) {
    desc.allowed_shapes.push_back({{NetworkType::kInt64I, {1, tokens}},
                                   {NetworkType::kFloat16, cache.dims},
                                   {NetworkType::kFloat, {1, 1, 320}},
                                   {NetworkType::kFloat16, cache.dims}});
  }
  return desc;
}

TEST_CASE("a network description is encoded as the official writer does") {
  CHECK(EncodeNetworkDesc(ExampleDesc()) == FromHex(kOfficial));
}

TEST_CASE("a network description survives decoding, unknown fields are skipped") {
  const Result<NetworkDesc> plain = Decode(FromHex(kOfficial));
  REQUIRE(plain.ok());
  CHECK(EncodeNetworkDesc(*plain) == FromHex(kOfficial));

  Result<NetworkDesc> more = Decode(FromHex(kOfficialWithMore));
  REQUIRE(more.ok());
  REQUIRE(more->inputs[0].transforms.size() == 2);
  CHECK(more->inputs[0].transforms[1].kind == 4);
  REQUIRE(more->dma_buffers.size() == 1);
  CHECK(more->dma_buffers[0].size_bytes == 4096);
  CHECK(more->num_threads == 4);
  more->dma_buffers.clear();
  more->num_threads = 0;
  more->inputs[0].transforms.pop_back();
  CHECK(EncodeNetworkDesc(*more) == FromHex(kOfficial));
}

TEST_CASE("negative numbers take ten bytes as in the official writer") {
  const Result<NetworkDesc> desc = Decode(FromHex(kOfficialNegative));
  REQUIRE(desc.ok());
  CHECK(desc->batch_size == -1);
  CHECK(desc->inputs[0].initial.dims == std::vector<int32_t>{-1, 300});
  CHECK(EncodeNetworkDesc(*desc) == FromHex(kOfficialNegative));
}

TEST_CASE("repeated numbers are read single or packed, a message that comes twice is merged") {
  // inputs { io_initial { dims: 1 } io_initial { type: 7 dims: [2, 3] } }, dims once single, once
  // packed.
  const Result<NetworkDesc> desc =
      Decode(FromHex("220c12022001"
                     "120608072202"
                     "0203"));
  REQUIRE(desc.ok());
  CHECK(desc->inputs[0].initial.dims == std::vector<int32_t>{1, 2, 3});
  CHECK(desc->inputs[0].initial.type == NetworkType::kInt64I);
}

TEST_CASE("groups and fixed numbers of unknown fields are skipped") {
  // field 100 a group holding a varint, a string and group 101; field 102 fixed64; field 103
  // fixed32; major_version 9.
  const Result<NetworkDesc> desc =
      Decode(FromHex("a306"
                     "0801"
                     "12026162"
                     "ab06"
                     "ac06"
                     "a406"
                     "b1060102030405060708"
                     "bd0601020304"
                     "0809"));
  REQUIRE(desc.ok());
  CHECK(desc->major_version == 9);
}

std::string MessageFor(std::string_view hex) {
  const Result<NetworkDesc> desc = Decode(FromHex(hex));
  REQUIRE_FALSE(desc.ok());
  CHECK(desc.diagnostic().where.byte_offset >= 1000);
  return desc.diagnostic().message;
}

TEST_CASE("bad_wire: each kind of damage is named") {
  CHECK(MessageFor("08") == "the message ends inside a number");
  CHECK(MessageFor("88") == "the message ends inside a field number");
  CHECK(MessageFor("08ffffffffffffffffff02") == "a number has more than 64 bits");
  CHECK(MessageFor("0001") == "expected a field number from 1 to 536870911, got 0");
  CHECK(MessageFor("808080808001"
                   "00") == "expected a field number from 1 to 536870911, got 4294967296");
  CHECK(MessageFor("1a05616263") == "a field of 5 bytes leaves its message, which has 3 left");
  CHECK(MessageFor("1affffffffffffffff7f") ==
        "a field of 9223372036854775807 bytes leaves its message, which has 0 left");
  CHECK(MessageFor("0d0102") == "the message ends inside a number");
  CHECK(MessageFor("0e") == "expected a field, got wire type 6");
  CHECK(MessageFor("a406") == "expected a field, got wire type 4");
  CHECK(MessageFor("a306ac06") == "expected the end of group 100, got the end of 101");
  CHECK(MessageFor("a306") == "the message ends inside a group");
  CHECK(MessageFor("0a00") == "expected a number with wire type 0, got 2");
  CHECK(MessageFor("2001") == "expected a message with wire type 2, got 0");
  CHECK(MessageFor("220612042202ff80") == "a packed number does not end");
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "a306";
  CHECK(MessageFor(deep) == "groups nested deeper than 100");
}

TEST_CASE("bad_shapes: allowed shapes must match inputs and outputs") {
  NetworkDesc desc = ExampleDesc();
  desc.allowed_shapes[1].pop_back();
  const Result<NetworkDesc> decoded = Decode(EncodeNetworkDesc(desc));
  REQUIRE_FALSE(decoded.ok());
  CHECK(decoded.diagnostic().message ==
        "allowed shapes 1: expected 4 shapes (inputs, then outputs), got 3");
}

TEST_CASE("bad_size: a description that would need too much memory is refused") {
  std::string many;
  for (int i = 0; i < 65537; ++i) many += std::string("\x22\x00", 2);
  CHECK(Decode(many).diagnostic().message == "more than 65536 bindings");
  CHECK(Decode(std::string(17 << 20, '\0')).diagnostic().message ==
        "expected a network description of at most 16777216 bytes, got 17825792");
}

TEST_CASE("bad_description: cut at every byte, and every byte changed, never reads outside") {
  const std::string good = FromHex(kOfficialWithMore);
  int accepted = 0;
  for (size_t size_bytes = 0; size_bytes < good.size(); ++size_bytes) {
    accepted += Decode(std::string(good.data(), size_bytes)).ok() ? 1 : 0;
  }
  CHECK(accepted < 40);  // a cut between two fields of the outer message is a shorter message
  for (size_t at = 0; at < good.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(value);
      const Result<NetworkDesc> desc = Decode(bytes);
      if (desc.ok()) accepted += desc->inputs.size() > 3 ? 1 : 0;
    }
  }
}

TEST_CASE("the bytes of a tensor leave out dims that are 0") {
  const auto bytes = [](TensorDesc tensor) { return TensorBytes(tensor, "q", "x"); };
  CHECK(*bytes({.type = NetworkType::kFloat16, .dims = {2, 0, 3}}) == 12);
  CHECK(*bytes({.type = NetworkType::kInt64I}) == 8);
  CHECK(bytes({.type = static_cast<NetworkType>(77)}).diagnostic().message ==
        "element type 77 is not known");
  CHECK(bytes({.dims = {2, -1}}).diagnostic().message ==
        "expected dims that are not negative and fit 2^63 bytes, got [2, -1]");
  CHECK_FALSE(bytes({.dims = {INT32_MAX, INT32_MAX, 4}}).ok());
}

TEST_CASE("element types are mapped both ways") {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBf16, DType::kI8, DType::kU8,
                            DType::kI16, DType::kI32, DType::kI64}) {
    REQUIRE(NetworkTypeFor(dtype));
    CHECK(StorageDType(*NetworkTypeFor(dtype)) == dtype);
  }
  CHECK_FALSE(NetworkTypeFor(DType::kBool));
}

TEST_CASE("the description of constants has 24 bytes") {
  const std::string bytes = EncodeConstantsDesc({.static_size_bytes = 0x0102030405060708,
                                                 .dynamic_size_bytes = 9,
                                                 .static_ecc = 1,
                                                 .dynamic_ecc = 2});
  CHECK(bytes == FromHex("0807060504030201"
                         "0900000000000000"
                         "0102000000000000"));
  const Result<ConstantsDesc> desc = DecodeConstantsDesc(std::as_bytes(std::span(bytes)), "q");
  REQUIRE(desc.ok());
  CHECK(desc->static_size_bytes == 0x0102030405060708);
  CHECK(desc->dynamic_size_bytes == 9);
  CHECK(desc->static_ecc == 1);
  CHECK(desc->dynamic_ecc == 2);
}

TEST_CASE("bad_constants_description: another size") {
  const std::string bytes(23, '\0');
  CHECK(DecodeConstantsDesc(std::as_bytes(std::span(bytes)), "q").diagnostic().message ==
        "expected a description of the constants of 24 bytes, got 23");
}

}  // namespace
}  // namespace qeff::artifact
