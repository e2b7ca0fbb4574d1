"""YAML files that people write: read without a traceback, without surprise and within bounds."""

from __future__ import annotations

from importlib.resources.abc import Traversable

import yaml

from histobridge.errors import UserError

MOST_BYTES = 16 * 2**20
"""Of a file: about 40,000 images of a manifest. Reading more would take minutes."""
MOST_MERGED = 10_000
"""Entries of a mapping after its merges (`<<`), which may multiply without end."""


class _Loader(yaml.SafeLoader):
    """Refuse a name that is given twice, of which YAML would drop the first, and merges without end."""

    def compose_mapping_node(self, anchor):
        node = super().compose_mapping_node(anchor)
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        twice = next((name for number, name in enumerate(names) if name in set(names[:number])), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"'{twice}' is given twice", node.start_mark)
        return node

    def flatten_mapping(self, node):
        super().flatten_mapping(node)
        if len(node.value) > MOST_MERGED:
            raise yaml.constructor.ConstructorError(None, None, "too many entries", node.start_mark)


def read_yaml(path: Traversable) -> object:
    """Return what a YAML file holds.

    Parameters
    ----------
    path : Path or Traversable

    Raises
    ------
    UserError
        If it cannot be read, is larger than `MOST_BYTES`, is no UTF-8 or no valid YAML, or gives a name twice.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}).") from None
    if len(content) > MOST_BYTES:
        raise UserError(f"{path} has more than {MOST_BYTES // 2**20} MiB: divide it into several files.")
    try:
        return yaml.load(content.decode("utf-8-sig"), _Loader)  # some editors begin UTF-8 with a mark
    except RecursionError:
        raise UserError(f"{path} is not valid YAML: it is nested too deeply.") from None
    except Exception as error:  # PyYAML raises ValueError, TypeError and more of its own for odd numbers and dates
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
