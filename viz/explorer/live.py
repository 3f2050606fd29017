"""Live work on a served page: what may be asked of it, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from atari_zoo.agent_states import held_words
from atari_zoo.viz.explorer.explorer import MadeExplorer
from atari_zoo.viz.explorer.live_edits import (
    EditRequest,
    MomentEdits,
    recorded_values,
    variable_rows,
)
from atari_zoo.viz.explorer.live_jobs import BusyError, Job, JobRunner
from atari_zoo.viz.explorer.page_files import (
    CODE,
    DATA,
    LIVE,
    PAGE,
    SCRIPTS,
    STYLE,
    page_code,
    page_text,
)
from atari_zoo.viz.explorer.server import Reply, json_reply
from atari_zoo.viz.explorer.settings import ExplorerSettings, ShownAgent

HTML, SCRIPT, CSS = (f"text/{kind}; charset=utf-8" for kind in ("html", "javascript", "css"))
API = "live"  # the first part of a path that asks for work
WAIT = 0.5  # seconds that an answer about a job waits for its end


class LiveExplorer:
    """Answers what a served page asks: its files, and work on the agents that it shows."""

    def __init__(self, made: MadeExplorer, settings: ExplorerSettings) -> None:
        self.folder: Path = made.page.parent.resolve()
        self.agents: list[ShownAgent] = made.agents
        self.game = made.agents[0].recording.game
        self.jobs = JobRunner()
        self.edits = MomentEdits(self.folder / DATA, self.game, settings.seed)
        for agent in self.agents:
            agent.kept.clear()  # all layers of a whole play

    def get(self, parts: Sequence[str]) -> Reply | None:
        """What is at a path; None if nothing is."""
        match parts:
            case [name] if name == PAGE:
                text = page_text(self.game, [agent.name for agent in self.agents], live=True)
                return Reply(text.encode(), HTML)
            case [room, name] if room == CODE:
                return _code(name)
            case [room, *_] if room == DATA:
                return self._data(parts)
            case [room, "about"] if room == API:
                return json_reply(self._about())
            case [room, "memory", agent, step] if room == API:
                return self._memory(agent, step)
            case [room, "jobs", number] if room == API:
                job = self._job(number)
                if job is not None:
                    job.ended.wait(WAIT)
                return job and json_reply(job.row())
        return None

    def post(self, parts: Sequence[str], data: Mapping[str, Any]) -> Reply | None:
        """Begins or stops work; None if there is no such."""
        match parts:
            case [room, "edit"] if room == API:
                return self._begun(data)
            case [room, "stop", number] if room == API:
                job = self._job(number)
                if job is not None:
                    job.stopping.set()
                return job and json_reply({})
        return None

    def close(self) -> None:
        """Has the work that goes on stop."""
        self.jobs.close()

    def _begun(self, data: Mapping[str, Any]) -> Reply:
        try:
            asked = EditRequest(**data)
            agent = self._agent(asked.agent)

            def work(job: Job) -> dict[str, Any]:
                return self.edits.edited(
                    agent, asked, lambda done, total: job.progress(done, total, "steps")
                )

            job = self.jobs.begin(f"{agent.name} at step {asked.step}, edited", work)
        except BusyError as error:
            return json_reply({"error": str(error)}, HTTPStatus.CONFLICT)
        except (TypeError, ValueError) as error:
            return json_reply({"error": str(error)}, HTTPStatus.BAD_REQUEST)
        return json_reply({"job": job.number}, HTTPStatus.ACCEPTED)

    def _data(self, parts: Sequence[str]) -> Reply | None:
        root = self.folder / DATA
        path = self.folder.joinpath(*parts).resolve()
        if not (path.is_relative_to(root.resolve()) and path.suffix == ".js" and path.is_file()):
            return None
        return Reply(path.read_bytes(), SCRIPT)

    def _about(self) -> dict[str, Any]:
        state = held_words(self.agents[0].network)
        return {
            "variables": variable_rows(self.edits.variables),
            "stack": self.agents[0].recording.preprocessing.stack,
            "state": "The agent's own memory stays as it was recorded." if state else "",
        }

    def _memory(self, agent: str, step: str) -> Reply | None:
        try:
            shown = self._agent(int(agent))
            number = int(step)
        except ValueError:
            return None
        if not 0 <= number < shown.steps:
            return None
        return json_reply(recorded_values(self.edits.variables, shown, number))

    def _agent(self, number: int) -> ShownAgent:
        if not 0 <= number < len(self.agents):
            raise ValueError(f"agent is {number}; expected 0 to {len(self.agents) - 1}")
        return self.agents[number]

    def _job(self, number: str) -> Job | None:
        return self.jobs.find(int(number)) if number.isascii() and number.isdigit() else None


def _code(name: str) -> Reply | None:
    if name == STYLE:
        return Reply(page_code(name), CSS)
    known = {f"{script}.js" for script in (*SCRIPTS, *LIVE)}
    return Reply(page_code(name), SCRIPT) if name in known else None
