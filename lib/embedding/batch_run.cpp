// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/batch_run.h"

#include <algorithm>

#include "lib/embedding/batch_plan.h"

namespace qeff {
namespace {

class Runner {
 public:
  Runner(EncoderProgram& program, std::span<const Encoding> encodings, const KeepRow& keep)
      : program_(program),
        encodings_(encodings),
        keep_(keep),
        rows_(encodings.size()),
        has_row_(encodings.size(), false),
        wanted_(encodings.size()) {}

  BatchRun Run(int64_t call_tokens) && {
    std::vector<int64_t> lengths;
    for (const Encoding& encoding : encodings_)
      lengths.push_back(static_cast<int64_t>(encoding.ids.size()));
    Status failure = Status::Ok();
    for (Batch& batch : PlanBatches(lengths, program_.shapes(), call_tokens)) {
      std::erase_if(batch.items, [&](size_t item) { return item >= wanted_; });
      if (batch.items.empty()) continue;
      Status together = RunBatch(batch);
      if (together.ok()) continue;
      failure = std::move(together);
      refused_.reset();
      if (failure.code() == ErrorCode::kInvalidInput) FindRefused(batch, failure);
      if (failure.code() != ErrorCode::kInvalidInput) break;  // the next call would fail as well
    }
    const auto without = std::find(has_row_.begin(), has_row_.end(), false);
    rows_.resize(std::min(wanted_, static_cast<size_t>(without - has_row_.begin())));
    return {.rows = std::move(rows_), .status = std::move(failure), .refused = refused_};
  }

 private:
  Status RunBatch(const Batch& batch) {
    std::vector<const Encoding*> inputs;
    for (const size_t item : batch.items) inputs.push_back(&encodings_[item]);
    QEFF_RETURN_IF_ERROR(program_.Run(batch.shape, inputs));
    for (size_t i = 0; i < batch.items.size(); ++i) {
      const size_t item = batch.items[i];
      rows_[item].clear();
      keep_(encodings_[item], program_.Row(i), rows_[item]);
      has_row_[item] = true;
    }
    return Status::Ok();
  }

  /// Runs the texts of a batch that fails together alone: that one of them is to blame is only seen
  /// so. If each succeeds, none is, and the rows from the first of them on are not wanted.
  void FindRefused(Batch& batch, Status& failure) {
    std::ranges::sort(batch.items);
    wanted_ = batch.items.front();
    for (const size_t item : batch.items) {
      Status alone = RunBatch({.shape = batch.shape, .items = {item}});
      if (alone.ok()) continue;
      failure = std::move(alone);
      wanted_ = item;
      if (failure.code() == ErrorCode::kInvalidInput) refused_ = item;
      return;
    }
  }

  EncoderProgram& program_;
  std::span<const Encoding> encodings_;
  const KeepRow& keep_;
  std::vector<std::vector<float>> rows_;
  std::vector<bool> has_row_;
  size_t wanted_;  ///< texts from here on come after one that has no row
  std::optional<size_t> refused_;
};

}  // namespace

BatchRun RunInBatches(EncoderProgram& program, std::span<const Encoding> encodings,
                      int64_t call_tokens, const KeepRow& keep) {
  return Runner(program, encodings, keep).Run(call_tokens);
}

}  // namespace qeff
