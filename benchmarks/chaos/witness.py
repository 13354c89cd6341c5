"""A witness in the database: triggers that write down every write to a run and who it was from.

Whoever was given up for dead and still gets a write accepted is found by it, whatever the rows look like in the end.
"""

from dataclasses import dataclass

TABLE = "chaos_witness"


@dataclass(frozen=True)
class Write:
    """One accepted write: `fence` and `state` of the run at that moment, and who wrote."""

    what: str
    job: int
    fence: int
    state: str
    writer: str
    own_fence: int | None = None  # of the row that was written, where it has one


def offence(write: Write) -> str | None:
    """Why a write should not have been accepted; None when all is well."""
    kind, _, rest = write.writer.partition("|")
    if kind != "supervise":
        return None
    label, pk, fence = rest.split("|")
    if label != "training.run":
        return f"a supervisor of {label} {pk} wrote to run {write.job}"
    if int(pk) != write.job:
        return f"the supervisor of run {pk} wrote to run {write.job}"
    if int(fence) != write.fence or (write.own_fence is not None and int(fence) != write.own_fence):
        return f"fence {fence} wrote {write.what} of run {write.job} while {write.fence} held it"
    if write.what in {"run", "metric", "adapter"} and write.state != "running":
        return f"fence {fence} wrote {write.what} of run {write.job}, which was {write.state}"
    return None


# what, table, moment, job, fence of the run, state of the run, fence of the row itself
WATCHED = [
    ("run", "training_run", "UPDATE", "OLD.id", "OLD.fence", "OLD.state", "NULL"),
    ("metric", "training_metricchunk", "INSERT", "NEW.run_id", "{run_fence}", "{run_state}", "NULL"),
    ("metric", "training_metricchunk", "UPDATE", "NEW.run_id", "{run_fence}", "{run_state}", "NULL"),
    ("adapter", "training_adapter", "INSERT", "NEW.run_id", "{run_fence}", "{run_state}", "NULL"),
    ("attempt", "projects_attempt", "UPDATE", "NEW.job_id", "{attempt_fence}", "OLD.outcome", "NEW.fence"),
    ("ledger", "projects_ledgerentry", "INSERT", "NEW.subject_id", "{ledger_fence}", "''", "{entry_fence}"),
]
OF_RUN = {
    "run_fence": "(SELECT fence FROM training_run WHERE id = NEW.run_id)",
    "run_state": "(SELECT state FROM training_run WHERE id = NEW.run_id)",
    "attempt_fence": "(SELECT fence FROM training_run WHERE id = NEW.job_id)",
    "ledger_fence": "(SELECT fence FROM training_run WHERE id = NEW.subject_id)",
    "entry_fence": "(SELECT fence FROM projects_attempt WHERE id = NEW.attempt_id)",
}
ONLY = {
    # What a run has cost is summed on its row whenever something is booked, in that transaction, so after its end too;
    # such a write touches nothing else.
    "training_run": "NEW.cost {same} OLD.cost AND NEW.seconds {same} OLD.seconds",
    "projects_attempt": "NEW.job_label = 'training.run'",
    "projects_ledgerentry": "NEW.subject_kind = 'training.run'",
}
SAME = {"postgresql": "IS NOT DISTINCT FROM", "sqlite": "IS"}
WRITER = {"postgresql": "current_setting('application_name')", "sqlite": "chaos_writer()"}


def statements(vendor: str) -> list[str]:
    """The table and its triggers, in the words of the database."""
    key = "bigserial PRIMARY KEY" if vendor == "postgresql" else "integer PRIMARY KEY AUTOINCREMENT"
    found = [
        f"CREATE TABLE {TABLE} (id {key}, what text, job bigint, fence bigint, state text, own bigint, writer text)"
    ]
    for number, (what, table, moment, *values) in enumerate(WATCHED):
        job, fence, state, own = (value.format(**OF_RUN) for value in values)
        insert = (
            f"INSERT INTO {TABLE} (what, job, fence, state, own, writer) "
            f"VALUES ('{what}', {job}, {fence}, {state}, {own}, {WRITER[vendor]});"
        )
        when = ONLY.get(table, "").format(same=SAME[vendor])
        found += _trigger(vendor, f"chaos_{number}", table, moment, when, insert)
    return found


def _trigger(vendor: str, name: str, table: str, moment: str, when: str, insert: str) -> list[str]:
    condition = f" WHEN ({when})" if when else ""
    if vendor == "sqlite":
        return [f"CREATE TRIGGER {name} BEFORE {moment} ON {table} FOR EACH ROW{condition} BEGIN {insert} END"]
    return [
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {insert} RETURN NEW; END $$",
        f"CREATE TRIGGER {name} BEFORE {moment} ON {table} FOR EACH ROW{condition} EXECUTE FUNCTION {name}()",
    ]


def install() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in statements(connection.vendor):
            cursor.execute(statement)


def writes() -> list[Write]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT what, job, fence, state, writer, own FROM {TABLE} ORDER BY id")
        return [Write(*row) for row in cursor.fetchall()]
