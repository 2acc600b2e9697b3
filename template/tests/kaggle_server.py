"""A local server that answers what Kaggle's own client asks, for tests with the real client and without the network."""

import base64
import json
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote

from kaggle_cloud import Cloud, CloudCalls

USER, KEY = "somebody", "f00dfeedf00dfeedf00dfeedf00dfeed"
SIGNED = "GoogleAccessId=somebody&Signature=s1gn4tur3ofth3archiv3"
RULES = "You must accept this competition's rules before you'll be able to download files."
USED_UP = (
    "Your team has used its daily Submission allowance (5) today, please try again tomorrow UTC (7 hours from now)."
)
SLUG = "digits"


@dataclass
class State:
    """What the server will answer, and what it was asked."""

    archive: bytes = b""
    length: int | None = None  # that it promises; None: the archive's own
    stops_at: int | None = None  # where the first download stops
    stalls: bool = False  # and whether it then keeps the line open
    joined: bool = True
    left: int = 5
    limit_is_told: bool = True  # before a submission; else only as its refusal
    faults: dict[str, list[int]] = field(default_factory=dict)  # call → what it answers at first
    loses_answers: int = 0  # submissions that are taken, and answered by 502
    says: str = ""  # as the sentence of a refusal of anything
    quiet: bool = False  # takes submissions, and names no number
    looks: int = 2  # at a submission until it has its score
    fails: bool = False  # as the score of a submission
    submissions: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[bytes] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    cloud: Cloud | None = None  # datasets and notebooks
    signed: str = SIGNED
    ranges: list[str] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    """Listens on a free port of this machine; `state` may change at any time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = State()
        self.address = f"http://127.0.0.1:{self.server_port}"
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client may hang up; what goes wrong here is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(CloudCalls, BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        state = self.server.state
        name = self.path.rpartition("/")[2]
        body = json.loads(self._body() or b"{}")
        state.asked.append((name, body))
        login = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {login}":
            self._json({"code": 401, "message": f"Unauthenticated: {self.headers.get('Authorization')}"}, 401)
        elif state.faults.get(name):
            self._send(state.faults[name].pop(0), b"<html>an error page</html>", "text/html")
        elif body.get("competitionName") not in {SLUG, None}:
            self._json({"code": 404, "message": "Competition not found"}, 404)
        elif state.says:
            self._json({"code": 400, "message": state.says}, 400)
        elif not state.joined:
            self._json({"code": 403, "message": RULES}, 403)
        else:
            getattr(self, name)(state, body)

    def DownloadDataFiles(self, state: State, _body: dict[str, Any]) -> None:
        self._send(302, b"", "text/plain", Location=f"{self.server.address}/files/{SLUG}/archive.zip?{SIGNED}")

    def StartSubmissionUpload(self, state: State, _body: dict[str, Any]) -> None:
        self._json({"token": "bl0bt0k3n", "createUrl": f"{self.server.address}/upload/1?{SIGNED}"})

    def CreateSubmission(self, state: State, body: dict[str, Any]) -> None:
        self._take(state, body.get("submissionDescription", ""), "submission.csv")

    def CreateCodeSubmission(self, state: State, body: dict[str, Any]) -> None:
        self._take(state, body.get("submissionDescription", ""), body["fileName"])

    def GetSubmissionLimits(self, state: State, _body: dict[str, Any]) -> None:
        left = state.left if state.limit_is_told else 1
        self._json({"numToday": 5 - state.left, "numTotal": 40, "numAllowedNow": left, "limitedByTotal": False})

    def ListSubmissions(self, state: State, _body: dict[str, Any]) -> None:
        state.looks -= 1
        if state.looks < 0 and state.submissions:
            last = state.submissions[-1]
            last |= {"status": "ERROR"} if state.fails else {"status": "COMPLETE", "publicScore": "0.98765"}
        self._json({"submissions": state.submissions[::-1]})

    def do_PUT(self) -> None:
        cloud, data = self.server.state.cloud, self._body()
        token = self.path.partition("?")[0].rpartition("/")[2]
        if cloud is not None and token in cloud.blobs:
            if not self.headers.get("Content-Range", "").startswith("bytes */"):  # else it asks what is here: all
                cloud.blobs[token] = (cloud.blobs[token][0], data)
        else:
            self.server.state.uploads.append(data)
        self._send(200, b"", "text/plain")

    def do_GET(self) -> None:
        state = self.server.state
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        state.ranges += [asked] if asked else []
        path = unquote(self.path.partition("?")[0])
        whole = self.output_file(state, path) if path.startswith("/output/") else state.archive
        rest = whole[start:]
        self.send_response(206 if asked else 200)
        length = len(rest) if state.length is None else state.length
        named = {"Content-Length": length, "Accept-Ranges": "bytes", "ETag": '"one"'}
        named |= {"Content-Type": "application/zip", "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT"}
        for name, value in named.items():
            self.send_header(name, str(value))
        self.end_headers()
        stop, state.stops_at = state.stops_at, None
        self.wfile.write(rest[:stop])
        self.wfile.flush()
        if stop is not None:
            time.sleep(30 * state.stalls)
            self.connection.close()
        self.close_connection = True

    def _take(self, state: State, message: str, file: str) -> None:
        if not state.left:
            self._json({"code": 400, "message": USED_UP}, 400)
            return
        state.left -= 1
        ref = 40 + len(state.submissions)
        date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        state.submissions.append(
            {"ref": ref, "date": date, "description": message, "fileName": file, "status": "PENDING"}
        )
        if state.loses_answers:
            state.loses_answers -= 1
            self._send(502, b"<html>Bad Gateway</html>", "text/html")
        else:
            self._json({"message": "Successfully submitted to Digits", "ref": 0 if state.quiet else ref})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, values: dict[str, Any], status: int = 200) -> None:
        self._send(status, json.dumps(values).encode(), "application/json")

    def _send(self, status: int, data: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""
