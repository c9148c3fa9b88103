"""Requests of a few texts -> batches, which threads compute.

Batching is continuous: an idle worker takes what is waiting at once, so a single request waits for
nothing, and under load the texts that arrive during a batch form the next one. The queue is bounded
in texts.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from math import ceil
from typing import Generic, NamedTuple, TypeVar

Model = TypeVar("Model")
Result = TypeVar("Result")

SHARE = 8  # texts of one request that enter a batch before those of the next request
BATCH_CHARACTERS = 500_000  # of a batch of several texts; bounds how long others wait for it
LONGEST_DELAY = 60  # seconds that a refused client is told to wait, at most
SMOOTHING = 0.2  # weight of the last batch in the estimated speed


class QueueFullError(Exception):
    """No room for more work; `retry_after` is in whole seconds."""

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(f"{reason}: try again later.")
        self.retry_after = retry_after


def _closed_error() -> QueueFullError:
    return QueueFullError("it is shutting down", retry_after=1)


@dataclass(eq=False)
class Job(Generic[Model, Result]):
    """The texts of a request, which may be computed in several batches, at the same time."""

    model: Model
    texts: Sequence[str]
    future: "Future[list[Result]]" = field(default_factory=Future)
    taken: int = 0  # texts that are in a batch or done
    results: dict[int, Result] = field(default_factory=dict)  # by the number of the text

    @property
    def remaining(self) -> int:
        """The number of texts that still wait."""
        return len(self.texts) - self.taken

    def take(self, texts: int, characters: int) -> list[str]:
        """Return the next texts, within these numbers, and remove them from those that wait."""
        part: list[str] = []
        for text in self.texts[self.taken : self.taken + texts]:
            if len(text) > characters:
                break
            part.append(text)
            characters -= len(text)
        self.taken += len(part)
        return part

    def finish(self, start: int, results: Sequence[Result]) -> None:
        """Add the results from text `start` on, and answer the request if none is missing."""
        self.results.update(enumerate(results, start))
        if len(self.results) == len(self.texts):
            with suppress(InvalidStateError):  # the client has gone
                self.future.set_result([self.results[number] for number in range(len(self.texts))])

    def fail(self, error: BaseException) -> None:
        """Refuse the request."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)


class Part(NamedTuple, Generic[Model, Result]):
    """The texts of a request that are in one batch, from text `start` on."""

    job: Job[Model, Result]
    start: int
    texts: list[str]


Compute = Callable[[Model, Sequence[str]], list[Result]]


class Batcher(Generic[Model, Result]):
    """A queue of requests and the threads that compute them in batches.

    `compute` returns the result of each text. If it raises an error for a batch of several
    requests, each of them is computed alone, so that a request fails only by its own texts.
    `threads` of them compute at the same time, and share what is waiting when they begin.
    `observe` receives the number of texts of each batch. Texts of several models are never in one
    batch. Each request has its share of a batch, so a request of few texts does not wait for all
    texts of a long one.
    """

    def __init__(
        self,
        compute: Compute[Model, Result],
        batch_size: int,
        capacity: int,
        wait: float = 0.0,
        observe: Callable[[int], object] = lambda _: None,
        name: str = "predictions",
        threads: int = 1,
    ) -> None:
        self.compute, self.observe = compute, observe
        self.batch_size, self.capacity, self.wait = batch_size, capacity, wait
        self.waiting = 0  # texts
        self._jobs: deque[Job[Model, Result]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._speed = 0.0  # texts per second of one thread
        self._threads = [
            threading.Thread(target=self._run, name=name, daemon=True) for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self, model: Model, texts: Sequence[str], patience: float = 0.0
    ) -> "Future[list[Result]]":
        """Let texts wait for their results, and return the future of these, in the same order.

        Cancelling the future removes the texts that still wait. Raises QueueFullError if the queue
        is full, and has no room within `patience` seconds.
        """
        job: Job[Model, Result] = Job(model, texts)
        if not texts:
            job.finish(0, [])
            return job.future
        with self._changed:
            if not self._has_room(len(texts)) and not (
                patience and self._changed.wait_for(lambda: self._has_room(len(texts)), patience)
            ):
                reason = f"{self.waiting:,} texts wait, and at most {self.capacity:,} may"
                raise QueueFullError(reason, self._delay())
            if self._closed:
                raise _closed_error()
            self._jobs.append(job)
            self.waiting += len(texts)
            self._changed.notify_all()
        return job.future

    def drop(self) -> None:
        """Refuse all requests with texts that wait, and all later ones."""
        with self._changed:
            dropped, self._jobs = self._jobs, deque()
            self._closed, self.waiting = True, 0
            self._changed.notify_all()
        for job in dropped:
            job.fail(_closed_error())

    def close(self, seconds: float | None = None) -> None:
        """Compute all texts that wait, and end the threads; wait for this only so many seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        end = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))

    def _has_room(self, texts: int) -> bool:
        # More texts than the queue may ever hold wait alone.
        return self._closed or not self.waiting or self.waiting + texts <= self.capacity

    def _delay(self) -> int:
        """Return the seconds until the texts that wait now are computed, roughly."""
        speed = self._speed * len(self._threads)
        seconds = self.waiting / speed if speed else 1
        return min(LONGEST_DELAY, max(1, ceil(seconds)))

    def _run(self) -> None:
        while batch := self._next_batch():
            started = time.perf_counter()
            self._compute(batch)
            size = sum(len(part.texts) for part in batch)
            speed = size / max(time.perf_counter() - started, 1e-6)
            self._speed += (SMOOTHING if self._speed else 1) * (speed - self._speed)
            self.observe(size)

    def _next_batch(self) -> list[Part[Model, Result]]:
        """Wait for texts and return the parts of the next batch; none when the queue is closed."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if self._jobs and self.wait and not self._closed:
                    self._changed.wait_for(lambda: self.waiting >= self.batch_size, self.wait)
                if batch := self._take_batch():
                    return batch
                if self._closed:
                    return []

    def _take_batch(self) -> list[Part[Model, Result]]:
        """Return the parts of the next batch: shares of all requests of one model, in turns."""
        self._remove_cancelled()
        if not self._jobs:
            return []
        model = self._jobs[0].model
        size = min(self.batch_size, ceil(self.waiting / len(self._threads)))
        texts, characters = size, BATCH_CHARACTERS
        taken: dict[Job[Model, Result], Part[Model, Result]] = {}
        others: list[Job[Model, Result]] = []
        while texts and self._jobs:
            job = self._jobs.popleft()
            if job.model is not model:
                others.append(job)
                continue
            limit = characters if taken else max(characters, len(job.texts[job.taken]))
            start, part = job.taken, job.take(min(texts, SHARE), limit)
            if not part:
                self._jobs.appendleft(job)  # its next text is too long for this batch
                break
            taken.setdefault(job, Part(job, start, [])).texts.extend(part)
            texts -= len(part)
            characters -= sum(map(len, part))
            if job.remaining:
                self._jobs.append(job)
        self._jobs.extendleft(reversed(others))  # which waited longer than the rest
        self.waiting -= size - texts
        self._changed.notify_all()  # there is room again
        return [*taken.values()]

    def _remove_cancelled(self) -> None:
        kept = deque(job for job in self._jobs if not job.future.cancelled())
        if len(kept) < len(self._jobs):
            self._jobs, self.waiting = kept, sum(job.remaining for job in kept)
            self._changed.notify_all()

    def _compute(self, batch: list[Part[Model, Result]]) -> None:
        texts = [text for part in batch for text in part.texts]
        try:
            results = iter(self.compute(batch[0].job.model, texts))
        except Exception as error:
            self._compute_alone(batch, error)
            return
        for part in batch:
            part.job.finish(part.start, [next(results) for _ in part.texts])

    def _compute_alone(self, batch: list[Part[Model, Result]], error: Exception) -> None:
        """Compute each request alone, since the texts of one of them raised the error."""
        if len(batch) == 1:
            self._fail(batch[0].job, error)
            return
        for part in batch:
            self._compute([part])

    def _fail(self, job: Job[Model, Result], error: Exception) -> None:
        job.fail(error)
        with self._changed:  # the rest of its texts
            if job in self._jobs:
                self._jobs.remove(job)
                self.waiting -= job.remaining
            self._changed.notify_all()  # there is room again
