"""A server in a thread of this process, for a quick look from a notebook."""

import threading
import time
from collections.abc import Mapping

from markupsafe import Markup

from vecspeak.errors import UserError
from vecspeak.http_guard import listen, make_server
from vecspeak.served import Served
from vecspeak.server.app import make_app
from vecspeak.server.settings import Settings

_SECONDS_TO_STOP = 10


class RunningServer:
    """A server that answers until it is stopped, or until its block or the process ends."""

    def __init__(
        self, readers: Mapping[str, Served], settings: Settings, port: int = 0, *, page: bool = False
    ) -> None:
        """Listen and answer; port 0 takes a free one. Raises UserError where the address is taken."""
        self._listener = listen(settings.host, port)  # first: it may fail, and an application has threads
        try:
            self._app = make_app(readers, settings, page=page)
            self._server = make_server(self._app)
        except BaseException:
            self._listener.close()
            raise
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        self.url = f"http://{host}:{self._listener.getsockname()[1]}/v1"
        """What a client of OpenAI's API takes as `base_url`."""
        self._names = tuple(readers)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="vecspeak-server", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                self.stop()
                raise UserError("the server did not start", "its error is above")
            time.sleep(0.01)
        threading.Thread(target=self._app.state.serving.open_models, daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Finish what is being answered, for ten seconds at most, and close; does nothing the second time."""
        self._server.should_exit = True
        self._app.state.serving.stop()
        self._thread.join(_SECONDS_TO_STOP)
        self._listener.close()

    def __enter__(self) -> "RunningServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        said = f"{self.url!r}, models: {', '.join(self._names)}" if self.is_running else "stopped"
        return f"RunningServer({said})"

    def _repr_html_(self) -> Markup:
        if not self.is_running:
            return Markup("<p>stopped</p>")
        root = self.url.removesuffix("/v1")
        return Markup(
            '<p>Serving {} at <a href="{}/models">{}</a>; <a href="{}/openapi.json">routes</a></p>'
        ).format(", ".join(self._names), self.url, self.url, root)
