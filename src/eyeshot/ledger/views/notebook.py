"""Tables of the ledger in a notebook."""

from __future__ import annotations

import polars as pl

MOST_ROWS = 60
LONGEST_TEXT = 300


class NotebookFrame(pl.DataFrame):
    """A data frame whose texts can be read in a notebook.

    polars cuts texts after 30 characters, which hides the end of every id and reason, and shows 10 rows.
    """

    def _repr_html_(self, *, _from_series: bool = False) -> str:
        """As polars shows a table, with whole texts and without columns that hold nothing."""
        filled = [name for name in self.columns if _holds_something(self[name])]
        shown = pl.DataFrame(self) if not filled else pl.DataFrame(self.select(filled))
        with pl.Config(
            fmt_str_lengths=LONGEST_TEXT, tbl_rows=MOST_ROWS, tbl_hide_column_data_types=True,
            fmt_table_cell_list_len=-1,
        ):  # fmt: skip
            table = shown._repr_html_()
        empty = [name for name in self.columns if name not in filled]
        return table + (f"<small>Without a value: {', '.join(empty)}</small>" if filled and empty else "")


def _holds_something(column: pl.Series) -> bool:
    if isinstance(column.dtype, pl.List):
        return bool((column.list.len() > 0).any())
    return bool(column.is_not_null().any() and not (column.dtype == pl.String and (column == "").all()))
