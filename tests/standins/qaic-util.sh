#!/bin/sh
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
#
# A stand-in for the vendor's qaic-util -q: prints a device list, one card of the generation QEFF_STANDIN_CARD
# (AIC100 if it is not set); "none" has no card, "error" one in a bad state, and "hangs" does not answer at all.
[ "$1" = "-q" ] || { echo "Device list is zero"; exit 255; }
card=${QEFF_STANDIN_CARD:-AIC100}
[ "$card" = "hangs" ] && exec sleep 60
[ "$card" = "none" ] && { echo "[1] No valid device found"; exit 0; }
[ "$card" = "error" ] && { printf 'QID 0\n\tStatus:Error\n'; exit 0; }
printf 'QID 0\n\tStatus:Ready\n\tPCI Address:0000:00:00.0\n\tFW IMAGE_VARIANT:%s_SIMULATED\n\tNsp Total:16\n\tNsp Free:16\n\tSku Type:PCIe Pro\n' "$card"
