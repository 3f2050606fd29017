"""`atari-zoo`: the verbs of this room as one program."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from atari_zoo.cli.analyses import add_verbs
from atari_zoo.cli.verbs import verbs

app = typer.Typer(
    name="atari-zoo",
    help="Load any Atari agent, play it in the real emulator, and look inside it.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich would take `atom:FIRE:50` for an emoji, and `[/b]` for markup
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(asked: bool | None) -> None:
    if asked:
        print(f"atari-zoo {version('atari-zoo')}")
        raise typer.Exit()


@app.callback()
def _shared(
    asked: Annotated[
        bool | None,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Say which version this is."
        ),
    ] = None,
) -> None:
    """Load any Atari agent, play it in the real emulator, and look inside it."""


for verb in verbs():
    app.command(verb.name, epilog=verb.epilog)(verb.run)
add_verbs(app)
