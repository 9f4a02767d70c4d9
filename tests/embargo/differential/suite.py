"""Playing actions while both servers answer, and asking at every moment whether anything tells them apart."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.embargo.differential import large, routes, skies
from tests.embargo.differential.actions import Action, Change, Sides
from tests.embargo.differential.pair import Pair, first, undated
from tests.embargo.differential.question import Question

# Of a large list: few sources, so that it is done soon.
CORRELATION = {"CATALOGUE": "lab.events", "SOURCES": "nhits = 230", "METHOD": "count", "SCRAMBLES": "20"}
Stamped = tuple[int | None, str, str, bytes]
Report = Callable[[str], None]


class Suite:
    """The questions, asked before, during and after each action. ``found`` is what told the two apart."""

    def __init__(
        self, pair: Pair, sides: Sides, *, each: int, seed: int, skies: bool, report: Report = lambda line: None
    ) -> None:
        """
        Args:
            each: how many questions are asked at each moment; a half of them while the next thing is done.
            skies: whether correlations and maps are made and compared after each action, half a minute for each.
            report: is told how far it is.
        """
        self.pair = pair
        self.sides = sides
        self.found: list[str] = []
        self._each = each
        self._report = report
        self._skies = skies
        self._stamped: list[tuple[Question, Stamped]] = []
        self._questions = large.questions(seed)
        self._windows = large.windows(120, seed)
        self._chosen = [*large.windows(20, seed + 1), *itertools.islice(large.questions(seed + 1, of_files=False), 60)]

    def play(self, actions: Iterable[Action]) -> list[str]:
        """Play the actions one after the other; returns what told the two apart, if anything did."""
        self._compare(self._windows)
        self._add(self.pair.differences_of_routes(routes.telling()))
        for action in actions:
            if self.found:
                break
            began = time.monotonic()
            self._play(action)
            spent = time.monotonic() - began
            self._report(f"{action.__name__}: {self.pair.compared} answers compared, {spent:.0f} s")
        return self.found

    def _play(self, action: Action) -> None:
        public = False
        self._stamped = self._stamped or self._stamps()
        steps = action(self.sides)
        while True:
            with self._comparing(self._each // 2):
                try:
                    change = next(steps)
                except StopIteration:
                    break
            if change is None:
                self._compare(itertools.islice(self._questions, self._each // 2))
            else:
                public = True
                self._change(change)
            if self.found:
                steps.close()
                return
        before, self._stamped = self._stamped, []
        self._compare(self._windows)
        self._add(self.pair.differences_of_routes(routes.telling()))
        if self._skies:
            self._add(skies.correlated(self.pair, CORRELATION)[1])
            self._add(skies.mapped(self.pair))
        if not public:
            self._stamped = self._stamps()
            self._add(_moved(before, self._stamped))

    def _compare(self, questions: Iterable[Question]) -> None:
        self._add(self.pair.differences(questions))

    def _add(self, differences: Iterable[str]) -> None:
        if not self.found:
            self.found += itertools.islice(differences, 3)

    @contextmanager
    def _comparing(self, count: int) -> Iterator[None]:
        """Compare beside what is done in the block."""
        questions = list(itertools.islice(self._questions, count))
        beside = threading.Thread(target=self._compare, args=(questions,))
        beside.start()
        try:
            yield
        finally:
            beside.join()

    def _change(self, change: Change) -> None:
        """Make a change on both sides. Meanwhile each answer is that from before or that from after, on either side."""
        before = self._answers(self._chosen)
        self._compare(self._chosen)
        seen: list[tuple[Question, object]] = []
        changed = threading.Event()

        def ask(side: int) -> None:
            for question in itertools.cycle(self._chosen):
                if changed.is_set():
                    return
                answer = question.ask(self.pair.clients[side])
                seen.append((question, self.pair.seen(answer, question)))

        with ThreadPoolExecutor(4) as threads:
            asking = [threads.submit(ask, side) for side in (0, 1)]
            making = [threads.submit(change, database) for database in self.sides.both]
            failures = [repr(made.exception()) for made in making]
            changed.set()
            for asked in asking:
                asked.result()
        assert failures[0] == "None", failures[0]
        if failures[1] != failures[0]:
            self.found.append(f"what could be done on one side could not be done on the other: {failures[1]}")
        self.pair.count(len(seen))
        self._compare(self._chosen)
        after = self._answers(self._chosen)
        allowed = {id(question): (old, new) for question, old, new in zip(self._chosen, before, after, strict=True)}
        strange = ((question, answer) for question, answer in seen if answer not in allowed[id(question)])
        self._add(
            f"{question}\nneither as before nor as after:\n{first(repr(allowed[id(question)][1]), repr(answer))}"
            for question, answer in strange
        )

    def _answers(self, questions: Sequence[Question]) -> list[object]:
        """What the side without embargoed events says."""
        return [self.pair.seen(question.ask(self.pair.clients[0]), question) for question in questions]

    def _stamps(self) -> list[tuple[Question, Stamped]]:
        """What the side with embargoed events says of itself, with every stamp but the time of the request."""
        # Maps are made anew by both after each action, and compared there.
        asked = [
            question for question in routes.telling() if not question.path.startswith(("/skymaps", "/hips", "/maps"))
        ]
        answers = self.pair.threads.map(lambda question: question.ask(self.pair.clients[1]), asked)
        return [
            (question, (answer.status, answer.header("etag"), answer.header("last-modified"), undated(answer.body)))
            for question, answer in zip(asked, answers, strict=True)
        ]


def _moved(before: list[tuple[Question, Stamped]], after: list[tuple[Question, Stamped]]) -> Iterator[str]:
    for (question, old), (_, new) in zip(before, after, strict=True):
        if old != new:
            yield f"{question}\nmoved:\n{first(repr(old), repr(new))}"
