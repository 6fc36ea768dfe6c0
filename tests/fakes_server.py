"""A small real server of the completions protocol on loopback, with the habits and faults that servers have."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from fakes_engine import Script
from lamlam.vocab import Vocabulary

STANDARD = {"model", "prompt", "max_tokens", "temperature", "top_p", "seed", "stop", "stream", "logit_bias"}


@dataclass
class Habits:
    """What a server understands and tells; `faults` are played one a request: a status, or what `_fail` knows."""

    takes_ids: bool = True
    refuses_unknown: bool = False
    knows_more: bool = True  # fields beyond OpenAI's
    shows_control: bool = True
    keeps_stop: bool = True  # shows the stop string
    heeds_bias: bool = True
    streams: bool = True
    tells_reason: bool = True
    delay: float = 0.0  # before each token of a stream
    context: int = 160
    faults: list[Any] = field(default_factory=list)
    key: str | None = None


class _Bias(LogitsProcessor):
    def __init__(self, bias: dict[str, float]) -> None:
        self._bias = {int(token): weight for token, weight in bias.items()}

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for token, weight in self._bias.items():
            if token < scores.shape[1]:
                scores[:, token] += weight
        return scores


class _Stop(StoppingCriteria):
    def __init__(self, server: "CompletionServer", start: int, strings: list[str], ids: list[int]) -> None:
        self._server, self._start, self._strings, self._ids = server, start, strings, ids

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        written = input_ids[0, self._start :].tolist()
        text = self._server.text_of(written, shown=True)
        return torch.tensor([written[-1] in self._ids or any(text.endswith(string) for string in self._strings)])


Writer = Callable[["CompletionServer", list[int], dict[str, Any], dict[str, float], list[int]], list[int]]


class CompletionServer(ThreadingHTTPServer):
    """Serves one model; `bodies` are the requests that were answered, `hung_up` counts clients that went away."""

    daemon_threads = True

    def __init__(self, write: Writer, vocabulary: Vocabulary, habits: Habits) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.write, self.vocabulary, self.habits = write, vocabulary, habits
        self.bodies: list[dict[str, Any]] = []
        self.requests = self.hung_up = self.most_at_once = self._at_once = 0
        self.lock = threading.Lock()
        self._bytes = vocabulary.token_bytes()
        special = sorted(vocabulary.control_ids | set(vocabulary.tokenizer.all_special_ids))
        self._special = dict(zip(special, vocabulary.tokenizer.convert_ids_to_tokens(special), strict=True))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ids_of(self, prompt: str) -> list[int]:
        """Like other servers: the strings of special tokens become these tokens."""
        return list(self.vocabulary.tokenizer(prompt, add_special_tokens=False)["input_ids"])

    def text_of(self, ids: list[int], *, shown: bool) -> str:
        names = {token: name.encode() for token, name in self._special.items()} if shown else {}
        return b"".join(names.get(token) or self._bytes.get(token, b"") for token in ids).decode(errors="replace")

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        """Ids, finish reason and stop reason."""
        prompt = body["prompt"] if isinstance(body["prompt"], list) else self.ids_of(body["prompt"])
        bias = body.get("logit_bias", {}) if self.habits.heeds_bias else {}
        stop_ids = body.get("stop_token_ids", []) if self.habits.knows_more else []
        with self.lock:
            ids = self.write(self, prompt, body, bias, stop_ids)
        if ids[-1] == self.vocabulary.eos_id:
            return {"ids": ids, "finish": "stop", "reason": None}
        shown = self.text_of(ids, shown=True)
        string = next((string for string in body.get("stop", []) if shown.endswith(string)), None)
        reason = ids[-1] if ids[-1] in stop_ids else string
        return {"ids": ids, "finish": "length" if reason is None else "stop", "reason": reason}


def by_model(model: PreTrainedModel) -> Writer:
    """Let a causal model write, by the library's `generate`."""

    def write(
        server: CompletionServer, prompt: list[int], body: dict[str, Any], bias: dict[str, float], stop_ids: list[int]
    ) -> list[int]:
        sampling: dict[str, Any] = {"do_sample": False}
        if body.get("temperature", 1.0) > 0:
            sampling = {"do_sample": True, "temperature": body["temperature"], "top_k": body.get("top_k", 0)}
            sampling["top_p"] = body.get("top_p", 1.0)
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(body.get("seed", 0))
            out = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=body["max_tokens"],
                eos_token_id=server.vocabulary.eos_id,
                pad_token_id=server.vocabulary.pad_id,
                logits_processor=LogitsProcessorList([_Bias(bias)]),
                stopping_criteria=StoppingCriteriaList([_Stop(server, len(prompt), body.get("stop", []), stop_ids)]),
                **sampling,
            )
        return list(out[0, len(prompt) :].tolist())

    return write


def by_script(script: Script) -> Writer:
    """Let a script write: all ids -> next ids, best first."""

    def write(
        server: CompletionServer, prompt: list[int], body: dict[str, Any], bias: dict[str, float], stop_ids: list[int]
    ) -> list[int]:
        ids: list[int] = []
        while len(ids) < body["max_tokens"]:
            wanted = dict.fromkeys([*script([*prompt, *ids]), server.vocabulary.eos_id])
            scores = {token: -rank for rank, token in enumerate(wanted)}
            for token, weight in bias.items():
                scores[int(token)] = scores.get(int(token), -1000) + weight * 1000
            ids.append(max(scores, key=lambda token: scores[token]))
            text = server.text_of(ids, shown=True)
            if ids[-1] in (server.vocabulary.eos_id, *stop_ids) or text.endswith(tuple(body["stop"])):
                break
        return ids

    return write


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: CompletionServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            return self._answer(404, {"detail": "Not Found"})
        self._answer(200, {"data": [{"id": "small", "max_model_len": self.server.habits.context}]})

    def do_POST(self) -> None:
        server, habits = self.server, self.server.habits
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server.requests += 1
        if habits.key is not None and self.headers.get("authorization") != f"Bearer {habits.key}":
            said = f"wrong key {self.headers.get('authorization')}"
            return self._answer(401, {"error": {"message": said}})
        fault = habits.faults.pop(0) if habits.faults else None
        if isinstance(fault, int):
            return self._answer(fault, {"error": {"message": "so it\nis"}}, {"retry-after": "0"})
        if fault == "slow":
            time.sleep(0.6)
        if fault == "hang up":
            self.close_connection = True
            return None
        if fault == "no JSON":
            return self._answer(200, ["what?"])
        problem = self._problem(body)
        if problem:
            return self._answer(400, {"error": {"message": problem}})
        server.bodies.append(body)
        with server.lock:
            server._at_once += 1
            server.most_at_once = max(server.most_at_once, server._at_once)
        try:
            self._complete(body, fault)
        except (BrokenPipeError, ConnectionResetError):
            server.hung_up += 1
            self.close_connection = True
        finally:
            with server.lock:
                server._at_once -= 1

    def _problem(self, body: dict[str, Any]) -> str | None:
        habits = self.server.habits
        if not habits.takes_ids and not isinstance(body["prompt"], str):
            return "prompt: Input should be a valid string"
        if habits.refuses_unknown and (unknown := body.keys() - STANDARD):
            return f"Extra inputs are not permitted: {sorted(unknown)}"
        if isinstance(body["prompt"], list) and len(body["prompt"]) + body["max_tokens"] > habits.context:
            return f"maximum context length is {habits.context} tokens"
        return None

    def _complete(self, body: dict[str, Any], fault: Any) -> None:
        habits, done = self.server.habits, self.server.complete(body)
        pieces = [[token] for token in done["ids"]] if body.get("stream") and habits.streams else [done["ids"]]
        choices = [self._choice(piece, body) for piece in pieces]
        choices[-1] |= {"finish_reason": done["finish"]}
        if habits.tells_reason and habits.knows_more:
            choices[-1] |= {"stop_reason": done["reason"]}
        if done["finish"] == "stop" and not habits.keeps_stop:
            for stop in body["stop"]:
                choices[-1]["text"] = choices[-1]["text"].removesuffix(stop)
        if not (body.get("stream") and habits.streams):
            return self._answer(200, {"choices": choices})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("connection", "close")
        self.end_headers()
        for number, choice in enumerate(choices):
            if fault == ("break", number):
                break
            time.sleep(habits.delay)
            self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
            self.wfile.flush()
        else:
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _choice(self, ids: list[int], body: dict[str, Any]) -> dict[str, Any]:
        habits = self.server.habits
        shown = habits.shows_control or (habits.knows_more and not body.get("skip_special_tokens", True))
        eos = self.server.vocabulary.eos_id
        text = self.server.text_of([token for token in ids if token != eos], shown=shown)
        choice: dict[str, Any] = {"index": 0, "text": text, "finish_reason": None}
        if habits.knows_more and body.get("return_token_ids"):
            choice["token_ids"] = ids
        return choice

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        headers = {"content-type": "application/json", "content-length": str(len(data))} | (headers or {})
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(write: Writer, vocabulary: Vocabulary, **habits: Any) -> Iterator[CompletionServer]:
    server = CompletionServer(write, vocabulary, Habits(**habits))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
