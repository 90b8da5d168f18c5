"""Which answer a case looks at, and which model judges it: the routing rules, as pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from evalrunner.checks.base import Check
from evalrunner.values.dataclass import dataclass
from evalrunner.values.exchange import Tier
from evalrunner.values.spec import Routing


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePlan:
    """Whose answer is looked at first, and whether its failure is confirmed on the target.

    ``confirm`` is only ever true where ``subject`` is ``proxy``.
    """

    subject: Literal["proxy", "target"]
    confirm: bool = False


LOOK_AT_TARGET = CasePlan(subject="target")


def plan_case(
    checks: Sequence[Check],
    routing: Routing,
    *,
    has_proxy: bool,
    target_is_application: bool,
    target_is_proxy: bool,
) -> CasePlan:
    """The plan of a case: the proxy's answer serves only where every check is content with it.

    As soon as one check needs the target's answer, all look at that same answer, for nothing. An
    application cannot be replaced by a model, and a target that is the proxy needs no confirmation.
    A case without checks is about the target's answer.
    """
    if target_is_application or target_is_proxy or not has_proxy or not checks:
        return LOOK_AT_TARGET
    routes = [routing.of(check.check_class) for check in checks]
    if any(route.subject != "proxy" for route in routes):
        return LOOK_AT_TARGET
    return CasePlan(subject="proxy", confirm=any(route.confirm for route in routes))


def judge_tier(check: Check, routing: Routing, *, has_proxy: bool = True) -> Tier:
    """The tier whose model judges: the check's own word first, else the route of its class.

    Without a proxy tier the frontier judges what the route would have given to the proxy; a tier that
    the check itself names is never exchanged.
    """
    if check.spec.tier is not None:
        return check.spec.tier
    tier = routing.of(check.check_class).judge
    return Tier.FRONTIER if tier is Tier.PROXY and not has_proxy else tier
