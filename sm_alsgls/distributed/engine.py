"""One program in all shards of a system, and the sums between them.

    e = the sums that shards ask for, in their order: added up, logged, handed back

until all programs return. Nothing but sums travels: what a shard holds stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sm_alsgls.distributed.crew import Crew, ThreadCrew
from sm_alsgls.distributed.dask_crew import DaskCrew
from sm_alsgls.distributed.messages import Answer, Ask, Done, Failed, Form, payload
from sm_alsgls.distributed.shard import Program, Shard
from sm_alsgls.distributed.sums import added_up
from sm_alsgls.distributed.traffic import SumsOf, Traffic
from sm_alsgls.exceptions import AlsglsError, OptionError
from sm_alsgls.progress import Progress


@dataclass(frozen=True)
class Outcome:
    """What the programs of all shards returned, in their order, and what it took."""

    values: list[Any]
    traffic: Traffic


def run(
    program: Program,
    shards: Sequence[Shard],
    *args: Any,
    client: Any = None,
    each: Sequence[tuple[Any, ...]] | None = None,
    what: str = "fit",
    watch: Callable[[Any], object] | None = None,
    patience: float = 10.0,
) -> Outcome:
    """Run a program in all shards at once.

    Parameters
    ----------
    program : Program
        A function of a module, ``program(source, across, *args)``. It asks ``across`` for whatever
        is summed over equations, and decides by such sums only, so that all shards take the same
        path. It must do the same every time that it is run.
    shards : sequence of Shard
    *args
        The same for all shards.
    client : distributed.Client, optional
        Whose workers run it. Default: threads of this process, which is for tests and for one
        shard.
    each : sequence of tuple, optional
        Further arguments of each shard, after ``args``.
    what : str
        What is said to be done where somebody waits.
    watch : callable, optional
        Called here with whatever the first shard tells, ``across.tell(news)``, at its next sum.
    patience : float
        Seconds for which a new worker is waited for where one is lost; then its shard goes to
        another, which has its own.

    Returns
    -------
    Outcome

    Raises
    ------
    AlsglsError
        The error of the first shard that raised one, its equations named; any other error of a
        program as it is. Other shards are stopped at their next sum.
    OutOfStepError
        Shards ask for different sums.
    ClusterError
        No workers, or a worker lost again and again.

    Notes
    -----
    Sums are added up in the order of shards: every shard has the same bits, and a run has the same
    on one worker, on several and after one was lost. Other shards of the same data round otherwise.

    Examples
    --------
    >>> from sm_alsgls.distributed.engine import run
    >>> from sm_alsgls.distributed.shard import Made, Shard
    >>> def mean(source, across):
    ...     return across.total(float(sum(source))) / across.total(float(len(source)))
    >>> shards = [Shard(slice(0, 2), Made([1, 2])), Shard(slice(2, 3), Made([6]))]
    >>> outcome = run(mean, shards)
    >>> outcome.values, outcome.traffic.rounds
    ([3.0, 3.0], 2)
    """
    own = [() for _ in shards] if each is None else each
    both = [(*args, *mine) for mine in own]
    crew: Crew
    if client is None:
        crew = ThreadCrew(program, shards, both)
    else:
        _check(client)
        crew = DaskCrew(client, program, shards, both, patience)
    log: list[Answer] = []
    sums: dict[Form, SumsOf] = {}
    with crew, Progress(what, unit="sum") as told:
        while True:
            replies = crew.replies(log)
            for shard, reply in zip(shards, replies, strict=True):
                if isinstance(reply, Failed):
                    raise _named(reply, shard)
            done = [reply for reply in replies if isinstance(reply, Done)]
            if len(done) == len(replies):
                break
            answer = added_up(replies)
            log.append(answer)
            asks = [reply for reply in replies if isinstance(reply, Ask)]
            sums[answer.form] = _with(sums.get(answer.form, SumsOf()), asks, answer)
            told.update()
            if watch is not None:
                for news in asks[0].news:
                    watch(news)
    traffic = Traffic(rounds=len(log), sums=sums, **asdict(crew.carried))
    return Outcome([reply.value for reply in done], traffic)


def _with(so_far: SumsOf, asks: Sequence[Ask], answer: Answer) -> SumsOf:
    return SumsOf(
        so_far.rounds + 1,
        so_far.sent + len(asks) * payload(answer.value),
        so_far.received + sum(payload(ask.part) for ask in asks),
    )


def _named(failed: Failed, shard: Shard) -> BaseException:
    """The error with the shard's equations: in the message of ours, beside that of another."""
    if isinstance(failed.error, AlsglsError):
        return failed.named(shard.words)
    failed.error.add_note(f"in {shard.words}")
    return failed.error


def _check(client: Any) -> None:
    """A client that can be waited for, and is there.

    Raises
    ------
    OptionError
    """
    if getattr(client, "asynchronous", None) is not False:
        raise OptionError(
            f"client must be a synchronous distributed.Client, got {type(client).__name__}"
            + (" that is asynchronous" if getattr(client, "asynchronous", False) else "")
        )
    if client.status != "running":
        raise OptionError(f"client is {client.status}: make a new one")
