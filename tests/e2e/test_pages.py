"""What people meet in an empty project, by keyboard, in the theme they choose, and when an upload does not arrive."""

from collections.abc import Callable

import pytest
from django.test import Client
from playwright.sync_api import Page, expect

from projects.domain.permissions import Role
from tests.e2e.browsing import Visitor
from tests.factories.datasets import make_dataset
from tests.factories.projects import PASSWORD, make_member, make_project

pytestmark = pytest.mark.e2e

# Room in the sidebar, what it says while there is nothing, and where its button leads.
EMPTY = {
    "Datasets": ("No datasets here yet", "/datasets/new/"),
    "Training": ("First, a base model", "/bases/new/"),
    "Adapters": ("No adapter yet", "/runs/"),
    "Evaluation": ("Nothing evaluated yet", "/evaluations/new/"),
    "Deployments": ("No slots yet", "/deployments/slots/new/"),
    "Lineage": ("Nothing has an ancestry yet", "/datasets/"),
    "Costs": ("Nothing spent yet", "/runs/"),
}
FILE = {"name": "rows.jsonl", "mimeType": "application/x-ndjson", "buffer": b'{"text": "hello"}\n' * 3_000}
Come = Callable[[Role], Visitor]


@pytest.fixture
def project(live_server):
    return make_project(name="Routing", slug="routing")


@pytest.fixture
def come(project, visit, live_server) -> Come:
    """Somebody with this role, signed in, at the overview."""

    def arrive(role: Role) -> Visitor:
        client = Client()
        client.force_login(make_member(project, role, name="Olive Owner"))
        visitor = visit(live_server.url, f"the {role}", color_scheme="light", reduced_motion="reduce")
        visitor.bring_session(client)
        visitor.open("/projects/routing/")
        return visitor

    return arrive


def test_an_empty_project_says_in_every_room_what_to_do(come: Come):
    owner = come(Role.OWNER)
    owner.sees("First steps")
    for room, (title, address) in EMPTY.items():
        owner.enter(room)
        nothing = owner.page.locator(".nothing")
        expect(nothing.get_by_role("heading")).to_have_text(title)
        assert nothing.get_by_role("link").get_attribute("href") == f"/projects/routing{address}"
        assert not owner.axe() + owner.too_wide(), room
    owner.enter("Members & settings")
    owner.titled("Members & settings")


def test_a_viewer_of_an_empty_project_is_told_who_can_help(come: Come):
    viewer = come(Role.VIEWER)
    for room in EMPTY:
        viewer.enter(room)
        expect(viewer.page.locator(".nothing")).to_be_visible()
        links = viewer.page.locator(".nothing a").all()
        assert not [link for link in links if (link.get_attribute("href") or "").endswith("/new/")], room


def test_every_room_of_an_empty_project_fits_a_phone(come: Come):
    owner = come(Role.OWNER)
    owner.page.set_viewport_size({"width": 390, "height": 844})
    for room in EMPTY:
        owner.page.get_by_role("button", name="Open navigation").click()
        owner.enter(room)
        expect(owner.page.locator(".nothing")).to_be_visible()
        assert not owner.too_wide(), room
        assert not owner.axe(), room


def focused(page: Page) -> str:
    return page.evaluate("document.activeElement.textContent.trim().replace(/\\s+/g, ' ')")


def is_marked(page: Page) -> bool:
    """Whether the element with the focus, or what stands for it, is drawn in another way than without."""
    return page.evaluate(
        """() => {
            const style = getComputedStyle(document.activeElement);
            return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== "none";
        }"""
    )


def test_the_keyboard_skips_to_the_content_and_always_shows_where_it_is(come: Come):
    page = come(Role.OWNER).page
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('#content').contains(document.activeElement)")
    page.reload()
    seen = []
    for _ in range(16):
        page.keyboard.press("Tab")
        seen.append(focused(page))
        assert is_marked(page), f"nobody sees that “{seen[-1]}” has the focus"
    assert {"Datasets", "Training", "Costs"} <= set(seen)


def test_the_keyboard_alone_opens_and_leaves_a_dialog(come: Come):
    page = come(Role.OWNER).page
    page.goto("/projects/routing/settings/")
    opener = page.get_by_role("button", name="Leave project").first
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Leave this project?")
    expect(dialog).to_be_visible()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_chosen_theme_stays(come: Come):
    owner = come(Role.OWNER)
    page = owner.page
    theme = "document.documentElement.dataset.bsTheme"
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(theme) == "light"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Signed in as").click()
    page.get_by_role("button", name="Switch theme").click()
    assert page.evaluate(theme) == "dark"
    assert page.evaluate(ground) != light
    page.reload()
    assert page.evaluate(theme) == "dark"
    owner.enter("Costs")
    owner.titled("Costs")
    assert page.evaluate(theme) == "dark"
    page.emulate_media(color_scheme="dark")
    page.emulate_media(color_scheme="light")
    assert page.evaluate(theme) == "dark", "a choice counts more than the system"


@pytest.fixture
def uploader(come: Come, project) -> Visitor:
    """An engineer with a file chosen for a new dataset."""
    engineer = come(Role.ENGINEER)
    dataset = make_dataset(project)
    engineer.open(dataset.get_absolute_url())
    engineer.page.get_by_label("File to upload").set_input_files(FILE)
    return engineer


def told(uploader: Visitor, text: str) -> None:
    """The message is there, and the same file can be sent again."""
    alert = uploader.page.locator("[data-upload-error]")
    expect(alert).to_be_visible()
    expect(alert).to_contain_text(text)
    expect(uploader.page.get_by_role("button", name="Upload file")).to_be_enabled()
    expect(uploader.page.get_by_label("Upload progress")).to_be_hidden()


def test_an_upload_whose_line_breaks_says_so_and_can_be_sent_again(uploader: Visitor):
    uploader.page.route("**/upload/", lambda route: route.abort("connectionreset"))
    uploader.failing("net::ERR_CONNECTION_RESET")
    uploader.press("Upload file")
    told(uploader, "The connection broke while the file was being sent. Nothing has been stored; try again.")
    uploader.page.unroute("**/upload/")
    uploader.press("Upload file")
    uploader.page.wait_for_url("**/uploads/*/")
    uploader.titled("rows.jsonl")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (413, "<h1>Too large</h1>", "The file is larger than this server takes."),
        (403, "<h1>No</h1>", "You are signed out, or your role does not include uploads."),
        (400, '{"code": "empty_file", "message": "The file is empty."}', "The file is empty."),
        (404, "<h1>Gone</h1>", "The server could not take the file (answer 404)."),
    ],
)
def test_an_upload_that_is_refused_says_why(uploader: Visitor, status: int, body: str, message: str):
    uploader.page.route("**/upload/", lambda route: route.fulfill(status=status, body=body))
    with uploader.refused(status):
        uploader.press("Upload file")
        told(uploader, message)


def test_an_upload_can_be_cancelled_on_its_way(uploader: Visitor, project):
    with uploader.slow_line(bytes_per_second=20_000):
        uploader.press("Upload file")
        expect(uploader.page.locator("[data-upload-numbers]")).to_contain_text("left")
        uploader.press("Cancel")
        told(uploader, "Cancelled. Nothing has been stored.")
    assert not project.datasets.get().uploads.exists()


def test_a_file_over_the_limit_is_refused_before_it_is_sent(come: Come, project, settings):
    settings.MAX_UPLOAD_BYTES = 10_000
    engineer = come(Role.ENGINEER)
    engineer.open(make_dataset(project).get_absolute_url())
    sent: list[str] = []
    engineer.page.on("request", lambda request: sent.append(request.method))
    engineer.page.get_by_label("File to upload").set_input_files(FILE)
    engineer.press("Upload file")
    told(engineer, "at most 10.0\u202fkB are taken")
    assert "POST" not in sent


def test_a_wrong_password_says_so_and_keeps_the_address(visit, project, live_server):
    make_member(project, Role.OWNER, email="olive@example.org")
    person = visit(live_server.url, "the owner")
    person.open("/sign-in/")
    person.fill("E-mail", "olive@example.org")
    person.fill("Password", "not this one")
    person.press("Sign in")
    person.sees("This e-mail address and this password do not belong together.")
    expect(person.page.get_by_label("E-mail")).to_have_value("olive@example.org")
    assert not person.axe() + person.too_wide()
    person.fill("Password", PASSWORD)
    person.press("Sign in")
    person.titled("Projects")
