"""What forked test runs share: imports, and every table's expression and SQL, made once in the fork server. Opens no connection."""
import cli.launching  # noqa: F401
import resources.orchestrator  # noqa: F401
import tests.installation  # noqa: F401
from platform_assets import expectations, greenit  # noqa: F401
from platform_assets.compilation import compile_all

compile_all(greenit)
