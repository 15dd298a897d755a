"""What SIGTERM and SIGINT mean to an agent, and that nothing of it stays."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator

import pytest

from besom.agent.signals import IdleAgentInterrupted, Signals
from besom.errors import TrialPreempted
from besom.settings import read_settings
from tests.agent.conftest import is_open

INT, TERM = signal.SIGINT, signal.SIGTERM


@pytest.fixture
def before() -> Iterator[list[int]]:
    """The caller's own handlers and wake-up socket; gives the signals that reached them."""
    seen: list[int] = []
    old = {number: signal.signal(number, lambda number, frame: seen.append(number)) for number in (INT, TERM)}
    yield seen
    for number, handler in old.items():
        signal.signal(number, handler)


def _arrive(signals: Signals, *numbers: int) -> None:
    """As the kernel tells of signals that came while the main thread was deep in C."""
    signals._write.send(bytes(numbers))
    signals.woken()


def test_handlers_are_restored(before: list[int], signals: Signals) -> None:
    """Inside, the caller's handlers hear nothing; afterwards they are back."""
    mine = {number: signal.getsignal(number) for number in (INT, TERM)}
    with signals:
        assert all(signal.getsignal(number) != mine[number] for number in mine)
        signal.raise_signal(INT)
    assert {number: signal.getsignal(number) for number in mine} == mine
    assert before == []
    signal.raise_signal(INT)
    assert before == [INT]


def test_handlers_are_restored_after_an_exception(before: list[int], signals: Signals) -> None:
    """The same when the block raises."""
    mine = signal.getsignal(TERM)
    with pytest.raises(RuntimeError), signals:
        raise RuntimeError
    assert signal.getsignal(TERM) == mine


def test_wakeup_fd_is_restored(said: list[str]) -> None:
    """A wake-up socket of the caller's (asyncio has one) gets its signals again; ours is closed."""
    signals = Signals(read_settings(), said.append)
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    old = signal.set_wakeup_fd(writer.fileno())
    with signals:
        pass
    assert signal.set_wakeup_fd(old) == writer.fileno()
    assert not is_open(signals.wakeup)
    reader.close()
    writer.close()


def test_other_thread_installs_nothing(before: list[int], signals: Signals) -> None:
    """Outside the main thread, where Python allows no handlers, the context changes nothing."""
    mine, inside = signal.getsignal(INT), []

    def work() -> None:
        with signals:
            inside.append(signal.getsignal(INT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert inside == [mine]


def test_first_interrupt_ends_after_the_trial(signals: Signals, said: list[str]) -> None:
    """SIGINT once: no more trials, the running one goes on, and a line says what a second one does."""
    _arrive(signals, INT)
    assert (signals.ending.is_set(), signals.handing_back.is_set()) == (True, False)
    assert said == ["ending after this trial; once more to hand it back now"]


def test_second_interrupt_hands_back(signals: Signals) -> None:
    """SIGINT twice: the running trial is handed back."""
    _arrive(signals, INT)
    _arrive(signals, INT)
    assert signals.handing_back.is_set()


def test_two_signals_in_one_look(signals: Signals) -> None:
    """Signals that came together count each."""
    _arrive(signals, INT, INT)
    assert signals.handing_back.is_set()


def test_term_hands_back_at_once(signals: Signals, said: list[str]) -> None:
    """SIGTERM once: the running trial is handed back, silently."""
    _arrive(signals, TERM)
    assert signals.ending.is_set()
    assert signals.handing_back.is_set()
    assert said == []


@pytest.mark.parametrize(("variable", "number", "back"), [("SIGTERM", TERM, False), ("SIGINT", INT, True)])
def test_settings_change_the_meaning(
    monkeypatch: pytest.MonkeyPatch, said: list[str], variable: str, number: int, back: bool
) -> None:
    """BESOM_ON_SIGTERM=finish and BESOM_ON_SIGINT=release turn the first signal round."""
    monkeypatch.setenv(f"BESOM_ON_{variable}", "release" if back else "finish")
    signals = Signals(read_settings(), said.append)
    _arrive(signals, number)
    assert signals.handing_back.is_set() is back
    signals.__exit__()


def test_wake_is_no_signal(signals: Signals) -> None:
    """Waking the beat thread means nothing else, and a full or closed socket does no harm."""
    for _ in range(100_000):
        signals.wake()
    signals.woken()
    signals.woken()
    assert not signals.ending.is_set()
    signals.__exit__()
    signals.wake()


def test_idle_agent_is_interrupted(before: list[int], signals: Signals) -> None:
    """A signal while the agent waits for work ends the wait at once."""
    with signals:
        signals.idle = True
        with pytest.raises(IdleAgentInterrupted):
            signal.raise_signal(TERM)
    assert signals.ending.is_set()
    assert signals.number == TERM


def test_signal_in_a_function(before: list[int], signals: Signals) -> None:
    """The first is left to the beat thread; the second is raised in the function: SIGINT as KeyboardInterrupt."""
    with signals:
        signals.in_function = True
        signal.raise_signal(INT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(INT)
        with pytest.raises(TrialPreempted):
            signal.raise_signal(TERM)


def test_second_signal_outside_a_function(before: list[int], signals: Signals) -> None:
    """While besom's own code runs nothing is raised into it."""
    with signals:
        for _ in range(3):
            signal.raise_signal(INT)
    assert before == []


def test_signal_is_delivered_again(before: list[int], signals: Signals) -> None:
    """After the context the signal means what it meant before, so that a shell sees an interrupted script."""
    with signals:
        signal.raise_signal(TERM)
        signals.woken()
    signals.deliver_again()
    assert before == [TERM]


def test_nothing_is_delivered_without_a_signal(before: list[int], signals: Signals) -> None:
    """An agent that ended by itself raises none."""
    with signals:
        pass
    signals.deliver_again()
    assert before == []
