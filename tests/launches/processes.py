"""Code server and daemon as processes of their own, as `strata serve` starts them in production, each with an environment of its own.

What belongs here: starting one with or without a fail point, seeing it die, and waiting. What does not: expectations. (`strata ui` starts all
of them with one environment, and brings a dead code server back by itself: tests/ui.)
"""
from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster._core.scheduler.instigation import InstigatorType

from cli.serving import await_code_location, daemon_lives
from resources.settings import PROJECT
from tests.launches.conftest import Daemons

CODE_SERVER, DAEMON = "code-server", "daemon"
START_SECONDS, WITHIN_SECONDS = 120, 120


@dataclass
class Processes:
    """One code server and one daemon at most; what they said lies in `logs`."""

    daemons: Daemons
    logs: Path
    port: int = field(default_factory=lambda: free_port())
    running: dict[str, subprocess.Popen] = field(default_factory=dict)
    points: dict[str, str] = field(default_factory=dict)

    def environment(self, point: str = "") -> dict[str, str]:
        mine = {key: value for key, value in os.environ.items() if key != "FAILPOINT"}
        mine |= {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1", "STRATA_CODE_SERVERS": f"greenit=127.0.0.1:{self.port}"}
        return {**mine, "FAILPOINT": point} if point else mine

    def serve(self, component: str, point: str = "") -> None:
        """A component that meets this fail point, or none; one that runs like this already is left alone."""
        if self.lives(component) and self.points[component] == point:
            return
        self.kill(component)
        if component == DAEMON:
            self.daemons.instance.wipe_daemon_heartbeats()
        words = ["--port", str(self.port)] if component == CODE_SERVER else []
        with (self.logs / f"{component}.log").open("ab") as log:
            self.running[component] = subprocess.Popen([sys.executable, "-m", "cli.main", "serve", component, *words], env=self.environment(point), cwd=PROJECT,
                                                       stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        self.points[component] = point
        if component == CODE_SERVER:
            self.until(lambda: answers(self.port), START_SECONDS, "the code server does not answer")
        elif not point:
            self.until(lambda: daemon_lives(self.daemons.instance), START_SECONDS, "the daemon does not beat")

    def ready(self) -> None:
        """Both, and the code location has answered the daemon."""
        self.serve(CODE_SERVER)
        self.serve(DAEMON)
        await_code_location(self.daemons.instance)

    def lives(self, component: str) -> bool:
        return component in self.running and self.running[component].poll() is None

    def kill(self, component: str) -> None:
        """End a component and what it started; runs that were forked from it have a group of their own."""
        if (process := self.running.pop(component, None)) is not None:
            with suppress(ProcessLookupError):  # its fail point has ended it already
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def serve_anew(self, component: str) -> None:
        """Without a fail point; a daemon that starts looks at once for backfills to take up, and then every 30 s."""
        self.kill(component)
        self.serve(component)

    def died(self, component: str) -> None:
        """Wait until a component has died of SIGKILL by itself."""
        process = self.running[component]
        self.until(lambda: process.poll() is not None, WITHIN_SECONDS, f"the {component} lives on")
        assert process.returncode == -signal.SIGKILL, self.said()

    def strata(self, *words: str, point: str = "") -> subprocess.CompletedProcess[str]:
        """A command in a shell of its own."""
        return subprocess.run([sys.executable, "-m", "cli.main", *words], env=self.environment(point), cwd=PROJECT, capture_output=True, text=True, timeout=240)

    def until(self, what: Callable[[], Any], seconds: float = WITHIN_SECONDS, problem: str = "it never came to that") -> Any:
        """The first true answer."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, f"{problem}\n{self.said()}"
            time.sleep(0.2)
        return found

    def look_now(self, sensor: str, **changes: Any) -> None:
        """As if the sensor's interval had passed since its last look: the daemon looks again within its five seconds. `cursor=None`: it was lost."""
        dagster = self.daemons.instance
        for state in dagster.all_instigator_state(instigator_type=InstigatorType.SENSOR):
            if state.name == sensor and state.instigator_data:
                long_ago = time.time() - 3600
                dagster.update_instigator_state(state.with_data(state.instigator_data._replace(last_tick_timestamp=long_ago, last_tick_start_timestamp=long_ago, **changes)))

    def said(self) -> str:
        """The ends of all logs, for a failed assertion; a process that was killed may have ended inside of a letter (errors="replace")."""
        return "\n".join(f"{path.name}:\n{path.read_text(errors='replace')[-1500:]}" for path in sorted(self.logs.glob("*.log")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int) -> bool:
    """Whether a code server has loaded its location and says so."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            asked = health_pb2.HealthCheckRequest(service="DagsterApi")
            return health_pb2_grpc.HealthStub(channel).Check(asked, timeout=2).status == health_pb2.HealthCheckResponse.SERVING
        except grpc.RpcError:  # nothing listens yet; `until` gives up in the end
            return False
