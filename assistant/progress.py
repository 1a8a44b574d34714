"""What is being prepared behind the service, and what went wrong last; safe to read at any time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal

Stage = Literal["ready", "waiting", "downloading", "converting", "indexing", "loading"]


@dataclass(frozen=True, slots=True)
class State:
    """One moment of it.

    `ready` means that nothing is being prepared; `waiting`, that it will be tried again.
    """

    stage: Stage = "ready"
    detail: str = ""
    done: float | None = None  # 0 to 1; None where it is not known
    reason: str = ""  # why the full models are not in service, if they are wanted
    last_failure: str = ""  # of the generator in service


class Progress:
    """The state, replaced as a whole by whoever makes progress."""

    def __init__(self) -> None:
        self.state = State()

    def at(self, stage: Stage, detail: str = "", done: float | None = None) -> None:
        """Another stage, or further in this one."""
        self.state = replace(self.state, stage=stage, detail=detail, done=done)

    def given_up(self, reason: str, stage: Stage = "waiting") -> None:
        """An attempt failed; what is in service stays."""
        self.state = replace(self.state, stage=stage, detail="", done=None, reason=reason)

    def reached(self) -> None:
        """What was being prepared is in service."""
        self.state = State()

    def failed(self, reason: str) -> None:
        """The generator failed during an answer."""
        self.state = replace(self.state, last_failure=reason)

    def status(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self.state)
