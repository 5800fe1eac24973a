"""The language of MANIFEST.csv: what a case may end in, and what it ended in. Anything that is not in the grammar fails."""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from resources.reasons import REASONS

TOKEN = re.compile(r"(?P<verb>load|skip):(?P<n>\d+|\*)|(?P<kept>quarantine):(?P<m>\d+):(?P<r>[A-Z_0-9]+)|(?P<other>repair|reject):(?P<o>[A-Z_0-9]+)", re.ASCII)
ANY = -1


@dataclass(frozen=True)
class Outcome:
    """One alternative, or the result of a run. `loaded` is ANY for `load:*`."""

    loaded: int = 0
    quarantined: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    repairs: frozenset[str] = frozenset()
    rejected: str | None = None

    def allows(self, found: Outcome) -> bool:
        """Whether a run is this alternative exactly."""
        same = (self.quarantined, self.skipped, self.repairs, self.rejected) == (found.quarantined, found.skipped, found.repairs, found.rejected)
        return same and self.loaded in (ANY, found.loaded)


def alternatives(text: str) -> list[Outcome] | None:
    """The alternatives of a manifest row; None for `either`. Raises ValueError for what is not in the grammar or the list of reasons."""
    return None if text == "either" else [_alternative(part) for part in text.split("|")]


def _alternative(text: str) -> Outcome:
    loaded, skipped, kept, repairs, rejected = 0, 0, dict[str, int](), set[str](), None
    seen: set[tuple[str, str]] = set()
    for token in text.split("+"):
        found = TOKEN.fullmatch(token)
        if not found:
            raise ValueError(f"not a token: {token}")
        verb, reason = found["verb"] or found["kept"] or found["other"], found["r"] or found["o"] or ""
        if (verb, reason) in seen or (reason and reason not in REASONS) or (verb == "skip" and found["n"] == "*"):
            raise ValueError(f"twice, or no reason of the list: {token}")
        seen.add((verb, reason))
        if verb == "load":
            loaded = ANY if found["n"] == "*" else int(found["n"])
        elif verb == "skip":
            skipped = int(found["n"])
        elif verb == "quarantine":
            kept[reason] = int(found["m"])
        elif verb == "repair":
            repairs.add(reason)
        else:
            rejected = reason
    if rejected and len(seen) > 1:
        raise ValueError(f"reject stands alone: {text}")
    return Outcome(loaded, kept, skipped, frozenset(repairs), rejected)
