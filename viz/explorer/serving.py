"""The explorer, served: the same page, with work that needs the agents and the emulator.

with serve_explorer(["apex/Seaquest/1"]) as served:
    print(served.address)
    served.wait()
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from atari_zoo.analysis.subjects import Subject
from atari_zoo.converters.arguments import checked
from atari_zoo.viz.explorer.agent_files import PartsDone
from atari_zoo.viz.explorer.explorer import make_explorer
from atari_zoo.viz.explorer.live import LiveExplorer
from atari_zoo.viz.explorer.server import PageServer
from atari_zoo.viz.explorer.settings import ExplorerSettings

LOCAL = "127.0.0.1"


class ServedExplorer:
    """An explorer that is served until `stop`, or to the end of a `with`.

    address: of the page, with its token: whoever knows it may look and have work done.
    folder: of the page's files.
    """

    def __init__(self, server: PageServer, live: LiveExplorer, holds: ExitStack) -> None:
        self.address, self.folder = server.address, live.folder
        self._server, self._live, self._holds = server, live, holds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<ServedExplorer {self.address}>"

    def __enter__(self) -> ServedExplorer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Until it is stopped, by another thread, or so long; whether it is."""
        return self._stopped.wait(seconds)

    def stop(self) -> None:
        """Stops work and answers; a temporary folder goes. A second time nothing happens."""
        if self._stopped.is_set():
            return
        self._server.shutdown()
        self._thread.join()
        self._live.close()
        self._holds.close()
        self._stopped.set()


@checked
def serve_explorer(
    models: Sequence[Subject],
    folder: str | Path | None = None,
    settings: ExplorerSettings = ExplorerSettings(),  # noqa: B008  # it is frozen
    ablate: Sequence[str] = (),
    made_by: str = "",
    progress: PartsDone = lambda done, total, text: None,
    host: str = LOCAL,
    port: int = 0,
) -> ServedExplorer:
    """Makes an explorer as `explore` does, and serves it to whoever knows its address.

    On the page bytes of the console's memory can be set at the step that is shown, and the screen,
    the decision, the layers and the saliency map become those of the emulator and the agent then.
    folder: where its files are made; a temporary one, which goes when it stops, if not given.
    host: where it listens: on this machine alone, if not given. port: 0 for a free one.
    Returns what has the address, and stops it; it does not wait.
    Raises OSError where it cannot listen, before the work, and ValueError as `explore` does.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port is {port}; expected 0 for a free one, or 1 to 65535")
    with ExitStack() as holds:
        found: list[LiveExplorer] = []
        server = PageServer(
            host, port, lambda parts: found[0].get(parts), lambda *asked: found[0].post(*asked)
        )
        holds.callback(server.server_close)
        if folder is None:
            whole = holds.enter_context(tempfile.TemporaryDirectory(prefix="atari-zoo-"))
            folder = Path(whole) / "explorer"
        made = make_explorer(models, Path(folder), settings, ablate, made_by, progress)
        found.append(LiveExplorer(made, settings))
        return ServedExplorer(server, found[0], holds.pop_all())
