"""A server whose answer to a COMMIT never comes, for tests of faults."""
from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import CommitCutter
from tests.installation import Installation


@pytest.fixture
def cutter(installation: Installation) -> Iterator[CommitCutter]:
    folder = Path(tempfile.mkdtemp(prefix="strata-cut-"))
    made = CommitCutter(folder, installation.settings.runtime)
    yield made
    made.close()
    shutil.rmtree(folder)
