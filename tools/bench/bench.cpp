// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/bench.h"

#include <algorithm>

namespace qeff::bench {
namespace {

template <typename Value>
Spread SpreadOfSamples(const std::vector<Sample>& samples, const Value& value) {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(value(sample));
  return SpreadOf(std::move(values));
}

}  // namespace

std::string Cell::Name() const {
  std::string name = fmt::format("{}{}", is_prefill ? "pp" : "tg", tokens);
  if (depth > 0) name += fmt::format(" @ d{}", depth);
  return name;
}

Spread SpreadOf(std::vector<double> values) {
  QEFF_CHECK(!values.empty(), "no values");
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

std::string_view Row::Bound() const {
  const Sample& sample = samples.front();
  double arithmetic_s = 0;
  Arithmetic most = Arithmetic::kF32;
  for (const Arithmetic kind : kArithmetics) {
    const auto index = static_cast<size_t>(kind);
    if (work.operations[index] > 0) arithmetic_s += work.operations[index] / sample.peaks[index];
    if (work.operations[index] > work.operations[static_cast<size_t>(most)]) most = kind;
  }
  return work.bytes / sample.bytes_per_s > arithmetic_s ? "read" : ArithmeticName(most);
}

Spread Row::TokensPerSecond() const {
  return SpreadOfSamples(samples, [](const Sample& sample) { return sample.tokens_per_s; });
}

Spread Row::ShareOfLimit() const {
  return SpreadOfSamples(samples, [](const Sample& sample) { return sample.share_of_limit; });
}

Spread Row::PeerTokensPerSecond(size_t peer) const {
  return SpreadOfSamples(samples,
                         [&](const Sample& sample) { return sample.peer_tokens_per_s[peer]; });
}

Spread Row::RatioToPeer(size_t peer) const {
  return SpreadOfSamples(samples, [&](const Sample& sample) {
    return sample.tokens_per_s / sample.peer_tokens_per_s[peer];
  });
}

}  // namespace qeff::bench
