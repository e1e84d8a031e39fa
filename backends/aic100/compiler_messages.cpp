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
      {"Permission denied", ErrorCode::kBackend, "this user may not use the device or a file",
       "add the user to group qaic and log in again; if a file is named, check its permissions"},
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

const std::vector<KnownStatus>& KnownStatuses() {
  static const std::vector<KnownStatus> statuses = {
      {1, "no permission", "add the user to group qaic"},
      {3, "out of memory on the device",
       "unload other programs, or compile for more devices, a shorter context or a smaller batch"},
      {4, "the device is busy", "wait for other programs, or name another device: --devices"},
      {5, "there is no such device", "'qaic-util -q' lists the devices"},
      {6, "a buffer does not fit the program", "compile the model again with this version of qeff"},
      {8, "the device was closed", "reset the card, then start again"},
      {9, "no answer in time",
       "raise wait_exec_default_timeout_ms under /sys/module/qaic/parameters, or reset the card"},
      {300, "the device failed",
       "see 'qaic-util -q'; reset the card: echo 1 > /sys/bus/mhi/devices/mhi<ID>/soc_reset"},
  };
  return statuses;
}

}  // namespace qeff::aic100
