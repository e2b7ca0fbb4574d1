"""Numbers in texts: those with a mark follow their table, and those without are found."""

import pandas as pd
import pytest

from histobridge.errors import UserError
from histobridge.io.files import write_table
from histobridge_study.report.prose import unmarked_numbers, with_values

MARK = "<!-- =scores pair=tem-sem class='fibre F1': mean -->"


@pytest.fixture
def reports(tmp_path):
    """A folder with one table: two pairs, two classes, two protocols."""
    cells = [("tem-sem", "fibre F1", 0.7284), ("tem-sem", "axon", 0.5), ("tem-bf", "axon", 0.25)]
    table = pd.DataFrame(cells, columns=["pair", "class", "mean"]).assign(split="development", fold=1)
    both = [table.assign(protocol="transductive"), table.assign(protocol="inductive", mean=0.1)]
    write_table(tmp_path / "scores.csv", pd.concat(both))
    return tmp_path


def test_a_marked_number_is_rewritten_and_the_mark_stays(reports):
    """The usual protocol and split need no name; written again nothing changes."""
    text = with_values(f"F1 is {MARK}0.9<!-- / --> here.", reports)
    assert text == f"F1 is {MARK}0.728<!-- / --> here."
    assert with_values(text, reports) == text


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("scores pair=tem-sem class=axon: mean .0%", "50%"),
        ("scores pair=tem-sem class=axon: mean +.2f", "+0.50"),
        ("scores class=axon: mean", "0.375"),  # the mean over two rows
        ("scores class=axon protocol=inductive fold=1: mean .1f", "0.1"),
    ],
)
def test_a_mark_names_rows_a_column_and_a_format(source, number, reports):
    """Several rows are averaged; numbers of rows are compared as numbers."""
    assert with_values(f"<!-- ={source} -->?<!-- / -->", reports) == f"<!-- ={source} -->{number}<!-- / -->"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("lost class=axon: mean", "there is no .*lost.csv"),
        ("scores class=axon: median", "no column median"),
        ("scores klass=axon: mean", "no column klass"),
        ("scores class=nucleus: mean", "no row with a number"),
        ("scores class=nucleus fold=1: mean", "no row with a number"),
    ],
)
def test_a_mark_that_leads_nowhere_is_refused(source, message, reports):
    """The sentence names the mark and what it lacks."""
    with pytest.raises(UserError, match=message):
        with_values(f"<!-- ={source} -->0.5<!-- / -->", reports)


def test_numbers_without_a_mark_are_found():
    """Decimals and percentages of prose, and not those of code, tables, addresses and marks."""
    text = f"""Dice is 0.83, bias −0.014, gain +0.02, 25 % fewer, 3.5 % more.
`0.11` [paper](https://arxiv.org/abs/2207.08208) doi 10.1016/j.dib.2015.05.019 {MARK}0.22<!-- / -->
| 0.33 |
```
x = 0.44
```
5 rats, version 1.2.3, 0.5 px"""
    assert unmarked_numbers(text) == ["0.83", "−0.014", "+0.02", "25 %", "3.5 %"]
