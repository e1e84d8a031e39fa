// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Prints how alike two texts are:  embed_texts MODEL TEXT TEXT
#include <qeff/auto_model.h>

#include <cstdio>
#include <numeric>

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s MODEL TEXT TEXT\n", argv[0]);
    return 2;
  }
  auto model = qeff::AutoModel::FromPretrained(argv[1], {.normalize = true});
  if (!model.ok()) {
    std::fprintf(stderr, "%s\n", model.diagnostic().ToString().c_str());
    return 1;
  }
  if (const auto qpc = model->Compile({.num_cores = 2}); !qpc.ok()) {
    std::fprintf(stderr, "%s\n", qpc.diagnostic().ToString().c_str());
    return 1;
  }
  const auto vectors = model->Encode({argv[2], argv[3]});
  if (!vectors.ok()) {
    std::fprintf(stderr, "%s\n", vectors.diagnostic().ToString().c_str());
    return 1;
  }
  const auto& a = vectors.value()[0];
  const auto& b = vectors.value()[1];
  std::printf("%.4f\n", std::inner_product(a.begin(), a.end(), b.begin(), 0.0));
  return 0;
}
