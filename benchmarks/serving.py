"""A server under load: 64 clients beside a writer and clients that misbehave, against one client alone.

The server is a process of its own on loopback, with the checkpoint that comes with the package. Requests are for
whole texts, but for the clients that misbehave: one stops reading its stream, one leaves in the middle, one sends a
byte a second. All the while a writer changes facts of the people asked about, several in one revision, and every answer
is compared with the knowledge base as it stood at the revision that the answer names.
"""

import asyncio
import itertools
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2

from lamlam.errors import LamLamError
from lamlam.kb import KnowledgeBase

__all__ = ["AIMS", "serving"]

AIMS = {"errors": "<= 0", "torn": "<= 0", "times_one_client": ">= 4", "MB_more_in_the_second_half": "<= 20"}

_CLIENTS = 64
_SECONDS = float(os.environ.get("LAMLAM_BENCH_SECONDS", "60"))
_PEOPLE = 40
_TOKENS = 32
_ANSWERS, _ALL_FACTS = 200, "GET /kb/facts?limit=500 HTTP/1.1\r\nHost: {host}\r\n\r\n"  # of some 100 KB each
_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}


@dataclass
class _Load:
    """What clients saw: statuses, seconds of each answer, tokens, and the answers themselves."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    tokens: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)

    def figures(self, lasted: float) -> dict[str, Any]:
        ranked = sorted(self.seconds)
        return {
            "texts_a_second": round(len(ranked) / lasted, 2),
            "tokens_a_second": round(self.tokens / lasted, 1),
            "seconds_median": round(ranked[len(ranked) // 2], 3),
            "seconds_p99": round(ranked[int(len(ranked) * 0.99)], 3),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
        }


def serving(folder: Path) -> dict[str, Any]:
    """Throughput of one client and of 64, errors, memory, and answers that are of no one revision (`torn`)."""
    with _server(folder) as (address, token, process), KnowledgeBase.open(folder / "world" / "kb.sqlite") as kb:
        people = [fact.entity for fact in islice(kb.facts(relation="Birth Place"), _PEOPLE)]
        prompts = [f"{person} was born in" for person in people]
        asyncio.run(_load(address, prompts, 1, 3.0))  # what is slow at first
        alone, took_alone = asyncio.run(_load(address, prompts, 1, _SECONDS / 4))
        crowd, took, memory, revisions = asyncio.run(_crowd(address, prompts, people, token, process.pid))
        torn = sum(_is_torn(kb, choice) for answer in crowd.answers for choice in answer["choices"])
    half = len(memory) // 2
    one, many = alone.figures(took_alone), crowd.figures(took)
    return {
        "one_client": one,
        "clients": many,
        "times_one_client": round(many["texts_a_second"] / one["texts_a_second"], 2),
        "errors": sum(count for status, count in crowd.statuses.items() if status not in (200, 429)),
        "torn": torn,
        "compared": sum(len(answer["choices"]) for answer in crowd.answers),
        "revisions_answered_from": len({c["revision"] for answer in crowd.answers for c in answer["choices"]}),
        "revisions_written": revisions,
        "MB_in_the_middle": round(memory[half], 1),
        "MB_more_in_the_second_half": round(max(memory[half:]) - max(memory[:half]), 1),
    }


@contextmanager
def _server(folder: Path) -> Iterator[tuple[str, str, "subprocess.Popen[str]"]]:
    """Address, a token that may edit, and the process."""
    command = [sys.executable, "-m", "lamlam", "serve", "--data", str(folder), "--port", "0"]
    command += ["--set", "requests_a_minute=1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | _UNBUFFERED) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if found := re.match(r"Open (http://[^/]+)/#token=(\S+)", line):
                    address, token = found.groups()
                    _wait(address, process)
                    yield address, token, process
                    return
            raise LamLamError("the server did not start")
        finally:
            process.terminate()


def _wait(address: str, process: "subprocess.Popen[str]") -> None:
    for _ in range(600):
        with suppress(httpx2.RequestError):
            if httpx2.get(f"{address}/healthz").status_code == 200:
                return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise LamLamError("the server did not start")


async def _load(address: str, prompts: Sequence[str], clients: int, seconds: float) -> tuple[_Load, float]:
    """So many clients, each asking again as soon as it is answered."""
    load, start = _Load(), time.perf_counter()
    async with httpx2.AsyncClient(base_url=address, timeout=60.0) as client:

        async def ask(number: int) -> None:
            choose = random.Random(number)
            while time.perf_counter() < start + seconds:
                asked = {"prompt": choose.choice(prompts), "max_tokens": _TOKENS}
                began = time.perf_counter()
                answer = await client.post("/v1/completions", json=asked)
                load.statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    load.seconds.append(time.perf_counter() - began)
                    load.answers.append(answer.json())
                    load.tokens += load.answers[-1]["usage"]["completion_tokens"]
                else:
                    await asyncio.sleep(0.2)

        await asyncio.gather(*(ask(number) for number in range(clients)))
    return load, time.perf_counter() - start


async def _crowd(
    address: str, prompts: Sequence[str], people: Sequence[str], token: str, pid: int
) -> tuple[_Load, float, list[float], int]:
    """The load of many clients, the seconds it took, MB of memory each second, and revisions that were written."""
    memory: list[float] = []
    written = [0]
    others = [
        asyncio.create_task(_stops_reading(address, prompts[0])),
        asyncio.create_task(_leaves(address, prompts)),
        asyncio.create_task(_sends_a_byte_a_second(address)),
        asyncio.create_task(_writes(address, people, token, written)),
        asyncio.create_task(_watches(pid, memory)),
    ]
    try:
        load, took = await _load(address, prompts, _CLIENTS, _SECONDS)
    finally:
        for other in others:
            other.cancel()
        ended = await asyncio.gather(*others, return_exceptions=True)
    for fault in ended:
        if not isinstance(fault, asyncio.CancelledError):
            raise LamLamError(f"a client beside the load ended before its time: {fault!r}")
    return load, took, memory, written[0]


async def _stops_reading(address: str, prompt: str) -> None:
    """Ask for far more than the buffers of both sides hold, and read one byte, so that the server has to wait."""
    _, host = address.split("//")
    reader, writer = await asyncio.open_connection(*host.split(":"), limit=1)
    body = json.dumps({"prompt": [prompt] * 8, "max_tokens": 256, "stream": True}).encode()
    writer.write(_ALL_FACTS.format(host=host).encode() * _ANSWERS + _head(host, len(body)) + body)
    await writer.drain()
    await reader.read(1)
    await asyncio.sleep(3600)


async def _leaves(address: str, prompts: Sequence[str]) -> None:
    async with httpx2.AsyncClient(base_url=address, timeout=60.0) as client:
        for prompt in itertools.cycle(prompts):
            asked = {"prompt": prompt, "max_tokens": 200, "stream": True}
            async with client.stream("POST", "/v1/completions", json=asked) as answer:
                async for _ in answer.aiter_lines():
                    break
            await asyncio.sleep(0.2)


async def _sends_a_byte_a_second(address: str) -> None:
    """The head whole, so that the server waits for the body, and asks no more when that takes too long."""
    _, host = address.split("//")
    while True:
        _, writer = await asyncio.open_connection(*host.split(":"))
        with suppress(ConnectionError):
            writer.write(_head(host, 1000))
            for _ in range(1000):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(1)
        writer.close()


def _head(host: str, length: int) -> bytes:
    return (
        f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def _writes(address: str, people: Sequence[str], token: str, written: list[int]) -> None:
    """Change all facts of a few people in one revision, again and again."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/csv"}
    async with httpx2.AsyncClient(base_url=address, timeout=60.0, headers=headers) as client:
        for number in itertools.count(1):
            rows = ["id,entity,relation,value"]
            for person in (people[number % len(people)], people[(number + 7) % len(people)]):
                answer = await client.get("/kb/facts", params={"entity": person, "limit": 50})
                rows += [
                    f'{fact["id"]},"{fact["entity"]}","{fact["relation"]}","Value {number}"'
                    for fact in answer.raise_for_status().json()["facts"]
                ]
            answer = await client.post("/kb/facts.csv", params={"dry_run": False}, content="\n".join(rows) + "\n")
            answer.raise_for_status()
            written[0] += 1


async def _watches(pid: int, memory: list[float]) -> None:
    while True:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        memory.append(int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024)
        await asyncio.sleep(1)


def _is_torn(kb: KnowledgeBase, choice: dict[str, Any]) -> bool:
    """Whether a lookup of an answer says something else than the knowledge base of the answer's revision."""
    view = kb.at(choice["revision"])
    return any(
        [fact["id"] for fact in lookup["facts"]]
        != [fact.id for fact in view.lookup(lookup["entity"], lookup["relation"]).facts]
        for lookup in choice["lookups"]
    )
