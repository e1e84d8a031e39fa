#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the .npy files of this folder with numpy, and what sentence-transformers finds similar in them.

usage: make_matrices.py    (needs numpy, torch and sentence-transformers 6.2.0)"""
import json
import pathlib

import numpy as np
from sentence_transformers import util

HERE = pathlib.Path(__file__).resolve().parent
rng = np.random.default_rng(7)
matrix = rng.standard_normal((20, 19)).astype(np.float32)
np.save(HERE / "matrix.npy", matrix)
np.save(HERE / "empty.npy", np.zeros((0, 4), np.float32))
np.save(HERE / "bad_float64.npy", np.zeros((2, 3)))
np.save(HERE / "bad_fortran.npy", np.asfortranarray(np.zeros((2, 3), np.float32)))
np.save(HERE / "bad_vector.npy", np.zeros(3, np.float32))
functions = {"cosine": util.cos_sim, "dot": util.dot_score, "euclidean": util.euclidean_sim,
             "manhattan": util.manhattan_sim}
(HERE / "similarity.json").write_text(json.dumps(
    {name: function(matrix[:3], matrix).tolist() for name, function in functions.items()}, indent=1) + "\n")
