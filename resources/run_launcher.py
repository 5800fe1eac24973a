"""Where a run is a process: a fork of the warm code server, or on Kubernetes for giants a pod of their own; and whether it still lives.

What belongs here: choosing by the customer's size class, and telling a run that nobody works on. What does not: what a pod looks like (the chart's
`run_launcher`), what a class may take up (session_limits.py). Dagster has one launcher per instance, none that chooses, and its own for processes
cannot tell a dead one (ADR 0025). `dagster_k8s` is in images alone and is imported when the first giant is met.
"""
from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from partitions.customers import customer
from partitions.errors import StrataError
from resources.backfills import PARTITION_TAG, SIZE_TAG
from resources.postgres import Postgres
from resources.run_invariants import STALE_SECONDS, held
from resources.settings import settings

GIANT, SMALL = "giant", "small"
ENDING_SECONDS = 5


class ProcessLauncher(DefaultRunLauncher):
    """Dagster's own launcher, for one machine, whose monitor also ends runs that died together with their code server, or without one.

    A run holds its customer's lock from its first table to its end, and PostgreSQL lets the lock go with the process; so a run whose customer nobody
    works on for `silent_seconds` after it began is dead. A run of no customer ends by its longest time alone (backfills.RUN_TAGS)."""

    def __init__(self, silent_seconds: int = STALE_SECONDS, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._silent_seconds = silent_seconds

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"silent_seconds": dg.Field(int, is_required=False, default_value=STALE_SECONDS)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> ProcessLauncher:
        return cls(config_value["silent_seconds"], inst_data)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED only where it is sure; the database is asked about runs that are old enough."""
        name, record = run.tags.get(PARTITION_TAG), self._instance.get_run_record_by_id(run.run_id)
        if name is None or record is None or time.time() - (record.start_time or time.time()) < self._silent_seconds:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if self._is_worked_on(run, name):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        time.sleep(ENDING_SECONDS)  # a run lets the lock go a moment before it tells that it has ended
        if self._is_worked_on(run, name):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "nobody holds the customer's lock: the run's process is gone")

    def _is_worked_on(self, run: dg.DagsterRun, name: str) -> bool:
        now = self._instance.get_run_by_id(run.run_id)
        return now is None or now.is_finished or bool(held(Postgres(settings()), [name]))


class LauncherBySize(RunLauncher, ConfigurableClass):
    """Giants by `K8sRunLauncher`, configured by `giants`; all others as processes of the code server."""

    def __init__(self, giants: Mapping[str, Any], inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data, self._giants = inst_data, giants
        self._processes = DefaultRunLauncher()
        self._pods: RunLauncher | None = None
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"giants": dg.Permissive()}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> LauncherBySize:
        return cls(config_value["giants"], inst_data)

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        super().register_instance(instance)
        self._processes.register_instance(instance)

    def launch_run(self, context: LaunchRunContext) -> None:
        self._of(context.dagster_run).launch_run(context)

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        return run is not None and self._of(run).terminate(run_id)

    def join(self, timeout: int = 30) -> None:
        self._processes.join(timeout)

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives. Only what is known to be dead counts as such: a code server that does not answer is waited for."""
        launcher = self._of(run)
        return self._process_health(run) if launcher is self._processes else launcher.check_run_worker_health(run)

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        return self._of(run).get_run_worker_debug_info(run, include_container_logs)

    def _of(self, run: dg.DagsterRun) -> RunLauncher:
        if size_of(run) != GIANT or GRPC_INFO_TAG in run.tags:  # a run stays with who started it, also where its customer's class changes meanwhile
            return self._processes
        if self._pods is None:
            from dagster_k8s import K8sRunLauncher

            self._pods = K8sRunLauncher(inst_data=self._inst_data, **self._giants)
            self._pods.register_instance(self._instance)
        return self._pods

    def _process_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        from dagster._core.errors import DagsterUserCodeUnreachableError
        from dagster._grpc.client import DagsterGrpcClient
        from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
        from dagster._serdes import deserialize_value

        if GRPC_INFO_TAG not in run.tags:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "it is being started")
        where = json.loads(run.tags[GRPC_INFO_TAG])
        client = DagsterGrpcClient(host=where.get("host"), port=where.get("port"), socket=where.get("socket"), use_ssl=bool(where.get("use_ssl")))
        try:
            answer = deserialize_value(client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=10), CanCancelExecutionResult)
        except DagsterUserCodeUnreachableError:  # what the client makes of gRPC's many; an answer that cannot be read is none of them
            return CheckRunHealthResult(WorkerStatus.RUNNING, "the code server does not answer")
        if answer.can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the code server that ran it was started anew, and the run's process went with the old one")


def size_of(run: dg.DagsterRun) -> str:
    """The size class of a run's customer: as the launch said, else as the customer's file says (a launch from Dagster's pages says none)."""
    if said := run.tags.get(SIZE_TAG):
        return said
    try:
        return customer(run.tags.get(PARTITION_TAG, ""), settings().customers).size_class
    except StrataError:
        return SMALL  # of no customer (upkeep), or of one that is gone, which the run itself refuses
