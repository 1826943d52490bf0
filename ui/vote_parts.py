"""The components of the blind vote: one place in which the form, a ballot or a result stands, and what is on view."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ui.vote_views import Written


@dataclass(frozen=True)
class Voting:
    """What is on view.

    Attributes:
        poll: The id of the poll that is voted on or read; empty for the form and the list.
        voter: Who votes in this window.
        votes: Whether a ballot is shown, rather than the result.
        battery: What is chosen in the form.
        written: What was exported last.
        written_of: The poll it came from; "thumbs" for thumbs.
    """

    poll: str = ""
    voter: str = ""
    votes: bool = False
    battery: str = ""
    written: Written | None = None
    written_of: str = ""


@dataclass(frozen=True)
class Parts:
    """The components of the blind vote."""

    desk: gr.HTML
    voting: gr.State

    @property
    def drawn(self) -> list[object]:
        """What another run draws anew, in the order of `drawn_for`."""
        return [self.desk]


def layout() -> Parts:
    """Lay the blind vote out. The desk's event `pick` brings the key of a button and all that is typed."""
    desk = gr.HTML(
        elem_id="vote-desk", padding=False, apply_default_css=False,
        js_on_load="luthier.voting(element, (sent) => trigger('pick', sent), watch);",
    )  # fmt: skip
    return Parts(desk, gr.State(Voting()))
