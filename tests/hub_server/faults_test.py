#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of servers and networks, one by one: each ends with the right file or with a clear error; support.FetchCase checks
after each that nothing wrong, nothing half and nothing outside of the cache was left."""

import os
import unittest

import support
from hub_server import Fault

WEIGHTS = "model.safetensors"
MIB = 1 << 20
SIZE = 9 * MIB + 12345  # three blocks of a part file
BIG = 70 * MIB  # more than one range


class FaultCase(support.FetchCase):
    def setUp(self):
        super().setUp()
        self.add_repo("acme/nine", {"config.json": b"{}", WEIGHTS: support.safetensors(SIZE)})

    def get(self, *faults, repo="acme/nine", env=None, arguments=()):
        """Fetches with these faults: the result must be right all the same. Returns what was said."""
        self.hub.faults = list(faults)
        done = self.fetch(repo, "--all", *arguments, env=env)
        self.check_same(self.snapshot(repo), repo)
        self.assertEqual(self.parts(repo), [])
        for fault in faults:
            if fault.times >= 0:
                self.assertEqual(fault.times, 0, f"{fault.kind} was never met")
        return done.err

    def refuse(self, *faults, code=3, env=None, arguments=("--attempts", "2")):
        """Fetches with these faults: it must fail, and with the same hub in order again succeed."""
        self.hub.faults = list(faults)
        done = self.fetch("acme/nine", "--all", *arguments, env=env, code=code)
        self.assertFalse((self.snapshot("acme/nine") / WEIGHTS).exists())
        self.assertEqual(list((self.repo_folder("acme/nine") / "refs").glob("*")), [])
        self.hub.faults = []
        self.fetch("acme/nine", "--all", env=env)
        self.check_same(self.snapshot("acme/nine"), "acme/nine")
        return done.err


class Survived(FaultCase):
    def test_cut_at_many_bytes(self):
        cuts = (0, 1, 4 * MIB - 1, 4 * MIB, 1)
        self.get(*(Fault("cut", WEIGHTS, value=cut) for cut in cuts))
        # What had come was not fetched again: the ranges go on where the cuts were.
        ranges = [r.headers.get("Range") for r in self.hub.requests if r.server == "cdn"]
        starts = [int(text.removeprefix("bytes=").split("-")[0]) for text in ranges if text]
        self.assertEqual(starts[-1], sum(cuts))

    def test_cut_while_small(self):
        self.get(Fault("cut", "config.json", value=1))

    def test_closed_without_an_answer(self):
        self.get(Fault("close", "*", "api"), Fault("close", "*", "resolve"), Fault("close", "*", "content"))

    def test_stall(self):
        err = self.get(Fault("stall", WEIGHTS, value=MIB), env={"HF_HUB_DOWNLOAD_TIMEOUT": "1"})
        self.assertIn("trying again", err)

    def test_slow_first_byte(self):
        self.get(Fault("slow_first_byte", WEIGHTS, value=1.2))
        self.get(Fault("slow_first_byte", WEIGHTS, value=2.5), repo="acme/tiny", env={"HF_HUB_DOWNLOAD_TIMEOUT": "1"})

    def test_500s(self):
        """Each of several files meets another one, and the listing a third."""
        statuses = (500, 502, 503, 504, 408)
        self.add_repo("acme/many", {f"{status}.json": b"x" * status for status in statuses})
        faults = [Fault("status", f"*{status}.json", "resolve", value=status) for status in statuses]
        self.get(*faults, Fault("status", "*/tree/*", "api", value=503), repo="acme/many")

    def test_429_with_and_without_retry_after(self):
        err = self.get(Fault("status", value=(429, {"Retry-After": "1"})), Fault("status", where="api", value=429))
        self.assertRegex(err, r"too many requests \(HTTP 429\); trying again in 1\.0 s")

    def test_416(self):
        self.get(Fault("status", WEIGHTS, value=416))

    def test_expired_address(self):
        """The content network refuses an old signature: the hub is asked for a new one."""
        self.get(Fault("cut", WEIGHTS, value=MIB), Fault("status", WEIGHTS, value=403))
        self.assertEqual(self.hub.count("hub", part="/resolve/"), 3)

    def test_no_ranges(self):
        self.add_repo("acme/big", {WEIGHTS: support.safetensors(BIG)})
        self.get(Fault("no_ranges", WEIGHTS, times=-1), repo="acme/big")
        self.get(Fault("cut", WEIGHTS, value=MIB), Fault("no_ranges", WEIGHTS, times=2))

    def test_gzip(self):
        self.get(Fault("gzip", "config.json"), Fault("gzip", WEIGHTS))

    def test_chunked_without_length(self):
        self.get(Fault("chunked", "config.json"), Fault("chunked", WEIGHTS))

    def test_short_answers(self):
        self.get(Fault("short_chunked", WEIGHTS, value=MIB), Fault("short", WEIGHTS, value=MIB))

    def test_wrong_bytes_once(self):
        err = self.get(Fault("wrong_hash", WEIGHTS))
        self.assertIn("getting it once more", err)
        self.get(Fault("wrong_hash", "config.json"), repo="acme/tiny")

    def test_several_ranges_with_cuts(self):
        self.add_repo("acme/big", {WEIGHTS: support.safetensors(BIG)})
        self.get(*(Fault("cut", WEIGHTS, value=cut * 3 * MIB + 5) for cut in range(1, 6)), repo="acme/big")
        ranges = {r.headers.get("Range") for r in self.hub.requests if r.server == "cdn"}
        self.assertIn(f"bytes={64 * MIB}-{BIG - 1}", ranges)

    def test_huge_tree(self):
        """20 000 files, 20 pages; three of them are wanted."""
        self.hub.extra_entries["acme/nine"] = [
            {"type": "file", "oid": "1" * 40, "size": i, "path": f"checkpoints/{i}/state.json"} for i in range(20000)
        ]
        self.fetch("acme/nine", "--include", "*" + WEIGHTS, "--include", "config.json")
        self.check_same(self.snapshot("acme/nine"), "acme/nine")


class Refused(FaultCase):
    def test_bad_bytes_always(self):
        err = self.refuse(Fault("wrong_hash", WEIGHTS, times=-1))
        self.assertIn(f"'{WEIGHTS}': expected the content with hash", err)
        err = self.refuse_small(Fault("wrong_hash", "config.json", times=-1))
        self.assertIn("'config.json': expected the content with hash", err)

    def refuse_small(self, fault):
        self.hub.faults = [fault]
        return self.fetch("acme/tiny", "--attempts", "2", code=3).err

    def test_bad_length(self):
        for extra in (10, -10):
            with self.subTest(extra):
                self.refuse_announced(Fault("wrong_length", WEIGHTS, value=extra), SIZE + extra)

    def refuse_announced(self, fault, announced):
        self.repo_is_fresh()
        err = self.refuse(fault)
        self.assertIn(f"'{WEIGHTS}': expected {SIZE} bytes, the server announces {announced}", err)

    def repo_is_fresh(self):
        support.shutil.rmtree(self.home / "hf", ignore_errors=True)

    def test_bad_size_in_the_listing(self):
        for lie in (SIZE - 5, SIZE + 5, 0):
            with self.subTest(lie):
                self.repo_is_fresh()
                self.hub.change_entry = lambda entry: self.lie_about_size(entry, lie)
                done = self.fetch("acme/nine", "--all", code=3)
                self.assertRegex(done.err, f"expected {lie} bytes, the hub announces {SIZE}|expected the content with hash")
                self.assertFalse((self.snapshot("acme/nine") / WEIGHTS).exists())
        self.hub.change_entry = None

    @staticmethod
    def lie_about_size(entry, size):
        if entry["path"] == WEIGHTS:
            return {**entry, "size": size, "lfs": {**entry["lfs"], "size": size}}
        return entry

    def test_bad_hash_in_the_listing(self):
        wrong = "b" * 64
        self.hub.change_entry = lambda entry: (
            {**entry, "lfs": {**entry["lfs"], "oid": wrong}} if "lfs" in entry else entry
        )
        done = self.fetch("acme/nine", "--all", code=3)
        self.assertIn(f"expected the content with hash {wrong}, the hub announces", done.err)

    def test_bad_ranges(self):
        err = self.refuse(Fault("cut", WEIGHTS, value=MIB), Fault("wrong_range", WEIGHTS))
        self.assertIn("expected the range from byte", err)
        self.repo_is_fresh()
        err = self.refuse(Fault("cut", WEIGHTS, value=MIB), Fault("lying_total", WEIGHTS))
        self.assertIn(f"expected {SIZE} bytes, the server has {SIZE + 7}", err)

    def test_bad_endless_body(self):
        err = self.refuse(Fault("endless", WEIGHTS))
        self.assertIn("the server sends more", err)

    def test_bad_gzip_bomb(self):
        err = self.refuse(Fault("gzip_bomb", WEIGHTS))
        self.assertIn("the server sends more", err)

    def test_bad_sign_in_page_for_a_file(self):
        err = self.refuse(Fault("html", WEIGHTS))
        self.assertIn(f"expected {SIZE} bytes, the server announces", err)

    def test_bad_redirects(self):
        err = self.refuse(Fault("redirect_loop", "*" + WEIGHTS, "resolve", -1))
        self.assertIn(f"more than 10 redirects for '{WEIGHTS}'", err)
        self.repo_is_fresh()
        err = self.refuse(Fault("redirect_loop", "*", "api", -1))
        self.assertIn("more than 10 redirects", err)
        self.repo_is_fresh()
        for target in ("file:///etc/passwd", "ftp://localhost/x"):
            err = self.refuse(Fault("redirect_to", "*" + WEIGHTS, "resolve", 1, target))
            self.assertIn("expected http or https", err)
            self.repo_is_fresh()

    def test_bad_for_too_long(self):
        """What keeps failing is given up, and what had come is kept."""
        self.hub.faults = [Fault("cut", WEIGHTS, value=5 * MIB), Fault("cut", WEIGHTS, times=-1, value=0)]
        done = self.fetch("acme/nine", "--all", "--attempts", "2", code=3)
        self.assertIn("error: the transfer failed: ", done.err)
        self.assertIn("run this again, and it goes on from there", done.err)
        self.assertEqual(len(self.parts("acme/nine")), 1)
        self.hub.requests.clear()
        self.get()
        ranges = [r.headers.get("Range") for r in self.hub.requests if r.server == "cdn"]
        self.assertEqual(ranges, [f"bytes={4 * MIB}-{SIZE - 1}"])

    def test_bad_wait_of_a_day(self):
        err = self.refuse(Fault("status", WEIGHTS, value=(429, {"Retry-After": "86400"})), arguments=())
        self.assertIn("it asks to come back after 86400 s", err)

    def test_bad_commit_of_a_file(self):
        headers = {"X-Repo-Commit": "c" * 40}
        err = self.refuse(Fault("status", "*" + WEIGHTS, "resolve", 1, (302, {**headers, "Location": "/x"})))
        self.assertIn("the hub sends that of " + "c" * 40, err)

    def test_bad_listings(self):
        cases = {
            "[1]": "expected an object for each file",
            "{}": "expected a list of files",
            "[": "not valid JSON",
            '[{"type":"file","path":"a","oid":"x","size":1}]': "expected git's SHA-1 for 'a'",
            '[{"type":"file","path":"a","oid":"%s","size":-1}]' % ("1" * 40): "expected the size of 'a'",
            '[{"type":"file","path":"a","oid":"%s","size":18446744073709551615}]' % ("1" * 40): "expected the size of 'a'",
            '[{"type":"file","path":"a","oid":"%s","size":1e3}]' % ("1" * 40): "expected the size of 'a'",
            '[{"type":"file","path":"a","oid":"../../x","size":1}]': "expected git's SHA-1 for 'a', got '../../x'",
            '[{"type":"file","path":"a","oid":"%s","size":1,"lfs":{"oid":"../x","size":1}}]' % ("1" * 40): "expected a SHA-256 for 'a'",
            '[{"type":"file","path":"a","path":"b"}]': "appears twice",
            "[" * 100_000: "nested deeper than 100",
        }
        original = support.hub_server.Handler.send_json
        for text, message in cases.items():
            with self.subTest(text):
                def send(handler, value, headers=None, text=text):
                    if isinstance(value, list):
                        handler.send_head(200, {}, text.encode())
                    else:
                        original(handler, value, headers)
                support.hub_server.Handler.send_json = send
                try:
                    done = self.fetch("acme/nine", code=1)
                finally:
                    support.hub_server.Handler.send_json = original
                self.assertIn(message, done.err)

    def test_bad_pickle_under_another_name(self):
        self.add_repo("acme/nine", {WEIGHTS: b"\x80\x04\x95" + bytes(300)})
        self.hub._files.clear()
        self.assertIn(WEIGHTS, self.fetch("acme/nine", code=1).err)

    def test_bad_endless_listing(self):
        original = support.hub_server.Handler.send_json
        def send(handler, value, headers=None):
            if not isinstance(value, list):
                return original(handler, value, headers)
            return handler.send_chunked(200, {}, b"[", is_endless=True)
        support.hub_server.Handler.send_json = send
        try:
            self.assertIn("expected an answer of at most 67108864 bytes", self.fetch("acme/nine", code=3).err)
        finally:
            support.hub_server.Handler.send_json = original

    def test_bad_pages(self):
        circle = f"{self.hub.endpoint}/api/models/acme/nine/tree/{self.hub.commit('acme/nine', 'main')}"
        original = support.hub_server.Handler.send_json
        def send(handler, value, headers=None):
            original(handler, value, {"Link": f'<{circle}?recursive=true&expand=false>; rel="next"'})
        support.hub_server.Handler.send_json = send
        try:
            self.assertIn("lead in a circle", self.fetch("acme/nine", code=1).err)
        finally:
            support.hub_server.Handler.send_json = original


class FileNames(FaultCase):
    """Names that would leave the cache, by the rules of POSIX or Windows, end everything before the first file."""

    def refuse_name(self, name, *arguments):
        entry = {"type": "file", "oid": support.hub_server.git_sha1(b"evil"), "size": 4, "path": name}
        self.hub.extra_entries["acme/nine"] = [entry]
        self.hub.requests.clear()
        done = self.fetch("acme/nine", *arguments, code=1)
        self.assertEqual(self.hub.count(part="/resolve/"), 0)
        return done.err

    def test_bad_names(self):
        names = ["../../x", "..", "a/../../b", "/etc/passwd", "//host/share", "C:x", "C:/x", "a/C:/x", "\\\\host\\x", "a\\..\\b",
                 "a//b", "a/", "./a", "a/./b", "", "nul\0l", "line\nfeed", "\x1b[2J", "\x7f", "\u009b2J", ".git/hooks/pre-commit", "x/.GIT/config",
                 "y" * 256, "z/" * 600 + "z"]  # fmt: skip
        for name in names:
            with self.subTest(name):
                err = self.refuse_name(name, "--all")
                self.assertIn("expected a file name, got '", err)
                self.assertNotRegex(err, "[\x00-\x09\x0b-\x1f\x7f]")
        self.assertIn("expected a file name", self.refuse_name("../../x", "--local-dir", "local"))

    def test_bad_pairs_of_names(self):
        self.assertIn("both a file and a folder", self.refuse_name("config.json/x"))
        self.assertIn("listed twice", self.refuse_name("config.json"))

    def test_odd_but_harmless_names(self):
        files = {"a b.json": b"1", "ä/ö.json": b"2", "%41#?&=+.json": b"3", "..x": b"4", "-rf": b"5", "a..b": b"6", "'\"$`": b"7"}
        self.add_repo("acme/odd", files)
        self.fetch("acme/odd", "--all")
        self.check_same(self.snapshot("acme/odd"), "acme/odd")

    def test_bad_links_in_the_way(self):
        outside = self.work / "outside"
        outside.mkdir()
        self.add_repo("acme/deep", {"sub/config.json": b"{}"})
        for name, target in (("snapshots", outside), ("blobs", outside), ("trees", outside), ("refs", outside)):
            with self.subTest(name):
                support.shutil.rmtree(self.home / "hf", ignore_errors=True)
                folder = self.repo_folder("acme/deep")
                folder.mkdir(parents=True)
                (folder / name).symlink_to(target)
                done = self.fetch("acme/deep", "--all", code=3)
                self.assertIn("expected a folder, got a link or a file", done.err)
                self.assertEqual(os.listdir(outside), [])
        support.shutil.rmtree(self.home / "hf")
        self.snapshot("acme/deep").mkdir(parents=True)
        (self.snapshot("acme/deep") / "sub").symlink_to(outside)
        self.fetch("acme/deep", "--all", code=3)
        self.fetch("acme/deep", "--all", "--local-dir", "here", env={"HF_HOME": str(self.home / "hf/other")})
        (self.work / "there").mkdir()
        (self.work / "there/sub").symlink_to(outside)
        self.fetch("acme/deep", "--all", "--local-dir", "there", code=3)
        self.assertEqual(os.listdir(outside), [])
        (self.snapshot("acme/deep") / "sub").unlink()

    def test_a_file_that_is_a_link_is_replaced_not_followed(self):
        victim = self.work / "victim"
        victim.write_text("mine")
        self.snapshot("acme/nine").mkdir(parents=True)
        (self.snapshot("acme/nine") / "config.json").symlink_to(victim)
        self.fetch("acme/nine", "--all")
        self.check_same(self.snapshot("acme/nine"), "acme/nine")
        (self.work / "local").mkdir()
        (self.work / "local/config.json").symlink_to(victim)
        self.fetch("acme/nine", "--all", "--local-dir", "local")
        self.check_same(self.work / "local", "acme/nine")
        self.assertEqual(victim.read_text(), "mine")


if __name__ == "__main__":
    unittest.main()
