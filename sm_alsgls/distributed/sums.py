"""Parts of shards in, the sum that all of them get out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sm_alsgls.distributed.messages import Answer, Ask, Done, Reply, Sum
from sm_alsgls.exceptions import OutOfStepError


def added_up(replies: Sequence[Reply]) -> Answer:
    """The sum that all shards ask for, added in their order, so that it has one set of bits.

    Raises
    ------
    OutOfStepError
        They ask for different ones, or some are through.

    Examples
    --------
    >>> from sm_alsgls.distributed.messages import Ask
    >>> from sm_alsgls.distributed.sums import added_up
    >>> added_up([Ask("total", 1.0), Ask("total", 2.0)]).value
    3.0
    >>> added_up([Ask("largest", 1.0), Ask("largest", 2.0)]).value
    2.0
    """
    asks = [reply for reply in replies if isinstance(reply, Ask)]
    forms = {ask.form for ask in asks}
    if len(asks) < len(replies) or len(forms) != 1:
        raise OutOfStepError(
            "shards went different ways: " + "; ".join(_said(i, r) for i, r in enumerate(replies))
        )
    (form,) = forms
    parts = [ask.part for ask in asks]
    if form[0] == "largest":
        # NaN of one is NaN of all, whatever their order.
        return Answer(form, float(np.max(np.array(parts))))
    total: Sum = parts[0]
    for part in parts[1:]:
        total = total + part
    return Answer(form, total if isinstance(total, np.ndarray) else float(total))


def _said(shard: int, reply: Reply) -> str:
    if isinstance(reply, Ask):
        kind, shape = reply.form
        return f"shard {shard} asks for the {kind} of shape {shape}"
    return f"shard {shard} is through" if isinstance(reply, Done) else f"shard {shard} failed"
