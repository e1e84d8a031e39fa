# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks that the runner of the command-line cases sees what is wrong."""

import argparse
import pathlib
import tempfile
import unittest

import run_cases


class RunnerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.base = pathlib.Path(self.folder.name)
        self.path = self.base / "case.txt"

    def outcome(self, text, rebase=False):
        self.path.write_text(text, encoding="utf-8")
        arguments = argparse.Namespace(
            bin=self.base, root=self.base, rebase=rebase, version="1.2.3"
        )
        return run_cases.run_case(self.path, arguments)[0]

    def test_output_must_be_equal(self):
        case = "==== command\necho a\n==== stdout\n"
        self.assertEqual(self.outcome(case + "a\n"), run_cases.PASSED)
        self.assertEqual(self.outcome(case + "b\n"), run_cases.FAILED)
        self.assertEqual(self.outcome(case), run_cases.FAILED)

    def test_what_is_not_expected_must_not_be_there(self):
        self.assertEqual(self.outcome("==== command\necho a\n"), run_cases.FAILED)
        self.assertEqual(self.outcome("==== command\necho a >&2\n"), run_cases.FAILED)
        self.assertEqual(self.outcome("==== command\nexit 3\n"), run_cases.FAILED)

    def test_exit_code_and_files(self):
        case = "==== command\ntouch b a; exit 3\n==== exit 3\n==== files\n"
        self.assertEqual(self.outcome(case + "a\nb\n"), run_cases.PASSED)
        self.assertEqual(self.outcome(case + "a\n"), run_cases.FAILED)

    def test_a_missing_line_end_is_seen(self):
        case = "==== command\nprintf a\n==== stdout\n"
        self.assertEqual(self.outcome(case + "a\n"), run_cases.FAILED)
        self.assertEqual(self.outcome(case + "a\n{NO LINE END}\n"), run_cases.PASSED)

    def test_wildcards(self):
        self.assertTrue(run_cases.matches("a\n...\nd\n", "a\nb\nc\nd\n"))
        self.assertTrue(run_cases.matches("a\n...\nd\n", "a\nd\n"))
        self.assertTrue(run_cases.matches("a ... d\n", "a b c d\n"))
        self.assertFalse(run_cases.matches("a ... d\n", "a b\nc d\n"))
        self.assertFalse(run_cases.matches("a.c\n", "abc\n"))

    def test_requirements_skip(self):
        run_cases.REQUIREMENTS["nothing"] = (lambda: False, "never there")
        self.addCleanup(run_cases.REQUIREMENTS.pop, "nothing")
        case = "==== requires nothing\n==== command\nfalse\n"
        self.assertEqual(self.outcome(case), run_cases.SKIPPED)

    def test_rebase_writes_what_was_got(self):
        self.outcome("# Why.\n==== command\necho {TMP}; exit 2\n", rebase=True)
        wanted = "# Why.\n==== command\necho {TMP}; exit 2\n==== exit 2\n==== stdout\n{TMP}\n"
        self.assertEqual(self.path.read_text(encoding="utf-8"), wanted)

    def test_bad_sections_are_errors(self):
        for text in ("==== stdout\n", "==== command\n==== comand\n"):
            with self.assertRaises(run_cases.CaseError):
                self.outcome(text)


if __name__ == "__main__":
    unittest.main()
