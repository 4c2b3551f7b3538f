"""A PostgreSQL of our own: its programs found, a cluster in a folder, reached by a socket only."""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from collapse.errors import StoreError

SYSTEM_BINARIES = "/usr/lib/postgresql"
SYSTEM_USERS = ("postgres", "nobody")
OWNER = "collapse"
PACKAGES = (
    "`make server` installs what it takes, or pip install -e '.[server]' in the repository's root"
)
LONGEST_SOCKET_FOLDER = 85
"""Characters: a socket's whole path has room for 107."""

_STARTING_SECONDS = 60
_PR_SET_PDEATHSIG = 1


def find_binaries() -> Path:
    """The folder of PostgreSQL's programs: on the PATH, a system package's, or a wheel's.

    Raises:
        StoreError: there are none, with how to install them.
    """
    folders = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    folders += sorted(
        Path(SYSTEM_BINARIES).glob("*/bin"),
        key=lambda path: float(path.parent.name),
        reverse=True,
    )
    wheel = importlib.util.find_spec("pgserver")
    if wheel and wheel.origin:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    for folder in folders:
        if all((folder / name).is_file() for name in ("initdb", "postgres")):
            return folder
    raise StoreError(
        "no PostgreSQL here (looked for initdb on the PATH, in /usr/lib/postgresql and in the "
        "package pgserver): install one, such as `apt-get install postgresql` or "
        f"{PACKAGES}"
    )


def require_driver() -> None:
    """See that SQLAlchemy can speak to PostgreSQL.

    Raises:
        StoreError: it cannot, with what to install.
    """
    if importlib.util.find_spec("psycopg2") is None:
        raise StoreError(f"MLflow needs the package psycopg2 for PostgreSQL: {PACKAGES}")


@dataclass(frozen=True)
class Account:
    """A user that PostgreSQL runs as; it refuses to run as root."""

    name: str
    uid: int
    gid: int

    @property
    def is_own(self) -> bool:
        """Whether it is who we are."""
        return self.uid == os.geteuid()

    def enter(self) -> Callable[[], None]:
        """What a child does before it becomes a program: take the account, and end with us."""
        me, own, libc = os.getpid(), self.is_own, ctypes.CDLL(None)

        def before() -> None:
            if not own:
                os.setgroups([])
                os.setgid(self.gid)
                os.setuid(self.uid)
            # After the change of user, which clears it.
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
            if os.getppid() != me:
                os._exit(1)

        return before


def account() -> Account:
    """Ourselves, or for root an account of the system that owns nothing else.

    Raises:
        StoreError: root has none of them.
    """
    if os.geteuid() != 0:
        return Account("", os.geteuid(), os.getegid())
    for name in SYSTEM_USERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, found.pw_uid, found.pw_gid)
    raise StoreError(
        f"PostgreSQL does not run as root, and there is no user {' or '.join(SYSTEM_USERS)}: make "
        "one (`useradd --system postgres`), or start the server as another user"
    )


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL on a folder's data, made where there is none, for as long as the context is.

    It listens on a socket in the folder and on no port. Who may open the socket's folder, which is
    its owner (and root), is trusted; so there is no password.

    Args:
        folder: holds `postgres`, `socket` and `postgres.log`.

    Yields:
        The URI of its database, for SQLAlchemy.

    Raises:
        StoreError: it cannot be found, made or started.
    """
    require_driver()
    binaries, who = find_binaries(), account()
    data, socket, log = folder / "postgres", folder / "socket", folder / "postgres.log"
    if len(str(socket)) > LONGEST_SOCKET_FOLDER:
        raise StoreError(
            f"{socket} is too long for a socket, {LONGEST_SOCKET_FOLDER} characters at most: "
            "choose a shorter folder"
        )
    for path in (data, socket):
        path.mkdir(parents=True, exist_ok=True)
        os.chmod(path, 0o700)
        os.chown(path, who.uid, who.gid)
    require_reachable(who, binaries / "postgres", data)
    if not (data / "PG_VERSION").exists():
        _make_cluster(binaries, data, who)
    with log.open("a") as output:
        server = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), "-k", str(socket)]
            + ["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"],
            cwd="/",
            stdout=output,
            stderr=output,
            preexec_fn=who.enter(),
            start_new_session=True,
        )
    try:
        _await_answer(binaries, socket, server, log)
        _make_database(binaries, socket)
        yield f"postgresql+psycopg2://{OWNER}@/{OWNER}?host={socket}"
    finally:
        server.send_signal(signal.SIGINT)  # ends sessions, and then itself, cleanly
        server.wait(timeout=60)


def require_reachable(who: Account, *paths: Path) -> None:
    """See that an account may go to where its files lie.

    Raises:
        StoreError: a folder on the way is closed to it.
    """
    if who.is_own:
        return
    for path in paths:
        for parent in path.absolute().parents:
            if not parent.stat().st_mode & 0o001 and parent.stat().st_uid != who.uid:
                raise StoreError(
                    f"PostgreSQL does not run as root, and the user {who.name} may not enter "
                    f"{parent} on the way to {path}: choose another folder, such as "
                    "/var/lib/collapse, or start the server as another user"
                )


def _make_cluster(binaries: Path, data: Path, who: Account) -> None:
    words = ["--username", OWNER, "--encoding", "UTF8", "--locale", "C"]
    words += ["--auth-local", "trust", "--auth-host", "reject"]
    made = subprocess.run(
        [str(binaries / "initdb"), "-D", str(data), *words],
        cwd="/",
        capture_output=True,
        text=True,
        preexec_fn=who.enter(),
    )
    if made.returncode:
        raise StoreError(f"initdb could not make {data}: {_last_line(made.stderr)}")


def _await_answer(binaries: Path, socket: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _STARTING_SECONDS
    while _psql(binaries, socket, "postgres", "select 1").returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise StoreError(f"PostgreSQL did not start, see {log}: {_last_line(log.read_text())}")
        time.sleep(0.1)


def _make_database(binaries: Path, socket: Path) -> None:
    query = f"select 1 from pg_database where datname = '{OWNER}'"
    if not _psql(binaries, socket, "postgres", query).stdout.strip():
        _psql(binaries, socket, "postgres", f"create database {OWNER}").check_returncode()


def _psql(
    binaries: Path, socket: Path, database: str, query: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(binaries / "psql"),
            "-X",
            "-At",
            "-h",
            str(socket),
            "-U",
            OWNER,
            "-c",
            query,
            database,
        ],
        capture_output=True,
        text=True,
    )


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
