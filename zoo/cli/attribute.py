"""`atari-zoo attribute`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atari_zoo.cli.options import (
    Baseline,
    Device,
    Env,
    Force,
    Json,
    Method,
    MethodOptions,
    Model,
    Played,
    Seed,
    Target,
    method_options,
    seen_play,
)
from atari_zoo.cli.outputs import check_file
from atari_zoo.cli.verbs import verb
from atari_zoo.progress import progress_bar

if TYPE_CHECKING:
    from atari_zoo.viz.saliency.decisions import Decision

ENDINGS = {"picture": (".png",), "table": (".csv", ".md")}


@verb(
    "atari-zoo attribute a2c/Pong/1 --step 200 -o why.png",
    "atari-zoo attribute a2c/Pong/1 --target margin --baseline mean --json",
    "atari-zoo attribute rainbow/Seaquest/1 --target atom:chosen:50 --method deeplift",
    "atari-zoo attribute a2c/Pong/1 --all-methods -o methods.png",
    "atari-zoo attribute a2c/Pong/1 --table -o fidelity.csv",
)
def attribute(
    model: Model,
    step: Annotated[int, typer.Option(help="Of the agent, from 0: whose decision.", min=0)] = 200,
    method: Method = "integrated_gradients",
    target: Target = "decision",
    baseline: Baseline = "black",
    option: MethodOptions = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A .png; of --table a .csv or .md.")
    ] = None,
    all_methods: Annotated[bool, typer.Option(help="Every method, side by side.")] = False,
    table: Annotated[bool, typer.Option(help="How true each method is to the agent.")] = False,
    recording: Played = None,
    env: Env = 0,
    seed: Seed = 0,
    device: Device = "cpu",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Explains a decision: which pixels of which frames made the agent choose."""
    import atari_zoo as zoo
    from atari_zoo.viz.saliency.decisions import Decision

    if output is None and not table:
        output = Path("attribution.png")
    if output is not None:
        check_file(output, force, *ENDINGS["table" if table else "picture"])
    network = zoo.load(model, device)
    played = seen_play(network, recording, None, seed, usual=step + 1)
    decision = Decision(network, played, step, target, baseline, env, seed)
    if table:
        _table(decision, output, as_json)
        return
    if all_methods:
        with progress_bar("explaining", "methods") as update:
            rows, picture = decision.by_all(update)
    else:
        row, picture = decision.explained(method, method_options(option))
        rows = [row]
    assert output is not None  # only a table may be printed alone
    _tell(rows, picture, output, as_json)


def _table(decision: Decision, output: Path | None, as_json: bool) -> None:
    """Of four observations, evenly over the play before the step."""
    from dataclasses import asdict

    from atari_zoo.converters.files import written_whole
    from atari_zoo.viz.fidelity.table import as_frame, as_markdown, fidelity_table

    count = len(decision.seen)
    seen = decision.seen[sorted({max(0, count * part // 4 - 1) for part in (1, 2, 3, 4)})]
    with progress_bar("measuring", "methods") as update:
        rows = fidelity_table(
            decision.network, seen, target=decision.target, seed=decision.seed, progress=update
        )
    markdown = as_markdown(rows)
    if output is not None:
        csv = as_frame(rows).to_csv(index=False)
        with written_whole(output) as beside:
            beside.write_text(csv if output.suffix.lower() == ".csv" else markdown, "utf-8")
    print(json.dumps([asdict(row) for row in rows]) if as_json else markdown)


def _tell(rows: list[dict[str, Any]], picture: Any, output: Path, as_json: bool) -> None:
    from atari_zoo.viz.images import save_png

    save_png(picture, output)
    if as_json:
        print(json.dumps(rows[0] if len(rows) == 1 else rows))
        return
    for row in rows:
        if "refused" in row:
            print(f"{row['method']}: refused")
            continue
        sums = "  ".join(f"{number:.4g}" for number in row["per_frame"])
        delta = "" if row["delta"] is None else f"   delta {row['delta']:.2g}"
        print(f"{row['method']}: {sums}{delta}")
    print(output)
