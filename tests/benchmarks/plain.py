"""The table of the library of the screen, with as many rows as its argument says, and nothing that changes them."""

import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable

COLUMNS = ("NAME", "STATE", "RUNTIME", "CPU", "%CPU", "MEM", "%MEM", "THR", "PSI", "NET RX", "NET TX", "PROCS", "AGE")


class Plain(App[None]):
    """One table."""

    BINDINGS = [("j", "move(1)"), ("k", "move(-1)")]  # noqa: RUF012  as Textual has it

    def compose(self) -> ComposeResult:
        table: DataTable[str] = DataTable(cursor_type="row")
        table.add_columns(*COLUMNS)
        for index in range(int(sys.argv[1])):
            table.add_row(f"container-{index}", *["0.00"] * (len(COLUMNS) - 1))
        yield table

    def action_move(self, rows: int) -> None:
        table = self.query_one(DataTable)
        table.move_cursor(row=table.cursor_row + rows)


if __name__ == "__main__":
    Plain().run()
