"""A customer leaves an object store whose bucket keeps versions: old versions, marks of deletion and unfinished uploads go too, by exact list.

`goes` leaves; `goes2` stays, whose name begins like its.
"""
from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator

import pytest

from partitions.errors import ErasureError
from resources.byte_scan import OVERLAP, hits_in_blocks, needle
from resources.object_store import policy
from resources.stored_objects import LOGIN, Stored, StoredObjects, removal_policy
from tests.customers.conftest import Place
from tests.installation import inventory, own_installation
from tests.s3.conftest import Store
from tests.s3.iam import allows

pytestmark = pytest.mark.s3
BUCKET, GOES, STAYS = "strata-versioned", "goes", "goes2"
SELECTION = 'key:"greenit/bronze/equipment_inventory" or key:"greenit/silver/equipment"'


@pytest.fixture(scope="module")
def two(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Deliveries of both, a run of `goes`; of its objects one has an older version, one is marked as deleted, and an upload was never ended."""
    root = store.client("root")
    root.create_bucket(Bucket=BUCKET)
    root.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    roots = {"STRATA_LAKE_ROOT": f"s3://{BUCKET}/deep/lake", "STRATA_LANDING_ROOT": f"s3://{BUCKET}/landing", "STRATA_S3_ENDPOINT": store.endpoint}
    files = tmp_path_factory.mktemp("leaving")
    with own_installation("strata-s3-leaving-", **roots) as made:
        place = Place(made)
        for name in (GOES, STAYS):
            place.declare(name)
            store.user(name, policy(made.settings, name))
            store.give(made.settings, name, f"s3_{name}")
        place.done("customers", "apply")
        place.fill(GOES, files)
        place.done("land", STAYS, "equipment_inventory", inventory(files / f"{STAYS}.csv", {"equipment_id": f"CANARY-{STAYS}"}), "--period", "2024-09")
        place.done("launch", GOES, "--select", SELECTION)
        for body in (b"CANARY-goes old", b"new"):
            root.put_object(Bucket=BUCKET, Key=f"deep/lake/{GOES}/again", Body=body)
        root.put_object(Bucket=BUCKET, Key=f"landing/{GOES}/gone", Body=b"CANARY-goes gone")
        root.delete_object(Bucket=BUCKET, Key=f"landing/{GOES}/gone")
        for name in (GOES, STAYS):
            started = root.create_multipart_upload(Bucket=BUCKET, Key=f"deep/lake/{name}/large")
            root.upload_part(Bucket=BUCKET, Key=f"deep/lake/{name}/large", UploadId=started["UploadId"], PartNumber=1, Body=b"CANARY part")
        yield place


def everything(store: Store, name: str) -> list[tuple[str, str, str]]:
    """Versions, marks and uploads of a customer, as the store's owner sees them."""
    root, found = store.client("root"), []
    pages = root.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    for page in pages:
        for kind in ("Versions", "DeleteMarkers"):
            found += [(kind, one["Key"], one["VersionId"]) for one in page.get(kind, [])]
    found += [("Uploads", one["Key"], one["UploadId"]) for one in root.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]
    return sorted(one for one in found if name in one[1].split("/")[:-1])


def test_without_a_login_that_removes_nothing_is_touched(two: Place, store: Store) -> None:
    before = everything(store, GOES)
    refused = two.strata("customers", "remove", GOES)
    assert refused.exit_code != 0
    assert "there is no login that removes customers" in refused.output
    assert "storage-policy --of-removal" in refused.output
    assert everything(store, GOES) == before


def test_the_login_that_removes_reads_and_deletes_below_lake_and_landing_and_writes_nowhere(two: Place) -> None:
    document = json.loads(two.done("customers", "storage-policy", "--of-removal"))
    own = [f"arn:aws:s3:::{BUCKET}/{key}" for key in (f"deep/lake/{GOES}/x", f"landing/{STAYS}/x")]
    others = [f"arn:aws:s3:::{BUCKET}/{key}" for key in ("x", "deep/x", "landing2/x", f"{GOES}/x")] + ["arn:aws:s3:::other/landing/x"]
    for action in ("s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"):
        assert all(allows(document, action, place) for place in own)
        assert not any(allows(document, action, place) for place in others)
    assert not any(allows(document, action, place) for action in ("s3:PutObject", "s3:PutBucketVersioning", "s3:PutObjectAcl") for place in (*own, *others))
    assert not allows(document, "s3:ListBucketVersions", f"arn:aws:s3:::{BUCKET}", {"s3:prefix": ""})
    both = two.strata("customers", "storage-policy", GOES, "--of-removal")
    assert both.exit_code != 0


def test_who_leaves_leaves_no_version_and_who_stays_keeps_each(two: Place, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, root, stays = two.made.settings, store.client("root"), everything(store, STAYS)
    store.user("removal", removal_policy(settings))
    store.give(settings, "removal", LOGIN)
    before = everything(store, GOES)
    assert {"Versions", "DeleteMarkers", "Uploads"} == {kind for kind, *_ in before}

    shown = two.json("customers", "remove", GOES)
    assert sorted((kind, key) for kind, key, _ in before if kind == "Uploads") == [("Uploads", place.removeprefix(f"s3://{BUCKET}/")) for place, _ in shown["uploads"]]
    assert sorted([place, version] for place, version in shown["stored"]) == sorted([f"s3://{BUCKET}/{key}", version] for kind, key, version in before if kind != "Uploads")
    assert shown["own_files"] == [str(settings.secrets / f"s3_{GOES}")]
    assert everything(store, GOES) == before

    two.declare(GOES, status="leaving")
    reads_only = removal_policy(settings)
    reads_only["Statement"] = [{**one, "Action": [action for action in one["Action"] if "Delete" not in action]} if isinstance(one["Action"], list) else one
                               for one in reads_only["Statement"]]
    store.allow("removal", reads_only)
    kept = two.strata("customers", "remove", GOES, "--confirm", GOES)
    assert "ErasureError" in kept.output
    assert "the store keeps" in kept.output
    assert [one for one in before if one[0] != "Uploads"] == everything(store, GOES)
    store.allow("removal", removal_policy(settings))
    for point in ("erasure.after_export", "erasure.after_files"):  # dies before and after the store is emptied
        monkeypatch.setenv("FAILPOINT", f"{point}:raise")
        died = two.strata("customers", "remove", GOES, "--confirm", GOES)
        assert str(died.exception) == f"fail point {point}", died.output
    monkeypatch.delenv("FAILPOINT")
    assert everything(store, GOES) == []
    assert everything(store, STAYS) == stays

    planted = root.put_object(Bucket=BUCKET, Key=f"landing/{STAYS}/copied", Body=b"." * OVERLAP + b" CANARY-goes ")["VersionId"]
    root.put_object(Bucket=BUCKET, Key=f"landing/{STAYS}/copied", Body=b"innocent")
    dirty = two.strata("customers", "remove", GOES, "--confirm", GOES, "--format", "json", "--canary", "CANARY-goes ")
    assert dirty.exit_code == 1
    found = {one["place"]: (one["hits"], one["first"]) for one in json.loads(dirty.output)["scan"] if one["hits"]}
    assert found == {"landing": (1, [f"{STAYS}/copied"])}  # in a version that no longer counts, across two blocks or not
    root.delete_object(Bucket=BUCKET, Key=f"landing/{STAYS}/copied", VersionId=planted)

    facts = two.json("customers", "remove", GOES, "--confirm", GOES, "--canary", "CANARY-goes ")
    assert facts["clean"]
    counted = {one["place"]: (one["before"], one["after"]) for one in facts["places"]}
    assert counted["versions of stored objects"] == (len([one for one in before if one[0] != "Uploads"]), 0)
    assert (counted["unfinished uploads"], counted["files of its own"]) == ((1, 0), (1, 0))  # before the first of the tries
    assert {one["place"] for one in facts["scan"]} >= {"lake", "landing", "landing not yet stored"}
    assert any(f"s3://{BUCKET}/deep/lake/{GOES}/" in said and "revoke" in said for said in facts["out_of_reach"])
    assert not (settings.secrets / f"s3_{GOES}").exists()
    assert [one for one in everything(store, STAYS) if not one[1].endswith("/copied")] == stays
    with zipfile.ZipFile(facts["bundle"]) as archive:
        names = archive.namelist()
        assert sum(name.startswith("deliveries/") for name in names) == 2
        assert "silver/greenit_silver.equipment.parquet" in names
        assert b"CANARY-goes" in b"".join(archive.read(name) for name in names if name.startswith("deliveries/"))
    _what_comes_back_goes_again(two, store)


def _what_comes_back_goes_again(two: Place, store: Store) -> None:
    """A bucket restored from a copy knows of no erasure; the ledger does."""
    store.client("root").put_object(Bucket=BUCKET, Key=f"landing/{GOES}/restored", Body=b"CANARY-goes")
    assert f"Customer {GOES} was removed" in two.done("customers", "replay-erasures")
    assert everything(store, GOES) == []
    (two.folder / f"{GOES}.yaml").unlink()


def test_nothing_outside_of_the_list_and_the_prefixes_can_be_named(two: Place) -> None:
    store = StoredObjects(two.made.settings)
    for place in (f"s3://{BUCKET}/landing/{STAYS}/x", f"s3://{BUCKET}/landing/{GOES}", f"s3://other/landing/{GOES}/x", f"s3://{BUCKET}/x"):
        with pytest.raises(ErasureError, match="does not lie below"):
            store.delete(GOES, [Stored(place, "null")])


@pytest.mark.parametrize("size", [1, 7, 4095, 4096, 4097, 5000, 1 << 20])
def test_a_word_across_two_blocks_counts_once(size: int) -> None:
    """The id as a word of its own: acme2 and my_acme are others, wherever the border falls."""
    content = b"acme acme2 my_acme lake_acme " * 700 + b"x" * OVERLAP + b"acme"  # the last is no word of its own
    blocks = [content[start:start + size] for start in range(0, len(content), size)]
    assert hits_in_blocks(blocks, needle("acme", ())) == (len(content), 1400)


