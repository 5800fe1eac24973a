"""Landing a file under the contract of its bronze table."""
from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, cast

import psycopg

from partitions.customers import Customer
from partitions.errors import DeliveryError
from platform_assets.contracts import Contract, contract
from resources.deliveries import Landing, Mode, SourceContract, land
from resources.settings import PROJECT


def source_contract(source: str, customer: str | None = None) -> SourceContract:
    """What the bronze contract called `source` says of deliveries; raises DeliveryError for an unknown source."""
    known = {path.name.removesuffix(".odcs.yaml"): path for path in (PROJECT / "platform_assets").glob("*/bronze/*.odcs.yaml")}
    if source not in known:
        raise DeliveryError("no bronze table has this name", customer=customer, table=ascii(source)[:64], fix=f"known sources: {', '.join(sorted(known))}")
    made: Contract = contract(known[source])
    types = {str(p.name): str(p.logicalType) for p in made.properties if not str(p.name).startswith("_")}
    return SourceContract(name=source, mode=cast(Mode, made.spec.mode), columns=tuple(types), formats=made.formats, owner_column=made.spec.owner_column,
                          types=types, drift=made.spec.drift)


def land_files(connection: psycopg.Connection[Any], root: Path, customer: Customer, source: str, files: list[Path],
               period: str | date | None, sequence: int | None) -> Landing:
    """Accept files as one delivery of a customer's source."""
    return land(connection, root, customer, source_contract(source, customer.id), files, period, sequence)
