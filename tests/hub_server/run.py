#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs tests of this folder by name, e.g. `run.py faults_test.Refused`: as `python -m unittest`, but says SKIPPED when all of
them were, and fails when there are none."""

import sys
import unittest


def main():
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    if result.testsRun == 0:
        sys.exit("no tests have this name")
    if len(result.skipped) == result.testsRun:
        print(f"SKIPPED: {result.skipped[0][1]}")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
