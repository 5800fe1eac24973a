"""The parts of an XLSX file as the XML parser meets them: sheets, styles, shared strings, and the cells of a sheet as they are written.

What belongs here: what the parser calls, and plain values. What does not: limits, the archive and the meaning of cells (workbooks).
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field

ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
COLUMN = re.compile("[A-Z]+")


@dataclass(frozen=True)
class Cell:
    """A cell as the file writes it: type, style, cached value and whether a formula made it."""

    kind: str
    style: int
    value: str | None
    is_formula: bool


@dataclass
class Book:
    """What the small parts say. `is_date`: for each style whether its number format is one of a date."""

    sheets: dict[str, str] = field(default_factory=dict)
    is_1904: bool = False
    targets: dict[str, str] = field(default_factory=dict)
    is_date: list[bool] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


class Part:
    """Base of what the parser calls; `depth` and `size` are for its limits."""

    def __init__(self) -> None:
        self.depth, self.size = 0, 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.opened(tag.rpartition("}")[2], attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        self.closed(tag.rpartition("}")[2])

    def data(self, text: str) -> None:
        self.size += len(text)

    def close(self) -> None:
        pass

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def closed(self, name: str) -> None:
        pass


class Facts(Part):
    """Sheets, date system, targets of relationships."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self.book = book

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            link = next((value for key, value in attributes.items() if key.endswith("}id")), "")
            self.book.sheets[attributes.get("name", "")] = link
        elif name == "workbookPr":
            self.book.is_1904 = attributes.get("date1904") in ("1", "true")
        elif name == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            self.book.targets[attributes.get("Id", "")] = target[1:] if target.startswith("/") else f"xl/{target}"


class Styles(Part):
    """Which styles are dates; what openpyxl knows of number formats."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format

        self.book, self.codes, self.is_date_format, self.is_inside = book, dict(BUILTIN_FORMATS), is_date_format, False

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            self.codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self.is_inside = True
        elif name == "xf" and self.is_inside:
            number = int(attributes.get("numFmtId", 0))
            self.book.is_date.append(14 <= number <= 22 or 45 <= number <= 47 or bool(self.is_date_format(self.codes.get(number))))

    def closed(self, name: str) -> None:
        if name == "cellXfs":
            self.is_inside = False


class Texts(Part):
    """Shared strings, without their phonetic guides."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self.book, self.parts, self.is_text, self.is_guide = book, list[str](), False, False

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        self.is_guide |= name == "rPh"
        self.is_text = name == "t" and not self.is_guide
        if name == "si":
            self.parts = []

    def data(self, text: str) -> None:
        super().data(text)
        if self.is_text:
            self.parts.append(text)

    def closed(self, name: str) -> None:
        if name == "rPh":
            self.is_guide = False
        elif name == "si":
            self.book.texts.append(unescaped("".join(self.parts)))
        self.is_text = False


class Sheet(Part):
    """Rows of a sheet as they end: number and cells by column."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[int, dict[int, Cell]]] = []
        self.number, self.count, self.column, self.taken = 0, 0, -1, ""
        self.cells: dict[int, Cell] = {}
        self.kind, self.style, self.is_formula, self.parts = "n", 0, False, list[str]()
        self.is_guide = False

    def opened(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            reference = COLUMN.match(attributes.get("r", ""))
            self.column = _column(reference.group()) if reference else self.column + 1
            self.kind, self.style = attributes.get("t", "n"), int(attributes.get("s", 0))
            self.is_formula, self.parts = False, []
        elif name == "row":
            self.number = int(attributes.get("r", self.number + 1))
            self.cells, self.column = {}, -1
        elif name == "f":
            self.is_formula = True
        elif name == "rPh":
            self.is_guide = True
        self.taken = name

    def data(self, text: str) -> None:
        self.size += len(text)
        if (self.taken == "v" or self.taken == "t") and not self.is_guide:
            self.parts.append(text)

    def closed(self, name: str) -> None:
        if name == "c":
            value = "".join(self.parts) if self.parts else None
            if value is not None or self.is_formula:
                self.cells[self.column] = Cell(self.kind, self.style, value, self.is_formula)
        elif name == "row":
            self.done.append((self.number, self.cells))
            self.count, self.size = self.count + 1, 0
        elif name == "rPh":
            self.is_guide = False
        self.taken = ""


def _column(letters: str) -> int:
    """A = 0, AA = 26; what has more than three letters is past every sheet."""
    number = 0
    for letter in letters[:4]:
        number = number * 26 + ord(letter) - 64
    return number - 1


def unescaped(text: str) -> str:
    """Text with `_x000A_` as the character it stands for; NUL and halves of surrogate pairs stay as they are written."""
    return ESCAPED.sub(_character, text) if "_x" in text else text


def _character(found: re.Match[str]) -> str:
    code = int(found.group(1), 16)
    return chr(code) if code and not 0xD800 <= code <= 0xDFFF else found.group()
