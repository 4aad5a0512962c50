"""A server shaped like the Hub, on this machine: as many of its routes as fetching a model or a data set takes.

What a repository is called says how it is served: `missing`, `private`, `gated`, `unrevised`, `broken` (500) and `hanging`
refuse; any other name has files, if it was given any.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REFUSALS = {
    "missing": (404, "RepoNotFound"),
    "private": (401, "RepoNotFound"),
    "gated": (403, "GatedRepo"),
    "broken": (500, ""),
    "unrevised": (404, "RevisionNotFound"),
}
HANGING_SECONDS = 20.0


class HubServer(ThreadingHTTPServer):
    """files: "models/owner/name" or "datasets/owner/name" -> file name -> its bytes; asked: every path, in order."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, files: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), Routes)
        self.files = files
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Routes(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if parts == [""]:
            self.answer(200, b"the Hub")
        elif parts[0] == "api" and len(parts) >= 4:
            self.repository("/".join(parts[1:4]), parts[4:])
        elif "resolve" in parts:
            start = parts.index("resolve")
            kind = [] if parts[0] == "datasets" else ["models"]
            self.repository("/".join([*kind, *parts[:start]]), parts[start:])
        else:
            self.answer(404, b"{}")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length).decode()
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"POST {path}")
        parts = path.strip("/").split("/")
        files = self.server.files.get("/".join(parts[1:4]), {})
        wanted = json.loads(body)["paths"] if body.startswith("{") else []
        self.answer_json([entry(name, files[name]) for name in wanted if name in files])

    def repository(self, name: str, rest: list[str]) -> None:
        """What lies below a repository: its facts, its tree, or a file."""
        refusal = name.rsplit("/", 1)[1]
        if refusal == "hanging":
            time.sleep(HANGING_SECONDS)
        if refusal in REFUSALS:
            status, code = REFUSALS[refusal]
            return self.answer(status, b"{}", {"X-Error-Code": code} if code else {})
        files = self.server.files.get(name)
        if files is None:
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if rest[:1] == ["resolve"]:
            return self.file(files, "/".join(rest[2:]))
        if rest[:1] == ["tree"]:
            return self.answer_json(tree(files, "/".join(rest[2:]), "recursive=true" in self.path.lower()))
        siblings = [{"rfilename": path, "size": len(data)} for path, data in files.items()]
        owner_and_name = name.split("/", 1)[1]
        facts = {
            "id": owner_and_name,
            "sha": COMMIT,
            "siblings": siblings,
            "private": False,
            "gated": False,
            "tags": [],
        }
        return self.answer_json(facts)

    def file(self, files: dict[str, bytes], path: str) -> None:
        if path not in files:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        etag = hashlib.sha256(files[path]).hexdigest()
        return self.answer(200, files[path], {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"})

    def answer_json(self, value: object) -> None:
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in ((headers or {}) | {"Content-Length": str(len(body))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests read `asked`; nothing is printed."""


def entry(path: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}


def tree(files: dict[str, bytes], below: str, recursive: bool) -> list[dict[str, object]]:
    """The entries below a folder; not recursive: files and folders that lie in it directly."""
    prefix = f"{below}/" if below else ""
    inside = {path: data for path, data in files.items() if path.startswith(prefix)}
    if recursive:
        return [entry(path, data) for path, data in inside.items()]
    folders = {prefix + path.removeprefix(prefix).split("/")[0] for path in inside if "/" in path.removeprefix(prefix)}
    direct = [entry(path, data) for path, data in inside.items() if "/" not in path.removeprefix(prefix)]
    return direct + [{"type": "directory", "path": folder, "size": 0, "oid": "0" * 40} for folder in sorted(folders)]


@contextmanager
def serving(files: dict[str, dict[str, bytes]]) -> Iterator[HubServer]:
    """The server, answering until the block ends."""
    server = HubServer(files)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
