"""docs/webhooks.md tells every event, and its programs accept what the product signs and nothing else."""

import os
import re
import shutil
import subprocess
import time

import pytest
from django.conf import settings

from projects import happenings
from projects.domain import signing

pytestmark = pytest.mark.files

PAGE = settings.BASE_DIR / "docs" / "webhooks.md"
TABLE = re.compile(r"(<!-- events -->\n).*?(<!-- /events -->)", re.DOTALL)
SECRET = "whsec_" + "c2VjcmV0IG9mIGEgd2ViaG9vayBmb3IgdGVzdHMh"
GO_IMPORTS = [
    "crypto/hmac", "crypto/sha256", "encoding/base64", "fmt", "net/http", "os", "strconv", "strings", "time",
]  # fmt: skip
GO_MAIN = """
func main() {
	h := http.Header{}
	h.Set("webhook-id", os.Args[2])
	h.Set("webhook-timestamp", os.Args[3])
	h.Set("webhook-signature", os.Args[4])
	fmt.Println(isGenuine(os.Args[1], h, []byte(os.Args[5]), time.Now()))
}
"""
BODY = '{"type":"run.failed","data":{"text":"ü"}}'.encode()


def program(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]


def sent(seconds_ago=0):
    return signing.headers_of(["whsec_" + "b" * 44, SECRET], "evt_1", int(time.time()) - seconds_ago, BODY)


def test_every_event_is_in_the_table():
    text = PAGE.read_text()
    wanted = TABLE.sub(lambda found: found[1] + happenings.as_markdown() + found[2], text)
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(wanted)

    assert text == wanted, "run this test with WRITE_DOCS=1"


def test_the_python_of_the_page_checks_what_is_sent():
    scope = {}
    exec(program("python"), scope)
    is_genuine = scope["is_genuine"]

    assert is_genuine(SECRET, sent(), BODY)
    assert not is_genuine(SECRET, sent(), BODY + b" ")
    assert not is_genuine(SECRET, sent(seconds_ago=301), BODY)
    assert not is_genuine("whsec_" + "d" * 44, sent(), BODY)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node")
def test_the_javascript_of_the_page_does_too(tmp_path):
    (tmp_path / "check.mjs").write_text(
        program("javascript")
        + "const [secret, id, timestamp, signature, body] = process.argv.slice(2);\n"
        + 'const headers = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature};\n'
        + "console.log(isGenuine(secret, headers, Buffer.from(body)));\n"
    )

    def says(headers, body):
        command = ["node", str(tmp_path / "check.mjs"), SECRET, *headers.values(), body.decode()]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert says(sent(), BODY) == "true"
    assert says(sent(), BODY + b" ") == "false"
    assert says(sent(seconds_ago=301), BODY) == "false"


@pytest.mark.skipif(shutil.which("go") is None, reason="no go")
def test_the_go_of_the_page_does_too(tmp_path):
    imports = "".join(f'\t"{name}"\n' for name in GO_IMPORTS)
    (tmp_path / "main.go").write_text(f"package main\n\nimport (\n{imports})\n\n{program('go')}\n{GO_MAIN}")
    made = tmp_path / "check"
    environment = os.environ | {"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", str(made), "main.go"], cwd=tmp_path, env=environment, check=True)

    def says(headers, body, secret=SECRET):
        command = [str(made), secret, *headers.values(), body.decode()]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert says(sent(), BODY) == "true"
    assert says(sent(), BODY + b" ") == "false"
    assert says(sent(seconds_ago=301), BODY) == says(sent(seconds_ago=-301), BODY) == "false"
    assert says(sent(), BODY, "whsec_" + "d" * 44) == says(sent(), BODY, "whsec_?") == "false"


@pytest.mark.skipif(not all(map(shutil.which, ("openssl", "xxd", "bash"))), reason="no openssl or xxd")
def test_the_shell_of_the_page_prints_the_same_signature(tmp_path):
    (tmp_path / "body.json").write_bytes(BODY)
    headers = sent()
    environment = os.environ | {
        "SECRET": SECRET, "ID": headers["webhook-id"], "TIMESTAMP": headers["webhook-timestamp"],
    }  # fmt: skip
    said = subprocess.run(
        ["bash", "-c", program("bash")], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert f"v1,{said.stdout.strip()}" in headers["webhook-signature"].split(" ")
