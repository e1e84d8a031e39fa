// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Continues a prompt:  continue_text MODEL PROMPT
#include <qeff/auto_model.h>

#include <cstdio>
#include <string>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
    return 2;
  }
  auto model = qeff::AutoModelForCausalLM::FromPretrained(argv[1]);
  if (!model.ok()) {
    std::fprintf(stderr, "%s\n", model.diagnostic().ToString().c_str());
    return 1;
  }
  const auto qpc = model->Compile({.num_cores = 2, .ctx_len = 256});
  if (!qpc.ok()) {
    std::fprintf(stderr, "%s\n", qpc.diagnostic().ToString().c_str());
    return 1;
  }
  const auto texts = model->Generate({argv[2]}, {.max_new_tokens = 40});
  if (!texts.ok()) {
    std::fprintf(stderr, "%s\n", texts.diagnostic().ToString().c_str());
    return 1;
  }
  std::printf("%s%s\n", argv[2], texts.value()[0].text.c_str());
  return 0;
}
