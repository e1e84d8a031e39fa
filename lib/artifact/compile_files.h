// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The files beside a program that tell a compiler what to build and a user what was built, byte for
// byte as QEfficient writes them: specializations.json, custom_io.yaml, mdp_ts_N.json and
// mdp_disagg_*. Every backend writes them, qeff-run and qeff-inspect read them. Nothing here knows
// a model; text_specializations.h says which specializations a text model has.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/support/status.h"

namespace qeff::artifact {

inline constexpr std::string_view kSpecializationsName = "specializations.json";
inline constexpr std::string_view kCustomIoName = "custom_io.yaml";

/// One static shape of a graph: a value for each of its dimension symbols.
struct Specialization {
  std::string
      graph_name;  ///< "Prefill", "Decode", ...; several may share one until they are written
  std::vector<std::pair<std::string, int64_t>> symbols;

  /// Returns the value of `symbol`, nothing if this specialization does not set it.
  std::optional<int64_t> Find(std::string_view symbol) const;
};

/// Returns the name that QEfficient gives to symbols without one: "Decode" if seq_len is 1,
/// "Prefill" for another seq_len, else "Encoder" (encoder_ctx_len), "Embedding" (sequence_length)
/// or "Graph_<index>".
std::string DefaultGraphName(const Specialization& specialization, size_t index);

/// Returns the names as files have them: a graph name that comes several times gets the suffixes
/// _0, _1, ...
std::vector<std::string> UniqueNames(const std::vector<Specialization>& specializations);

/// Returns the bytes of specializations.json: {name, symbols} entries under UniqueNames, values as
/// strings, keys sorted.
std::string WriteSpecializations(const std::vector<Specialization>& specializations);

/// Reads a specializations.json with {name, symbols} entries or the older flat ones (which get
/// DefaultGraphName unless they have a "_graph_name", and UniqueNames); values may be strings or
/// numbers. Errors: kIo; kInvalidInput (not JSON, no list, a value that is not a whole number from
/// 1 on, a name twice).
Result<std::vector<Specialization>> ReadSpecializations(const std::filesystem::path& path);
/// The same for text; `path` names it in errors.
Result<std::vector<Specialization>> ParseSpecializations(std::string_view text,
                                                         std::string_view path);

/// The precision of one input or output at the edge of the program.
struct CustomIo {
  std::string io_name;
  std::string precision;  ///< "float16", "mxint8", ... as the compiler spells it
};

/// Returns the bytes of custom_io.yaml, entries in the given order. Errors: kInvalidInput for a
/// name that YAML would not read back as it is.
Result<std::string> WriteCustomIo(const std::vector<CustomIo>& entries);

/// Returns the bytes of mdp_ts_<device_count>.json: every tensor sliced over devices 0 to
/// device_count - 1, each with `num_cores` cores.
std::string WriteTensorSlicing(int64_t device_count, int64_t num_cores);

/// Returns the bytes of mdp_disagg_<device_count>d_<stages>p.json: a pipeline with one stage for
/// each list of nodes, each on the next device_count / stages devices. Requires device_count >=
/// stages.
std::string WritePipelinePartition(int64_t device_count, int64_t num_cores,
                                   const std::vector<std::vector<std::string>>& stages);

}  // namespace qeff::artifact
