"""What a fit gives back."""

from typing import TYPE_CHECKING

if not TYPE_CHECKING:
    from sm_alsgls.lazy import on_demand

    # It has modules only, which are attributes without an import of their own.
    __getattr__, __dir__ = on_demand(__name__, {})
