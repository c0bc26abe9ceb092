"""A program of one shard, running: a thread that stops wherever it needs a sum over all shards.

The program cannot tell where it runs. It sees `Across`, whose methods hand a part out and wait; the
other side, `give` and `reply`, is what a task of dask or a loop in this process calls. Answers are
numbered, so that one that comes twice is taken once, and a program that is begun anew elsewhere can
be led through all that there were.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from sm_alsgls.core.across import Across
from sm_alsgls.distributed.messages import Answer, Ask, Behind, Done, Failed, Reply, Sum
from sm_alsgls.exceptions import AlsglsError, OutOfStepError
from sm_alsgls.progress import silence

T = TypeVar("T", float, np.ndarray)


class Stopped(BaseException):
    """Nobody waits for the program any more. No Exception, so that it is not caught on the way."""


class LiveProgram:
    """A program's thread, and what it last said.

    Parameters
    ----------
    begin : callable
        ``begin(across)`` is the program with all that it needs.
    name : str
        Of the thread.

    Examples
    --------
    >>> from sm_alsgls.distributed.live import LiveProgram
    >>> from sm_alsgls.distributed.messages import Answer
    >>> live = LiveProgram(lambda across: across.total(2.0) + 1.0, "shard 0")
    >>> ask = live.reply()
    >>> ask
    Ask(kind='total', part=2.0, news=())
    >>> live.give(0, [Answer(ask.form, 5.0)])
    >>> live.reply()
    Done(value=6.0)
    """

    def __init__(self, begin: Callable[[Across], Any], name: str) -> None:
        self._begin = begin
        self._changed = threading.Condition()
        self._reply: Reply | None = None
        self._answer: Answer | None = None
        self._position = 0
        self._news: list[object] = []  # of the program's thread alone
        self._stopped = False
        self._turn = threading.Lock()  # of those who give
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def give(self, first: int, answers: Sequence[Answer]) -> Behind | None:
        """Lead the program through answers, of which the first has the number ``first``.

        Those that it has had are passed over. `Behind` where some before them are missing.
        """
        with self._turn:
            if first > self._position:
                return Behind(self._position)
            for answer in answers[self._position - first :]:
                if not isinstance(self.reply(), Ask):
                    break  # its end is what it has to say
                with self._changed:
                    self._reply, self._answer = None, answer
                    self._position += 1
                    self._changed.notify_all()
            return None

    def reply(self) -> Reply:
        """What the program says next: waits until it does."""
        with self._changed:
            self._changed.wait_for(lambda: self._reply is not None)
            assert self._reply is not None
            return self._reply

    def stop(self) -> None:
        """End the program at its next sum; whoever waits for it hears at once."""
        with self._changed:
            self._stopped = True
            if not isinstance(self._reply, Done | Failed):
                self._reply = Failed(Stopped())
            self._changed.notify_all()

    def join(self, timeout: float | None = None) -> bool:
        """Whether the thread has ended within ``timeout`` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        silence()  # a bar belongs to whoever drives
        try:
            said: Reply = Done(self._begin(_AcrossShards(self._ask, self._news.append)))
        except Stopped as error:
            said = Failed(error)
        except AlsglsError as error:
            said = Failed(error)
        except BaseException as error:
            # A traceback does not travel.
            error.add_note("In the shard:\n" + "".join(traceback.format_exception(error)))
            said = Failed(error)
        # What the program was made of is free, though its value waits to be fetched.
        del self._begin
        with self._changed:
            self._reply = said
            self._changed.notify_all()

    def _ask(self, kind: str, part: Sum) -> Sum:
        """The whole of a sum."""
        ask = Ask(kind, part, tuple(self._news))
        self._news.clear()
        with self._changed:
            if self._stopped:
                raise Stopped
            self._reply = ask
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answer is not None or self._stopped)
            if self._stopped:
                raise Stopped
            answer, self._answer = self._answer, None
        assert answer is not None
        if answer.form != ask.form:
            raise OutOfStepError(
                f"a program asked for {_words(ask)} where the log has {_words(answer)}: it does "
                "not take the same path every time"
            )
        # Its own: what one shard writes into is neither another's nor the log's.
        return np.array(answer.value) if isinstance(answer.value, np.ndarray) else answer.value


class _AcrossShards:
    """`Across` of a program that is one of several."""

    alone = False

    def __init__(self, ask: Callable[[str, Any], Any], tell: Callable[[object], None]) -> None:
        self._ask, self._tell = ask, tell

    def total(self, part: T) -> T:
        return self._ask("total", part)

    def largest(self, part: float) -> float:
        return float(self._ask("largest", float(part)))

    def tell(self, news: object) -> None:
        self._tell(news)


def _words(message: Ask | Answer) -> str:
    kind, shape = message.form
    return f"the {kind} of shape {shape}"
