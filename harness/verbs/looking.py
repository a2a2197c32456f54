"""`table` and `figure`: what the store has of them. Nothing is trained, and no data need be at hand."""

from __future__ import annotations

from harness.errors import UserError
from harness.plan import data_of, state
from harness.requests import Asked
from harness.store import Store
from harness.verbs import elsewhere
from harness.verbs.session import Load, Seen, at_hand, plans_of


def look(asked: Asked, load: Load) -> Seen:
    """Raises UserError."""
    store = Store(asked.store)
    missing: dict[str, UserError] = {}
    identify = at_hand(asked.data, store, missing) if asked.data else data_of(store.begun)
    plans = plans_of(asked, store, identify, load)
    states = tuple(state(plan, store) for plan in plans)
    problems = (*store.problems, *elsewhere.told(asked, plans, store))
    return Seen(plans=plans, states=states, problems=problems)
