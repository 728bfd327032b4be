"""Runs and program files as a web service; needs the extra ``serve``.

``chainrule serve RUN`` starts one; in one's own FastAPI app it is

    from fastapi import FastAPI
    from chainrule.serving import application
    app = FastAPI()
    app.mount("/digits", application("runs/digits"))

- ``app``: the application and its four addresses; ``server``: it on a socket;
- ``service``: which model is served now, and its replacement; ``model``: what that is;
- ``rows``: requests as arrays, outputs as answers; ``openapi``: the same described;
- ``batching``: requests that are predicted together;
- ``explaining``: a training step of one row.

A new kind of data is a reader in ``rows``, and its schema in ``openapi``. No code comes
from outside: requests are JSON and CSV, models are checked when they are read.
"""

from chainrule.serving.app import application
from chainrule.serving.server import serve

__all__ = ["application", "serve"]
