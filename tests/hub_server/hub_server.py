#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""A hub in miniature on loopback: serves repositories from a folder as the Hugging Face hub does, and misbehaves on command.

    hub_server.py FOLDER        serves FOLDER/<org>/<name>/<branch>/..., prints HF_ENDPOINT=..., runs until interrupted

Slashes of a branch are written %2F in its folder's name.

Small files come from the hub itself, through a relative redirect; large ones (safetensors, bin, gguf, or 100 kB and more) are
"in LFS": the hub redirects to a second server of another name, which stands for its content network. README.md in this folder
lists the faults.
"""

import dataclasses
import fnmatch
import gzip
import hashlib
import http.server
import json
import os
import pathlib
import re
import ssl
import sys
import threading
import time
import urllib.parse

LFS_SUFFIXES = (".safetensors", ".bin", ".gguf", ".model")
LFS_BYTES = 100_000


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclasses.dataclass
class File:
    path: pathlib.Path
    size: int
    oid: str  # git's SHA-1 of the content, or of the LFS pointer
    sha256: str  # empty: not in LFS
    xet_hash: str = ""

    @property
    def etag(self):
        return self.sha256 or self.oid


@dataclasses.dataclass
class Fault:
    """What goes wrong, and where: `where` is 'api', 'resolve', 'content' (both ways to get bytes) or 'any'."""

    kind: str
    match: str = "*"  # pattern over the file's path, or the request's path
    where: str = "content"
    times: int = 1  # how often; -1: always
    value: object = None


@dataclasses.dataclass
class Request:
    server: str  # 'hub' or 'cdn'
    method: str
    path: str
    headers: dict


class Hub:
    """The two servers, their repositories, their faults, and what they were asked."""

    def __init__(self, folder, page=1000, tls=None):
        self.folder = pathlib.Path(folder)
        self.page = page
        self.faults = []
        self.requests = []
        self.settings = {}  # repository -> {"private": token, "gated": token, "xet": bool}
        self.extra_entries = {}  # repository -> entries that its listing has beyond its files
        self.renames = {}  # old repository -> new one
        self.change_entry = None  # called with each entry of a listing
        self.moves = {}  # repository -> commit that its branches stand for from the second question on
        self.lock = threading.Lock()
        self._files = {}
        self.hub = self._serve("hub", tls)
        self.cdn = self._serve("cdn", tls)
        scheme = "https" if tls else "http"
        self.endpoint = f"{scheme}://127.0.0.1:{self.hub.server_port}"
        self.content_url = f"{scheme}://localhost:{self.cdn.server_port}"

    def _serve(self, name, tls):
        handler = type("Handler", (Handler,), {"hub": self, "server_name": name})
        server = Server(("127.0.0.1", 0), handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return server

    def close(self):
        for server in (self.hub, self.cdn):
            server.shutdown()
            server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- repositories

    def branch_folder(self, repo, revision):
        base = self.folder / repo
        if (base / urllib.parse.quote(revision, safe="")).is_dir():
            return base / urllib.parse.quote(revision, safe="")
        for branch in base.iterdir() if re.fullmatch("[0-9a-f]{40}", revision) else ():
            if self.commit(repo, urllib.parse.unquote(branch.name)) == revision:
                return branch
        return None

    def files(self, repo, revision):
        """Files of a branch or commit by path; None if there is no such thing."""
        folder = self.branch_folder(repo, revision)
        if folder is None:
            return None
        with self.lock:
            if folder not in self._files:
                files = {}
                for path in sorted(folder.rglob("*")):
                    if path.is_file():
                        files[path.relative_to(folder).as_posix()] = self._file(repo, path)
                self._files[folder] = files
            return self._files[folder]

    def _file(self, repo, path):
        size = path.stat().st_size
        if not (path.name.endswith(LFS_SUFFIXES) or size >= LFS_BYTES):
            return File(path, size, git_sha1(path.read_bytes()), "")
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
        sha256 = digest.hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        xet = hashlib.sha256(sha256.encode()).hexdigest() if self.settings.get(repo, {}).get("xet") else ""
        return File(path, size, git_sha1(pointer), sha256, xet)

    def commit(self, repo, branch):
        files = self.files(repo, branch)
        text = "".join(f"{name} {file.etag}\n" for name, file in files.items())
        return hashlib.sha1(f"{repo} {branch}\n{text}".encode()).hexdigest()

    def find_content(self, sha256):
        for files in list(self._files.values()):
            for name, file in files.items():
                if file.sha256 == sha256:
                    return name, file
        return None, None

    # -- faults

    def take_fault(self, kinds, name, where):
        with self.lock:
            for fault in self.faults:
                if fault.kind in kinds and fault.times != 0 and fnmatch.fnmatch(name, fault.match):
                    if fault.where in (where, "any"):
                        fault.times -= fault.times > 0
                        return fault
        return None

    def count(self, server=None, method=None, part=""):
        return sum(
            (server is None or r.server == server) and (method is None or r.method == method) and part in r.path
            for r in self.requests
        )


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        # A client that goes away, killed or content with what it has, is nothing to report.
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


BODY_FAULTS = (
    "cut", "stall", "wrong_length", "wrong_hash", "slow_first_byte", "gzip", "gzip_bomb", "chunked", "short_chunked",
    "endless", "no_ranges", "wrong_range", "lying_total", "short",
)  # fmt: skip
HEAD_FAULTS = ("status", "redirect_loop", "redirect_to", "html", "close", "late")


class Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    server_name: str
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def log_error(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.hub.requests.append(Request(self.server_name, self.command, self.path, dict(self.headers)))
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        (self.serve_cdn if self.server_name == "cdn" else self.serve_hub)(path)

    # -- routes

    def serve_hub(self, path):
        if self.do_head_fault(path, "api" if path.startswith("/api/models/") else "resolve"):
            return
        api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path)
        cached = re.fullmatch(r"/api/resolve-cache/models/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)", path)
        resolve = re.fullmatch(r"/([^/]+/[^/]+)/resolve/(.+)", path)
        match = api or cached or resolve
        if not match:
            return self.send_error_json(404, "RepoNotFound", "Repository not found")
        repo = match[1]
        if repo in self.hub.renames:
            return self.send_head(307, {"Location": self.path.replace(repo, self.hub.renames[repo], 1)})
        if not (self.hub.folder / repo).is_dir():
            return self.send_error_json(401, "RepoNotFound", "Invalid username or password.")
        if not self.may_see(repo, bool(api)):
            return None
        if api:
            return self.serve_api(repo, api[2], api[3])
        if cached:
            return self.serve_file(repo, cached[2], cached[3], is_final=True)
        # Revisions may have slashes: the longest that exists counts.
        parts = resolve[2].split("/")
        for count in range(len(parts) - 1, 0, -1):
            if self.hub.files(repo, "/".join(parts[:count])) is not None:
                return self.serve_file(repo, "/".join(parts[:count]), "/".join(parts[count:]), is_final=False)
        return self.send_error_json(404, "RevisionNotFound", f"Invalid rev id: {parts[0]}")

    def may_see(self, repo, is_api):
        settings = self.hub.settings.get(repo, {})
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if sent and sent not in ("good-token", "other-token"):
            self.send_error_json(401, "", "Invalid credentials in Authorization header")
            return False
        if settings.get("private") and sent != "good-token":
            self.send_error_json(401 if not sent else 404, "RepoNotFound", "Repository not found")
            return False
        # Anyone may look at the listing of a gated repository.
        if settings.get("gated") and not is_api and sent != "good-token":
            status = 401 if not sent else 403
            self.send_error_json(status, "GatedRepo", f"Access to model {repo} is restricted.")
            return False
        return True

    def serve_api(self, repo, what, revision):
        revision = urllib.parse.unquote(revision or "main")
        files = self.hub.files(repo, revision)
        if files is None:
            return self.send_error_json(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        commit = revision if re.fullmatch("[0-9a-f]{40}", revision) else self.hub.commit(repo, revision)
        if what != "tree":
            if repo in self.hub.moves and commit != revision:
                asked = self.hub.moves[repo]
                asked["count"] = asked.get("count", 0) + 1
                if asked["count"] > 1:
                    commit = asked["to"]
            siblings = [{"rfilename": name} for name in files]
            gated = "auto" if self.hub.settings.get(repo, {}).get("gated") else False
            info = {"_id": "0" * 24, "id": repo, "modelId": repo, "sha": commit, "private": False, "gated": gated,
                    "disabled": False, "downloads": 1, "likes": 0, "tags": [], "siblings": siblings}  # fmt: skip
            return self.send_json(info)
        entries = [self.entry(name, file) for name, file in files.items()]
        folders = {"/".join(name.split("/")[:i]) for name in files for i in range(1, name.count("/") + 1)}
        entries += [{"type": "directory", "oid": "0" * 40, "size": 0, "path": name} for name in sorted(folders)]
        entries += self.hub.extra_entries.get(repo, [])
        if self.hub.change_entry:
            entries = [self.hub.change_entry(entry) for entry in entries]
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        start = int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + self.hub.page < len(entries):
            url = f"{self.hub.endpoint}/api/models/{repo}/tree/{revision}?recursive=true&cursor={start + self.hub.page}"
            headers["Link"] = f'<{url}>; rel="next"'
        return self.send_json(entries[start : start + self.hub.page], headers)

    @staticmethod
    def entry(name, file):
        entry = {"type": "file", "oid": file.oid, "size": file.size, "path": name}
        if file.sha256:
            entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": 130}
        if file.xet_hash:
            entry["xetHash"] = file.xet_hash
        return entry

    def serve_file(self, repo, revision, name, is_final):
        commit = revision if re.fullmatch("[0-9a-f]{40}", revision) else self.hub.commit(repo, revision)
        file = self.hub.files(repo, revision).get(name)
        common = {"X-Repo-Commit": commit}
        if file is None:
            return self.send_error_json(404, "EntryNotFound", "Entry not found", common)
        if file.sha256:
            signature = f"Expires={int(time.time()) + 3600}&Signature=secret"
            headers = {
                **common,
                "ETag": f'"{hashlib.md5(file.sha256.encode()).hexdigest()}"',
                "X-Linked-Etag": f'"{file.etag}"',
                "X-Linked-Size": str(file.size),
                "Location": f"{self.hub.content_url}/cdn/{file.sha256}?{signature}",
            }
            if file.xet_hash:
                headers["X-Xet-Hash"] = file.xet_hash
                headers["Link"] = f'<{self.hub.endpoint}/api/models/{repo}/xet-read-token/{commit}>; rel="xet-auth"'
            return self.send_head(302, headers, b"Found. Redirecting")
        if not is_final:
            quoted = urllib.parse.quote(name)
            headers = {**common, "ETag": f'"{file.etag}"', "X-Linked-Size": str(file.size),
                       "Location": f"/api/resolve-cache/models/{repo}/{commit}/{quoted}"}  # fmt: skip
            return self.send_head(307, headers, b"Temporary Redirect")
        return self.send_content(name, file, {**common, "ETag": f'"{file.etag}"'})

    def serve_cdn(self, path):
        sha256 = path.removeprefix("/cdn/")
        name, file = self.hub.find_content(sha256)
        if self.do_head_fault(name or path, "content"):
            return
        if file is None:
            self.send_error_json(404, "", "no such content")
            return
        self.send_content(name, file, {"ETag": f'"{sha256[:32]}"'})

    # -- answers

    def send_head(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Transfer-Encoding" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, value, headers=None):
        self.send_head(200, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode())

    def send_error_json(self, status, code, message, headers=None):
        headers = {"Content-Type": "application/json", "X-Error-Message": message, **(headers or {})}
        if code:
            headers["X-Error-Code"] = code
        self.send_head(status, headers, json.dumps({"error": message}).encode())

    def do_head_fault(self, name, where):
        fault = self.hub.take_fault(HEAD_FAULTS, name, where)
        if fault is None:
            return False
        if fault.kind == "status":
            status, headers = fault.value if isinstance(fault.value, tuple) else (fault.value, {})
            self.send_head(status, headers, b"<html>trouble</html>")
        elif fault.kind == "redirect_loop":
            self.send_head(302, {"Location": self.path})
        elif fault.kind == "redirect_to":
            self.send_head(302, {"Location": fault.value})
        elif fault.kind == "html":
            self.send_head(200, {"Content-Type": "text/html"}, b"<html>please sign in to this network</html>")
        elif fault.kind == "late":
            time.sleep(fault.value)
            return False
        elif fault.kind == "close":
            self.close_connection = True
        return True

    def send_content(self, name, file, headers):
        fault = self.hub.take_fault(BODY_FAULTS, name, "content") if self.command == "GET" else None
        kind = fault.kind if fault else ""
        start, end, status = 0, file.size, 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and kind != "no_ranges":
            start = int(asked[1])
            end = min(int(asked[2]) + 1 if asked[2] else file.size, file.size)
            if start >= file.size:
                self.send_head(416, {"Content-Range": f"bytes */{file.size}"})
                return
            status = 206
            first = start + 1 if kind == "wrong_range" else start
            total = file.size + 7 if kind == "lying_total" else file.size
            headers = {**headers, "Content-Range": f"bytes {first}-{end - 1}/{total}"}
        if kind in ("", "cut", "stall", "slow_first_byte", "no_ranges", "wrong_range", "lying_total", "wrong_length"):
            self.send_plain(file, headers, status, start, end, fault)
            return
        with file.path.open("rb") as stream:
            stream.seek(start)
            content = stream.read(end - start)
        if kind == "wrong_hash":
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        if kind == "short":  # a complete answer with less than was asked for
            content = content[: fault.value]
            if status == 206:
                headers["Content-Range"] = f"bytes {start}-{start + len(content) - 1}/{file.size}"
        if kind in ("gzip", "gzip_bomb"):
            packed = gzip.compress(content + (bytes(50_000_000) if kind == "gzip_bomb" else b""))
            self.send_head(status, {**headers, "Content-Encoding": "gzip"}, packed)
        elif kind in ("chunked", "short_chunked", "endless"):
            if kind == "short_chunked":
                content = content[: fault.value]
            self.send_chunked(status, headers, content, kind == "endless")
        else:
            self.send_head(status, {"Accept-Ranges": "bytes", **headers}, content)

    def send_chunked(self, status, headers, content, is_endless):
        self.send_head(status, {**headers, "Transfer-Encoding": "chunked"})
        for begin in range(0, len(content), 65536):
            piece = content[begin : begin + 65536]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        while is_endless:
            self.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def send_plain(self, file, headers, status, start, end, fault):
        kind = fault.kind if fault else ""
        if kind == "slow_first_byte":
            time.sleep(fault.value)
        self.send_response(status)
        for name, value in {"Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, value)
        extra = fault.value if kind == "wrong_length" else 0
        self.send_header("Content-Length", str(end - start + extra))
        self.end_headers()
        if self.command == "HEAD":
            return
        if kind in ("cut", "stall"):
            end = min(end, start + fault.value)
        with file.path.open("rb") as stream:
            if isinstance(self.connection, ssl.SSLSocket):
                stream.seek(start)
                self.wfile.write(stream.read(end - start))
            else:
                self.wfile.flush()
                while start < end:
                    start += os.sendfile(self.connection.fileno(), stream.fileno(), start, end - start)
        if kind == "stall":
            # Until the client goes away.
            self.connection.settimeout(60)
            try:
                self.connection.recv(1)
            except OSError:
                pass
        if kind in ("cut", "stall", "wrong_length"):
            self.close_connection = True


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with Hub(sys.argv[1]) as hub:
        print(f"HF_ENDPOINT={hub.endpoint}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
