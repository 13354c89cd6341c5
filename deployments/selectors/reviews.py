"""Everything a reviewer needs to answer one question: should I say yes?"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone

from deployments.domain import gates, policies
from deployments.domain.evidence import Change
from deployments.domain.gates import Gate, Status
from deployments.domain.states import OPEN, RequestState
from deployments.models import Deployment, DeploymentRequest, as_person
from deployments.selectors import evidence as gathering
from deployments.selectors import slots
from evaluation import selectors as evaluations
from projects import access
from projects.domain.permissions import Permission
from projects.domain.states import JobState
from projects.models import LedgerEntry, Project, User

WORST = 5
PAST = 8
AGAIN = (RequestState.CHANGES_REQUESTED, RequestState.VOID)
STATE = ("state", "void_reason", "void_changes")


@dataclass(frozen=True)
class Answer:
    """The summary on top: a tone, a headline and why."""

    tone: str
    headline: str
    text: str


@dataclass(frozen=True)
class Difference:
    what: str
    now: str
    then: str

    @property
    def same(self) -> bool:
        return self.now == self.then


@dataclass(frozen=True)
class Rights:
    """What this person may do with this request now, and why not where they may not."""

    decide: bool = False
    why_not: str = ""
    comment: bool = False
    deploy: bool = False
    author: bool = False
    resubmit: bool = False


@dataclass(frozen=True)
class Dossier:
    request: DeploymentRequest
    answer: Answer
    gates: Sequence[Gate]
    blocked: str
    stale: Sequence[Change]
    live: Deployment | None
    differences: Sequence[Difference]
    worst: Sequence[Any]
    regressions: int
    scores: Sequence[Any]
    costs: Sequence[LedgerEntry]
    cost: Decimal
    people: Sequence[tuple[str, User]]
    past: Sequence[DeploymentRequest]
    deployment: Deployment | None
    rights: Rights
    expires_at: Any = None
    otherwise: evaluations.Cell | None = None


def requests(project: Project) -> Any:
    return (
        DeploymentRequest.objects.filter(project=project)
        .select_related(
            "project", "slot", "adapter__run", "adapter__imported__imported_by", "adapter__base__project",
            "adapter__dataset_version__dataset", "evaluation__golden__dataset", "evaluation__base", "requested_by",
            "run_started_by", "run_created_by", "imported_by", "decided_by",
        )
        .order_by("-submitted_at", "-pk")
    )  # fmt: skip


def dossier(request: DeploymentRequest, user: Any) -> Dossier:
    # Read before the state: a deployment that is over has ended its request with it, so that whoever looks while it
    # ends sees it either under way or done.
    deployment = request.deployments.order_by("-pk").select_related("slot__project", "adapter").first()
    if deployment:
        request.refresh_from_db(fields=STATE)
    judged = gates.judge(request.evidence)
    stale = gathering.changes_since(request, trusting_files=True) if request.is_open else []
    if stale and deployment and deployment.is_active:
        request.refresh_from_db(fields=STATE)
        stale = stale if request.is_open else []
    live = slots.live(request.slot)
    evaluation = request.evaluation
    costs = _costs(request)
    rows = evaluations.items(evaluation, outcome="regression") if evaluation else None
    return Dossier(
        request=request,
        answer=answer(request, judged, stale),
        gates=judged,
        blocked=", ".join(gates.blocked_by(judged)),
        stale=stale,
        live=live,
        differences=differences(request, live),
        worst=[] if rows is None else list(rows[:WORST]),
        regressions=0 if rows is None else rows.count(),
        scores=evaluations.scores(evaluation) if evaluation else [],
        costs=costs,
        cost=sum((line.amount for line in costs), Decimal(0)),
        people=_people(request),
        past=_past(request),
        deployment=deployment,
        rights=rights(request, user, stale=bool(stale) or _expired(request)),
        expires_at=policies.holds_until(request.decided_at) if request.decided_at else None,
        otherwise=evaluations.otherwise(request.adapter, evaluation.base) if evaluation else None,
    )


def answer(request: DeploymentRequest, judged: Sequence[Gate], stale: Sequence[Change]) -> Answer:
    """One sentence computed from the gates and the state; never written by hand."""
    blocked = [gate for gate in judged if gate.blocks]
    passed = f"{len(judged) - sum(gate.status is not Status.PASS for gate in judged)} of {len(judged)} gates pass"
    state = RequestState(request.state)
    if state is RequestState.VOID:
        return Answer("void", "Void: what was reviewed is no longer what is there", f"{request.void_reason}.")
    if stale and state in OPEN:
        text = "As it is, it can be neither approved nor deployed. Its author can submit it again."
        return Answer("void", "Stale: the evidence has changed since it was submitted", text)
    if state is RequestState.APPROVED and _expired(request):
        return Answer("void", "Expired: the approval is too old to deploy", "Submit the request again.")
    if blocked:
        tone = "failed" if any(gate.status in {Status.FAIL, Status.ERROR} for gate in blocked) else "attention"
        names = ", ".join(gate.title.lower() for gate in blocked)
        return Answer(tone, f"Not yet: {names} {'does' if len(blocked) == 1 else 'do'} not pass", f"{passed}. "
                      + " ".join(gate.explanation for gate in blocked))  # fmt: skip
    better = next(gate for gate in judged if gate.code == "better_than_base")
    return Answer("succeeded", f"{passed}: nothing speaks against it", better.explanation)


def _expired(request: DeploymentRequest) -> bool:
    return request.decided_at is not None and policies.has_expired(request.decided_at, timezone.now())


def differences(request: DeploymentRequest, live: Deployment | None) -> list[Difference]:
    """What would change in the slot, fact by fact. Nothing is live yet: everything is new."""
    if live is None or live.adapter_id == request.adapter_id:
        return []
    golden = request.evaluation.golden if request.evaluation else None
    return [
        Difference(name, old, new)
        for (name, old), (_, new) in zip(_traits(live.adapter, golden), _traits(request.adapter, golden), strict=True)
    ]


def _traits(adapter: Any, golden: Any) -> list[tuple[str, str]]:
    run, data = adapter.run, adapter.dataset_version
    recipe = ((run.spec or {}).get("recipe") or run.recipe) if run else {}
    return [
        ("Adapter", adapter.name),
        ("Base model", f"{adapter.base.name} ({adapter.base.fingerprint[:8]})"),
        ("Training data", f"{data} ({data.rows} rows)" if data else "unknown"),
        ("Method", f"{adapter.method}, rank {adapter.rank}, alpha {adapter.alpha:g}"),
        ("Learning rate", f"{recipe.get('learning_rate', '–')}"),
        ("Score on this golden set", _score_on(adapter, golden)),
    ]


def _score_on(adapter: Any, golden: Any) -> str:
    """The adapter's newest result on exactly these golden rows."""
    if golden is None:
        return "not measured"
    done = (
        adapter.evaluations.filter(state=JobState.SUCCEEDED, golden__content_hash=golden.content_hash)
        .select_related("base")
        .order_by("-finished_at", "-pk")
        .first()
    )
    score = evaluations.primary_score(done) if done else None
    if score is None:
        return "not measured on these rows"
    told = f"{score.adapter * 100:.1f} % {score.label.lower()} (base {score.base * 100:.1f} %)"
    return told if done is None or done.base_id == adapter.base_id else f"{told}, on {done.base}"


def _costs(request: DeploymentRequest) -> list[LedgerEntry]:
    lines = list(gathering.lines_of(request.adapter.run or request.adapter.imported))
    if request.evaluation:
        lines += gathering.lines_of(request.evaluation)
    return lines


def _people(request: DeploymentRequest) -> list[tuple[str, User]]:
    """Who trained and who touched the data; tied people cannot decide, the others are named all the same."""
    run, version = request.adapter.run, request.adapter.dataset_version
    found = [("Asked for it", request.requested_by)]
    if run is None:
        assert request.adapter.imported is not None  # an adapter comes from a run or from an import
        found.append(("Imported the adapter", request.adapter.imported.imported_by))
    else:
        found.append(("Set up the run", run.created_by))
        found += [("Started the run", run.started_by)] if run.started_by else []
    if version is not None:
        found.append((f"Made {version}", version.created_by))
    if request.evaluation:
        golden = request.evaluation.golden
        found += [(f"Made {golden}", golden.created_by), ("Ran the evaluation", request.evaluation.created_by)]
    return found


def _past(request: DeploymentRequest) -> list[DeploymentRequest]:
    return list(
        requests(request.project)
        .filter(slot=request.slot, decided_at__isnull=False)
        .exclude(pk=request.pk)
        .order_by("-decided_at")[:PAST]
    )


def rights(request: DeploymentRequest, user: User, *, stale: bool) -> Rights:
    project, state = request.project, RequestState(request.state)
    person = as_person(user)
    assert person is not None
    why_not, author = "", request.requested_by_id == user.pk
    decidable = state in {RequestState.SUBMITTED, RequestState.APPROVED}
    if decidable:
        if access.may(user, Permission.DEPLOYMENT_DECIDE, project):
            why_not = policies.why_not_decide(person, request.people) or ""
        else:
            why_not = "Only reviewers and owners of this project decide on requests."
    return Rights(
        decide=decidable and not why_not,
        why_not=why_not,
        comment=access.may(user, Permission.DEPLOYMENT_COMMENT, project),
        deploy=state is RequestState.APPROVED and not stale and access.may(user, Permission.DEPLOYMENT_DEPLOY, project),
        author=author,
        resubmit=author and (state in AGAIN or (decidable and stale)),
    )
