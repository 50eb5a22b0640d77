"""Who looks at a panel: its pages, as far as they are known to be there. Knows nothing of what they show."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

REMEMBERED = 256  # pages


class Pages:
    """The pages that show a panel, by the names that they gave themselves.

    While there is one, `watch` holds: it says that somebody is there, and gives what takes it back.

    >>> pages = Pages(lambda: print("somebody is there") or (lambda: print("nobody is")))
    >>> pages.arrive("a"), pages.arrive("b"), pages.arrive("a")
    somebody is there
    (True, True, False)
    >>> pages.leave("a"); pages.leave("b")
    nobody is
    """

    def __init__(self, watch: Callable[[], Callable[[], None]]) -> None:
        self._here: OrderedDict[str, None] = OrderedDict()
        self._answered: set[str] | None = None  # since the latest roll call
        self._watch = watch
        self._unwatch: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._here)

    def arrive(self, page: str) -> bool:
        """Notes that this page is there; says whether that is news."""
        news = page not in self._here
        self._here[page] = None
        if self._answered is not None:
            self._answered.add(page)
        if len(self._here) > REMEMBERED:
            self._here.popitem(last=False)
        self._unwatch = self._unwatch or self._watch()
        return news

    def leave(self, page: str) -> None:
        self._here.pop(page, None)
        if not self._here and self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def call_the_roll(self) -> None:
        """From now on a page has to say that it is there. Who did not, since the call before, is there no more."""
        for page in set(self._here) - self._answered if self._answered is not None else ():
            self.leave(page)
        self._answered = set()

    def end_the_roll(self) -> None:
        self._answered = None

    def close(self) -> None:
        for page in list(self._here):
            self.leave(page)
