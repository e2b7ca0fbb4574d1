"""items.py: a fault costs one item, every item is accounted for, and the place of results is nobody's fault."""

import pytest

from histobridge.errors import OutputError, UserError
from histobridge.items import MOST_LISTED, Account

FAULTS = [
    UserError("it is empty"),
    ValueError("odd"),
    OSError(5, "Input/output error"),
    MemoryError(),
    RecursionError("deep"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_costs_the_item_alone(fault):
    """Whatever it is, the next item is worked on."""
    account = Account()
    for name in ("a", "b", "c"):
        with account.item(name):
            if name == "b":
                raise fault
    assert list(account.used) == ["a", "c"] and list(account.skipped) == ["b"] and account.exit_code == 2
    assert account.skipped["b"].strip()


@pytest.mark.parametrize("ending", [OutputError("disk full"), KeyboardInterrupt(), SystemExit(1)])
def test_a_fault_of_the_place_and_an_interruption_end_the_work(ending):
    """The item is neither used nor skipped."""
    account = Account()
    with pytest.raises(type(ending)), account.item("a"):
        raise ending
    assert account == Account()


def test_an_item_that_fails_later_is_no_longer_used():
    """It counts once, whatever happened to it before."""
    account = Account()
    for fault in (None, UserError("changed")):
        with account.item("a"):
            if fault:
                raise fault
    assert account.used == {} and account.skipped == {"a": "changed"}
    with account.item("b"), account.item("b"):
        pass
    assert list(account.used) == ["b"]


def test_the_numbers_add_up():
    """Harmless items are counted by kind."""
    account = Account(used={"a": None}, skipped={"b": "bad"}, harmless={"c": "hidden", "d": "text", "e": "hidden"})
    assert account.summary == "5 files: 1 used, 1 skipped, 3 of no concern (2 hidden, 1 text)"
    assert Account().summary == "0 files: 0 used, 0 skipped, 0 of no concern" and Account().exit_code == 0


def test_many_skipped_items_are_counted():
    """A thousand lines would hide what matters."""
    account = Account(skipped=dict.fromkeys(range(MOST_LISTED + 7), "bad"))
    assert len(account.lines) == MOST_LISTED + 1 and account.lines[-1] == "... and 7 more that were skipped."
