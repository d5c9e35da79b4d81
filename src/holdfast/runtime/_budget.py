"""Which models may be in memory together. Rules only; nothing here does I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from holdfast.runtime._errors import MemoryBudgetExceeded, MemoryBudgetTooSmall

__all__ = ["Budget", "Held", "room_for"]


class Budget(NamedTuple):
    """How much memory models may take together.

    Attributes:
        memory_mb: the limit in MB; None for no limit.
        when_full: ``refuse`` the load, or ``evict`` what was not used for longest.
    """

    memory_mb: int | None = None
    when_full: Literal["refuse", "evict"] = "refuse"


class Held(NamedTuple):
    """A loaded model: its MB, when it was last used, and whether it has something to do."""

    id: str
    memory_mb: float
    last_used: float
    busy: bool


def room_for(model: str, memory_mb: float, held: Sequence[Held], budget: Budget) -> list[str]:
    """Return the models to unload so that ``model`` fits; none if it does as it is.

    Raises:
        MemoryBudgetTooSmall: it would not fit if it were alone.
        MemoryBudgetExceeded: it cannot be made to fit, now.
    """
    if budget.memory_mb is None:
        return []
    if memory_mb > budget.memory_mb:
        raise MemoryBudgetTooSmall(
            f"{model} does not fit into the memory for models",
            why=f"it takes {memory_mb:.0f} MB, and all together may take {budget.memory_mb} MB",
            hint=f"memory_budget_mb = {math.ceil(memory_mb)}",
        )
    taken = sum(other.memory_mb for other in held)
    over = taken + memory_mb - budget.memory_mb
    if over <= 0:
        return []
    victims: list[str] = []
    if budget.when_full == "evict":
        for other in sorted(held, key=lambda one: one.last_used):
            if over > 0 and not other.busy:
                victims.append(other.id)
                over -= other.memory_mb
    if over <= 0:
        return victims
    others = ", ".join(f"{one.id} {one.memory_mb:.0f} MB" for one in held) or "nothing"
    raise MemoryBudgetExceeded(
        f"{model} does not fit into the memory for models",
        why=f"it takes {memory_mb:.0f} of {budget.memory_mb} MB, and loaded are: {others}",
        hint='raise memory_budget_mb, unload another model, or set when_full = "evict"',
    )
