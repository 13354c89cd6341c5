"""Attacks A24 to A26 and A28 at the moment of sending: redirects, names that change, slow and endless answers."""

import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from projects import outbound
from projects.domain.addresses import NotAllowed
from projects.domain.errors import Invalid
from projects.domain.permissions import Role
from projects.models import Delivery, WebhookEndpoint
from projects.services import webhooks as services
from tests.factories.projects import make_member, make_project
from tests.factories.webhooks import happen, make_endpoint, receiving, replies, reply, send

pytestmark = pytest.mark.files

HOOK = "https://hooks.example.org/luthier"
INTERNAL = [
    "127.0.0.1",
    "::1",
    "169.254.169.254",
    "10.1.2.3",
    "0.0.0.0",
    "::ffff:10.0.0.1",
    "fd00::1",
    "64:ff9b::a00:1",
]


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def names(monkeypatch):
    """A resolver that says what the test wants, and counts how often it is asked."""
    asked = []

    real = socket.getaddrinfo

    def answer(host, port, *args, **more):
        if host.replace(".", "").isdecimal():
            return real(host, port, *args, **more)  # what is a number already is asked of nobody
        asked.append(host)
        found = answer.says[min(len(asked), len(answer.says)) - 1]
        kind = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in found]
        return [(family, socket.SOCK_STREAM, 6, "", (one, port)) for family, one in zip(kind, found, strict=True)]

    answer.says, answer.asked = [["93.184.216.34"]], asked
    monkeypatch.setattr("socket.getaddrinfo", answer)
    return answer


@pytest.fixture
def connections(monkeypatch):
    """Where connections were opened to; none of them is."""
    opened = []

    def refuse(address, timeout=None, **_):
        opened.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("socket.create_connection", refuse)
    return opened


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["http://127.0.0.1:6379/", "http://169.254.169.254/latest/", "gopher://x.org/", ""])
def test_a24_it_is_refused_when_it_is_saved(url):
    project = make_project()
    owner = make_member(project, Role.OWNER)

    with pytest.raises(Invalid) as refused:
        services.create_endpoint(project, by=owner, url=url, events=["*"])
    endpoint = make_endpoint(project, by=owner)
    with pytest.raises(Invalid):
        services.change_endpoint(endpoint, by=owner, url=url)

    assert (refused.value.code, refused.value.status) == ("url_not_allowed", 400)
    endpoint.refresh_from_db()
    assert endpoint.url == HOOK


@pytest.mark.django_db
def test_a24_it_is_refused_when_it_is_sent_also_if_it_got_into_the_database(receiver, connections):
    project = make_project()
    endpoint = make_endpoint(project)
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(url=receiver.url)
    happen(project)

    send()

    assert (connections, receiver.got) == ([], [])
    assert Delivery.objects.get().code == "url_not_allowed"


@pytest.mark.parametrize("address", INTERNAL)
def test_a24_a_public_name_of_an_internal_address_is_refused(names, connections, address):
    names.says = [[address]]

    with pytest.raises(NotAllowed, match="not a public address"):
        outbound.post(HOOK, b"{}", {})

    assert connections == []


def test_a24_one_internal_address_among_several_is_one_too_many(names, connections):
    names.says = [["93.184.216.34", "10.0.0.1"]]

    with pytest.raises(NotAllowed):
        outbound.post(HOOK, b"{}", {})

    assert connections == []


@pytest.mark.django_db
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a25_a_redirect_is_an_answer_and_not_a_way(receiver, settings, status):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    with receiving() as inside:
        receiver.answer = replies(status, Location=inside.url)
        project = make_project()
        make_endpoint(project, receiver.url)
        happen(project)
        send()

    delivery = Delivery.objects.get()
    assert (len(receiver.got), inside.got) == (1, [])
    assert (delivery.state, delivery.code, delivery.tries.get().status) == ("waiting", "redirect", status)


def test_a26_the_connection_goes_to_the_address_that_was_checked(names, connections):
    """A name that is public when it is asked for the first time, and internal ever after."""
    names.says = [["93.184.216.34"], ["127.0.0.1"]]

    with pytest.raises(outbound.Unsent):
        outbound.post(HOOK, b"{}", {})

    assert names.asked == ["hooks.example.org"], "asked once"
    assert connections == [("93.184.216.34", 443)]


def test_a26_the_name_is_kept_for_tls_and_for_the_host_header(names, monkeypatch):
    """The certificate is asked for by name, though the connection went to a number."""
    ours, theirs = socket.socketpair()
    wanted = {}

    class Context:
        def wrap_socket(self, raw, server_hostname):
            wanted["name"] = server_hostname
            return raw

    monkeypatch.setattr(ssl, "create_default_context", Context)
    monkeypatch.setattr("socket.create_connection", lambda address, timeout: ours)
    theirs.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    answer = outbound.post(HOOK + "?a=b", b"{}", {"webhook-id": "evt_1"})
    asked = theirs.recv(4096).decode()
    theirs.close()

    assert (answer.status, wanted["name"]) == (204, "hooks.example.org")
    assert asked.startswith("POST /luthier?a=b HTTP/1.1\r\nHost: hooks.example.org\r\n")
    assert "webhook-id: evt_1\r\n" in asked and asked.endswith("\r\n\r\n{}")


@pytest.fixture
def secure(tmp_path):
    """A receiver behind TLS with a certificate for hooks.example.org that nobody else has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example.org")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "cert.pem", tmp_path / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(*kinds))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with receiving(context) as receiver:
        receiver.certificate = str(files[0])
        yield receiver


def test_tls_is_checked_by_name_against_those_who_are_trusted(secure, names, settings, monkeypatch):
    port = int(secure.url.split(":")[2].split("/")[0])
    settings.WEBHOOK_HOSTS = ["hooks.example.org", "other.example.org"]
    names.says = [["127.0.0.1"]]
    with pytest.raises(outbound.Unsent) as unsent:
        outbound.post(f"https://hooks.example.org:{port}/hook", b"{}", {})
    assert unsent.value.code == "tls_failed"

    real = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: real(cafile=secure.certificate))
    answer = outbound.post(f"https://hooks.example.org:{port}/hook", b"{}", {})
    assert (answer.status, answer.address) == (204, "127.0.0.1")
    assert secure.got[0].headers["host"] == f"hooks.example.org:{port}"
    with pytest.raises(outbound.Unsent) as unsent:
        outbound.post(f"https://other.example.org:{port}/hook", b"{}", {})
    assert (unsent.value.code, len(secure.got)) == ("tls_failed", 1)


def test_a28_a_slow_answer_ends_at_the_deadline_however_it_drips(receiver, settings):
    settings.WEBHOOK_HOSTS, settings.WEBHOOK_SECONDS = ["127.0.0.1"], 0.6

    def drip(handler, got):
        for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 200:
            handler.wfile.write(bytes([letter]))
            handler.wfile.flush()
            time.sleep(0.05)

    receiver.answer = drip
    began = time.monotonic()
    with pytest.raises(outbound.Unsent) as unsent:
        outbound.post(receiver.url, b"{}", {})

    assert unsent.value.code == "timeout"
    assert 0.5 < time.monotonic() - began < 2


def test_a28_a_slow_body_ends_at_the_deadline_too(receiver, settings):
    settings.WEBHOOK_HOSTS, settings.WEBHOOK_SECONDS = ["127.0.0.1"], 0.6

    def drip(handler, got):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    receiver.answer = drip
    began = time.monotonic()
    with pytest.raises(outbound.Unsent):
        outbound.post(receiver.url, b"{}", {})

    assert time.monotonic() - began < 2


def test_a28_of_an_endless_answer_the_first_kilobyte_is_read(receiver, settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    sent = []

    def pour(handler, got):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(20_000):
            handler.wfile.write(b"x" * 65_536)
            sent.append(65_536)

    receiver.answer = pour
    answer = outbound.post(receiver.url, b"{}", {})

    assert answer.start == "x" * 1024
    time.sleep(0.3)
    assert sum(sent) < 64 * 1024**2, "the connection was closed long before ten gigabytes"


def test_a28_endless_headers_are_no_http(receiver, settings):
    settings.WEBHOOK_HOSTS, settings.WEBHOOK_SECONDS = ["127.0.0.1"], 5

    def pour(handler, got):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n")

    receiver.answer = pour
    with pytest.raises(outbound.Unsent) as unsent:
        outbound.post(receiver.url, b"{}", {})

    assert unsent.value.code in {"not_http", "no_connection"}


def test_a28_what_comes_back_is_text_without_signs_that_do_something(receiver, settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    receiver.answer = lambda handler, got: reply(handler, 200, b"a\x00\x1b[31m\xff<script>\n")

    assert outbound.post(receiver.url, b"{}", {}).start == "a··[31m\ufffd<script>\n"


def test_a_name_that_nobody_knows_and_a_resolver_that_hangs(names, monkeypatch, settings):
    settings.WEBHOOK_CONNECT_SECONDS = 0.2

    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    for resolver in (unknown, lambda *_, **__: time.sleep(1)):
        monkeypatch.setattr("socket.getaddrinfo", resolver)
        began = time.monotonic()
        with pytest.raises(outbound.Unsent) as unsent:
            outbound.post(HOOK, b"{}", {})
        assert unsent.value.code == "no_such_host"
        assert time.monotonic() - began < 0.9


def test_what_does_not_listen_is_said(settings):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(outbound.Unsent) as unsent:
        outbound.post(f"http://127.0.0.1:{port}/", b"{}", {})

    assert (unsent.value.code, "refused" in unsent.value.message) == ("no_connection", True)


def test_proxies_of_the_environment_are_not_asked(receiver, settings, monkeypatch):
    settings.WEBHOOK_HOSTS = ["127.0.0.1"]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")

    assert outbound.post(receiver.url, b"{}", {}).status == 204
