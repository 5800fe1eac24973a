"""What a removal says of itself: what was there, what is left, what was searched, and what it cannot reach.

What belongs here: the certificate and its words. It names the operator and the customer's id, and nothing else of anybody. What does not: removing
(erasure.py) and searching (byte_scan.py).
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resources.byte_scan import Scanned

COPIED = "it holds the customer's data and is handed over; delete it afterwards"
OUT_OF_REACH = ["backups of databases and disks: `strata up` removes the customer again after a restore", "pages that `strata datadocs` wrote elsewhere",
                "the customer's file and overlays in Git, and Git's history", "mail and webhooks that were sent"]


@dataclass(frozen=True)
class Certificate:
    """What was there, what is there now, and where the customer's id or accounts still stand."""

    customer: str
    environment: str
    began_at: str
    ended_at: str
    bundle: str | None
    bundle_sha256: str | None
    before: Mapping[str, int]
    after: Mapping[str, int]
    scanned: tuple[Scanned, ...]
    kept_roles: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()  # on an object store
    operator: str = ""

    @property
    def out_of_reach(self) -> list[str]:
        """What a removal cannot undo, for a person to do."""
        user = f"the object store's own user of this customer: revoke there whoever has a policy for {' and '.join(self.prefixes)}"
        return [*OUT_OF_REACH, *([user] if self.prefixes else [])]

    @property
    def is_clean(self) -> bool:
        return not any(self.after.values()) and not any(one.hits for one in self.scanned)

    @property
    def facts(self) -> dict[str, Any]:
        places = [{"place": place, "before": self.before.get(place, 0), "after": self.after.get(place, 0)} for place in sorted({*self.before, *self.after})]
        return {"customer": self.customer, "environment": self.environment, "operator": self.operator, "began_at": self.began_at, "ended_at": self.ended_at,
                "clean": self.is_clean,
                "bundle": self.bundle, "bundle_sha256": self.bundle_sha256, "places": places, "scan": [asdict(one) for one in self.scanned],
                "roles_kept_for_other_environments": list(self.kept_roles), "out_of_reach": self.out_of_reach}

    @property
    def text(self) -> str:
        things, size, hits = sum(self.before.values()), sum(one.bytes for one in self.scanned), sum(one.hits for one in self.scanned)
        found = [f"  {one.place}: {one.hits} ({', '.join(one.first)})" for one in self.scanned if one.hits]
        return "\n".join([
            f"Customer {self.customer} was removed from {self.environment} between {self.began_at} and {self.ended_at} by {self.operator}.",
            f"Before: {things:,} things in {sum(1 for number in self.before.values() if number)} places. After: {sum(self.after.values()):,}.",
            f"Searched for its id and accounts in {size:,} bytes of {', '.join(one.place for one in self.scanned)}: {hits} found.",
            *found, f"Export bundle: {Path(self.bundle).name}, sha256 {self.bundle_sha256}; {COPIED}." if self.bundle else "No export bundle was made.",
            "Out of reach: " + "; ".join(self.out_of_reach) + "."]) + "\n"
