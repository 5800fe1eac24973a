"""What the tests of peers' figures share: where the figures are, the session, the repository's parameters, one row of columns."""

import ibis
import pytest

from tests.vectors.files import REFERENCE, VECTORS
from tests.vectors.tables import reference_table


def pytest_collection_modifyitems(items):
    """Without the figures nothing here can be judged."""
    if not VECTORS.exists() or not REFERENCE.exists():
        for item in items:
            if "vectors" in item.path.parts:
                item.add_marker(pytest.mark.skip(reason="no peers' figures here: set STRATA_VECTORS to their folder"))


@pytest.fixture(scope="session", autouse=True)
def duck():
    """The session that memory tables and references live in."""
    backend = ibis.duckdb.connect(threads=2)
    ibis.set_backend(backend)
    return backend


@pytest.fixture(scope="session")
def reference(duck):
    """`reference(name)`: a parameter of the repository, typed by its contract."""
    made = {}

    def load(name):
        if name not in made:
            made[name] = reference_table(duck, name)
        return made[name]

    return load
