"""Decisions of an agent, explained: by one method in full, or by all of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from atari_zoo.agent_states import as_it_was, check_states, held_words
from atari_zoo.analysis.responses import untrained_control
from atari_zoo.converters.network.foreign import Network
from atari_zoo.players import check_play, player_words
from atari_zoo.recordings.arrays import not_kept
from atari_zoo.recordings.recordings import Recording, check_environment
from atari_zoo.viz.attribution.attribution import attribution_of, methods
from atari_zoo.viz.attribution.cases import NOTHING, Attribution, target_for
from atari_zoo.viz.attribution.registry import UNIT, AttributionMethod, method_named
from atari_zoo.viz.attribution.targets import (
    DECISION,
    resolved_target,
    target_score,
    target_words,
)
from atari_zoo.viz.fidelity.randomization import rank_correlation
from atari_zoo.viz.parameterizations.frames import as_floats
from atari_zoo.viz.saliency.method_sheets import ShownMethod, methods_sheet
from atari_zoo.viz.saliency.overlays import brightest
from atari_zoo.viz.saliency.pictures import explanation

Picture = UInt8[np.ndarray, "height width 3"]
MethodFacts = dict[str, Any]
REFERENCES = 16  # observations that stand for all, where a baseline is made of many


@dataclass(frozen=True)
class Decision:
    """What an agent decided at a step of a recording, and what of it is to be explained.

    recording: with keep=["screens", "frames"], of the network's game; of another agent's play
        what the network would decide is explained, and the title says whose it is.
    target, baseline, seed: as of `attribute`, but that the baselines "mean" and "observations" are
        made of the recording's steps up to this one.
    Raises ValueError if the recording is of another game or other actions; and, when it is looked
    at, if it lacks the step or the frames.
    """

    network: Network
    recording: Recording
    step: int
    target: str = DECISION
    baseline: str = "black"
    env: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_play(self.network, self.recording)
        check_states(self.network, self.recording)

    def explained(
        self, method: str, options: Mapping[str, Any] = NOTHING
    ) -> tuple[MethodFacts, Picture]:
        """Numbers, for JSON, and a picture of one method."""
        found = attribution_of(
            self.asked, self.seen[-1:], method, self.target, self.compared, self.seed, **options
        )
        used = method_named(method)
        row = self._row(used, found)
        if options.get("side") == "critic":
            row["explains"] = target_words(self.network, "value")
        values = found.values[0].cpu().numpy()
        sums = ", ".join(f"{number:.3g}" for number in row["per_frame"])
        delta = "" if row["delta"] is None else f"; delta {row['delta']:.2g}"
        of_each = " of each frame" * (len(row["per_frame"]) > 1)
        notes = [
            f"frames: full colour at {brightest(np.abs(values)):.2g}, {used.unit or UNIT}",
            f"sum{of_each}: {sums}{delta}",
        ]
        compared = f"baseline {row['baseline']}; " if row["baseline"] else ""
        notes.append(f"{compared}the agent's choice is {row['action']}")
        notes += filter(None, [held_words(self.asked)])
        grey = (self.seen[-1] * 255).round().byte().numpy()
        title = f"{self._whose}: {method} of {row['explains']}"
        signs = used.signs(options)
        picture = explanation(
            self.frame, grey, values, title, notes, signs, used.signed, self.recording.preprocessing
        )
        return row, picture

    def by_all(
        self, progress: Callable[[int, int, str], None] = lambda done, total, text: None
    ) -> tuple[list[MethodFacts], Picture]:
        """Numbers and a picture of all methods, beside a network of the kind before training; below
        it, why some are refused.

        progress: called with the methods done, those there are, and the next one's name.
        """
        rows, shown = [], []
        real = [method for method in methods() if method.source]
        for done, method in enumerate(real):
            progress(done, len(real), method.name)
            try:
                found = self._by(method, self.asked)
            except ValueError as refusal:
                rows.append(self._facts(method) | {"refused": str(refusal)})
                continue
            control, alike = None, 0.0
            if self.control[0] is not None:
                begun = self._by(method, self.control[0])
                control = begun.values[0].cpu().numpy()
                alike = float(rank_correlation(found.values.abs(), begun.values.abs())[0])
            values = found.values[0].cpu().numpy()
            shown.append(ShownMethod(method.name, values, method.signed, control, alike))
            rows.append(self._row(method, found))
            if control is not None:
                rows[-1]["untrained_correlation"] = alike
        refused = [row["refused"] for row in rows if "refused" in row]
        words = target_words(self.network, self.target, self.outputs)
        seen = self.seen[-1:].to(next(self.network.parameters()).device)
        with torch.no_grad():
            score = target_score(self.asked, seen, resolved_target(self.asked, self.target))
            number = float(score(seen, *score.arguments)[0])
        return rows, methods_sheet(
            self.frame,
            shown,
            f"{self._whose}: its choice is {self.choice}",
            f"explained: {words}, which is {number:.3g}; baseline {self.baseline}",
            self._notes(real) + refused,
            self.recording.preprocessing,
        )

    def _notes(self, shown: Sequence[AttributionMethod]) -> list[str]:
        slopes = ", ".join(method.name for method in shown if not method.evidence)
        whole = ", ".join(method.name for method in shown if not method.target)
        notes = [
            "Each map is in a scale of its own, the number above it; of each pixel the value of "
            "the frame where it lies furthest from 0, of methods without signs the sum.",
            f"{slopes}: red where brighter pixels raise the number; {whole}: of all outputs.",
        ]
        if self.control[0] is not None:
            notes.append(
                "Framed: the same network before training, of its own choice; alike: Spearman's "
                "correlation with its map, sizes alone. What is alike was not learned."
            )
        return [*notes, *filter(None, [self.control[1], held_words(self.asked)])]

    @cached_property
    def control(self) -> tuple[Network | None, str]:
        """The network before training, or why there is none."""
        return untrained_control(self.network, self.seed)

    @cached_property
    def seen(self) -> Float[Tensor, "steps frames height width"]:
        """The observations up to the step, 0..1."""
        steps = len(self.recording.starts)
        if not (isinstance(self.step, int) and 0 <= self.step < steps):
            raise ValueError(f"step is {self.step}; the recording has 0 to {steps - 1}")
        observations = self.recording.observations(self.env, slice(0, self.step + 1))
        return as_floats(observations)

    @cached_property
    def asked(self) -> Network:
        """The network; one that carries a state as it was before the step."""
        return as_it_was(self.network, self.recording, self.step, self.env)

    @cached_property
    def frame(self) -> Picture:
        """The colour screen."""
        if self.recording.frames is None:
            raise not_kept("frames", "screens", "frames")
        check_environment(self.recording, self.env)
        return np.asarray(self.recording.frames[self.step, self.env])

    @cached_property
    def compared(self) -> str | Tensor:
        """The baseline: its name, or what was made of many observations."""
        if self.baseline == "mean":
            return self.seen.mean(dim=0)
        if self.baseline == "observations":
            return self.seen[:: -(-len(self.seen) // REFERENCES)][None]
        return self.baseline

    def _by(self, method: AttributionMethod, network: Network) -> Attribution:
        """Of a network, with what of target and baseline the method takes."""
        target = self.target if method.target else DECISION
        compared = self.compared if self._compares(method) else "black"
        seen = self.seen[-1:]
        return attribution_of(network, seen, method.name, target, compared, self.seed)

    def _compares(self, method: AttributionMethod) -> bool:
        """Whether the method can take this baseline."""
        several = self.baseline == "observations"
        return method.baselines == "many" or (method.baselines == "one" and not several)

    @cached_property
    def outputs(self) -> Tensor:
        """What the network computes at the step, (actions,), on the CPU."""
        weight = next(self.network.parameters())
        with torch.inference_mode():
            return self.asked(self.seen[-1:].to(weight.device, weight.dtype))[0].cpu()

    @property
    def choice(self) -> str:
        """The action with the largest output, by its name."""
        return self.recording.action_names[int(self.outputs.argmax())]

    @property
    def _whose(self) -> str:
        player = player_words(self.network, self.recording)
        return f"{self.network.card.name}{player}, step {self.step}"

    def _facts(self, method: AttributionMethod) -> MethodFacts:
        black = "black" if method.baselines == "one" else None
        target = target_for(self.network, method, self.target) if method.target else None
        words = "all outputs" if target is None else None
        return {
            "model": self.network.card.name,
            "player": self.recording.card.name,
            "game": self.recording.game,
            "step": self.step,
            "action": self.choice,
            "method": method.name,
            "target": None if target is None else str(target),
            "explains": words or target_words(self.network, target or DECISION, self.outputs),
            "baseline": self.baseline if self._compares(method) else black,
        }

    def _row(self, method: AttributionMethod, found: Attribution) -> MethodFacts:
        delta = None if found.delta is None else float(found.delta[0])
        return self._facts(method) | {"per_frame": found.per_frame()[0].tolist(), "delta": delta}
