"""A20 in a real browser: hostile texts in the data run nowhere, and the page's policy has nothing to complain about."""

import pytest
from django.test import Client

from tests.e2e.browsing import Visitor
from tests.factories.datasets import make_dataset
from tests.factories.hostile import bring
from tests.factories.projects import make_member, make_project
from tests.integration.test_attacks_markup import IMAGE, SCRIPT, SVG, crawled, rows

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
MOST_LOOKED_AT = 25


def test_a20_nothing_in_the_data_is_run_by_chromium(live_server, visit):
    project = make_project(name=f"Project {IMAGE}", description=SCRIPT)
    user = make_member(project, name=f"Emil {SCRIPT}")
    client = Client()
    client.force_login(user)
    dataset = make_dataset(project, user, name=f"Data {SCRIPT}", description=IMAGE)
    upload = bring(client, dataset, rows(), f'"{SVG}.jsonl')
    visitor: Visitor = visit(live_server.url)
    visitor.bring_session(client)

    pages = list(crawled(client, upload.version.get_absolute_url(), f"/projects/{project.slug}/"))[:MOST_LOOKED_AT]
    for page in [dataset.get_absolute_url(), upload.get_absolute_url(), *pages]:
        visitor.open(page)
        visitor.page.wait_for_load_state("networkidle")
        assert visitor.page.evaluate("window.hit") is None, page
        visitor.check()
