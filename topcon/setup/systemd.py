"""Units of systemd for ``topcon serve`` and ``topcon record``, with as few rights as they can do their work with.

systemd.service(5), systemd.exec(5), sd_notify(3).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "%": "%%"})
"""Within double quotes; a percent sign begins a specifier even there."""

_SERVE = """\
# The endpoint for Prometheus as a service. Put it at /etc/systemd/system/topcon.service, then:
#   systemctl daemon-reload && systemctl enable --now topcon

[Unit]
Description=Metrics of containers for Prometheus (topcon)
After=network.target

[Service]
Type=notify
# Options can follow, such as --listen 0.0.0.0:9338, or stand in a file: --config /etc/topcon.toml
# (topcon setup config prints one).
ExecStart={command} serve
{rights}
# It writes nothing, but for a socket that --listen unix:/run/topcon/topcon.sock names.
RuntimeDirectory=topcon
{hardening}
# systemd can hold the socket: then no scrape is refused while topcon is started again, and the port can be below 1024.
# ExecStart= ends with "serve --listen systemd" for that, these lines are put at /etc/systemd/system/topcon.socket, and:
#   systemctl daemon-reload && systemctl enable --now topcon.socket
#
#[Unit]
#Description=Socket of the metrics of containers (topcon)
#
#[Socket]
#ListenStream=127.0.0.1:9338
#
#[Install]
#WantedBy=sockets.target
"""

_RECORD = """\
# A recording of this host that never ends, as a service. Put it at /etc/systemd/system/topcon-record.service, then:
#   systemctl daemon-reload && systemctl enable --now topcon-record
# What happened at 03:12, as root:
#   topcon ps --from /var/lib/topcon/$(hostname).topcon --at 03:12

[Unit]
Description=Recording of containers (topcon)

[Service]
Type=notify
# The oldest goes first when either is reached. %H is the name of this host, %S is /var/lib.
# Other options can follow, such as --interval 5, or stand in a file: --config /etc/topcon.toml
# (topcon setup config prints one).
ExecStart={command} record %S/topcon/%H.topcon --keep 7d --max-size 500M
{rights}
# It writes nothing but the recording, which only root may read: it tells of all containers.
StateDirectory=topcon
StateDirectoryMode=0700
{hardening}\
"""

_RIGHTS = """\
Restart=on-failure
RestartSec=5
# A wrong option: to try again does not mend it.
RestartPreventExitStatus=64

# A user of its own, that is there while the service runs. The program must be where everybody may read it:
# in a home that others may not enter, the service ends with status 203/EXEC.
DynamicUser=yes
# What this user may do beyond others. Without any of it, all that cgroups and /proc count is still {told}.
# CAP_SYS_PTRACE: else no namespaces, open files and sockets of other users' processes.
# CAP_DAC_READ_SEARCH: else no names out of the files of runtimes that may not be asked{lost}.
AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
NoNewPrivileges=yes
# States, health, exit codes and restarts are Docker's to tell. Its price: whoever may ask the daemon may have it do
# anything, so that the service is as good as root.
#SupplementaryGroups=docker
"""

_HARDENING = """\
UMask=0077
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
DevicePolicy=closed
# Not ProtectProc=, ProcSubset=, PrivateUsers=, PrivateNetwork= or PrivateDevices=: each hides what is to be shown.

RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

# What it never needs: an upper bound for the day on which something goes wrong.
MemoryMax=512M
CPUQuota=100%
TasksMax=512
# The files of cgroups are kept open, about ten of each.
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
"""


def own_command(started_as: str, python: str = sys.executable) -> tuple[str, ...]:
    """Return what starts this topcon from anywhere; symbolic links stay, since what they lead to moves with updates.

    Args:
        started_as: ``sys.argv[0]``.
        python: the interpreter, for ``python -m topcon``.
    """
    # Path.absolute() would leave "..", which systemd does not take.
    path = os.path.abspath(started_as)  # noqa: PTH100
    return (python, "-m", "topcon") if Path(path).name == "__main__.py" else (path,)


def unit(command: Sequence[str]) -> str:
    """Return the unit of the endpoint, with the socket's as a comment at its end.

    Args:
        command: how topcon is started, the program by its absolute path; systemd takes none with quotes in it.
    """
    return _written(_SERVE, command, told="served", lost=", no sizes of writable layers")


def recording_unit(command: Sequence[str]) -> str:
    """Return the unit of a recording that never ends, into the state directory; ``command`` as in `unit`."""
    return _written(_RECORD, command, told="recorded", lost="")


def _written(text: str, command: Sequence[str], *, told: str, lost: str) -> str:
    program, *arguments = map(_quoted, command)
    # Variables are put into arguments alone.
    words = " ".join([program, *(each.replace("$", "$$") for each in arguments)])
    return text.format(command=words, rights=_RIGHTS.format(told=told, lost=lost), hardening=_HARDENING)


def _quoted(word: str) -> str:
    """Write a word so that systemd reads it as it is."""
    return word if _PLAIN.fullmatch(word) else f'"{word.translate(_ESCAPES)}"'
