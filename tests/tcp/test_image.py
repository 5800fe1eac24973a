"""The image's steps, replayed, and what the chart starts from it with production's values against a PostgreSQL over TCP."""
from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from resources.settings import PROJECT
from tests.chart.rendering import ask, documents, pods, request
from tests.tcp.api_server import ApiServer, api_server
from tests.tcp.deliveries import LAND
from tests.tcp.pods import CONFIGURATION, UID, Cluster, until
from tests.tcp.server import Authority, Server, free_port, running

pytestmark = [pytest.mark.tcp, pytest.mark.skipif(os.geteuid() != 0, reason="a replayed tree is entered by chroot, which takes root")]
ARGUMENTS = {"BASE_IMAGE": f"replayed@sha256:{'0' * 64}", "COMMIT": "0123456789abcdef" * 2 + "01234567", "REF": "refs/tags/v0.1.0"}
REPOSITORY = {"repositoryLocationName": "greenit", "repositoryName": "__repository__"}
GIANT, TABLE = {"dagster/partition": "acme", "strata/size_class": "giant"}, ["greenit", "bronze", "equipment_inventory"]
HEALTH = """
import json, sys
from dagster._core.instance import DagsterInstance
with DagsterInstance.get() as instance:
    for number in sys.argv[1:]:
        print(json.dumps([str(instance.run_launcher.check_run_worker_health(instance.get_run_by_id(number)).status), type(instance.run_launcher).__name__]))
"""
LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on UnauthorizedError { message } } }"""
MUTATIONS = {  # attack case 46
    "launchRun": (LAUNCH, {"p": {"selector": {**REPOSITORY, "pipelineName": "greenit_customer"}, "mode": "default", "executionMetadata": {"tags": []}}}),
    "deleteRun": ("mutation { deletePipelineRun(runId: \"%s\") { __typename } }", {}),
    "terminateRun": ("mutation { terminateRun(runId: \"%s\") { __typename } }", {}),
    "wipeAssets": ("mutation { wipeAssets(assetPartitionRanges: [{assetKey: {path: [\"greenit\", \"silver\", \"equipment\"]}}]) { __typename } }", {}),
    "reloadLocation": ("mutation { reloadRepositoryLocation(repositoryLocationName: \"greenit\") { __typename } }", {}),
    "reloadWorkspace": ("mutation { reloadWorkspace { __typename } }", {}),
    "shutdownLocation": ("mutation { shutdownRepositoryLocation(repositoryLocationName: \"greenit\") { __typename } }", {}),
    "addPartition": ("mutation { addDynamicPartition(partitionsDefName: \"customer\", partitionKey: \"mallory\", repositorySelector: {repositoryLocationName: \"greenit\", "
                     "repositoryName: \"__repository__\"}) { __typename } }", {}),
    "reportMaterialization": ("mutation { reportRunlessAssetEvents(eventParams: {eventType: ASSET_MATERIALIZATION, assetKey: {path: [\"greenit\", \"silver\", \"equipment\"]}}) "
                              "{ __typename } }", {}),
}


@pytest.fixture(scope="session")
def image() -> Iterator[Path]:
    """The Dockerfile's steps, executed; left in build/replayed, since removing 1.2 GB takes most of a minute. STRATA_REPLAYED names one that is there already."""
    if done := os.environ.get("STRATA_REPLAYED"):
        yield Path(done)
        return
    folder = PROJECT / "build" / "replayed"
    shutil.rmtree(folder, ignore_errors=True)
    words = [word for name, value in ARGUMENTS.items() for word in ("--build-arg", f"{name}={value}")]
    made = subprocess.run([sys.executable, PROJECT / "deploy" / "replay.py", "build", folder, *words], capture_output=True, text=True, timeout=900)
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    yield folder


def test_the_image_holds_what_runs_and_belongs_to_root(image: Path) -> None:
    made = json.loads((image / CONFIGURATION).read_text())
    assert (made["user"], made["entrypoint"]) == ("10001:10001", ["strata"])
    assert made["labels"]["org.opencontainers.image.revision"] == made["environment"]["STRATA_COMMIT"]
    assert made["labels"]["strata.location"] == made["environment"]["STRATA_LOCATION"] == "greenit"
    app = image / "tree" / "opt" / "strata" / "app"
    assert not [name for name in ("tests", ".git", "build", "Dockerfile", ".strata", "benchmarks") if (app / name).exists()]
    writable = [path for path in (image / "tree" / "opt").rglob("*") if not path.is_symlink() and ((found := path.stat()).st_uid != 0 or found.st_mode & stat.S_IWOTH)]
    assert writable == []
    assert not list((image / "tree" / "opt" / "strata" / "venv").glob("lib/python3*/site-packages/pip"))


def test_the_bill_of_materials_names_every_package_of_the_lock(image: Path) -> None:
    bill = json.loads((image / "tree" / "opt" / "strata" / "sbom.cdx.json").read_text())
    found = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one["version"] for one in bill["components"]}
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", (PROJECT / "deploy" / "image-requirements.lock").read_text(), re.MULTILINE))
    missing = {name: version for name, version in locked.items() if name != "setuptools" and found.get(re.sub(r"[-_.]+", "-", name).lower()) != version}
    assert bill["bomFormat"] == "CycloneDX"
    assert missing == {}
    assert bill["metadata"]["component"]["name"] == "strata-platform"


def test_a_dockerfile_whose_code_location_does_not_load_makes_no_image(image: Path, tmp_path: Path) -> None:
    step = next(line for line in (PROJECT / "Dockerfile").read_text().splitlines() if line.startswith("RUN python -c"))
    cluster = Cluster(image, tmp_path, {}, {})
    pod = {"containers": [{"name": "x", "env": [{"name": "STRATA_LOCATION", "value": "nowhere"}], "volumeMounts": []}]}
    done = subprocess.run(cluster.commands(pod, "x", ["-c", step.removeprefix("RUN ")], ["/bin/sh"]), capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "nowhere" in done.stderr


@dataclass
class Production:
    """The started installation."""

    cluster: Cluster
    pods: dict[str, dict[str, Any]]
    urls: dict[str, str]
    server: Server
    api: ApiServer

    def ask(self, query: str, to: str = "webserver", **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.urls[to]}/graphql", body, {"Content-Type": "application/json"}), timeout=60) as answer:
            return json.load(answer)

    def strata(self, *words: str) -> str:
        return self.cluster.done(self.cluster.commands(self.pods["operator"], "operator", words, ["strata"]))

    def launch(self, tags: dict[str, str], assets: list[list[str]] | None = None) -> str:
        selector = {**REPOSITORY, "pipelineName": "greenit_customer", **({"assetSelection": [{"path": path} for path in assets], "assetCheckSelection": []} if assets else {})}
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        answer = self.ask(LAUNCH, p={"selector": selector, "mode": "default", "executionMetadata": metadata})
        assert answer["data"]["launchRun"]["__typename"] == "LaunchRunSuccess", answer
        return answer["data"]["launchRun"]["run"]["runId"]

    def status(self, run: str) -> str:
        return self.ask("query($r: ID!) { runOrError(runId: $r) { ... on Run { status } } }", r=run)["data"]["runOrError"]["status"]

    def ended(self, run: str, seconds: float = 300) -> str:
        return until(lambda: (found := self.status(run)) in ("SUCCESS", "FAILURE", "CANCELED") and found, seconds, f"run {run}", lambda: self.cluster.log("code"))


@pytest.fixture(scope="module")
def production(image: Path, authority: Authority) -> Iterator[Production]:
    """values-prod.yaml rendered, its hooks done, acme's deliveries landed, and every container started as its manifest says."""
    root = Path(tempfile.mkdtemp(prefix="strata-prod-"))
    root.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        (root / "server").mkdir()
        server, api = stack.enter_context(running(root / "server", authority)), stack.enter_context(api_server())
        viewers = {"viewers": {"enabled": True, "host": "strata-view-prod.example.org", "allowedGroups": ["viewers"]}}
        found = documents(ask(render=[request("prod", {**viewers, "postgresql": {"host": "localhost", "port": server.port}})])[0])
        made = {name: template["spec"] for name, template in pods(found)}
        ports = {name: free_port() for name in ("webserver", "viewers", "code")}
        cluster = Cluster(image, root / "volumes", {
            "strata-postgres-ca-prod": {"ca.crt": server.authority.read_text()},
            "strata-postgres-administrator-prod": {"username": "postgres", "password": server.password}},
            {"strata-instance": {"instance.yaml": _launching_at(found, api), "kubeconfig": _kubeconfig(api)}},
            {"strata-code-greenit:4000": f"127.0.0.1:{ports['code']}"})
        cluster.done(cluster.commands(made["migrate"], "migrate"))
        cluster.done(cluster.commands(made["customers"], "customers"))
        cluster.done(cluster.commands(made["operator"], "operator", ["-c", LAND], ["python"]))
        for name, inner, port in (("code-greenit", "code-server", "4000"), ("webserver", "webserver", "3000"), ("viewers", "webserver", "3000"), ("daemon", "daemon", "")):
            short = name.removesuffix("-greenit")
            words = [str(ports[short]) if word == port else word for word in next(one for one in made[name]["containers"] if one["name"] == inner)["args"]]
            stack.enter_context(cluster.served(cluster.commands(made[name], inner, words), short))
        yield Production(cluster, made, {name: f"http://127.0.0.1:{ports[name]}" for name in ("webserver", "viewers")} | {"code": f"127.0.0.1:{ports['code']}"}, server, api)


def _launching_at(found: list[dict[str, Any]], api: ApiServer) -> str:
    """The rendered instance, whose launcher of pods finds the cluster by a file instead of by the pod's own token."""
    instance = yaml.safe_load(next(one for one in found if one["metadata"]["name"] == "strata-instance")["data"]["instance.yaml"])
    instance["run_launcher"]["config"]["giants"] |= {"load_incluster_config": False, "kubeconfig_file": "/etc/strata/instance/kubeconfig"}
    return yaml.safe_dump(instance)


def _kubeconfig(api: ApiServer) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                           "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{api.port}"}}], "users": [{"name": "x", "user": {}}]})


def test_every_component_answers_its_probe(production: Production) -> None:
    cluster = production.cluster
    for name in ("webserver", "viewers"):
        probe = next(one for one in production.pods[name]["containers"] if one["name"] == "webserver")["livenessProbe"]["exec"]["command"]
        words = [word.replace("127.0.0.1:3000", production.urls[name].removeprefix("http://")) for word in probe[1:]]
        command = cluster.commands(production.pods[name], "webserver", words, probe[:1])
        until(lambda command=command: subprocess.run(command, capture_output=True).returncode == 0, 120, name, lambda name=name: cluster.log(name))
    probe = production.pods["code-greenit"]["containers"][0]["livenessProbe"]["grpc"]
    until(lambda: _serving(production.urls["code"], probe["service"]), 120, "code server", lambda: cluster.log("code"))
    probe = production.pods["daemon"]["containers"][0]["livenessProbe"]["exec"]["command"]
    command = cluster.commands(production.pods["daemon"], "daemon", probe[1:], probe[:1])
    until(lambda: subprocess.run(command, capture_output=True).returncode == 0, 120, "daemon", lambda: cluster.log("daemon"))


def _serving(address: str, service: str) -> bool:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        try:
            return health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status == health_pb2.HealthCheckResponse.SERVING
        except grpc.RpcError:
            return False


@pytest.fixture(scope="module")
def published(production: Production) -> str:
    """acme, launched from the pages, queued by the daemon, forked by the code server; the run."""
    until(lambda: _loaded(production), 120, "the code location", lambda: production.cluster.log("webserver"))
    run = production.launch({"dagster/partition": "acme"})
    assert production.ended(run) == "SUCCESS", production.cluster.log("code")
    return run


def _loaded(production: Production) -> bool:
    query = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
    with suppress(OSError):  # nothing listens yet; `until` gives up in the end
        return "RepositoryLocation" in json.dumps(production.ask(query))
    return False


def test_a_launch_from_the_pages_comes_to_the_figures_that_the_readme_shows(production: Production, published: str) -> None:
    shown = re.search(r"published cells say ([0-9.]+)", (PROJECT / "README.md").read_text())[1]
    assert f"published cells say {shown}" in production.strata("trace", "acme", "total_location", "--limit", "1", "--reason", "comparing with the guide")
    production.strata("verify", "acme")


def test_every_materialization_says_the_commit_and_the_release_of_its_image(production: Production, published: str) -> None:
    query = """query($r: ID!) { runOrError(runId: $r) { ... on Run { assetMaterializations { assetKey { path } metadataEntries { label ... on TextMetadataEntry { text } } } } } }"""
    made = production.ask(query, r=published)["data"]["runOrError"]["assetMaterializations"]
    tables = [{one["label"]: one.get("text") for one in event["metadataEntries"]} for event in made if event["assetKey"]["path"][1] in ("bronze", "silver", "gold", "platinum")]
    assert len(tables) > 40
    stamped = json.loads((production.cluster.image / CONFIGURATION).read_text())["environment"]
    commit, release = stamped["STRATA_COMMIT"], stamped["STRATA_REF"].split("/", 2)[2]
    assert {(one["commit"], one["release"]) for one in tables} == {(commit, release)}
    with psycopg.connect(production.server.dsn(), dbname="strata_lake_prod") as connection:
        said = connection.execute("SELECT DISTINCT commit_extra_info::json ->> 'commit' FROM lake_acme.ducklake_snapshot_changes WHERE commit_extra_info LIKE '%commit%'").fetchall()
    assert said == [(commit,)]


@pytest.mark.parametrize("name", MUTATIONS)
def test_viewers_change_nothing(name: str, production: Production, published: str) -> None:
    """Attack case 46, at the read-only webserver. The proxy before it is not played here: what it lets through is all that a viewer can ask."""
    query, variables = MUTATIONS[name]
    answer = production.ask(query.replace("%s", published), to="viewers", **variables)
    said = json.dumps(answer)
    ended = name == "terminateRun" and "TerminateRunFailure" in said  # of a run that has ended Dagster says so before it asks who is asking
    assert "UnauthorizedError" in said or ended, said


def test_viewers_report_nothing_from_outside(production: Production, published: str) -> None:
    """Attack case 47: the endpoints beside GraphQL that write."""
    for path, body in (("report_asset_materialization/greenit/silver/equipment", {"partition": "acme"}), ("report_asset_check/greenit/silver/equipment", {"check_name": "x", "passed": True}),
                       ("report_asset_observation/greenit/silver/equipment", {})):
        asked = urllib.request.Request(f"{production.urls['viewers']}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked, timeout=30)
        assert refused.value.code in (401, 403), path


def test_the_pages_listen_on_loopback_alone(production: Production) -> None:
    """Attack case 48: a header that names somebody means nothing where nobody but the pod itself can connect."""
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True).stdout if shutil.which("ss") else _listening()
    for name in ("webserver", "viewers"):
        port = production.urls[name].rpartition(":")[2]
        assert {line.split()[3].rpartition(":")[0] for line in listening.splitlines() if line.split()[3].endswith(f":{port}")} == {"127.0.0.1"}


def _listening() -> str:
    """The same as `ss -ltnH` says, of the kernel's table."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    addresses = [row[1].split(":") for row in rows if row[3] == "0A"]
    return "\n".join(f"LISTEN 0 0 {'.'.join(str(int(host[at:at + 2], 16)) for at in (6, 4, 2, 0))}:{int(port, 16)}" for host, port in addresses)


def test_a_giant_whose_tags_ask_for_another_pod_gets_none(production: Production, published: str) -> None:
    wish = {"container_config": {"image": "mallory/image", "security_context": {"privileged": True}}, "pod_spec_config": {"host_network": True, "service_account_name": "strata-daemon"}}
    run = production.launch({**GIANT, "dagster-k8s/config": json.dumps(wish)}, [TABLE])
    assert production.ended(run, 120) == "FAILURE"
    assert production.api.jobs == {}


def test_a_giant_gets_a_pod_of_its_own(production: Production, published: str) -> None:
    run = production.launch(GIANT, [TABLE])
    job = until(lambda: next(iter(production.api.jobs.values()), None), 90, "the giant's pod", lambda: production.cluster.log("daemon"))
    assert job["metadata"]["name"] == f"dagster-run-{run}"
    assert ask(validate=[job], versions=["1.29.0", "1.37.0"]) == []
    pod = job["spec"]["template"]["spec"]
    (one,) = pod["containers"]
    assert (pod["automountServiceAccountToken"], pod["serviceAccountName"], pod.get("hostNetwork", False), job["spec"]["backoffLimit"]) == (False, "strata", False, 0)
    assert one["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True, "runAsUser": UID, "runAsGroup": UID,
                                      "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
    assert re.fullmatch(r"registry\.example\.org/strata@sha256:[0-9a-f]{64}", one["image"])
    assert one["resources"]["limits"] == {"cpu": "4", "memory": "10Gi"}
    assert job["spec"]["template"]["metadata"]["labels"]["strata/reaches"] == "stores"
    assert "password" not in json.dumps(job).lower(), "a pod's manifest holds a secret"
    assert production.status(run) in ("STARTING", "STARTED")
    production.cluster.done(production.cluster.commands(pod, one["name"]))
    production.api.finished.add(job["metadata"]["name"])
    assert production.ended(run, 30) == "SUCCESS"
    assert _health(production, run) == ["WorkerStatus.SUCCESS", "LauncherBySize"]


def test_a_run_whose_code_server_was_started_anew_is_known_to_be_dead(production: Production, published: str) -> None:
    """The code server has forgotten a run that ended, as a new one knows nothing of the runs of the old; one that does not answer is waited for."""
    assert _health(production, published) == ["WorkerStatus.FAILED", "LauncherBySize"]
    with psycopg.connect(production.server.dsn(), dbname="strata_dagster_prod", autocommit=True) as connection:
        connection.execute("UPDATE run_tags SET value = %s WHERE run_id = %s AND key = '.dagster/grpc_info'", [json.dumps({"host": "127.0.0.1", "port": free_port()}), published])
        connection.execute("UPDATE runs SET run_body = replace(run_body, %s, %s) WHERE run_id = %s", [production.urls["code"].rpartition(":")[2], str(free_port()), published])
    assert _health(production, published)[0] == "WorkerStatus.RUNNING"


def _health(production: Production, run: str) -> list[str]:
    said = production.cluster.done(production.cluster.commands(production.pods["daemon"], "daemon", ["-c", f"from cli.components import _prepared; _prepared()\n{HEALTH}", run], ["python"]))
    return json.loads(said.splitlines()[-1])


def test_nothing_of_a_secret_stands_in_logs(production: Production, published: str) -> None:
    secrets = [production.server.password, *(path.read_text().strip() for path in (production.cluster.state / "secrets").iterdir())]
    for log in production.cluster.root.glob("*.log"):
        text = log.read_text(errors="replace")
        assert not [secret for secret in secrets if secret in text], log.name
