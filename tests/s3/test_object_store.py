"""Attack cases 50 and 51, and a whole customer whose landing and lake are an object store: nothing of it lies on disk, and no key reaches another prefix.

The server judges reading, writing, deleting and uploads by the key's policy. It does not judge listing and the source of a copy; for these the
policy itself is evaluated (iam.py), and a session is refused them by its lock.
"""
from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from cli.main import strata
from partitions.customers import customer
from partitions.errors import SettingsError
from platform_assets.verification import all_contracts
from resources.object_store import Login, ObjectStore, login, policy, secret_options
from resources.probes import READS, try_session
from resources.sandbox import load_extensions
from resources.store_invariants import ask_stores
from tests.installation import Installation, Run, billing, inventory
from tests.lake import lake_rows, session_for
from tests.s3.conftest import BUCKET, NAMES, Store
from tests.s3.iam import allows

pytestmark = pytest.mark.s3
OWN, OTHERS = "obj_a", ("obj_b", "obj_a2")
REQUESTS: dict[str, Callable[[Any, str], Any]] = {  # what a key may try at an object of another customer
    "get": lambda s3, key: s3.get_object(Bucket=BUCKET, Key=key),
    "get a version": lambda s3, key: s3.get_object(Bucket=BUCKET, Key=key, VersionId="null"),
    "head": lambda s3, key: s3.head_object(Bucket=BUCKET, Key=key),
    "put": lambda s3, key: s3.put_object(Bucket=BUCKET, Key=key, Body=b"evil"),
    "put beside": lambda s3, key: s3.put_object(Bucket=BUCKET, Key=f"{key}.more", Body=b"evil"),
    "copy to": lambda s3, key: s3.copy_object(Bucket=BUCKET, Key=key, CopySource=f"{BUCKET}/landing/{OWN}/own"),
    "delete": lambda s3, key: s3.delete_object(Bucket=BUCKET, Key=key),
    "upload in parts": lambda s3, key: s3.create_multipart_upload(Bucket=BUCKET, Key=key),
}


@pytest.fixture(scope="module")
def done(remote: Installation, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """obj_a has run whole; the others have a delivery each, with a canary."""
    folder = tmp_path_factory.mktemp("s3")
    for name in NAMES:
        remote.land(name, "equipment_inventory", [inventory(folder / f"{name}.csv", {"equipment_id": f"CANARY-{name}-1"}, {"equipment_id": f"CANARY-{name}-2", "quantity": "many"})])
    remote.land(OWN, "cloud_billing", [billing(folder / "bill.csv", f"account-{OWN}", {"SkuId": f"CANARY-{OWN}"})])
    return remote.run(OWN)


def test_the_look_at_invariants_sees_what_lies_on_the_store(done: Run, remote: Installation, store: Store) -> None:
    """A file of the lake that was cut, a delivery that was changed byte by byte and one that is gone are each found; whoever is whole has no finding."""
    root, found = store.client("root"), customer(OWN, remote.settings.customers)

    def looked(contents: bool = False) -> list[tuple[str, str]]:
        seen = ask_stores(remote.postgres, found, [made.spec for made in all_contracts()], contents)
        assert (seen.unseen, seen.counts["I3"] >= 2, seen.counts["I1"] > 5) == ({}, True, True)
        return [(one.invariant, one.problem) for one in seen.findings if not one.is_note]

    assert looked(contents=True) == []
    [bill] = [key for key in store.objects() if key.startswith(f"landing/{OWN}/cloud_billing/") and key.endswith("bill.csv")]
    [bronze] = [key for key in store.objects() if f"lake/{OWN}/greenit_bronze/cloud_billing/" in key]
    for key, change, contents, said in (
            (bronze, lambda body: body[:-1], False, ("I1", "has another size than was written")),
            (bill, lambda body: body[:-2] + b"!\n", True, ("I3", "is no longer what was accepted")),
            (bill, None, False, ("I3", "is gone"))):
        kept = root.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        if change:
            root.put_object(Bucket=BUCKET, Key=key, Body=change(kept))
        else:
            root.delete_object(Bucket=BUCKET, Key=key)
        told = looked(contents)
        root.put_object(Bucket=BUCKET, Key=key, Body=kept)
        assert [(invariant, said[1] in problem) for invariant, problem in told] == [(said[0], True)], told
    assert looked() == []
    login_of_own = remote.settings.secrets / f"s3_{OWN}"
    kept_login = login_of_own.read_text()
    try:
        login_of_own.write_text(json.dumps({"key_id": store.keys[OWN][0], "secret": "another one"}))
        seen = ask_stores(remote.postgres, found, [made.spec for made in all_contracts()])
    finally:
        login_of_own.write_text(kept_login)
    assert "does not list this customer's part of it" in seen.unseen[OWN]
    assert seen.broken == []  # a store that does not answer says nothing against anybody


def foreign_keys(store: Store) -> list[str]:
    return [key for key in store.objects() if key.split("/")[1] in OTHERS]


def test_a_customer_runs_whole_on_the_store_and_nothing_of_it_lies_on_disk(done: Run, remote: Installation, store: Store) -> None:
    assert done.failures == {}
    assert done.success
    assert len(remote.kpis(OWN)) > 0
    keys = store.objects()
    assert {tuple(key.split("/")[:2]) for key in keys} == {("lake", OWN), *(("landing", name) for name in NAMES)}
    assert len([key for key in keys if key.startswith(f"lake/{OWN}/") and key.endswith(".parquet")]) >= 5
    assert [path for folder in ("lake", "landing") for path in (remote.settings.home / folder).rglob("*") if path.is_file()] == []
    rows = lake_rows(remote, OWN, "SELECT equipment_id FROM lake.greenit_silver.equipment UNION ALL SELECT value FROM lake.greenit_silver.quarantine")
    assert {"equipment_id": f"CANARY-{OWN}-1"} in rows
    again = remote.run(OWN, ["greenit/bronze/equipment_inventory", "greenit/silver/equipment"])  # reads what it wrote, hashes compared
    assert again.success, again.failures


@pytest.mark.parametrize("what", REQUESTS)
def test_case_50_the_server_refuses_every_request_at_an_object_of_another_customer(done: Run, store: Store, what: str) -> None:
    s3, foreign = store.client(OWN), foreign_keys(store)
    assert len({key.split("/")[1] for key in foreign}) == len(OTHERS)
    before = store.objects()
    for key in foreign:
        with pytest.raises(ClientError) as refused:
            REQUESTS[what](s3, key)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert "CANARY" not in str(refused.value)
    assert store.objects() == before


def test_case_50_the_own_prefix_is_open(done: Run, store: Store) -> None:
    """Else the refusals above would prove nothing."""
    s3, key = store.client(OWN), f"landing/{OWN}/own"
    for what in ("put", "get", "delete", "upload in parts"):
        REQUESTS[what](s3, key)


def test_case_50_a_session_reads_and_lists_nothing_of_others_and_another_duckdb_with_its_login_neither(done: Run, remote: Installation, store: Store) -> None:
    keys = [f"s3://{BUCKET}/{key}" for key in foreign_keys(store)]
    session = session_for(remote, OWN)
    try:
        for key in keys:
            for statement in (f"SELECT * FROM read_blob('{key}')", f"SELECT * FROM glob('{key.rpartition('/')[0]}/*')", f"COPY (SELECT 1) TO '{key}.parquet'"):
                with pytest.raises(duckdb.PermissionException):
                    session.con.execute(statement)
        for statement in (f"SELECT * FROM glob('s3://{BUCKET}/**')", f"SELECT * FROM glob('s3://{BUCKET}/lake/{OWN}2/**')", f"SELECT * FROM read_blob('s3://{BUCKET}/lake/{OWN}/../obj_b/x')"):
            with pytest.raises(duckdb.Error) as refused:
                session.con.execute(statement).fetchall()
            assert "CANARY" not in str(refused.value)
        assert session.con.execute(f"SELECT count(*) > 0 FROM glob('s3://{BUCKET}/landing/{OWN}/**')").fetchone() == (True,)
        told = str(session.con.execute("SELECT * FROM duckdb_secrets()").fetchall())
        assert store.keys[OWN][1] not in told
        for key in keys:  # the check of allowed folders knows no dots in an object's name; a store takes them as they are, and the key's policy too
            root, _, rest = key.removeprefix(f"s3://{BUCKET}/").partition("/")
            for dots in (f"s3://{BUCKET}/{root}/{OWN}/../{rest}", f"s3://{BUCKET}/{root}/{OWN}/%2e%2e/{rest}"):
                with pytest.raises(duckdb.Error) as refused:
                    session.con.execute(f"SELECT * FROM read_blob('{dots}')").fetchall()
                assert "CANARY" not in str(refused.value)
    finally:
        session.close()
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as unlocked:
        load_extensions(unlocked, ("httpfs",))
        given = ", ".join(f"{option} '{value}'" for option, value in secret_options(remote.settings, OWN).items())
        unlocked.execute(f"CREATE SECRET own (TYPE s3, {given})")
        assert unlocked.execute(f"SELECT count(*) FROM read_blob('s3://{BUCKET}/{next(key for key in store.objects() if key.startswith('lake/' + OWN))}')").fetchone() == (1,)
        for key in keys:
            with pytest.raises(duckdb.HTTPException, match="403"):
                unlocked.execute(f"SELECT * FROM read_blob('{key}')")


def test_case_50_dots_in_a_place_are_refused_even_to_a_key_that_opens_everything(done: Run, remote: Installation, store: Store) -> None:
    """DuckDB 1.5.5 compares a place with the allowed prefixes as it is written, dots and all. What refuses it is the signature, which is of the
    place as written, while the request is of the place without dots; the policy of a customer's own key comes on top."""
    kept = remote.settings.secrets / f"s3_{OWN}"
    content = kept.read_text()
    root, _, rest = foreign_keys(store)[0].partition("/")
    try:
        kept.write_text(json.dumps(dict(zip(("key_id", "secret"), store.keys["root"], strict=True))))
        session = session_for(remote, OWN)
        try:
            with pytest.raises(duckdb.HTTPException, match="403") as refused:
                session.con.execute(f"SELECT content FROM read_blob('s3://{BUCKET}/{root}/{OWN}/../{rest}')").fetchall()
            assert "CANARY" not in str(refused.value)
        finally:
            session.close()
    finally:
        kept.write_text(content)


def test_case_33_the_probes_of_the_report_are_refused_on_the_store_too(done: Run, remote: Installation) -> None:
    tried = try_session(remote.postgres, customer(OWN, remote.settings.customers), "obj_b")
    assert len(tried) == len([statement for statement in READS.values() if "../" not in statement])
    assert [one for one in tried if one.problem] == []


@pytest.mark.parametrize("name", NAMES)
def test_case_50_the_policy_allows_the_own_prefixes_and_nothing_else(remote: Installation, name: str) -> None:
    assert faults(json.loads(CliRunner().invoke(strata, ["customers", "storage-policy", name]).output), name) == []


def faults(document: dict[str, Any], name: str) -> list[str]:
    """Where a policy of a customer allows too much or too little: every action at every kind of place."""
    bucket = f"arn:aws:s3:::{BUCKET}"
    reads, writes = ("s3:GetObject",), ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
    more = ("s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:PutObjectAcl", "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucket", "s3:ListAllMyBuckets",
            "s3:ListBucketVersions", "s3:BypassGovernanceRetention", "iam:PassRole", "sts:AssumeRole")
    found = []
    for root in ("lake", "landing"):
        own = [f"{bucket}/{root}/{name}/x.parquet", f"{bucket}/{root}/{name}/a/b/c"]
        others = [f"{bucket}/{root}/{other}/x.parquet" for other in (*NAMES, "nobody") if other != name]
        others += [f"{bucket}/{root}/{name}2/x", f"{bucket}/{root}/{name}", f"{bucket}/{root}/x", f"{bucket}/x", f"{bucket}/{name}/x", f"arn:aws:s3:::other/{root}/{name}/x", f"{bucket}2/{root}/{name}/x"]
        found += [f"denies {action} at {place}" for action in (*reads, *writes) for place in own if not allows(document, action, place)]
        found += [f"allows {action} at {place}" for action in (*reads, *writes, *more) for place in others if allows(document, action, place)]
        found += [f"allows {action} at {place}" for action in more for place in (*own, bucket) if allows(document, action, place)]
        asked = {prefix: allows(document, "s3:ListBucket", bucket, {"s3:prefix": prefix}) for prefix in (
            f"{root}/{name}/", f"{root}/{name}/a/", f"{root}/{name}", f"{root}/{name}2/", f"{root}/", "", f"{root}/nobody/", f"{root}/{name[:-1]}")}
        found += [f"lists {prefix!r}" for prefix, is_allowed in asked.items() if is_allowed != prefix.startswith(f"{root}/{name}/")]
    return found + (["lists without a prefix"] if allows(document, "s3:ListBucket", bucket) else [])


def test_case_50_a_policy_that_says_too_much_is_seen(remote: Installation) -> None:
    right = policy(remote.settings, OWN)
    assert faults(right, OWN) == []
    no_slash, no_condition, all_actions, not_mine = (deepcopy(right) for _ in range(4))
    no_slash["Statement"][0]["Resource"] = f"arn:aws:s3:::{BUCKET}/lake/{OWN}*"
    del no_condition["Statement"][1]["Condition"]
    all_actions["Statement"][0]["Action"] = "s3:*"
    not_mine["Statement"][0]["Resource"] = f"arn:aws:s3:::{BUCKET}/*"
    for wrong in (no_slash, no_condition, all_actions, not_mine):
        assert faults(wrong, OWN)
    assert faults(policy(remote.settings, "obj_b"), OWN)


def test_case_51_without_a_login_of_its_own_a_customer_reaches_nothing(done: Run, remote: Installation, store: Store) -> None:
    kept = remote.settings.secrets / f"s3_{OWN}"
    content = kept.read_text()
    try:
        kept.unlink()
        with pytest.raises(SettingsError, match=f"customer {OWN}.*no login of its own"):
            login(remote.settings, OWN)
        kept.write_text("not a login CANARY")
        with pytest.raises(SettingsError) as refused:
            login(remote.settings, OWN)
        assert "CANARY" not in f"{refused.value} {refused.value.__cause__}"
    finally:
        kept.write_text(content)
    assert login(remote.settings, OWN) == Login(*store.keys[OWN])
    for key_id, secret in (("unknown", "wrong"), (store.keys[OWN][0], "wrong")):
        stranger = boto3.client("s3", endpoint_url=store.endpoint, region_name="us-east-1", aws_access_key_id=key_id, aws_secret_access_key=secret)
        with pytest.raises(ClientError) as denied:
            stranger.get_object(Bucket=BUCKET, Key=next(key for key in store.objects() if key.startswith(f"lake/{OWN}/")))
        assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_delivery_that_is_refused_leaves_no_object(done: Run, remote: Installation, store: Store, tmp_path: Path) -> None:
    before = store.objects()
    with pytest.raises(Exception, match="another|owner"):
        remote.land(OWN, "cloud_billing", [billing(tmp_path / "b.csv", "account-obj_b", {"SkuId": "CANARY-obj_b"})], "2024-10")
    assert store.objects() == before
    assert not list(ObjectStore(remote.settings, OWN).list(f"s3://{BUCKET}/landing/{OWN}/cloud_billing/2024-10/"))
