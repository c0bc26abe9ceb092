"""Bytes that shards and their driver exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sm_alsgls.distributed.messages import Form


@dataclass(frozen=True)
class SumsOf:
    """Sums of one kind and shape: how many there were, and bytes of their numbers."""

    rounds: int = 0
    sent: int = 0
    received: int = 0


@dataclass(frozen=True)
class Traffic:
    """What went between the driver and all shards.

    Attributes
    ----------
    rounds : int
        Sums over equations.
    to_workers, from_workers : int
        Bytes of messages of the rounds as they are sent, both with their envelopes. Of shards
        in this process, of their numbers.
    begun : int
        Bytes with which programs were begun: where the data are, and arguments.
    returned : int
        Bytes of what they returned.
    replayed : int
        Bytes of answers that were sent again because a worker was lost.
    restarts : int
        Shards that were begun anew.
    sums : mapping of (kind, shape) to SumsOf
        Bytes of the numbers alone.
    """

    rounds: int = 0
    to_workers: int = 0
    from_workers: int = 0
    begun: int = 0
    returned: int = 0
    replayed: int = 0
    restarts: int = 0
    sums: Mapping[Form, SumsOf] = field(default_factory=dict)
