"""Reading CSV tables whose mistakes are the user's to mend."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import InputError


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table.

    Attributes:
        line: Line of the file on which it ends, for messages.
        values: Text by column, without surrounding blanks.
    """

    line: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        """Text in one column."""
        return self.values[column]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table and where it came from.

    Attributes:
        path: The file.
        columns: Names of the columns, in order.
        rows: At least one row.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def require(self, columns: Sequence[str]) -> None:
        """Refuse a table without certain columns.

        Raises:
            InputError: With the columns that are there.
        """
        missing = [column for column in columns if column not in self.columns]
        if missing:
            raise InputError(
                f"{self.path}: no column {missing[0]!r}; found columns {', '.join(self.columns)}; "
                f"wanted {', '.join(columns)} (comma-separated, first line)"
            )

    def refuse_duplicates(self, column: str) -> None:
        """Refuse a table in which two rows have one value.

        Raises:
            InputError: With both lines.
        """
        first: dict[str, int] = {}
        for row in self.rows:
            value = row[column]
            if value in first:
                raise InputError(
                    f"{self.path}: {column} {value!r} stands on line {first[value]} and again on line {row.line}; "
                    "wanted one row each, remove one of them"
                )
            first[value] = row.line


def read_table(path: Path, *, required: Sequence[str]) -> Table:
    """Read a comma-separated table in UTF-8 with column names on its first line.

    Args:
        path: The file.
        required: Columns that must be there.

    Raises:
        InputError: If the file cannot be read, has no rows, lacks a column or has rows of uneven length.
    """
    try:
        # utf-8-sig: spreadsheets put a byte-order mark in front of the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, [value.strip() for value in line]) for line in reader if any(line)]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; wanted a CSV table with columns {', '.join(required)}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: cannot be read as a CSV table ({error}); save it as comma-separated UTF-8"
        ) from error
    if len(lines) < 2:
        raise InputError(
            f"{path}: {len(lines)} lines; wanted column names ({', '.join(required)}) and at least one row"
        )
    columns = tuple(lines[0][1])
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise InputError(f"{path}: column {repeated[0]!r} stands twice in the first line; rename one of them")
    for number, values in lines[1:]:
        if len(values) != len(columns):
            raise InputError(
                f"{path}: line {number} has {len(values)} values; wanted {len(columns)}, one per column "
                "(quote values that contain commas)"
            )
    rows = tuple(Row(line=number, values=dict(zip(columns, values, strict=True))) for number, values in lines[1:])
    table = Table(path=path, columns=columns, rows=rows)
    table.require(required)
    return table
