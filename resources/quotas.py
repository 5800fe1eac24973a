"""What a customer may use at most, judged before a delivery is accepted.

What belongs here: comparing a delivery and the lake with the customer's file. What does not: the file's keys (partitions/customers.py) and
what becomes of a refused delivery (deliveries.py).
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg

from partitions.customers import Customer
from partitions.errors import QuotaError
from resources.reasons import checked


def refuse_size(connection: psycopg.Connection[Any], customer: Customer, files: Sequence[Path], place: Mapping[str, str]) -> None:
    """Before anything is copied: the bytes of the delivery, and those of the lake as it is. Raises QuotaError."""
    quotas = customer.quotas
    sizes = [file.stat().st_size for file in files if file.is_file()]
    _refuse("delivery_bytes", sum(sizes), quotas.delivery_bytes, "bytes in the delivery", "deliver it in parts", place)
    if quotas.lake_bytes is not None:
        with connection.transaction():
            used = connection.execute("SELECT coalesce(sum(bytes), 0)::bigint FROM platform.lake_object WHERE customer_id = %s", [customer.id]).fetchone()[0]
        _refuse("lake_bytes", used, quotas.lake_bytes, "bytes in the lake", "`strata gc` removes old versions", place)


def refuse_rows(customer: Customer, rows: int, place: Mapping[str, str]) -> None:
    """After the files were judged: the rows of the delivery, faulty ones too. Raises QuotaError."""
    _refuse("delivery_rows", rows, customer.quotas.delivery_rows, "rows in the delivery", "deliver it in parts", place)


def _refuse(key: str, used: int, limit: int | None, what: str, way_out: str, place: Mapping[str, str]) -> None:
    if limit is not None and used > limit:
        raise QuotaError(f"{used:,} {what}, and the customer's quota is {limit:,}", fix=f"{way_out}, or raise quotas.{key} in the customer's file",
                         **place, rule=checked("QUOTA"))
