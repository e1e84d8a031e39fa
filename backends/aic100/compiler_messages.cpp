// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/compiler_messages.h"

namespace qeff::aic100 {

const std::vector<KnownMessage>& KnownMessages() {
  static const std::vector<KnownMessage> messages = {
      {"No space left on device", ErrorCode::kIo, "the disk is full",
       "free space on the output's file system, or choose another folder with -o"},
      {"nsupported operator", ErrorCode::kUnsupported,
       "the compiler does not know an operator of the model",
       "see its output for the names; 'qaic-compile -operators-supported=onnx' lists those it has"},
      {"Cannot allocate memory", ErrorCode::kIo, "the host has too little memory",
       "compile on a host with more memory; for partitions without peer-to-peer also raise "
       "vm.max_map_count (2048000)"},
      {"std::bad_alloc", ErrorCode::kIo, "the host has too little memory",
       "compile on a host with more memory"},
      {"Connection timed out", ErrorCode::kBackend, "the driver waited too long for the card",
       "raise wait_exec_default_timeout_ms, control_resp_timeout_s and mhi_timeout_ms under "
       "/sys/module/qaic/parameters"},
      {"No matching dimension found", ErrorCode::kInvalidInput,
       "the shapes of a call are those of no specialization of the program",
       "compile with the lengths and batch sizes that you run with"},
      {"DmaBuf mode unsupported", ErrorCode::kBackend,
       "a program for several devices takes heap buffers only",
       "report this: qeff uses only those"},
      {"Status:Error", ErrorCode::kBackend,
       "the card's firmware is in a bad state, or this user may not ask it",
       "add the user to group qaic, or reset the card: echo 1 > "
       "/sys/bus/mhi/devices/mhi<ID>/soc_reset"},
  };
  return messages;
}

const KnownMessage* Recognize(std::string_view output) {
  for (const KnownMessage& message : KnownMessages()) {
    if (output.find(message.text) != std::string_view::npos) return &message;
  }
  return nullptr;
}

}  // namespace qeff::aic100
