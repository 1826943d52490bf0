"""The room of a workspace in which models are heard: a run's base and tuned model answer, streaming or many at once.

Knows which checkpoint of a run speaks. What is loaded, and who waits for whom, is the business of `engine.models.generation`.
"""
# ruff: noqa: PLC0415 - torch is paid for by the first answer

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from engine.models.accelerator import Accelerator
from engine.models.generation_settings import GenerationSettings
from engine.models.warm_up import WarmUp
from engine.training.store import Store

if TYPE_CHECKING:
    from engine.models.generation import GenerationChunk, Held, Voices


class Listening:
    """Answers of the models of a workspace's runs.

    Args:
        store: Its runs.
        accelerator: Who may compute.
        libraries: The heavy libraries, which may still be imported.
    """

    def __init__(self, store: Store, accelerator: Accelerator, libraries: WarmUp) -> None:
        self._store, self._accelerator, self._libraries = store, accelerator, libraries

    @cached_property
    def voices(self) -> Voices:
        """Who answers; the first call imports torch."""
        self._libraries.wait()
        from engine.models.generation import Voices

        return Voices(self._accelerator)

    def release(self) -> None:
        """Give the memory back that models take, if any was asked."""
        if "voices" in self.__dict__:
            self.voices.release()

    def held(self) -> tuple[Held, ...]:
        """Which models are in memory, and what each takes; nothing is loaded for it."""
        return self.voices.bodies.held() if "voices" in self.__dict__ else ()

    def chat(
        self,
        run: str,
        messages: Sequence[Mapping[str, str]],
        settings: GenerationSettings,
        *,
        checkpoint: int | None = None,
        arms: Sequence[str] = ("base", "tuned"),
        stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[GenerationChunk]:
        """Let the base and the tuned model answer the same conversation, streaming.

        Args:
            run: The run whose model is heard.
            messages: The conversation so far, the question last.
            settings: Temperature, seed and the rest, the same for both.
            checkpoint: The step whose checkpoint is heard; otherwise the best where the run keeps it, else the last.
            arms: Which of the two answer, in this order.
            stopped: Asked at each token; True ends the answers where they are.

        Raises:
            RunError: When the run kept no checkpoint, or none of that step, or it is damaged.
        """
        from engine.models.tuned import recipe_of

        plan, path = self._store.run(run).plan, self._checkpoint_path(run, checkpoint)
        return self.voices.answer(
            recipe_of(plan), path, [dict(message) for message in messages], settings, arms=tuple(arms), stopped=stopped
        )

    def answers(
        self,
        run: str,
        prompts: Sequence[Sequence[Mapping[str, str]]],
        settings: GenerationSettings,
        *,
        arm: str = "tuned",
    ) -> list[str]:
        """Answer many conversations at once with the base or the tuned model."""
        from engine.models.tuned import recipe_of

        plan = self._store.run(run).plan
        path = self._checkpoint_path(run, None) if arm == "tuned" else None
        conversations = [[dict(message) for message in prompt] for prompt in prompts]
        return self.voices.answer_batch(recipe_of(plan), path, conversations, settings)

    def rewards(self, run: str, conversations: Sequence[Sequence[Mapping[str, str]]]) -> list[float]:
        """Return what the reward model of a run says of conversations that end with an answer."""
        from engine.models.tuned import recipe_of

        plan, path = self._store.run(run).plan, self._checkpoint_path(run, None)
        return self.voices.rewards(
            recipe_of(plan), path, [[dict(message) for message in turns] for turns in conversations]
        )

    def _checkpoint_path(self, run: str, step: int | None) -> Path:
        from engine.training.checkpoints import result_of, verified_at

        found = self._store.run(run)
        if step is None:
            return result_of(found).path
        return verified_at(found.id, found.directory, step).path
