// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Each kind of hand-made container that the open runtime's reader was tried on, with what it did
// and what ours does. Ours may be stricter where the vendor's is wrong, never laxer.
#include <catch2/catch.hpp>
#include <functional>

#include "lib/artifact/network_desc.h"
#include "lib/artifact/qpc.h"
#include "tests/unit/lib/artifact/hand_made_qpc.h"
#include "tests/unit/lib/artifact/temporary_folder.h"

namespace qeff::artifact {
namespace {

NetworkDesc Network() {
  const TensorDesc tensor{.type = NetworkType::kInt32I, .dims = {1, 16}};
  NetworkDesc network{.network_name = "simple_io", .num_cores = 1};
  const TensorTransform copy{.kind = TensorTransform::kCopyDmaBuffer};
  network.inputs = {{.name = "in", .initial = tensor, .transformed = tensor, .transforms = {copy}}};
  network.outputs = {
      {.name = "out", .initial = tensor, .transformed = tensor, .transforms = {copy}}};
  return network;
}

HandMade Container(const NetworkDesc& network = Network()) {
  HandMade container;
  container.segments[0].data =
      "\x7f"
      "ELF";
  container.segments[1].data = EncodeNetworkDesc(network);
  container.segments[2].data = EncodeConstantsDesc({.static_size_bytes = 7});
  return container;
}

/// What a reader of everything finds: "in, out", or the error.
std::string Read(const std::string& bytes) {
  const TemporaryFolder folder;
  WriteText(folder / "programqpc.bin", bytes);
  const auto file = QpcFile::Open(folder / "programqpc.bin");
  if (!file.ok()) return file.diagnostic().message;
  const auto network = DecodeNetworkDesc(file->Find(kNetworkDesc)->data, "programqpc.bin");
  if (!network.ok()) return network.diagnostic().message;
  std::vector<std::string> names;
  for (const auto* list : {&network->inputs, &network->outputs})
    for (const IoBinding& binding : *list) names.push_back(binding.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string Patched(std::string bytes, size_t at, uint64_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof(value));
  return bytes;
}

HandMade With(const std::function<void(HandMade&)>& change) {
  HandMade container = Container();
  change(container);
  return container;
}

HandMade Without(std::string_view name) {
  return With([name](HandMade& container) {
    std::erase_if(container.segments, [name](const auto& segment) { return segment.name == name; });
  });
}

HandMade WithNetwork(const std::function<void(NetworkDesc&)>& change) {
  NetworkDesc network = Network();
  change(network);
  return Container(network);
}

/// How the vendor's reader takes a file.
enum class Vendor { kAccepts, kRejects, kSeesNoBindings, kCrashes };

struct Variant {
  std::string what;
  Vendor vendor;
  std::string bytes;
  std::string ours;  ///< "in, out": accepted; else a part of the error
};

std::vector<Variant> Accepted() {
  const std::string both = "in, out";
  std::vector<Variant> variants = {
      {"packed data", Vendor::kAccepts, Container().Bytes(), both},
      {"base of a memory image", Vendor::kAccepts,
       With([](HandMade& c) { c.base = 0x55c0d24001e0; }).Bytes(), both},
      {"another minor version", Vendor::kAccepts, With([](HandMade& c) { c.minor = 7; }).Bytes(),
       both},
      {"an unknown segment", Vendor::kAccepts, With([](HandMade& c) {
                                                 c.segments.push_back({"opstatsdesc.bin", "?"});
                                               }).Bytes(),
       both},
      {"a container as a segment", Vendor::kAccepts,
       With([](HandMade& c) {
         c.segments.push_back({"QAicGraph_slice00", Container().Bytes()});
       }).Bytes(),
       both},
      {"network.elf that is no ELF", Vendor::kAccepts,
       With([](HandMade& c) { c.segments[0].data = "text"; }).Bytes(), both},
      {"network.elf that is empty", Vendor::kAccepts,
       With([](HandMade& c) { c.segments[0].data.clear(); }).Bytes(), both},
      {"no constants.bin", Vendor::kAccepts, Without("constants.bin").Bytes(), both},
      {"constants.bin that is empty", Vendor::kAccepts, With([](HandMade& c) {
                                                          c.segments[3] = {"constants.bin", ""};
                                                        }).Bytes(),
       both},
      {"a description of another major version", Vendor::kAccepts,
       WithNetwork([](NetworkDesc& n) { n.major_version = 8; }).Bytes(), both},
      {"bindings without transforms", Vendor::kAccepts, WithNetwork([](NetworkDesc& n) {
                                                          n.inputs[0].transforms.clear();
                                                          n.outputs[0].transforms.clear();
                                                        }).Bytes(),
       both},
      {"a segment twice: the first counts", Vendor::kAccepts,
       With([](HandMade& c) {
         c.segments.push_back({"networkdesc.bin", "second"});
       }).Bytes(),
       both}};
  for (const uint64_t alignment : {8, 64, 4096}) {
    variants.push_back({fmt::format("data aligned to {}", alignment), Vendor::kAccepts,
                        With([&](HandMade& c) { c.alignment = alignment; }).Bytes(), both});
  }
  return variants;
}

std::vector<Variant> Refused() {
  const std::string good = Container().Bytes();
  constexpr size_t kDescEntry = HandMade::kEntriesAt + HandMade::kEntryBytes;
  constexpr size_t kStart = 24;
  return {// Nobody knows the layout of a later one.
          {"another major version", Vendor::kAccepts,
           With([](HandMade& c) { c.major = 1; }).Bytes(), "has version 1.1"},
          {"bad magic", Vendor::kRejects, With([](HandMade& c) { c.magic = 0x464c457f; }).Bytes(),
           "expected a QPC with magic number"},
          {"bytes after the end", Vendor::kRejects, good + "more", "the header says"},
          {"cut short", Vendor::kRejects, good.substr(0, good.size() - 3), "the header says"},
          {"live pointers", Vendor::kRejects, With([](HandMade& c) { c.compression = 0; }).Bytes(),
           "expected compression type 1"},
          {"no constantsdesc.bin", Vendor::kRejects, Without("constantsdesc.bin").Bytes(),
           "expected a segment 'constantsdesc.bin'"},
          {"no networkdesc.bin", Vendor::kRejects, Without("networkdesc.bin").Bytes(),
           "expected a segment 'networkdesc.bin'"},
          {"no network.elf", Vendor::kRejects, Without("network.elf").Bytes(),
           "expected a segment 'network.elf'"},
          {"an empty description", Vendor::kSeesNoBindings,
           With([](HandMade& c) { c.segments[1].data.clear(); }).Bytes(), "would have no inputs"},
          {"a description that runs past the end", Vendor::kSeesNoBindings,
           Patched(good, kDescEntry, good.size()), "lies outside the file"},
          {"a table outside of the file", Vendor::kCrashes,
           Patched(good, HandMade::kTableAt, good.size() + 4096), "lies outside the file"},
          {"data outside of the file", Vendor::kCrashes,
           Patched(good, kDescEntry + kStart, good.size() + 4096), "lies outside the file"}};
}

TEST_CASE("what the vendor's reader accepts is accepted, with the same bindings") {
  const std::vector<Variant> variants = Accepted();
  REQUIRE(variants.size() == 15);
  for (const Variant& variant : variants) {
    INFO(variant.what);
    CHECK(variant.vendor == Vendor::kAccepts);
    CHECK(Read(variant.bytes) == variant.ours);
  }
}

TEST_CASE("bad_containers: what the vendor's reader rejects, misreads or crashes on is refused") {
  const std::vector<Variant> variants = Refused();
  REQUIRE(variants.size() == 12);
  for (const Variant& variant : variants) {
    INFO(variant.what);
    CHECK(Read(variant.bytes).find(variant.ours) != std::string::npos);
    // Stricter than the vendor's in one thing only.
    CHECK((variant.vendor == Vendor::kAccepts) == (variant.what == "another major version"));
  }
}

}  // namespace
}  // namespace qeff::artifact
