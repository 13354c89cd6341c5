"""Attack A24: addresses that lead to the machine or its neighbours, in every spelling, are refused when saved."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.domain import addresses
from projects.domain.addresses import NotAllowed, check

# One line each: what it is, and the address.
REFUSED = """
loopback                http://127.0.0.1/
loopback with port      http://127.0.0.1:6379/
another loopback        http://127.8.9.1/
one number              http://2130706433/
hexadecimal             http://0x7f.1/
hexadecimal number      http://0x7f000001/
octal                   http://0177.0.0.1/
octal short             http://0177.1/
short                   http://127.1/
zero                    http://0/
zeroes                  http://0.0.0.0/
circled digits          http://①②⑦.⓪.⓪.①/
fullwidth digits        http://１２７.０.０.１/
ideographic stops       http://127。0。0。1/
localhost               http://localhost/
localhost with a dot    http://localhost./
localhost in capitals   http://LOCALHOST:8000/
below localhost         http://app.localhost/
fullwidth localhost     http://ｌｏｃａｌｈｏｓｔ/
one word                http://broker/
of a network            http://db.internal/
of a home               http://printer.local/
of a cloud              http://metadata.google.internal/
six                     http://[::1]/
six long                http://[0:0:0:0:0:0:0:1]/
six of nobody           http://[::]/
mapped                  http://[::ffff:127.0.0.1]/
mapped metadata         http://[::ffff:169.254.169.254]/
mapped hexadecimal      http://[::ffff:7f00:1]/
compatible              http://[::127.0.0.1]/
translated              http://[64:ff9b::7f00:1]/
translated locally      http://[64:ff9b:1::a00:1]/
six to four             http://[2002:7f00:1::]/
teredo                  http://[2001:0:7f00:1::]/
link-local six          http://[fe80::1]/
with a zone             http://[fe80::1%25eth0]/
unique local            http://[fd00::1]/
unique local metadata   http://[fd00:ec2::254]/
site-local              http://[fec0::1]/
multicast six           http://[ff02::1]/
documentation six       http://[2001:db8::1]/
metadata                http://169.254.169.254/latest/meta-data/
metadata as number      http://2852039166/
metadata elsewhere      http://100.100.100.200/
ten                     http://10.0.0.1/
one seven two           http://172.16.0.1/
one nine two            http://192.168.1.1/
carrier                 http://100.64.0.1/
benchmark               http://198.18.0.1/
documentation           http://192.0.2.1/
multicast               http://224.0.0.1/
reserved                http://240.0.0.1/
broadcast               http://255.255.255.255/
name and password       https://user:secret@example.org/
name that hides         https://example.org@127.0.0.1/
backslash               https://example.org\\@127.0.0.1/
file                    file:///etc/passwd
gopher                  gopher://example.org/
unix                    unix:///var/run/docker.sock
unix over http          http+unix://%2Fvar%2Frun%2Fdocker.sock/
ftp                     ftp://example.org/
script                  javascript:alert(1)
data                    data:text/plain,x
no scheme               //example.org/
no host                 http:///path
only a port             http://:80/
mail                    http://example.org:25/
shell                   http://example.org:22/
port zero               http://example.org:0/
port too high           http://example.org:70000/
port of words           http://example.org:http/
percent                 http://%31%32%37.0.0.1/
underscore and space    http://exa mple.org/
empty                   
"""
CASES = [line.rstrip("\n") for line in REFUSED.splitlines() if line.strip()]


@pytest.mark.parametrize("line", CASES, ids=[line[:24].strip() for line in CASES])
def test_a24_an_address_of_ours_is_refused(line):
    with pytest.raises(NotAllowed) as refused:
        check(line[24:].strip())

    assert (refused.value.status, refused.value.code, refused.value.field) == (400, "url_not_allowed", "url")


@pytest.mark.parametrize("sign", ["\r", "\n", "\t", " ", "\x00", "\x7f", "\u2028"])
def test_a28_line_ends_and_other_signs_make_no_headers(sign):
    with pytest.raises(NotAllowed):
        check(f"https://example.org/{sign}x")


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://example.org", "example.org", 443, "/"),
        ("https://Example.ORG./a?b=c#d", "example.org", 443, "/a?b=c"),
        ("http://example.org:8080/x", "example.org", 8080, "/x"),
        ("http://example.org:443/", "example.org", 443, "/"),
        ("https://bücher.example/", "xn--bcher-kva.example", 443, "/"),
        ("https://1.1.1.1/", "1.1.1.1", 443, "/"),
        ("https://[2606:4700:4700::1111]/", "2606:4700:4700::1111", 443, "/"),
        ("https://hooks.example.org/services/T0/B0/xyz", "hooks.example.org", 443, "/services/T0/B0/xyz"),
    ],
)
def test_a_public_address_is_taken_apart(url, host, port, path):
    target = check(url)

    assert (target.host, target.port, target.path) == (host, port, path)


def test_the_operator_allows_a_host_or_one_port_of_it():
    assert check("http://127.0.0.1:9000/", ["127.0.0.1:9000"]).port == 9000
    assert check("http://hook.internal/", ["hook.internal"]).host == "hook.internal"
    with pytest.raises(NotAllowed):
        check("http://127.0.0.1:9001/", ["127.0.0.1:9000"])
    with pytest.raises(NotAllowed):
        check("http://not.hook.internal/", ["hook.internal"])
    with pytest.raises(NotAllowed):
        check("gopher://127.0.0.1:9000/", ["127.0.0.1:9000"])


def test_the_host_header_names_a_port_only_where_it_is_not_the_usual_one():
    assert check("https://example.org:8443/").host_header == "example.org:8443"
    assert check("https://example.org/").host_header == "example.org"
    assert check("http://[2606:4700:4700::1111]:8080/").host_header == "[2606:4700:4700::1111]:8080"


PRIVATE = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "169.254.0.0/16")]


@given(st.sampled_from(PRIVATE), st.integers(0, 2**16 - 1))
def test_no_spelling_of_a_private_address_is_public(network, offset):
    address = network[offset]
    number = int(address)
    a, b, c, d = address.packed
    for host in (str(address), str(number), hex(number), f"{a}.{b}.{c * 256 + d}", f"0{a:o}.{b}.{c}.{d}"):
        with pytest.raises(NotAllowed):
            check(f"http://{host}/")
    assert not addresses.is_public(ipaddress.ip_address(f"::ffff:{address}"))


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://hooks.example.org/services/T0/s3cr3t", "https://hooks.example.org/…"),
        ("https://hooks.example.org?key=s3cr3t", "https://hooks.example.org/…"),
        ("https://name:s3cr3t@hooks.example.org:8443/", "https://hooks.example.org:8443"),
        ("http://[::1", "…"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(url, seen):
    assert addresses.shown(url) == seen
