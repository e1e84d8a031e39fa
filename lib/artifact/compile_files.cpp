// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/compile_files.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "lib/support/file.h"
#include "lib/support/json.h"

namespace qeff::artifact {
namespace {

// A hundred times the largest file that a list of lengths gives.
constexpr size_t kFileLimitBytes = size_t{16} << 20;

Result<int64_t> SymbolValue(const Json& json, std::string_view name, std::string_view path) {
  int64_t value = 0;
  if (json.is_number_unsigned() && json.get<uint64_t>() <= INT64_MAX) {
    value = json.get<int64_t>();
  } else if (json.is_string()) {
    const std::string& text = json.get_ref<const std::string&>();
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) value = 0;
  }
  if (value < 1) {
    return InvalidInput(
        Location::File(path),
        fmt::format("expected '{}' to be a whole number from 1 on, got {}", name, json.dump()));
  }
  return value;
}

Result<Specialization> ParseEntry(const Json& entry, size_t index, std::string_view path) {
  const std::string where = fmt::format("specializations[{}]", index);
  if (!entry.is_object()) {
    return InvalidInput(Location::File(path), fmt::format("expected '{}' to be an object, got {}",
                                                          where, entry.type_name()));
  }
  Specialization specialization;
  const Json* named_symbols = Find(entry, "symbols");
  const Json& symbols = named_symbols != nullptr ? *named_symbols : entry;
  if (named_symbols != nullptr) {
    const Json* name = Find(entry, "name");
    if (name == nullptr || !name->is_string() || !symbols.is_object()) {
      return InvalidInput(
          Location::File(path),
          fmt::format("expected '{}' to have a string 'name' and an object 'symbols'", where));
    }
    specialization.graph_name = name->get<std::string>();
  }
  for (const auto& item : symbols.items()) {
    // QEfficient's name of an entry in a list that is given to its compile().
    if (named_symbols == nullptr && item.key() == "_graph_name" && item.value().is_string()) {
      specialization.graph_name = item.value().get<std::string>();
      continue;
    }
    QEFF_ASSIGN_OR_RETURN(const int64_t value,
                          SymbolValue(item.value(), fmt::format("{}.{}", where, item.key()), path));
    specialization.symbols.emplace_back(item.key(), value);
  }
  if (specialization.graph_name.empty())
    specialization.graph_name = DefaultGraphName(specialization, index);
  return specialization;
}

/// Entry `index` of the partitions: `count` devices from `first` on.
Json PartitionEntry(int64_t index, int64_t first, int64_t count, int64_t num_cores) {
  Json devices = Json::array();
  for (int64_t id = first; id < first + count; ++id)
    devices.push_back({{"deviceId", id}, {"numCores", num_cores}});
  return {{"name", fmt::format("Partition{}", index)}, {"devices", std::move(devices)}};
}

/// A partition file: all devices talk to each other directly.
std::string WritePartitions(int64_t device_count, Json partitions) {
  Json ids = Json::array();
  for (int64_t id = 0; id < device_count; ++id) ids.push_back(id);
  const Json connection{{"devices", std::move(ids)}, {"type", "p2p"}};
  return DumpPythonStyle(
      {{"connections", Json::array({connection})}, {"partitions", std::move(partitions)}});
}

/// Plain YAML scalars of our files: no quotes are ever needed for what this accepts.
bool IsPlainScalar(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/-+$@";
  return !text.empty() && text.find_first_not_of(kAllowed) == std::string_view::npos &&
         text.back() != ':' && std::string_view("-:@").find(text.front()) == std::string_view::npos;
}

}  // namespace

std::optional<int64_t> Specialization::Find(std::string_view symbol) const {
  const auto found = std::find_if(symbols.begin(), symbols.end(),
                                  [symbol](const auto& entry) { return entry.first == symbol; });
  if (found == symbols.end()) return std::nullopt;
  return found->second;
}

std::string DefaultGraphName(const Specialization& specialization, size_t index) {
  if (const auto tokens = specialization.Find("seq_len"))
    return *tokens == 1 ? "Decode" : "Prefill";
  if (specialization.Find("encoder_ctx_len")) return "Encoder";
  if (specialization.Find("sequence_length")) return "Embedding";
  return fmt::format("Graph_{}", index);
}

std::vector<std::string> UniqueNames(const std::vector<Specialization>& specializations) {
  std::map<std::string_view, int64_t> totals;
  for (const Specialization& specialization : specializations) ++totals[specialization.graph_name];
  std::map<std::string_view, int64_t> seen;
  std::vector<std::string> names;
  for (const Specialization& specialization : specializations) {
    const std::string& name = specialization.graph_name;
    names.push_back(totals[name] == 1 ? name : fmt::format("{}_{}", name, seen[name]++));
  }
  return names;
}

std::string WriteSpecializations(const std::vector<Specialization>& specializations) {
  const std::vector<std::string> names = UniqueNames(specializations);
  Json entries = Json::array();
  for (size_t i = 0; i < specializations.size(); ++i) {
    Json symbols = Json::object();
    for (const auto& [symbol, value] : specializations[i].symbols)
      symbols[symbol] = std::to_string(value);
    entries.push_back({{"name", names[i]}, {"symbols", std::move(symbols)}});
  }
  return DumpPythonStyle({{"specializations", std::move(entries)}});
}

Result<std::vector<Specialization>> ParseSpecializations(std::string_view text,
                                                         std::string_view path) {
  QEFF_ASSIGN_OR_RETURN(const Json json, ParseJson(text, path));
  const Json* entries = Find(json, "specializations");
  if (entries == nullptr || !entries->is_array() || entries->empty()) {
    return InvalidInput(Location::File(path),
                        "expected an object with a list 'specializations' that is not empty");
  }
  std::vector<Specialization> specializations;
  for (size_t i = 0; i < entries->size(); ++i) {
    QEFF_ASSIGN_OR_RETURN(Specialization specialization, ParseEntry((*entries)[i], i, path));
    specializations.push_back(std::move(specialization));
  }
  // Files in the older form have no names, so those made here may repeat; a name that was written
  // may not.
  const bool is_flat = Find(entries->front(), "symbols") == nullptr;
  const std::vector<std::string> names = UniqueNames(specializations);
  std::set<std::string_view> seen;
  for (size_t i = 0; i < names.size(); ++i) {
    if (is_flat) specializations[i].graph_name = names[i];
    if (!seen.insert(specializations[i].graph_name).second) {
      return InvalidInput(Location::File(path), fmt::format("specialization '{}' is there twice",
                                                            specializations[i].graph_name));
    }
  }
  return specializations;
}

Result<std::vector<Specialization>> ReadSpecializations(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kFileLimitBytes));
  return ParseSpecializations(text, path.string());
}

Result<std::string> WriteCustomIo(const std::vector<CustomIo>& entries) {
  std::string text;
  for (const CustomIo& entry : entries) {
    for (const std::string& scalar : {entry.io_name, entry.precision}) {
      if (!IsPlainScalar(scalar)) {
        return InvalidInput(
            Location::Tensor(kCustomIoName, entry.io_name),
            fmt::format("expected a name of letters, digits and '_.:/-+$@', got '{}'", scalar),
            {"rename this input or output when the graph is exported"});
      }
    }
    text += fmt::format(" - IOName: {}\n   Precision: {}\n\n", entry.io_name, entry.precision);
  }
  return text;
}

std::string WriteTensorSlicing(int64_t device_count, int64_t num_cores) {
  return WritePartitions(device_count,
                         Json::array({PartitionEntry(0, 0, device_count, num_cores)}));
}

std::string WritePipelinePartition(int64_t device_count, int64_t num_cores,
                                   const std::vector<std::vector<std::string>>& stages) {
  const int64_t devices_of_stage = device_count / static_cast<int64_t>(stages.size());
  Json partitions = Json::array();
  for (const std::vector<std::string>& nodes : stages) {
    const auto index = static_cast<int64_t>(partitions.size());
    Json entry = PartitionEntry(index, index * devices_of_stage, devices_of_stage, num_cores);
    entry["nodeList"] = nodes;
    partitions.push_back(std::move(entry));
  }
  return WritePartitions(device_count, std::move(partitions));
}

}  // namespace qeff::artifact
