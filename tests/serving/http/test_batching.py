"""Batches: the order of results, shares, errors, and the bounds of the queue."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_sentiment.serving.http import batching
from lstm_sentiment.serving.http.batching import SHARE, Batcher, QueueFullError

SECONDS = 10  # until a test fails


class Computer:
    """A stand-in for models: it doubles texts, and computes a batch when it is allowed to."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.started = threading.Semaphore(0)
        self.allowed = threading.Event()
        self.allowed.set()

    def __call__(self, model: str, texts: Sequence[str]) -> list[str]:
        self.batches.append([model + text for text in texts])
        self.started.release()
        assert self.allowed.wait(SECONDS)
        if any("!" in text for text in texts):
            raise ValueError(f"no shouting: {texts}")
        return [2 * text for text in texts]

    def hold(self, batcher: "Batcher[str, str]") -> "Future[list[str]]":
        """Let the batcher compute a first text until `allowed` is set."""
        self.allowed.clear()
        first = batcher.submit("", ["first"])
        assert self.started.acquire(timeout=SECONDS)
        return first


@pytest.fixture
def computer() -> Computer:
    return Computer()


@pytest.fixture
def make(computer: Computer) -> Iterator[Callable[..., "Batcher[str, str]"]]:
    made: list[Batcher[str, str]] = []

    def batcher(
        batch_size: int = 8, capacity: int = 100, wait: float = 0, threads: int = 1
    ) -> "Batcher[str, str]":
        made.append(Batcher(computer, batch_size, capacity, wait, threads=threads))
        return made[-1]

    yield batcher
    computer.allowed.set()
    for each in made:
        each.close()


Make = Callable[..., "Batcher[str, str]"]


def letters(count: int, letter: str = "a") -> list[str]:
    return [f"{letter}{number}" for number in range(count)]


def test_a_single_request_waits_for_nothing(make: Make, computer: Computer) -> None:
    assert make().submit("", ["a", "b"]).result(SECONDS) == ["aa", "bb"]
    assert computer.batches == [["a", "b"]]


def test_no_texts_are_answered_at_once(make: Make) -> None:
    assert make().submit("", []).result(0) == []


def test_requests_that_arrive_during_a_batch_are_the_next_batch(
    make: Make, computer: Computer
) -> None:
    batcher = make()
    first = computer.hold(batcher)
    others = [batcher.submit("", [text]) for text in "abc"]
    computer.allowed.set()
    assert first.result(SECONDS) == ["firstfirst"]
    assert [other.result(SECONDS) for other in others] == [["aa"], ["bb"], ["cc"]]
    assert computer.batches == [["first"], ["a", "b", "c"]]


def test_a_request_of_few_texts_does_not_wait_for_a_long_one(
    make: Make, computer: Computer
) -> None:
    batcher = make(batch_size=2 * SHARE)
    computer.hold(batcher)
    long, short = batcher.submit("", letters(50)), batcher.submit("", ["short"])
    computer.allowed.set()
    assert short.result(SECONDS) == ["shortshort"]
    assert long.result(SECONDS) == [2 * text for text in letters(50)]
    assert "short" in computer.batches[1]
    assert {len(batch) for batch in computer.batches[1:-1]} == {2 * SHARE}  # all are full


def test_threads_share_what_is_waiting(make: Make, computer: Computer) -> None:
    batcher = make(batch_size=10, threads=2)
    computer.hold(batcher)
    computer.hold(batcher)
    request = batcher.submit("", letters(12))
    computer.allowed.set()
    assert request.result(SECONDS) == [2 * text for text in letters(12)]
    assert len(computer.batches[2]) == 6


def test_results_keep_their_order_if_the_first_batch_is_the_last_to_end() -> None:
    ended = threading.Event()

    def compute(_: str, texts: Sequence[str]) -> list[str]:
        if texts[0] == "a0":
            assert ended.wait(SECONDS)
        return [2 * text for text in texts]

    def observe(_: int) -> None:  # the end of the other batch
        ended.set()

    batcher = Batcher(compute, 4, 100, observe=observe, threads=2)
    assert batcher.submit("", letters(7)).result(SECONDS) == [2 * text for text in letters(7)]
    batcher.close()


def test_a_failing_text_refuses_only_its_own_request(make: Make, computer: Computer) -> None:
    batcher = make()
    computer.hold(batcher)
    good, bad, last = (batcher.submit("", texts) for texts in (["a"], ["b", "c!"], ["d"]))
    computer.allowed.set()
    assert good.result(SECONDS) == ["aa"]
    assert last.result(SECONDS) == ["dd"]
    with pytest.raises(ValueError, match=r"no shouting: \['b', 'c!'\]"):
        bad.result(SECONDS)


def test_the_rest_of_a_failed_request_is_not_computed(make: Make, computer: Computer) -> None:
    batcher = make(batch_size=2)
    bad = batcher.submit("", ["!", *letters(20)])
    with pytest.raises(ValueError, match="no shouting"):
        bad.result(SECONDS)
    assert batcher.submit("", ["a"]).result(SECONDS) == ["aa"]
    assert batcher.waiting == 0
    assert sum(map(len, computer.batches)) == 3


def test_texts_of_several_models_are_never_in_one_batch(make: Make, computer: Computer) -> None:
    batcher = make()
    computer.hold(batcher)
    models = ["x", "y", "x", "y"]
    futures = [batcher.submit(model, [str(number)]) for number, model in enumerate(models)]
    computer.allowed.set()
    assert [future.result(SECONDS) for future in futures] == [["00"], ["11"], ["22"], ["33"]]
    assert computer.batches[1:] == [["x0", "x2"], ["y1", "y3"]]


def test_a_full_queue_refuses_and_says_when_to_try_again(make: Make, computer: Computer) -> None:
    batcher = make(capacity=10)
    computer.hold(batcher)
    accepted = batcher.submit("", letters(7))
    with pytest.raises(QueueFullError, match="7 texts wait, and at most 10 may") as refusal:
        batcher.submit("", letters(4))
    assert 1 <= refusal.value.retry_after <= batching.LONGEST_DELAY
    batcher.submit("", letters(3))
    computer.allowed.set()
    assert len(accepted.result(SECONDS)) == 7
    assert batcher.submit("", letters(10)).result(SECONDS)


def test_a_patient_request_waits_for_room(make: Make, computer: Computer) -> None:
    batcher = make(capacity=2)
    computer.hold(batcher)
    batcher.submit("", letters(2))
    with pytest.raises(QueueFullError):
        batcher.submit("", ["b"], patience=0.01)
    threading.Timer(0.05, computer.allowed.set).start()
    assert batcher.submit("", ["b"], patience=SECONDS).result(SECONDS) == ["bb"]


def test_a_cancelled_request_leaves_the_queue(make: Make, computer: Computer) -> None:
    batcher = make()
    computer.hold(batcher)
    gone, kept = batcher.submit("", ["gone"]), batcher.submit("", ["kept"])
    assert gone.cancel()
    computer.allowed.set()
    assert kept.result(SECONDS) == ["keptkept"]
    assert computer.batches == [["first"], ["kept"]]


def test_a_request_cancelled_during_its_batch_does_no_harm(make: Make, computer: Computer) -> None:
    batcher = make()
    assert computer.hold(batcher).cancel()
    computer.allowed.set()
    assert batcher.submit("", ["a"]).result(SECONDS) == ["aa"]


def test_long_texts_have_smaller_batches(
    make: Make, computer: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "BATCH_CHARACTERS", 100)
    batcher = make(batch_size=64)
    computer.hold(batcher)
    texts = ["a" * 40, "b" * 40, "c" * 500, "d", "e" * 99]
    futures = [batcher.submit("", [text]) for text in texts]
    computer.allowed.set()
    assert [future.result(SECONDS) for future in futures] == [[2 * text] for text in texts]
    assert computer.batches[1:] == [texts[:2], texts[2:3], texts[3:]]


def test_an_idle_worker_may_wait_for_more_texts(make: Make, computer: Computer) -> None:
    batcher = make(batch_size=3, wait=SECONDS)
    futures = [batcher.submit("", [text]) for text in "abc"]
    assert [future.result(SECONDS / 2) for future in futures] == [["aa"], ["bb"], ["cc"]]
    assert computer.batches == [["a", "b", "c"]]


def test_closing_computes_all_that_waits(make: Make, computer: Computer) -> None:
    batcher = make(batch_size=2)
    computer.hold(batcher)
    futures = [batcher.submit("", letters(9)) for _ in range(5)]
    computer.allowed.set()
    batcher.close()
    assert all(future.done() for future in futures)


def test_dropping_refuses_all_that_waits(make: Make, computer: Computer) -> None:
    batcher = make(batch_size=2)
    first = computer.hold(batcher)
    futures = [batcher.submit("", letters(9)) for _ in range(5)]
    batcher.drop()
    for future in futures:
        with pytest.raises(QueueFullError, match="shutting down"):
            future.result(0)
    assert batcher.waiting == 0
    computer.allowed.set()
    assert first.result(SECONDS) == ["firstfirst"]
    with pytest.raises(QueueFullError, match="shutting down"):
        batcher.submit("", ["late"])
    assert computer.batches == [["first"]]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "bc", "d" * 30, "!"]), max_size=20), max_size=12))
def test_every_request_gets_its_own_results(requests: list[list[str]]) -> None:
    batcher: Batcher[str, str] = Batcher(Computer(), batch_size=5, capacity=1_000)
    futures = [batcher.submit("xy"[n % 2], texts) for n, texts in enumerate(requests)]
    wait(futures, SECONDS)
    for texts, future in zip(requests, futures, strict=True):
        if "!" in texts:
            assert isinstance(future.exception(0), ValueError)
        else:
            assert future.result(0) == [2 * text for text in texts]
    batcher.close()
    assert batcher.waiting == 0


def test_a_closed_queue_takes_nothing(make: Callable[..., "Batcher[str, str]"]) -> None:
    batcher = make()
    batcher.close()
    with pytest.raises(QueueFullError, match="shutting down"):
        batcher.submit("", ["late"])


def test_a_refused_request_makes_room(
    computer: Computer, make: Callable[..., "Batcher[str, str]"]
) -> None:
    batcher = make(batch_size=2, capacity=10)
    first = computer.hold(batcher)
    failing = batcher.submit("", ["!"] * 10)
    waiting: list[Future[list[str]]] = []
    thread = threading.Thread(
        target=lambda: waiting.append(batcher.submit("", ["a"] * 9, patience=60))
    )
    thread.start()
    computer.allowed.set()
    with pytest.raises(ValueError, match="no shouting"):
        failing.result(SECONDS)
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert waiting[0].result(SECONDS) == ["aa"] * 9
    assert first.result(SECONDS) == ["firstfirst"]
