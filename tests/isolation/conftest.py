"""The copy of the warehouse that is full of canaries, once for all cases."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.installation import Installation
from tests.isolation.canaries import Copy, make_copy


@pytest.fixture(scope="session")
def marked(installation: Installation) -> Iterator[Copy]:
    copy = make_copy(installation)
    yield copy
    with installation.superuser() as connection:
        connection.execute(f"DROP DATABASE {copy.database} WITH (FORCE)")
