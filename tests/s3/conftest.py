"""An S3 server on loopback that judges every request by the policy of its key, and an installation whose landing and lake lie there."""
from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from resources.object_store import policy
from resources.settings import Settings
from tests.installation import Installation, own_installation

BUCKET = "strata-test"
NAMES = ("obj_a", "obj_b", "obj_a2")
ROOT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass
class Store:
    """The server: its address, and keys by who has them."""

    endpoint: str
    keys: dict[str, tuple[str, str]]

    def client(self, who: str) -> Any:
        key_id, secret = self.keys[who]
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=key_id, aws_secret_access_key=secret)

    def user(self, who: str, document: dict[str, Any]) -> None:
        key_id, secret = self.keys.get("root", ("setup", "setup"))
        iam = boto3.client("iam", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=key_id, aws_secret_access_key=secret)
        iam.create_user(UserName=who)
        iam.put_user_policy(UserName=who, PolicyName="own", PolicyDocument=json.dumps(document))
        made = iam.create_access_key(UserName=who)["AccessKey"]
        self.keys[who] = (made["AccessKeyId"], made["SecretAccessKey"])

    def allow(self, who: str, document: dict[str, Any]) -> None:
        """Another policy for a user that is there."""
        key_id, secret = self.keys["root"]
        iam = boto3.client("iam", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=key_id, aws_secret_access_key=secret)
        iam.put_user_policy(UserName=who, PolicyName="own", PolicyDocument=json.dumps(document))

    def give(self, settings: Settings, who: str, file: str) -> None:
        """A user's key as a login among an installation's secrets."""
        secret = settings.secrets / file
        secret.write_text(json.dumps(dict(zip(("key_id", "secret"), self.keys[who], strict=True))))
        secret.chmod(0o600)

    def objects(self) -> list[str]:
        pages = self.client("root").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = Store(f"http://127.0.0.1:{port}", {"setup": ("setup", "setup")})
    try:
        for _ in range(150):  # until it listens
            with suppress(OSError), urllib.request.urlopen(f"{made.endpoint}/moto-api/data.json", timeout=5):
                break
            time.sleep(0.2)
        made.user("root", ROOT)
        judged = urllib.request.Request(f"{made.endpoint}/moto-api/reset-auth", data=b"0", method="POST", headers={"Content-Type": "text/plain"})
        with urllib.request.urlopen(judged, timeout=10) as answer:  # from now on the server judges each request by its key's policy
            assert answer.status == 200
        made.client("root").create_bucket(Bucket=BUCKET)
        yield made
    finally:
        child.terminate()
        child.wait(20)


@pytest.fixture(scope="session")
def remote(store: Store) -> Iterator[Installation]:
    """Each customer's login has the policy that `strata customers storage-policy` prints."""
    roots = {"STRATA_LAKE_ROOT": f"s3://{BUCKET}/lake", "STRATA_LANDING_ROOT": f"s3://{BUCKET}/landing", "STRATA_S3_ENDPOINT": store.endpoint}
    with own_installation("strata-s3-", **roots) as made:
        for name in NAMES:
            made.declare(name)
            store.user(name, policy(made.settings, name))
            store.give(made.settings, name, f"s3_{name}")
        yield made
