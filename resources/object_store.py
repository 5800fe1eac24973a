"""An object store under lake and landing: whose login reaches it, what that login may, and the few calls that DuckDB does not make.

What belongs here: the customer's login and the policy that limits it to its own prefixes, putting and deleting objects. What does not: reading,
which a session does through DuckDB (sandbox.py). A login is the file `s3_<customer>` among the secrets, JSON with `key_id`, `secret` and, where
it is a session's, `session_token`. There is no common one: DuckDB compares places with the allowed prefixes as they are written, so on a store
the lock of a session is not the only thing that keeps customers apart.
"""
from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from partitions.errors import SettingsError
from resources.settings import Settings

SCHEME = "s3://"
LOGIN_PREFIX = "s3_"
SOURCE_LOGIN_PREFIX = "source_s3_"  # of production's store, which the login only reads
OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")


@dataclass(frozen=True)
class Login:
    """What opens the store. It is never part of a message or metadata."""

    key_id: str
    secret: str
    session_token: str | None = None


def is_remote(place: str | Path) -> bool:
    return str(place).startswith(SCHEME)


def login_file(settings: Settings, customer: str, prefix: str = LOGIN_PREFIX) -> Path:
    return settings.secrets / f"{prefix}{customer}"


def login(settings: Settings, customer: str, prefix: str = LOGIN_PREFIX) -> Login:
    """A customer's own login; raises SettingsError where there is none or the file is no login."""
    path = login_file(settings, customer, prefix)
    return read_login(path, customer, f"give a login the policy of `strata customers storage-policy {customer}`, and write it into secrets/{path.name}")


def read_login(path: Path, customer: str | None, fix: str) -> Login:
    """What a file among the secrets holds. Raises SettingsError."""
    if not path.exists():
        whose = "this customer has no login of its own" if customer else "there is no login that removes customers"
        raise SettingsError(f"{whose} for the object store", customer=customer, fix=fix)
    try:
        return Login(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):  # neither cause nor content: it holds a secret
        raise SettingsError("this is no login of an object store", customer=customer, file=path.name,
                            fix='write {"key_id": "…", "secret": "…"} into it') from None


def client_of(settings: Settings, found: Login) -> Any:
    """boto3's client with a login."""
    import boto3

    return boto3.client("s3", endpoint_url=settings.s3_endpoint, region_name=os.environ.get("AWS_REGION", "us-east-1"),
                        aws_access_key_id=found.key_id, aws_secret_access_key=found.secret, aws_session_token=found.session_token)


def prefixes(settings: Settings, customer: str) -> list[str]:
    """The customer's parts of the store, each `s3://bucket/…/`."""
    return [path for path in (settings.lake_path(customer), settings.landing_path(customer)) if is_remote(path)]


def policy(settings: Settings, customer: str) -> dict[str, Any]:
    """The policy of a customer's login: objects below its own prefixes, and listing below them. All else is denied because nothing allows it.

    Each prefix ends in a slash, so that `acme` does not reach `acme2/`; the list's condition takes the prefix as it was asked for, so that a
    request without one is refused.
    """
    statements: list[dict[str, Any]] = []
    for prefix in prefixes(settings, customer):
        bucket, key = split(prefix)
        statements.append({"Effect": "Allow", "Action": list(OBJECT_ACTIONS), "Resource": f"arn:aws:s3:::{bucket}/{key}*"})
        statements.append({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}",
                           "Condition": {"StringLike": {"s3:prefix": f"{key}*"}}})
    return {"Version": "2012-10-17", "Statement": statements}


def split(place: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`."""
    parts = urlsplit(place)
    return parts.netloc, parts.path.removeprefix("/")


def secret_options(settings: Settings, customer: str, prefix: str = LOGIN_PREFIX) -> dict[str, str]:
    """The options of DuckDB's secret for a customer."""
    found, given = login(settings, customer, prefix), {}
    if settings.s3_endpoint:
        server = urlsplit(settings.s3_endpoint)
        given = {"ENDPOINT": server.netloc, "URL_STYLE": "path", "USE_SSL": str(server.scheme == "https").lower()}
    token = {"SESSION_TOKEN": found.session_token} if found.session_token else {}
    return {"KEY_ID": found.key_id, "SECRET": found.secret, **token, "REGION": os.environ.get("AWS_REGION", "us-east-1"), **given}


@dataclass(frozen=True)
class ObjectStore:
    """Calls as one customer. `put` and `delete` take whole places, `s3://bucket/key`."""

    settings: Settings
    customer: str

    @cached_property
    def client(self) -> Any:
        return client_of(self.settings, login(self.settings, self.customer))

    def landed(self, path: Path) -> str:
        """The place of an accepted file by its path below the landing root."""
        return f"{(self.settings.landing_store or '').rstrip('/')}/{path}"

    def put(self, file: Path, place: str) -> None:
        """A file as an object; returns once the store has it."""
        bucket, key = split(place)
        self.client.upload_file(str(file), bucket, key)

    def get(self, place: str, file: Path) -> None:
        """An object as a file."""
        bucket, key = split(place)
        self.client.download_file(bucket, key, str(file))

    def delete(self, place: str) -> None:
        bucket, key = split(place)
        self.client.delete_object(Bucket=bucket, Key=key)

    def list(self, prefix: str) -> Iterator[str]:
        """The places below a prefix."""
        yield from self.listed(prefix)

    def listed(self, prefix: str) -> dict[str, tuple[int, datetime]]:
        """Place -> bytes and the time of writing, of everything below a prefix: a request for each thousand. Raises SettingsError where the login may not."""
        bucket, key = split(prefix)
        try:
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
            return {f"{SCHEME}{bucket}/{found['Key']}": (found["Size"], found["LastModified"]) for page in pages for found in page.get("Contents", [])}
        except self.client.exceptions.ClientError as error:
            raise SettingsError(f"the object store does not list this customer's part of it: {error.response['Error']['Code']}", customer=self.customer,
                                fix=f"let the login list its prefixes: `strata customers storage-policy {self.customer}`") from None
