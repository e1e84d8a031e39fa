/* SPDX-FileCopyrightText: Copyright The qeff Authors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The C interface between qeff and libqeff_aic_session.so, the one part that is built against the
 * vendor's headers, on a machine that has them. Ours: it changes only together with
 * QEFF_AIC_SESSION_ABI, which is compared when the plugin is loaded. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QEFF_AIC_SESSION_ABI 1
#define QEFF_AIC_SESSION_ENTRY "qeff_aic_session_api"

/* One input or output of the program, in the runtime's order. */
typedef struct QeffAicBinding {
  const char* name;
  int32_t is_input;
  int32_t is_partial_allowed; /* may be given empty: state that stays on the card */
  uint64_t size_bytes;        /* of the largest specialization */
} QeffAicBinding;

/* What a call gives for one binding. A skipped one has no data, no bytes and the dims {0}. */
typedef struct QeffAicBuffer {
  void* data;
  uint64_t size_bytes;
  uint32_t element_bytes;
  uint32_t rank;
  const uint32_t* dims;
} QeffAicBuffer;

typedef struct QeffAicOpenOptions {
  const char* folder; /* holds programqpc.bin */
  const int32_t* device_ids;
  uint32_t device_count;
} QeffAicOpenOptions;

typedef struct QeffAicSession QeffAicSession;

/* Numbers of the vendor's QStatus; QEFF_AIC_EXCEPTION if the library threw instead. */
enum { QEFF_AIC_OK = 0, QEFF_AIC_EXCEPTION = -1 };

/* Functions return a status and write a message for people, if there is one, into
 * message[message_bytes] (always terminated). */
typedef struct QeffAicSessionApi {
  uint32_t abi_version;
  const char* built_for; /* version of the vendor's headers */
  int32_t (*open)(const QeffAicOpenOptions* options, QeffAicSession** session, char* message,
                  size_t message_bytes);
  uint32_t (*bindings)(const QeffAicSession* session, const QeffAicBinding** bindings);
  /* `buffers` has one entry per binding. */
  int32_t (*run)(QeffAicSession* session, const QeffAicBuffer* buffers, char* message,
                 size_t message_bytes);
  void (*close)(QeffAicSession* session);
} QeffAicSessionApi;

/* The only symbol of the plugin. */
typedef const QeffAicSessionApi* (*QeffAicSessionEntry)(void);

#ifdef __cplusplus
}
#endif
