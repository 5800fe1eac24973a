"""What a row of `impact` says beside its figure: words, joined by commas.

What belongs here: adding a word. What does not: when it is true (impact_phases.py, market.py, in_force.py).
"""

import ibis
import ibis.expr.types as ir

INCLUDES_UPSTREAM = "includes_upstream"  # a life-cycle factor in scope 2: its fuels' upstream is in it, and would count twice in category 3.3
LIFECYCLE = "lifecycle"


def with_flag(flags: ir.StringValue, is_so: ir.BooleanValue, word: str) -> ir.StringValue:
    """The words and one more where it is so; NULL is none."""
    return ibis.cases((is_so & flags.isnull(), word), (is_so, flags + f", {word}"), else_=flags)
