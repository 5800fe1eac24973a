"""Named places where a test can make a run fail: `FAILPOINT=name:action[:nth]`, action kill9 | term | stop | raise | sleep.

Every name is a string literal in a call `failpoint("…")`; a test lists them by reading the source and drives a run into each one.
"""
from __future__ import annotations

import os
import signal
import time

_hits: dict[str, int] = {}


def failpoint(name: str) -> None:
    """Do nothing, unless the environment asks for a failure at this name (and this nth hit)."""
    wanted = os.environ.get("FAILPOINT")
    if not wanted:
        return
    target, action, *nth = wanted.split(":")
    if target != name:
        return
    _hits[name] = _hits.get(name, 0) + 1
    if nth and _hits[name] != int(nth[0]):
        return
    if action == "kill9":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    elif action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif action == "sleep":
        time.sleep(float(os.environ.get("FAILPOINT_SECONDS", "5")))
    elif action == "raise":
        raise RuntimeError(f"fail point {name}")
    else:
        raise ValueError(f"FAILPOINT names no action: {action}")
