"""The one rule for what is given: a fault of an item costs that item alone, and every item is accounted for.

A command keeps an `Account` of the files (or runs) that it was given. Each of them is used, skipped with a reason, or
known to be harmless. The command prints the numbers, and its exit code is 2 if anything was skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from histobridge.errors import OutputError, UserError
from histobridge.io.limits import printable

MOST_LISTED = 20
"""Lines about skipped items that are printed; tables and reports hold all of them."""


@dataclass
class Account:
    """What became of every item.

    Attributes
    ----------
    used : dict of item to None
        Items that a result was made of, in order: a dict, because a list of ten thousand is slow to search.
    skipped : dict of item to str
        The others, with one sentence: what is wrong, and what to do.
    harmless : dict of item to str
        What nobody expects a result of, such as text files, with what it is.
    noun : str
        What the summary calls the items.
    """

    used: dict[Hashable, None] = field(default_factory=dict)
    skipped: dict[Hashable, str] = field(default_factory=dict)
    harmless: dict[Hashable, str] = field(default_factory=dict)
    noun: str = "files"

    @contextmanager
    def item(self, item: Hashable) -> Iterator[None]:
        """Work on one item: it is used if the block succeeds, and skipped with the reason if it does not.

        A fault of the place where results are written (`OutputError`) is no fault of the item, and is raised.

        >>> account = Account()
        >>> for name in ("a", "b"):
        ...     with account.item(name):
        ...         if name == "a":
        ...             raise UserError("a is empty: leave it out.")
        >>> list(account.used), account.skipped
        (['b'], {'a': 'a is empty: leave it out.'})
        """
        try:
            yield
        except OutputError:
            raise
        except UserError as error:
            self.skip(item, str(error))
        except MemoryError:
            self.skip(item, f"{item} needs more memory than there is: cut it into parts.")
        except Exception as error:  # of a decoder, of the file system: whatever it is, the others are worth going on
            self.skip(item, f"{item} cannot be used ({type(error).__name__}: {error}).")
        else:
            if item not in self.skipped:
                self.used[item] = None

    def skip(self, item: Hashable, reason: str) -> None:
        """Skip an item, also one that was used before."""
        self.withdraw(item)
        self.skipped[item] = reason

    def withdraw(self, item: Hashable) -> None:
        """Count an item as not used, until it is known what becomes of it."""
        self.used.pop(item, None)

    @property
    def summary(self) -> str:
        """The numbers, such as `14 files: 11 used, 2 skipped, 1 of no concern (1 hidden)`."""
        counts = len(self.used), len(self.skipped), len(self.harmless)
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(self.harmless.values()).most_common())
        line = f"{sum(counts)} {self.noun}: {counts[0]} used, {counts[1]} skipped, {counts[2]} of no concern"
        return f"{line} ({kinds})" if kinds else line

    @property
    def lines(self) -> list[str]:
        """A line for each skipped item, `MOST_LISTED` at most, then how many there are besides."""
        named = [why if why.startswith(str(item)) else f"{item}: {why}" for item, why in self.skipped.items()]
        lines = [printable(f"Skipped {line}") for line in named]
        more = len(lines) - MOST_LISTED
        return lines[:MOST_LISTED] + ([f"... and {more} more that were skipped."] if more > 0 else [])

    @property
    def exit_code(self) -> int:
        """2 if anything was skipped, else 0."""
        return 2 if self.skipped else 0
