from __future__ import annotations

from itertools import permutations

import pytest

from evalrunner.values.cause import Cause, Explained
from evalrunner.values.fingerprint import Fingerprint
from evalrunner.values.result import Outcome
from evalrunner.verdict.causes import MissCounts
from tests.reports.samples import case

ASKED = [
    *[Cause.ANSWER] * 2,
    *[Cause.TEMPLATE] * 2,
    *[Cause.EVICTED] * 3,
    None,
]


def explained(cause: Cause | None) -> Explained:
    return Explained(role="subject", endpoint="m", fingerprint=Fingerprint("0"), cause=cause)


@pytest.mark.parametrize("order", list(permutations(range(len(ASKED))))[::1009])
def test_groups_do_not_depend_on_the_order_in_which_cases_end(order: tuple[int, ...]) -> None:
    counts = MissCounts()
    for place in order:
        counts.add(case("x", Outcome.PASSED), [explained(ASKED[place])])
    found = [(group.cause, group.count) for group in counts.groups]
    assert found == [("evicted", 3), ("template", 2), ("answer", 2)]
