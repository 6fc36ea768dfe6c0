"""The engine's running batch, shared by all requests: one thread steps it, requests join and leave from the event loop.

Each text uses one revision of the knowledge base, the latest when it started, so changes never show mid-text.
"""

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

from lamlam.engine import DecodingSettings, Done, Engine, Event, Generation, Prompt
from lamlam.engine.sequence import DecodingSequence
from lamlam.errors import InputError, LamLamError, StoreError
from lamlam.serve.errors import Full, Stopped

__all__ = ["RunningBatch"]

_REOPEN_SECONDS = 0.5


@dataclass(eq=False, slots=True)
class _Text:
    """A pending text: its request, its number within it, and its sequence once started."""

    prompt: Prompt
    settings: DecodingSettings
    number: int
    inbox: "_Inbox"
    whole: bool
    sequence: DecodingSequence | None = None
    anew: bool = False  # whether it is being restarted after a lost connection


class _Inbox:
    """Passes the events of a request's texts to its event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Queue[tuple[int, Event] | LamLamError] = asyncio.Queue()

    async def events(self, texts: int) -> AsyncIterator[tuple[int, Event]]:
        """Yield text numbers and events until all texts are done."""
        while texts:
            arrived = await self._arrived.get()
            if isinstance(arrived, LamLamError):
                raise arrived
            yield arrived
            texts -= isinstance(arrived[1], Done)

    def put(self, *arrived: "tuple[int, Event] | LamLamError") -> None:
        """Put events, from any thread; ignored if the loop has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._put, arrived)

    def _put(self, arrived: "Iterable[tuple[int, Event] | LamLamError]") -> None:
        for each in arrived:
            self._arrived.put_nowait(each)


class _Lost(Exception):
    """The engine has lost its knowledge base and must be reopened over a new connection."""

    def __init__(self, error: StoreError) -> None:
        super().__init__(str(error))
        self.error = error


class RunningBatch:
    """An engine opened and run in its own thread. `most` limits the texts running or waiting.

    If the connection to the knowledge base is lost, as when PostgreSQL restarts, running texts fail with `StoreError`
    and the engine is reopened for the next ones.
    """

    def __init__(self, open_engine: Callable[[], AbstractContextManager[Engine]], most: int) -> None:
        self._open, self._most = open_engine, most
        self._requests: queue.SimpleQueue[tuple[bool, _Text] | None] = queue.SimpleQueue()
        self._held: set[_Text] = set()  # running or waiting
        self._running: dict[_Text, None] = {}  # of the thread
        self._unbegun: list[_Text] = []  # of the thread: to restart after a lost connection
        self._lost = False  # whether there is no connection now
        self._closed, self._lock = False, threading.Lock()
        self._thread = threading.Thread(target=self._work, name="lamlam-batch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop the thread; running texts fail with `Stopped`."""
        self._requests.put(None)
        self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def writes(self) -> bool:
        """Whether the engine can write texts now."""
        return self.alive and not self._lost

    @property
    def held(self) -> int:
        """Number of texts running or waiting."""
        return len(self._held)

    @contextmanager
    def writing(
        self, prompts: Sequence[Prompt], settings: DecodingSettings, *, whole: bool = False
    ) -> Iterator[AsyncIterator[tuple[int, Event]]]:
        """Yield numbered events of `settings.samples` continuations per prompt; `Done` is the last of each.

        With `whole` only `Done` is passed on. Unfinished texts are cancelled on exit.

        Raises `Full` or `Stopped`; reading events raises `InputError` if a prompt is too long or a revision is
        missing, and `LamLamError` if the knowledge base fails.
        """
        wanted = [(prompt, one) for prompt in prompts for one in settings.of_samples()]
        if len(self._held) + len(wanted) > self._most:
            raise Full(f"{len(self._held)} texts are running or waiting, the maximum is {self._most}; try again later")
        inbox = _Inbox()
        texts = [_Text(prompt, one, number, inbox, whole) for number, (prompt, one) in enumerate(wanted)]
        with self._lock:
            if self._closed:
                raise Stopped()
            self._held.update(texts)
            for text in texts:
                self._requests.put((True, text))
        try:
            yield inbox.events(len(texts))
        finally:
            self._held.difference_update(texts)
            for text in texts:
                self._requests.put((False, text))

    async def generate(self, prompts: Sequence[Prompt], settings: DecodingSettings) -> list[Generation]:
        """Continue each prompt, all or none. Raises like `writing`."""
        done: dict[int, Generation] = {}
        with self.writing(prompts, settings, whole=True) as events:
            async for number, event in events:
                if isinstance(event, Done):
                    done[number] = event.generation
        return [done[number] for number in sorted(done)]

    # In the thread

    def _work(self) -> None:
        try:
            while self._run():
                pass
        finally:
            with self._lock:
                self._closed = True
            for text in self._held.copy():
                text.inbox.put(Stopped())

    def _run(self) -> bool:
        """Step an engine until told to stop (False) or its connection is lost and it must be reopened (True)."""
        try:
            with self._open() as engine:
                self._lost = False
                while self._take_requests(engine):
                    engine.step()
                    self._hand_out()
                return False
        except _Lost as lost:
            self._fail(list(self._running), lost.error)
        except LamLamError as error:  # can't connect now
            self._lost = True
            self._fail([*self._running, *self._unbegun], error)
            self._unbegun.clear()
            while not self._requests.empty():
                if (request := self._requests.get()) is None:
                    return False
                self._fail([request[1]] if request[0] else [], error)
            time.sleep(_REOPEN_SECONDS)
        return True

    def _fail(self, texts: Sequence[_Text], error: LamLamError) -> None:
        for text in texts:
            text.inbox.put(error)
            self._end(text)

    def _end(self, text: _Text) -> None:
        """Free a text's place, whether or not the client reads it."""
        self._running.pop(text, None)
        self._held.discard(text)

    def _take_requests(self, engine: Engine) -> bool:
        """Start and cancel texts, waiting for one if idle. Returns False to stop."""
        while self._unbegun:
            self._begin(engine, self._unbegun.pop())
        while True:
            try:
                request = self._requests.get(block=not self._running)
            except queue.Empty:
                return True
            if request is None:
                return False
            begins, text = request
            if begins:
                self._begin(engine, text)
            elif text in self._running:
                del self._running[text]
                assert text.sequence is not None
                engine.cancel(text.sequence)

    def _begin(self, engine: Engine, text: _Text) -> None:
        settings = text.settings
        try:
            if settings.revision is None:
                settings = settings.model_copy(update={"revision": getattr(engine.kb, "revision", None)})
            text.sequence = engine.submit(text.prompt, settings)
            self._running[text] = None
        except StoreError as error:
            if text.anew:
                return self._fail([text], error)
            text.anew = True
            self._unbegun.append(text)
            raise _Lost(error) from error
        except LamLamError as error:
            self._fail([text], InputError(str(error)))

    def _hand_out(self) -> None:
        for text in list(self._running):
            assert text.sequence is not None
            if text.whole and not text.sequence.done:
                continue
            events = [(text.number, event) for event in text.sequence.take_events()]
            if told := [told for told in events if isinstance(told[1], Done)] if text.whole else events:
                text.inbox.put(*told)
            if isinstance(text.sequence.error, StoreError):
                raise _Lost(text.sequence.error)
            if text.sequence.error is not None:
                self._fail([text], text.sequence.error)
            elif text.sequence.done:
                self._end(text)
