"""The whole job through the browser of a real installation: from an empty server to an adapter that is live."""

import re
from dataclasses import dataclass
from urllib.parse import urlparse

import pytest
from playwright.sync_api import expect

from tests.e2e import files
from tests.e2e.browsing import Visitor
from tests.e2e.installation import Installation

pytestmark = pytest.mark.e2e

PROJECT = "/projects/support-desk/"
PASSWORD = "a fiddle and a bow 7"
JOB = 150_000  # milliseconds that a worker may take on a busy machine
WHY = "Read the regressions and the general chats; both are harmless."


@dataclass
class Team:
    owner: Visitor
    engineer: Visitor
    reviewer: Visitor

    @property
    def all(self) -> tuple[Visitor, ...]:
        return self.owner, self.engineer, self.reviewer


def test_the_main_job(installation: Installation, visit):
    team = found_project(installation, visit)
    register_base(team.engineer)
    bring_training_data(team.engineer)
    mend(team.engineer, "Keep the first of each", rows=files.good_rows() - files.DUPLICATES)
    bring_golden_set(team.engineer)
    mend_leak(team.engineer)
    bring_retention_set(team.engineer)
    run = start_run(team.engineer)
    watch_run(team, run)
    evaluation = evaluate(team.engineer)
    walk_lineage(team.engineer)
    make_slots(team.owner)
    request = ask(team.engineer, evaluation, "Production")
    cannot_decide(team.engineer, request, "Your role in this project does not include it")
    cannot_approve_own(team.owner, evaluation)
    approve(team.reviewer, request)
    deploy(team.engineer, request)
    read_costs(team.owner)
    stand_outside(installation, visit, [run, evaluation, request])
    for person in team.all:
        person.check()


def found_project(installation: Installation, visit) -> Team:
    owner = visit(installation.address, "the owner")
    owner.sign_in("olive@luthier.example", installation.create_owner("olive@luthier.example", "Olive Owner"))
    owner.follow("Make a project")
    owner.fill("Name", "Support desk")
    owner.press("Make project")
    owner.titled("Support desk")
    owner.enter("Members & settings")
    owner.fill("An hour of a CPU host", "36")  # a cent a second, so that seconds show in the books
    owner.press("Save")
    team = []
    for role, name in (("engineer", "Emil Engineer"), ("reviewer", "Rita Reviewer")):
        link = invite(owner, role)
        person = visit(installation.address, f"the {role}")
        join(person, link, name, role)
        team.append(person)
    return Team(owner, *team)


def invite(owner: Visitor, role: str) -> str:
    owner.enter("Members & settings")
    owner.page.get_by_role("navigation", name="Members and settings").get_by_role("link", name="Members").click()
    owner.page.get_by_label("Role", exact=True).select_option(role)
    owner.press("Make invitation link")
    return owner.page.locator("#made code").inner_text()


def join(person: Visitor, link: str, name: str, role: str) -> None:
    person.open(link)
    person.fill("E-mail", f"{role}@luthier.example")
    person.fill("Name", name)
    person.fill("Password", PASSWORD)
    person.press("Make account and join")
    person.titled("Support desk")
    person.sees(f"You are {role} of Support desk.")


def register_base(engineer: Visitor) -> None:
    engineer.enter("Training")
    engineer.follow("Register base model")
    engineer.page.get_by_label("Folder", exact=True).select_option("tiny-help-desk")
    engineer.fill("Name", "Tiny help desk")
    engineer.press("Register base model")
    engineer.titled("Tiny help desk")
    expect(engineer.page.get_by_text("Ready", exact=True)).to_be_visible(timeout=JOB)


def create_dataset(engineer: Visitor, name: str, purpose: str) -> None:
    engineer.enter("Datasets")
    engineer.page.get_by_role("main").get_by_role("link", name="New dataset").first.click()
    engineer.fill("Name", name)
    engineer.page.get_by_role("radio", name=re.compile(f"^{purpose}")).check()
    engineer.press("Create dataset")
    engineer.titled(name)


def upload(engineer: Visitor, name: str, content: bytes) -> None:
    """Choose the file, send it, wait until the worker has read it."""
    file = {"name": name, "mimeType": "application/x-ndjson", "buffer": content}
    engineer.page.get_by_label("File to upload").set_input_files(file)  # type: ignore[arg-type]
    engineer.press("Upload file")
    engineer.page.wait_for_url(re.compile(r"/uploads/\d+/"))
    engineer.sees("Good rows", timeout=JOB)


def bring_training_data(engineer: Visitor) -> None:
    """Over a slow line, so that there is progress to see."""
    create_dataset(engineer, "Ticket routing", "Training")
    told = engineer.overhear("[data-upload-numbers]")
    with engineer.slow_line(bytes_per_second=60_000):
        upload(engineer, "tickets.jsonl", files.training_file())
    shares = [int(found[1]) for text in told if (found := re.search(r"kB of [\d.]+.kB · (\d+).% · .*left", text))]
    assert len(shares) >= 2 and shares == sorted(shares), told
    engineer.sees(f"{files.good_rows()} good rows, {len(files.BAD)} bad", timeout=JOB)
    table = engineer.page.locator("#bad-rows table")
    expect(table.get_by_role("columnheader")).to_have_text(["Line", "Field", "Code", "Found", "Expected"])
    rows = [
        [cell.strip() for cell in row.get_by_role("cell").all_inner_texts()] for row in table.locator("tbody tr").all()
    ]
    told = [[row[0].split()[0], *row[1:3]] for row in rows]
    assert told == [[str(n), field, code] for n, (_, field, code) in files.BAD.items()]
    assert all(found and expected for *_, found, expected in rows)
    engineer.press("Make the version without them")
    engineer.page.get_by_role("link", name="Open v1").click(timeout=JOB)


def mend(engineer: Visitor, button: str, rows: int) -> None:
    """One click on a finding makes a new version, with this many rows."""
    engineer.enter("Datasets")
    engineer.follow("Ticket routing")
    engineer.press(button)
    engineer.titled("Ticket routing")
    engineer.page.get_by_role("link", name="Show the result").click(timeout=JOB)
    engineer.sees(f"{rows} rows")


def mend_leak(engineer: Visitor) -> None:
    """The golden set has come after the training data: soon the page says what of it is in there."""
    engineer.enter("Datasets")
    engineer.follow("Ticket routing")
    leaked = files.LEAKED + files.LIKE_GOLDEN
    engineer.reload_until(f"Do not train on this yet: {leaked} rows of the golden set")
    mend(engineer, "Drop the leaked rows", rows=files.ROUTING + files.REPLAY - files.LIKE_GOLDEN)
    engineer.sees("Ready to train on")
    engineer.follow("Browse rows")
    engineer.page.get_by_role("link", name=re.compile("^Findings")).first.click()
    expect(engineer.page.locator("dl", has_text="Made from")).to_contain_text("Ticket routing v2")


def bring_golden_set(engineer: Visitor) -> None:
    create_dataset(engineer, "Routing exam", "Golden")
    upload(engineer, "exam.jsonl", files.golden_file())
    engineer.sees("Every row of the file is in the version.")


def bring_retention_set(engineer: Visitor) -> None:
    """Detected as Alpaca, but what counts is the whole text: the format is corrected and the file read again."""
    create_dataset(engineer, "General help desk", "Retention")
    upload(engineer, "general.jsonl", files.retention_file())
    engineer.sees("read as “Alpaca”")
    engineer.page.get_by_label("Read as").select_option("text")
    engineer.press("Read the file again")
    engineer.sees("read as “Plain text”", timeout=JOB)
    engineer.follow("read before")
    engineer.sees("read as “Alpaca”")


def start_run(engineer: Visitor) -> str:
    engineer.enter("Training")
    engineer.page.get_by_role("main").get_by_role("link", name="New run").first.click()
    engineer.fill("Name", "Router, first try")
    for label, value in (("Epochs", "3"), ("Learning rate", "0.002"), ("LoRA rank", "16"), ("LoRA alpha", "32")):
        engineer.fill(label, value)
    projection = engineer.page.get_by_role("region", name="Projection")
    expect(projection).to_contain_text("P10 – P90", timeout=JOB)
    expect(projection.locator(".stat", has_text="Time")).to_contain_text(re.compile(r"\d.*–.*\d"))
    expect(projection.locator(".stat", has_text="Cost")).to_contain_text(re.compile(r"€.* – .*€"))
    expect(projection.locator(".stat", has_text="Steps")).to_contain_text("120")
    engineer.press("Start run")
    engineer.titled("Router, first try")
    return engineer.page.url


def steps(person: Visitor) -> int:
    text = person.page.locator(".progress-text", has_text="Steps").locator(".num").inner_text()
    return int(text.split(" ")[0])


def watch_run(team: Team, address: str) -> None:
    engineer, reviewer = team.engineer, team.reviewer
    expect(engineer.page.get_by_role("progressbar", name="Steps")).to_be_visible(timeout=JOB)
    engineer.page.evaluate("window.stillHere = true")
    before = steps(engineer)
    engineer.page.wait_for_function(
        "before => parseInt(document.querySelector('progress[aria-label=Steps]')?.value ?? 0) > before", arg=before
    )
    assert engineer.page.evaluate("window.stillHere"), "the page was loaded anew instead of being kept up to date"
    reviewer.open(address)
    engineer.page.reload()
    for person in (engineer, reviewer):
        person.sees("Steps")
        assert steps(person) > before
        expect(person.page.locator("#run-status .js-plotly-plot").first).to_be_visible()
    expect(reviewer.page.get_by_role("button", name="Cancel run")).to_have_count(0)
    for person in (engineer, reviewer):
        person.sees("The adapter is ready", timeout=JOB)
        expect(person.page.locator("#run-status .stat", has_text="State")).to_contain_text("Succeeded")
    engineer.sees("Predicted and actual")


def evaluate(engineer: Visitor) -> str:
    engineer.page.reload()
    engineer.follow("Open adapter")
    engineer.titled(re.compile("Router, first try"))
    expect(engineer.page.get_by_role("cell", name="adapter_model.safetensors", exact=True)).to_be_visible()
    engineer.follow("Evaluate adapter")
    engineer.press("Start evaluation")
    engineer.titled(re.compile("against its base"))
    expect(engineer.page.locator("#status")).to_be_visible()
    engineer.sees("Better than its base", timeout=JOB)
    first = engineer.page.locator("article.compare").first
    expect(first.locator("h3")).to_have_text(["Question", "Expected", "Base", "Adapter"])
    expect(first.get_by_label("Expected answer")).to_contain_text('"queue"')
    expect(first.get_by_label("Answer of the adapter")).to_contain_text("queue")
    expect(engineer.page.locator(".stat", has_text="Loss on general text")).to_contain_text("%")
    return engineer.page.url


def step_to(person: Visitor, column: str, kind: str) -> None:
    """Follow the link to a neighbour of this kind; the page is about that one then."""
    beside = person.page.locator("#lineage-node div", has=person.page.get_by_role("heading", name=column)).last
    beside.locator(f"a[href*='node={kind}%3A']").first.click()
    person.page.wait_for_url(re.compile(rf"focus={kind}(:|%3A)\d+"))
    expect(person.page.locator("#lineage-node .card-title")).to_contain_text(kind, ignore_case=True)


def walk_lineage(engineer: Visitor) -> None:
    """From the base model down to the evaluation and up again, by nothing but links."""
    engineer.enter("Lineage")
    engineer.page.locator(".lineage-lines").get_by_role("link", name="Tiny help desk").first.click()
    expect(engineer.page.locator("#lineage-node .card-title")).to_contain_text("Tiny help desk")
    for kind in ("run", "adapter", "evaluation"):
        step_to(engineer, "Leads to", kind)
    for kind in ("adapter", "run", "base"):
        step_to(engineer, "Comes from", kind)
    engineer.follow("Open base model")
    engineer.titled("Tiny help desk")


def make_slots(owner: Visitor) -> None:
    for name, link in (("Production", "Make the first slot"), ("Staging", "New slot")):
        owner.enter("Deployments")
        owner.page.get_by_role("main").get_by_role("link", name=link).first.click()
        owner.fill("Name", name)
        owner.press("Make slot")
        owner.titled(name)


def ask(person: Visitor, evaluation: str, slot: str) -> str:
    person.open(evaluation)
    person.follow("Ask for deployment")
    person.page.get_by_label("Slot").select_option(label=slot)
    person.sees("Every gate passes")
    person.fill("To the reviewers", "Routes tickets as JSON; the general chats stayed as they were.")
    person.press("Request deployment")
    person.titled(re.compile(rf"^Deploy .* to {slot}\?$"))
    person.sees("Your request is with the reviewers.")
    return person.page.url


def cannot_decide(person: Visitor, request: str, why: str) -> None:
    """No button on the page, and a request made by hand is refused in words."""
    expect(person.page.get_by_role("button", name="Approve deployment")).to_have_count(0)
    number = request.rstrip("/").rpartition("/")[2]
    digest = person.page.evaluate(
        f"fetch('/api/v1{PROJECT}requests/{number}/').then(r => r.json()).then(r => r.digest)"
    )
    assert re.fullmatch(r"[0-9a-f]{64}", digest)
    with person.refused(403):
        status, text = person.post(f"{request}decide/", verdict="approve", body=WHY, digest=digest)
    assert status == 403
    assert why in text
    person.open(request)
    expect(person.page.locator("#request-status .state").first).to_have_text("In review")


def cannot_approve_own(owner: Visitor, evaluation: str) -> None:
    """An owner may decide, but not on what the owner has asked for."""
    request = ask(owner, evaluation, "Staging")
    why = "You cannot decide on this request because you asked for this deployment. Ask another reviewer."
    owner.sees(why)
    cannot_decide(owner, request, why)


def approve(reviewer: Visitor, request: str) -> None:
    reviewer.enter("Overview")
    reviewer.page.locator(f"#needs a[href='{urlparse(request).path}']").click()
    reviewer.fill("Comment", "How many examples teach the urgent priority?")
    reviewer.press("Comment")
    reviewer.sees("How many examples teach the urgent priority?")
    reviewer.fill("Why", WHY)
    reviewer.press("Approve deployment")
    expect(reviewer.page.locator("#request-status")).to_contain_text("Approved")


def deploy(engineer: Visitor, request: str) -> None:
    engineer.open(request)
    engineer.sees("How many examples teach the urgent priority?")
    engineer.press("Deploy to Production")
    expect(engineer.page.locator("#request-status")).to_contain_text("Deployed", timeout=JOB)
    engineer.enter("Deployments")
    engineer.follow("Production")
    expect(engineer.page.locator("#slot-status")).to_contain_text("Live")
    engineer.sees("approved by Rita Reviewer")


def read_costs(owner: Visitor) -> None:
    owner.enter("Costs")
    owner.sees("What an adapter has cost")
    owner.follow("Open ledger")
    for cause in ("Training", "Evaluation"):
        owner.page.locator(
            "#ledger tbody tr", has=owner.page.get_by_role("cell", name=cause, exact=True)
        ).first.wait_for()
        line = owner.page.locator("#ledger tr", has=owner.page.get_by_role("cell", name=cause, exact=True)).first
        expect(line).to_contain_text("Succeeded")
        expect(line.locator("td").last).to_have_text(re.compile(r"^€.*[1-9]|[1-9].*€$"))


def stand_outside(installation: Installation, visit, addresses: list[str]) -> None:
    """Somebody with an account here, but in no project, finds nothing at these addresses."""
    stranger = visit(installation.address, "the stranger")
    stranger.sign_in("sten@luthier.example", installation.create_owner("sten@luthier.example", "Sten Stranger"))
    stranger.sees("No project yet")
    for address in (PROJECT, f"{PROJECT}datasets/", *addresses):
        with stranger.refused(404):
            answer = stranger.open(address)
        assert answer is not None and answer.status == 404, address
        stranger.titled("There is nothing here")
