"""The components of the blind vote: one place in which the form, a ballot or a result stands, and what is on view."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ui.vote_views import Voting


@dataclass(frozen=True)
class Parts:
    """The components of the blind vote."""

    desk: gr.HTML
    voting: gr.State

    @property
    def drawn(self) -> list[object]:
        """What another run draws anew, in the order of `drawn_for`."""
        return [self.voting, self.desk]


def layout() -> Parts:
    """Lay the blind vote out. The desk's event `pick` brings the key of a button and all that is typed."""
    desk = gr.HTML(
        elem_id="vote-desk", padding=False, apply_default_css=False,
        js_on_load="luthier.voting(element, (sent) => trigger('pick', sent), watch);",
    )  # fmt: skip
    return Parts(desk, gr.State(Voting()))
