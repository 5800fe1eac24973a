"""What of customers lies on an object store, with the login of whoever removes customers: listed, read through, deleted by exact key and version.

What belongs here: old versions, marks of deletion and uploads that were never ended, none of which a run or a customer's own login sees. What does
not: how runs reach the store (object_store.py), the order of a removal (erasure.py).

The login is the file `s3-removal` among the secrets; no customer's id holds a hyphen. Nothing but a removal and its replay reads it.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from partitions.errors import ErasureError
from resources.byte_scan import SHOWN, Scanned, hits_in_blocks
from resources.object_store import SCHEME, client_of, is_remote, prefixes, read_login, split
from resources.settings import Settings

LOGIN = "s3-removal"
AT_ONCE, PAGE = 8, 1_000  # requests side by side, of the ten connections that boto3 keeps; objects of a listing at a time
BLOCK_BYTES = 1 << 20
OBJECT_ACTIONS = ("s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload")
LIST_ACTIONS = ("s3:ListBucket", "s3:ListBucketVersions")
GIVE = f"give a login of the store the policy of `strata customers storage-policy --of-removal`, and write it into secrets/{LOGIN}"


class Stored(NamedTuple):
    """One version of an object, or the mark that it was deleted. `place` is `s3://bucket/key`; an unversioned bucket calls its only version `null`."""

    place: str
    version: str


class Upload(NamedTuple):
    """An upload in parts that was neither ended nor aborted: its parts take room and no listing of objects shows them."""

    place: str
    upload: str


def roots(settings: Settings) -> dict[str, str]:
    """`lake` and `landing`, as far as they lie on a store: each `s3://bucket/…/`."""
    named = {"lake": settings.lake_root, "landing": settings.landing_store or ""}
    return {name: f"{place.rstrip('/')}/" for name, place in named.items() if is_remote(place)}


def removal_policy(settings: Settings) -> dict[str, Any]:
    """The policy of the login that removes customers, as JSON of AWS IAM: everything below lake and landing may be read and deleted, nothing written."""
    statements: list[dict[str, Any]] = []
    for bucket, key in map(split, roots(settings).values()):
        arn = f"arn:aws:s3:::{bucket}"
        statements += [{"Effect": "Allow", "Action": list(OBJECT_ACTIONS), "Resource": f"{arn}/{key}*"},
                       {"Effect": "Allow", "Action": list(LIST_ACTIONS), "Resource": arn, "Condition": {"StringLike": {"s3:prefix": f"{key}*"}}},
                       {"Effect": "Allow", "Action": "s3:ListBucketMultipartUploads", "Resource": arn}]  # AWS knows no condition on its prefix
    return {"Version": "2012-10-17", "Statement": statements}


def has_login(settings: Settings) -> bool:
    return (settings.secrets / LOGIN).exists()


@dataclass(frozen=True)
class StoredObjects:
    """Calls as the login of removals. Raises SettingsError where there is none, botocore's errors where the store refuses."""

    settings: Settings

    @cached_property
    def client(self) -> Any:
        return client_of(self.settings, read_login(self.settings.secrets / LOGIN, None, GIVE))

    def of(self, customer: str) -> list[Stored]:
        """Every version of every object below the customer's prefixes, marks of deletion included."""
        return sorted(one for prefix in prefixes(self.settings, customer) for one, _ in self.below(prefix))

    def uploads_of(self, customer: str) -> list[Upload]:
        """Every unfinished upload below the customer's prefixes."""
        found = []
        for bucket, key in map(split, prefixes(self.settings, customer)):
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key)
            found += [Upload(f"{SCHEME}{bucket}/{one['Key']}", one["UploadId"]) for page in pages for one in page.get("Uploads", [])]
        return sorted(found)

    def below(self, prefix: str) -> Iterator[tuple[Stored, bool]]:
        """Versions below a prefix, and whether each has content: a mark of deletion has none."""
        bucket, key = split(prefix)
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
            for kind, has_content in (("Versions", True), ("DeleteMarkers", False)):
                yield from ((Stored(f"{SCHEME}{bucket}/{one['Key']}", one["VersionId"]), has_content) for one in page.get(kind, []))

    def customers(self) -> set[str]:
        """The folders at the top of lake and landing, old versions counted: as many requests as there are thousands of them."""
        found = set()
        for prefix in roots(self.settings).values():
            bucket, key = split(prefix)
            for page in self.client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key, Delimiter="/"):
                found |= {one["Prefix"].removeprefix(key).rstrip("/") for one in page.get("CommonPrefixes", [])}
        return found

    def delete(self, customer: str, listed: Iterable[Stored]) -> None:
        """Delete exactly the named versions. Raises ErasureError for one that is not below the customer's prefixes, or that the store keeps.

        A request each, some side by side: a request for many is judged by the whole bucket on some servers.
        """
        todo = list(listed)
        self._refuse_foreign(customer, (one.place for one in todo))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            kept = [answer for answer in pool.map(self._delete, todo) if answer]
        if kept:
            place, code = kept[0]
            raise ErasureError(f"the store keeps {len(kept)} versions of objects: {code}", customer=customer, file=place,
                               fix="end their retention or legal hold, or give the login the policy of removals; then remove the customer once more")

    def _delete(self, one: Stored) -> tuple[str, str] | None:
        """Place and the store's word, where it refuses."""
        bucket, key = split(one.place)
        try:
            self.client.delete_object(Bucket=bucket, Key=key, VersionId=one.version)
        except self.client.exceptions.ClientError as error:
            return one.place, error.response["Error"]["Code"]
        return None

    def abort(self, customer: str, uploads: Iterable[Upload]) -> None:
        """End exactly the named uploads; one that ended meanwhile is no error."""
        todo = list(uploads)
        self._refuse_foreign(customer, (one.place for one in todo))
        for one in todo:
            bucket, key = split(one.place)
            try:
                self.client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=one.upload)
            except self.client.exceptions.NoSuchUpload:
                continue

    def scan(self, name: str, looked_for: re.Pattern[bytes]) -> Scanned:
        """Every version of every object below the root `lake` or `landing`, its path there included, read through in blocks."""
        root, size, hits, parts = roots(self.settings)[name], 0, 0, 0
        first: list[str] = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            listed = self.below(root)
            while some := list(islice(listed, PAGE)):
                read = pool.map(lambda one: self._read_through(one[0], looked_for) if one[1] else (0, 0), some)
                for (stored, _), (content, found) in zip(some, read, strict=True):
                    path = stored.place.removeprefix(root)
                    found += len(looked_for.findall(path.encode()))
                    parts, size, hits = parts + 1, size + content, hits + found
                    first += [path] if found else []
        return Scanned(name, parts, size, hits, tuple(dict.fromkeys(first))[:SHOWN])

    def _read_through(self, stored: Stored, looked_for: re.Pattern[bytes]) -> tuple[int, int]:
        """Bytes and hits of one version; one that its customer's upkeep has removed since the listing has none."""
        bucket, key = split(stored.place)
        try:
            body = self.client.get_object(Bucket=bucket, Key=key, VersionId=stored.version)["Body"]
        except self.client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchVersion"):
                return 0, 0
            raise
        return hits_in_blocks(body.iter_chunks(BLOCK_BYTES), looked_for)

    def _refuse_foreign(self, customer: str, places: Iterable[str]) -> None:
        own = tuple(prefixes(self.settings, customer))
        for place in places:
            if not own or not place.startswith(own):
                raise ErasureError("an object to delete does not lie below the customer's prefixes", customer=customer, file=place, fix="look at the manifest")

