"""What an environment may do: the policy of environments.yaml, read strictly, and what STRATA_ALLOW switches on where the policy lets it.

What belongs here: the model of the file and the policy of this installation. What does not: which code runs (checkout.py), which databases it
reaches (environment_mark.py), and what follows from a rule, which stands where it is held.
"""
from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from partitions.errors import EnvironmentPolicyError
from resources.settings import ENVIRONMENTS, PROJECT, Settings, environment_said

FILE = PROJECT / "environments.yaml"
Suite = Literal["unit", "performance", "non_regression", "functional"]
Allowance = Literal["automatic_scheduling", "customer_facing"]
Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/*?\[\]-]{1,100}$")]


class Policy(BaseModel):
    """One environment, `environment` by name.

    `code_development`: any checkout may run, one with changes too. `branches`, `tags`: otherwise which commits may run, as patterns of a shell.
    `suites`: the tests and checks that belong here. `data`: how much of the customers' data there is. `bronze_from`: what bronze is made of:
    what was landed here, or production's bronze. `automatic_scheduling`: sensors and schedules start work by themselves. `customer_facing`:
    customers' own tools may log in. `lends_bronze`: logins that read one customer's lake are made, for an environment with bronze from production.
    `newer_database`: whether this code works on a database that a newer release has migrated. `may_allow`: what STRATA_ALLOW may switch on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    environment: str
    code_development: bool
    suites: list[Suite]
    data: Literal["partial", "complete"]
    bronze_from: Literal["deliveries", "production"]
    automatic_scheduling: bool
    customer_facing: bool
    lends_bronze: bool = False
    branches: list[Pattern] = []
    tags: list[Pattern] = []
    newer_database: Literal["allowed", "refused"]
    may_allow: list[Allowance] = []

    @model_validator(mode="after")
    def _is_no_way_around(self) -> Policy:
        if not self.code_development and not (self.branches or self.tags):
            raise ValueError("no code may run here: name branches or tags")
        if self.code_development and (self.branches or self.tags):
            raise ValueError("where code is developed any checkout runs: branches and tags would say nothing")
        if self.customer_facing and (self.code_development or self.branches or self.may_allow or self.data == "partial" or self.bronze_from != "deliveries"):
            raise ValueError("customers see figures of tagged commits and of their own complete deliveries alone, and nothing is switched on beside the policy")
        return self


@cache
def policies(file: Path = FILE) -> dict[str, Policy]:
    """Environment -> policy. Raises EnvironmentPolicyError naming file and key."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise EnvironmentPolicyError("the policy of the environments cannot be read", file=file.name, fix="restore the file from git") from error
    if not isinstance(content, dict) or set(content) != set(ENVIRONMENTS):
        raise EnvironmentPolicyError(f"the policy does not name exactly {', '.join(ENVIRONMENTS)}", file=file.name, fix="one block for each")
    made = {}
    for name in ENVIRONMENTS:
        try:
            made[name] = Policy.model_validate({**content[name], "environment": name} if isinstance(content[name], dict) else content[name])
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, (name, *first["loc"])))
            raise EnvironmentPolicyError(f"{key}: {first['msg']}", file=file.name, fix="resources/environment.py says what may stand there") from None
    return made


def policy_of(settings: Settings) -> Policy:
    """The policy that holds in an installation, with what STRATA_ALLOW switches on. Raises EnvironmentPolicyError where it may not be."""
    return _allowing(settings.environment, settings.allow)


def policy_here() -> Policy:
    """The same for this process, whose stores nobody asks for: loading a code location touches nothing."""
    return _allowing(*environment_said())


def _allowing(environment: str, allow: frozenset[str]) -> Policy:
    found = policies()[environment]
    if refused := sorted(allow - set(found.may_allow)):
        lets = " and ".join(found.may_allow) or "nothing"
        raise EnvironmentPolicyError(f"STRATA_ALLOW names {', '.join(map(ascii, refused))}; in {environment} it may switch on {lets}",
                                     file=FILE.name, fix="unset STRATA_ALLOW")
    return found.model_copy(update=dict.fromkeys(sorted(allow), True))
