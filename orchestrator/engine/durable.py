"""The durable journal: DBOS, on the catalogue's own database. The only module that imports it.

What DBOS does here: it keeps the result of every step of a run and gives it back when the run is resumed. What it
does not do, because its users found it wanting or because it could not: choosing which run goes next under limits of
several kinds, taking over from a dead worker, aborting, and evidence. Those are the catalogue's.

Each claim of a run is an *execution* with a workflow of its own, named by run and generation. A take-over forks the
former execution's workflow: finished steps come along, and whatever a zombie still writes goes to its own workflow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from contextlib import suppress

from dbos import DBOS, DBOSClient, DBOSConfig, SetWorkflowID
from dbos import error as dbos_error
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.engine.execution import Ended, JournalFault, read_back, written_down
from orchestrator.errors import Unreachable

APPLICATION = "tricenter"

#: Pinned: an update of the program must find the runs of the version before. Changed flows ask `run.changed`.
VERSION = "1"

POLL_SECONDS = 0.2
CONNECT_SECONDS = 10
#: More than any flow has steps: a take-over brings all of them along.
ALL_STEPS = 2**31 - 1

log = logging.getLogger(__name__)


def upgrade(url: str) -> None:
    """Make or bring up to date DBOS's own tables in the catalogue's database. May be repeated."""
    _quiet()
    try:
        DBOS.migrate(system_database_url=_plain(url))
    except (SQLAlchemyError, dbos_error.DBOSException) as error:
        raise Unreachable(
            f"the engine's tables could not be made: {type(error).__name__}",
            hint="look at TRICENTER_DATABASE_URL; its user must be allowed to create tables",
        ) from error


class DurableEngine:
    """Runs the executions of one worker. One per process: DBOS keeps its state in the module."""

    def __init__(self, url: str, worker: str, conduct: Callable[[str, DurableJournal], None]) -> None:
        """`conduct` is called in a thread of the engine with a run's id, and works through the journal given."""
        self._url, self._worker, self._conduct = url, worker, conduct

    def launch(self) -> None:
        """Start. Raises Unreachable when the tables are not there or the database does not answer."""
        _quiet()
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": _plain(self._url),
            "application_version": VERSION,
            "executor_id": self._worker,  # never used by a process before: the same id twice runs a step twice
            "log_level": "CRITICAL",
            "console_log_level": "CRITICAL",
            "run_migrations": False,
            "use_listen_notify": False,
            "scheduler_polling_interval_sec": 3600.0,
        }
        if not self._url.startswith("sqlite"):
            config["sys_db_pool_size"] = 8
        DBOS(config=config)
        conduct = self._conduct

        @DBOS.workflow(name="run")
        def run(run_id: str) -> None:
            journal = DurableJournal()
            try:
                conduct(run_id, journal)
            except Exception as error:  # noqa: BLE001  # `conduct` has written down how the run ended
                log.debug("run %s ended with %r", run_id, error)

        self._run = run
        DBOS.listen_queues([self._worker])
        try:
            self._open_queue()
            DBOS.launch()
        except (SQLAlchemyError, dbos_error.DBOSException) as error:
            DBOS.destroy(destroy_registry=True)
            raise Unreachable(
                f"the engine cannot start: {type(error).__name__}: {getattr(error, 'orig', error)}",
                hint="tricenter db upgrade makes the engine's tables; is the database up?",
            ) from error

    def _open_queue(self) -> None:
        """Make the queue through which forks come to this worker: before the launch, which looks once a second."""
        if self._url.startswith("sqlite"):
            upgrade(self._url)
        client = DBOSClient(system_database_url=_plain(self._url))
        try:
            client.register_queue(self._worker, polling_interval_sec=POLL_SECONDS, application_name=APPLICATION)
        finally:
            client.destroy()

    def start(self, run_id: str, generation: int, *, keep: int | None = None) -> None:
        """Execute a run here: from its beginning, or from where its former execution was.

        `keep` is how many steps of that one are kept, None for all: what follows was bound to another machine.
        """
        former = self._newest(run_id, generation)
        with SetWorkflowID(_name(run_id, generation)):
            if former is None:
                DBOS.start_workflow(self._run, run_id)
            else:
                start = ALL_STEPS if keep is None else keep + 1
                DBOS.fork_workflow(former, start, application_version=VERSION, queue_name=self._worker)

    def forget(self, run_id: str, generation: int) -> None:
        """Delete the journal of a run that has ended. May be repeated."""
        DBOS.delete_workflows([_name(run_id, each) for each in range(1, generation + 1)])

    def tidy(self, open_runs: Callable[[], Container[str]]) -> None:
        """Delete the journals of all runs but the open ones: a crash may have come between an end and `forget`."""
        names = [each.workflow_id for each in DBOS.list_workflows(load_input=False, load_output=False)]
        still = open_runs()  # asked last: a run that began in between has no journal among these names
        if done := [each for each in names if each.rpartition(".")[0] not in still]:
            DBOS.delete_workflows(done)

    def dismiss(self, worker: str) -> None:
        """Forget a worker that is gone."""
        with suppress(dbos_error.DBOSException):
            DBOS.delete_queue(worker)

    def close(self) -> None:
        """Stop. Executions that still run go on until their process ends; they do not hinder it."""
        with suppress(Exception):
            DBOS.delete_queue(self._worker)
        DBOS.destroy(destroy_registry=True)

    @staticmethod
    def _newest(run_id: str, generation: int) -> str | None:
        names = [_name(run_id, each) for each in range(generation - 1, 0, -1)]
        if not names:
            return None
        known = {each.workflow_id for each in DBOS.list_workflows(workflow_ids=names, load_input=False)}
        return next((each for each in names if each in known), None)


class _Fault(BaseException):
    """Carries a JournalFault past DBOS, which would otherwise keep it as the step's result."""

    def __init__(self, fault: JournalFault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class DurableJournal:
    """Satisfies `orchestrator.engine.execution.Journal`, inside a workflow of DBOS."""

    def __init__(self) -> None:
        self._entries = 0

    def once(self, name: str, do: Callable[[], Ended]) -> Ended:
        self._entries += 1

        def outcome() -> tuple[str, bool]:
            # Always returned and never raised, so that DBOS writes down no failure but its own …
            try:
                return written_down(do())
            except JournalFault as fault:
                raise _Fault(fault) from fault  # … and of ours nothing: the step is to be done again

        try:
            return read_back(*DBOS.run_step({"name": name}, outcome))
        except _Fault as carried:
            raise carried.fault from carried
        except Exception as error:
            raise JournalFault(f"step {name}: {type(error).__name__}: {error}") from error

    def changed(self, name: str) -> bool:
        try:
            new = DBOS.patch(name)
        except dbos_error.DBOSException as error:
            raise JournalFault(f"change {name}: {error}") from error
        self._entries += new  # the old way leaves no entry
        return new

    def position(self) -> int:
        return self._entries


def _name(run_id: str, generation: int) -> str:
    return f"{run_id}.{generation}"


def _plain(url: str) -> str:
    """Return the URL in the form that DBOS takes."""
    parsed = make_url(url)
    if parsed.drivername.startswith("sqlite"):
        return url
    reached = parsed.set(drivername="postgresql").update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})
    return reached.render_as_string(hide_password=False)


def _quiet() -> None:
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
