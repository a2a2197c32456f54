"""HTML read strictly: every tag closed where it must be, as a tree that tests can ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "input", "br", "wbr"}


@dataclass
class Node:
    tag: str
    attributes: dict[str, str | None]
    children: list[Node | str] = field(default_factory=list)

    def all(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.all()

    def find(self, tag: str, **attributes: str) -> list[Node]:
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [
            node
            for node in self.all()
            if node.tag == tag
            and all(value in (node.attributes.get(name) or "").split() for name, value in wanted.items())
        ]

    def by_id(self, name: str) -> Node:
        (node,) = [node for node in self.all() if node.attributes.get("id") == name]
        return node

    @property
    def text(self) -> str:
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            yield from ([child] if isinstance(child, str) else child._texts())
        if self.tag in ("td", "th", "p", "li", "dt", "dd", "h4", "span"):
            yield " "


class Reader(HTMLParser):
    """The tree, and what a browser would have had to mend: it must be nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Node("root", {})
        self.open, self.wrong = [self.root], list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if len({name for name, _ in attrs}) < len(attrs):
            self.wrong.append(f"<{tag}> has an attribute twice")
        node = Node(tag, dict(attrs))
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open[-1].tag != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()} where <{self.open[-1].tag}> is open")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(text: str) -> Node:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.wrong, reader.wrong
    assert [node.tag for node in reader.open] == ["root"]
    return reader.root
