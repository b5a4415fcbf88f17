"""How this process comes to a Ray cluster: it joins one, or starts one that nobody else can use."""

from __future__ import annotations

import importlib
import os
import socket
import sys
import warnings
from types import ModuleType
from typing import Any

from longlag.errors import InputError

__all__ = ["connect"]

CONNECT_SECONDS = 10.0  # that the head of a cluster has to answer


def connect(address: str | None, workers: int | None) -> tuple[ModuleType, bool]:
    """Return the module ray, connected to a cluster, and whether this process has joined that just now.

    Parameters
    ----------
    address : str, optional
        See ``RayExecutor``.
    workers : int, optional
        Processors of a cluster that is started here; None for all of this machine.

    Raises
    ------
    InputError
        If ray is not installed, or there is no cluster at the address.
    """
    if address is None:
        _shut_others_out()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise InputError(
            f"the package 'ray' is needed for a RayExecutor ({error}); expected it after: pip install \"longlag[ray]\""
        ) from error
    if ray.is_initialized():
        return ray, False
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if address is not None:
                _try_address(address)
                ray.init(address=address, **options)
                return ray, True
            ray.init(
                address="local",  # otherwise Ray joins whatever cluster somebody has started on this machine
                num_cpus=workers,
                include_dashboard=False,
                **options,
            )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"no Ray cluster could be joined at {address!r} ({reason}); expected one started by `ray start --head`"
            if address is not None
            else f"Ray could not be started on this machine ({reason})"
        ) from error
    return ray, True


def _try_address(address: str) -> None:
    """Raise OSError at once where nobody listens: Ray would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in address:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _shut_others_out() -> None:
    """See to it that a cluster started here lets in only who knows its token, and listens to this machine alone.

    Ray does the first unless it is told otherwise. It offers the second for systems on which it runs no clusters of
    many machines; it reads that setting when it is imported.

    Raises
    ------
    InputError
        If tokens are turned off.
    """
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        raise InputError(
            f"RAY_AUTH_MODE is {os.environ['RAY_AUTH_MODE']!r}, and without a token anybody may run code on a cluster; "
            "expected it to be unset, or the address of a cluster of your own"
        )
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    if "ray" in sys.modules:
        setattr(importlib.import_module("ray._private.ray_constants"), "ENABLE_RAY_CLUSTER", False)  # noqa: B010
