"""The worker with the loaded models. It answers for all pages, one question at a time.

Streamlit's process stays without torch: a worker loads the models, and a page asks it for the next tokens.
"""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.core.work import ASKER, PRELOAD
from bench.executor import Executor, Job, Needs, Session, WorkerDied
from bench.executor.local.memory_limit import free_bytes

TIMEOUT_SECONDS = 900.0  # to load large models
PAUSE_SECONDS = 0.1  # between two times that a page is drawn; each token if one takes longer
WORK = "answers"


class Busy(RuntimeError):
    """Another page asks at the moment; the message is one sentence."""


@dataclass(frozen=True)
class Sampling:
    """How answers are generated; temperature 0 takes the likeliest token."""

    temperature: float
    new_tokens: int
    seed: int = 0


@dataclass(frozen=True)
class Loaded:
    """What the worker has loaded. key: the folders, and whether their bases answer too; batches: columns of each."""

    key: tuple[tuple[Path, ...], bool]
    names: tuple[str, ...]
    batches: tuple[int, ...]


class Asking:
    """Loads kept adapters in a worker and reads their answers."""

    def __init__(self, device: str, mirror: Path | None = None, entries: Sequence[str] = ()) -> None:
        self.device = device
        self._mirror = mirror
        self._executor = Executor((*PRELOAD, "bench.worker.ask.asker", *entries), TIMEOUT_SECONDS)
        self._turn = threading.Lock()
        self._session: Session | None = None
        self._loaded: Loaded | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The worker for one page alone. Raises Busy."""
        if not self._turn.acquire(blocking=False):
            raise Busy("another page is asking; wait for its answer, or stop it there")
        try:
            yield
        finally:
            self._turn.release()

    def load(self, folders: Sequence[Path], with_base: bool) -> Loaded:
        """Load these kept folders, unless they are loaded. Raises CallFailed or WorkerDied with the reason."""
        key = (tuple(folders), with_base)
        if self._session and self._loaded and self._loaded.key == key:
            return self._loaded
        self.close()  # so that what was loaded before is not counted as used memory
        free = free_bytes(self.device)
        try:
            needs = Needs(cards=0 if self.device == "cpu" else 1)
            self._session = self._executor.open_session(Job(WORK, ASKER, needs=needs))
            found = self._session.call(
                "load", folders=list(map(str, folders)), mirror=str(self._mirror or ""), device=self.device,
                free_bytes=free, with_base=with_base,
            )  # fmt: skip
        except BaseException:
            self.close()
            raise
        self._loaded = Loaded(key, tuple(found["names"]), tuple(found["batches"]))
        return self._loaded

    def pieces(self, question: str, sampling: Sampling) -> Generator[list[tuple[int, str]]]:
        """(column, text) for each new token, a list at a time. The worker generates no more once it is not read."""
        assert self._session is not None  # load() opened it
        try:
            self._session.call(
                "begin", question=question, temperature=sampling.temperature, new_tokens=sampling.new_tokens,
                seed=sampling.seed,
            )  # fmt: skip
            ended, seconds = False, 0.0  # the first token is shown at once
            while not ended:
                reply = self._session.call("read", seconds=seconds)
                ended, seconds = reply["ended"], PAUSE_SECONDS
                yield [(column, text) for column, text in reply["pieces"]]
        except WorkerDied:
            self.close()
            raise

    def close(self) -> None:
        """End the worker, which frees its memory; the next question starts another."""
        session, self._session, self._loaded = self._session, None, None
        if session:
            session.close()

    def stop(self) -> None:
        """End the worker and the process that forks workers."""
        self.close()
        self._executor.stop()
