"""The spot check: the newest recovery point of a system against its sources as they stand now. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from orchestrator.backups.access import Access
from orchestrator.backups.choosing import as_choice, find_point, first_holder
from orchestrator.backups.document import PointDocument, SourceProof, read_document
from orchestrator.backups.merging import sha256_of
from orchestrator.backups.sources import source_at
from orchestrator.backups.sources.path import check_path_is_there, manifest_from_facts
from orchestrator.backups.sources.postgresql import TABLES, Server, connect
from orchestrator.backups.sources.tree import walk_tree
from orchestrator.catalogue.spot_checks import SpotCheck, record_spot_check
from orchestrator.engine.port import Run
from orchestrator.epoch.fence import check_fence
from orchestrator.errors import CheckFailed
from policies.site import SystemRef
from policies.spot import (
    Compared,
    Live,
    SpotCheckRule,
    choose_sample,
    judge_files,
    judge_server,
    judge_tables,
    judge_volume,
)
from policies.tenant import PathSource, PostgresqlSource, ServerSource, VolumeSource
from policies.work import copy_centres

NAMED = 5

#: Told how many bytes of how many were read.
OnBytes = Callable[[int, int], None]


def spot_check(run: Run, access: Access, ref: SystemRef, *, sample: float | None = None) -> SpotCheck:
    """Compare every source of a system, where it is active, with the newest point that a centre holds; record it.

    May be repeated. The sample follows from the run's id. Raises CheckFailed, after it was recorded, when anything is
    out of the tier's tolerance; InvalidInput for a source that cannot be read; Unreachable.
    """
    began = datetime.now(UTC)
    rule = ref.tier.schedule.spot_check
    if sample is not None:
        rule = rule.model_copy(update={"sample": sample})
    active = run.step("fence", check_fence, access, str(ref), copy_centres(ref)[0]).centre
    document = run.step("read-document", _newest, access, ref)
    compared = tuple(
        run.step(f"compare:{proof.copy.source}", _compare, run, access, ref, active, proof, rule)
        for proof in document.sources
        if proof.copy.source in ref.system.sources  # the volumes of a server are compared with it
    )
    done = SpotCheck(ref.tenant.tenant, ref.name, document.point, began, datetime.now(UTC), compared)
    record_spot_check(access.catalogue, done)
    if done.faults:
        more = f"; and {len(done.faults) - NAMED} more" if len(done.faults) > NAMED else ""
        raise CheckFailed(
            f"{ref} is not what its newest point {document.point} holds: {'; '.join(done.faults[:NAMED])}{more}",
            hint="is the source's folder the right one, is it mounted, do its exclude patterns leave out too much? "
            f"When all of it is right: tricenter backup run {ref}, then check again",
        )
    return done


def _newest(access: Access, ref: SystemRef) -> PointDocument:
    found = find_point(access, ref, as_choice(None, None), None)
    # That a nearer centre was silent is the business of other checks.
    _, document = first_holder(
        found, lambda centre: read_document(access.repository(centre, ref), found.point), lambda _: None
    )
    return document


def _compare(
    run: Run, access: Access, ref: SystemRef, active: str, proof: SourceProof, rule: SpotCheckRule
) -> Compared:
    name, kind = proof.copy.source, proof.copy.kind
    source = source_at(ref, name, active)
    if isinstance(source, PathSource):

        def report(done: int, total: int) -> None:
            run.progress(name, done, total)

        return compare_folder(source, proof, rule, run.id, report)
    if isinstance(source, PostgresqlSource):
        server = Server.of(source, access.secret(source.password))
        point = {table: each["rows"] for table, each in proof.facts["tables"].items()}
        return judge_tables(name, kind, point, _rows(server), rule)
    if isinstance(source, VolumeSource):
        from orchestrator.cloud.volumes import find_volume

        found = find_volume(access.tenant_cloud(active, ref.tenant.tenant), source.volume)
        return judge_volume(name, kind, proof.facts["size_bytes"], found.size_bytes)
    if isinstance(source, ServerSource):
        from orchestrator.cloud.server_definition import read_server

        seen = read_server(access.tenant_cloud(active, ref.tenant.tenant), source.server)
        sizes = {device: each["size_bytes"] for device, each in proof.facts["disks"].items()}
        return judge_server(name, kind, sizes, {each.device: each.size_bytes for each in seen.disks})
    return Compared(name, kind, 0, 0, 0, 0)


def compare_folder(
    source: PathSource, proof: SourceProof, rule: SpotCheckRule, seed: str, on_bytes: OnBytes
) -> Compared:
    """Compare a folder tree with its manifest: which files there are, and the content of some that did not change."""
    folder = Path(source.path)
    check_path_is_there(folder)
    since = proof.copy.data_time.timestamp() * 1e9
    manifest = manifest_from_facts(proof.facts)
    live: dict[str, Live] = {}
    paths: dict[str, Path] = {}
    for seen in walk_tree(folder, source.exclude, one_file_system=source.one_file_system):
        if not seen.is_file:
            continue
        key = seen.key
        # Also by ctime: a copy may bring an old time of change along.
        live[key], paths[key] = Live(seen.size, max(seen.mtime_ns, seen.ctime_ns) >= since), seen.path
    point = {key: state.size for key, state in manifest.items() if state.settled}
    unsettled = manifest.keys() - point.keys()
    asked = {key: each for key, each in live.items() if key not in unsettled}
    steady = [key for key in point.keys() & asked.keys() if not asked[key].changed]
    chosen = choose_sample(steady, rule.sample, seed)
    total, done, differing = sum(point[key] for key in chosen), 0, []
    for key in chosen:
        if asked[key].size != point[key] or not _matches(paths[key], manifest[key].sha256):
            differing.append(key)
        done += point[key]
        on_bytes(done, total)
    return judge_files(proof.copy.source, proof.copy.kind, point, asked, differing, len(chosen), rule)


def _matches(path: Path, sha256: str | None) -> bool:
    try:
        return sha256_of(path) == sha256
    except FileNotFoundError:
        return True  # gone since it was listed: that is a change, and no fault


def _rows(server: Server) -> dict[str, int]:
    rows: dict[str, int] = {}
    with connect(server) as connection:
        connection.read_only = True
        for schema, table in connection.execute(TABLES).fetchall():
            query = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
            found = connection.execute(query).fetchone()
            rows[f"{schema}.{table}"] = found[0] if found else 0
    return rows
