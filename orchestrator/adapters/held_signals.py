"""Signals that ask a command to end, held back while files are written: all of them will be new, or all old."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, current_thread, main_thread

# Ctrl-C is the first to be held and the last to be let go: it never breaks into the change of another.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

FILES_WRITTEN = Event()
"""Whether this command changed files; what it says when it is interrupted depends on it."""


@contextmanager
def signals_held() -> Iterator[Callable[[], None]]:
    """Nothing inside is broken into; what was asked for meanwhile happens afterwards, as an interrupt.

    Yields what is to be called wherever the work may still be given up: it raises KeyboardInterrupt if a signal waits.
    Signals that are ignored (`nohup`) stay ignored. Only the main thread receives signals; elsewhere nothing is held.
    """
    waiting: list[int] = []  # no Event: a signal in the handler of another would wait for its lock for ever

    def give_up_if_asked() -> None:
        if waiting:
            raise KeyboardInterrupt

    try:
        with ExitStack() as restored:
            if current_thread() is main_thread():
                for number in ENDING:
                    _hold(number, waiting, restored)
            yield give_up_if_asked
    finally:
        give_up_if_asked()


def _hold(number: signal.Signals, waiting: list[int], restored: ExitStack) -> None:
    before = signal.getsignal(number)
    if before not in (signal.SIG_IGN, None):  # None: a handler that is not Python's, and could not be put back
        restored.callback(signal.signal, number, before)
        signal.signal(number, lambda caught, _: waiting.append(caught))
