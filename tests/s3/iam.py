"""What a policy of AWS IAM allows, by the rules of its documentation: for what the test server does not judge (listing, the source of a copy).

What belongs here: the part of the language that our policies use; anything else raises, so that a new element is not passed over.
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def allows(policy: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str] | None = None) -> bool:
    """Whether a request is allowed: some statement allows it and none denies it; what nothing allows is denied."""
    effects = {statement["Effect"] for statement in policy["Statement"] if _concerns(statement, action, resource, context or {})}
    return "Allow" in effects and "Deny" not in effects


def _concerns(statement: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    if unknown := set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}:
        raise NotImplementedError(f"this evaluator does not know {unknown}")
    return any(_like(one, action, re.IGNORECASE) for one in _listed(statement["Action"])) and any(_like(one, resource) for one in _listed(statement["Resource"])) \
        and all(_holds(operator, keys, context) for operator, keys in statement.get("Condition", {}).items())


def _holds(operator: str, keys: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    """A positive operator on a key that the request does not have is false."""
    if operator not in ("StringLike", "StringEquals"):
        raise NotImplementedError(f"this evaluator does not know {operator}")
    return all(key in context and any(_like(one, context[key]) if operator == "StringLike" else one == context[key] for one in _listed(wanted)) for key, wanted in keys.items())


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _like(pattern: str, text: str, flags: int = 0) -> bool:
    """`*` stands for any characters, `?` for one; all else for itself."""
    return re.fullmatch("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern), text, flags | re.DOTALL) is not None
