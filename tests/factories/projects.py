"""People and projects for tests, made the way the product makes them; and the driver of background work."""

from itertools import count

from projects import jobs, supervision, turns
from projects.domain.permissions import Role
from projects.domain.states import JobState
from projects.models import Membership, Project, User

_n = count(1)
PASSWORD = "correct horse battery"


def make_user(email: str = "", **fields) -> User:
    email = email or f"person{next(_n)}@example.org"
    return User.objects.create_user(email, fields.pop("password", PASSWORD), **fields)


def make_project(**fields) -> Project:
    n = next(_n)
    return Project.objects.create(**({"name": f"Project {n}", "slug": f"project-{n}"} | fields))


def make_member(project: Project | None = None, role: Role = Role.ENGINEER, **fields) -> User:
    user = make_user(**fields)
    Membership.objects.create(project=project or make_project(), user=user, role=role.value)
    return user


def run_jobs(limit: int = 50) -> int:
    """Drive everything that is queued to its end, with the real child processes; returns how many jobs ran."""
    ran = 0
    while ran < limit:
        waiting = turns.that_hold((kind.model for kind in jobs.kinds()), JobState.QUEUED)
        if not waiting:
            return ran
        for queue in sorted({kind.queue for kind in jobs.kinds() if kind.model in waiting}):
            ran += supervision.claim_and_start(queue)
    raise AssertionError(f"{limit} jobs ran and there are still more")
