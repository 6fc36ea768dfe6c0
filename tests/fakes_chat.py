"""A small real server of the chat protocol on loopback, which replays answers and has the faults that servers have."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answers = Callable[[str], Any]
"""From the text that is asked about to the content of the answer, or to a whole message."""


@dataclass
class ChatHabits:
    """`faults` are played one a request: a status, a status with a `retry-after`, or what `_fail` knows."""

    takes_schemas: bool = True
    faults: list[Any] = field(default_factory=list)
    key: str | None = None
    finish: str = "stop"
    together: int = 1  # requests that must be there at once before any is answered


class ChatServer(ThreadingHTTPServer):
    """`bodies` are the requests that were answered, `requests` counts all."""

    daemon_threads = True

    def __init__(self, answers: Answers, habits: ChatHabits) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.habits = answers, habits
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.requests = self.most_at_once = self.at_once = 0
        self.lock = threading.Lock()
        self.gate = threading.Barrier(habits.together)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


def asked(body: dict[str, Any]) -> str:
    """The text that a request is about: what stands between the last two lines of signs."""
    [text] = re.findall(r"^===== \w+ =====\n(.*)\n===== \w+ =====$", body["messages"][-1]["content"], flags=re.DOTALL)
    return str(text)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        server, habits = self.server, self.server.habits
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with server.lock:
            server.requests += 1
            server.times.append(time.monotonic())
            fault = habits.faults.pop(0) if habits.faults else None
        if self.path != "/v1/chat/completions":
            return self._answer(404, {"error": {"message": "no such path"}})
        if habits.key is not None and self.headers.get("authorization") != f"Bearer {habits.key}":
            return self._answer(401, {"error": {"message": f"wrong key {self.headers.get('authorization')}"}})
        if fault is not None and self._fail(fault):
            return None
        if "response_format" in body and not habits.takes_schemas:
            return self._answer(400, {"error": {"message": "response_format: not supported"}})
        with server.lock:
            server.bodies.append(body)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            server.gate.wait(timeout=20)
            said = server.answers(asked(body))
        finally:
            with server.lock:
                server.at_once -= 1
        if isinstance(said, int):
            return self._answer(said, {"error": {"message": "this text is not wanted here"}})
        if not isinstance(said, dict):
            said = {"message": {"content": said}, "finish_reason": habits.finish}
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        data = json.dumps({"choices": [{"index": 0, **said}], "usage": usage}).encode()
        return self._send(200, data, cut=fault == "break off")

    def _fail(self, fault: Any) -> bool:
        """Play a fault; whether the request has got its answer by it."""
        if isinstance(fault, int):
            self._answer(fault, {"error": {"message": "so it\nis"}})
        elif isinstance(fault, tuple):
            status, wait = fault
            self._answer(status, {"error": {"message": "slow down"}}, {"retry-after": wait})
        elif fault == "no JSON":
            self._send(200, b"<html>a page</html>")
        elif fault == "hang up":
            self.close_connection = True
        elif fault == "stall":
            time.sleep(0.6)
            self.close_connection = True
        else:
            return False
        return True

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(body).encode(), headers)

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        self.send_response(status)
        every = {"content-type": "application/json", "content-length": str(len(data))} | (headers or {})
        for name, value in every.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut


@contextmanager
def chatting(answers: Answers, **habits: Any) -> Iterator[ChatServer]:
    server = ChatServer(answers, ChatHabits(**habits))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
