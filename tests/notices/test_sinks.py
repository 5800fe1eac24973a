"""How a notice leaves: by a real mail server and a real web server on loopback, and into a file."""
from __future__ import annotations

import json
import ssl
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from partitions.errors import NoticeError, SettingsError, SinkDownError
from resources.settings import Settings
from resources.sinks import FileSink, Message, SmtpSink, WebhookSink, fold_of, one_line, sink_of, sink_or_reason
from tests.notices.conftest import free_port

MESSAGE = Message("Data steward", "steward@example.org", "acme: a delivery was refused (cloud_billing)",
                  {"Customer": "acme", "What to do": "land it again"}, {"customer": "acme", "rule": "HEADER"})
SETTINGS = Settings("dev", Path("/nowhere"), Path("/nowhere"), "/nowhere", None, Path("/nowhere"))


def test_a_mail_reaches_the_stewards_inbox(mail) -> None:
    SmtpSink("127.0.0.1", mail.port, "strata@example.org").send(MESSAGE)
    [found] = mail.handler.mails
    assert (found["To"], found["From"]) == ("Data steward <steward@example.org>", "Strata <strata@example.org>")
    assert found["Subject"] == "[Strata] acme: a delivery was refused (cloud_billing)"
    assert found.get_payload().splitlines() == ["Customer    acme", "What to do  land it again"]


@pytest.mark.parametrize("hostile", ["Data steward\r\nBcc: everybody@example.org", "steward\nX-Evil: 1", "a\x00b\x85c\u2028Bcc: d@example.org"])
def test_a_name_with_line_breaks_makes_no_header(mail, hostile: str) -> None:
    SmtpSink("127.0.0.1", mail.port, "strata@example.org").send(replace(MESSAGE, name=hostile, title=hostile, lines={"What": hostile}))
    [found] = mail.handler.mails
    assert {name.lower() for name in found} <= {"from", "to", "subject", "auto-submitted", "content-type", "content-transfer-encoding", "mime-version", "x-peer",
                                                "x-mailfrom", "x-rcptto"}
    assert found["X-RcptTo"] == "steward@example.org"


def test_a_mail_server_that_is_away_is_a_notice_error_without_an_address(mail) -> None:
    port = mail.port
    mail.stop(no_assert=True)
    with pytest.raises(NoticeError, match="did not take the notice: ConnectionRefusedError") as caught:
        SmtpSink("127.0.0.1", port, "strata@example.org").send(MESSAGE)
    assert "example.org" not in str(caught.value)


def test_a_mail_to_another_machine_never_leaves_in_the_clear(mail) -> None:
    """127.0.0.2 answers here, but by its name it is not loopback: without STARTTLS nothing is sent."""
    other = Controller(mail.handler, hostname="127.0.0.2", port=free_port("127.0.0.2"))
    other.start()
    try:
        with pytest.raises(NoticeError, match="SMTPNotSupportedError"):
            SmtpSink("127.0.0.2", other.port, "strata@example.org").send(MESSAGE)
    finally:
        other.stop(no_assert=True)
    assert mail.handler.mails == []


def test_a_webhook_gets_json_with_the_token(webhook) -> None:
    WebhookSink(f"{webhook.url}/hook", "s3cret").send(MESSAGE)
    [(path, headers, body)] = webhook.posted
    assert (path, headers["Content-Type"], headers["Authorization"]) == ("/hook", "application/json", "Bearer s3cret")
    assert json.loads(body) == {"to": "steward@example.org", "title": MESSAGE.title, "text": MESSAGE.text, "customer": "acme", "rule": "HEADER"}


@pytest.mark.parametrize("answer", [302, 307, 400, 500])
def test_a_webhook_that_does_not_say_yes_has_not_taken_it_and_no_redirect_is_followed(webhook, answer: int) -> None:
    webhook.answer = answer
    with pytest.raises(NoticeError, match=f"answered {answer}") as caught:
        WebhookSink(f"{webhook.url}/hook", "s3cret").send(MESSAGE)
    assert [path for path, _, _ in webhook.posted] == ["/hook"]
    assert "s3cret" not in str(caught.value)
    assert webhook.url not in str(caught.value)


def test_the_file_holds_a_line_per_notice_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "notices" / "dev.jsonl"
    for _ in range(2):
        FileSink(path).send(replace(MESSAGE, title="two\nlines"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [{"to": "steward@example.org", "title": "two lines", "customer": "acme", "rule": "HEADER"}] * 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_a_link_is_not_written(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.touch()
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(NoticeError):
        FileSink(tmp_path / "link").send(MESSAGE)
    assert target.read_text() == ""


@pytest.mark.parametrize(("environment", "sink"), [
    ({}, FileSink(Path("/nowhere/notices/dev.jsonl"))),
    ({"STRATA_NOTIFY": "file"}, FileSink(Path("/nowhere/notices/dev.jsonl"))),
    ({"STRATA_NOTIFY": "smtp://mail.example.org", "STRATA_NOTIFY_FROM": "s@example.org"}, SmtpSink("mail.example.org", 587, "s@example.org")),
    ({"STRATA_NOTIFY": "smtps://mail.example.org", "STRATA_NOTIFY_FROM": "s@example.org", "STRATA_NOTIFY_USER": "u", "STRATA_NOTIFY_PASSWORD": "p"},
     SmtpSink("mail.example.org", 465, "s@example.org", True, "u", "p")),
    ({"STRATA_NOTIFY": "https://example.org/hook", "STRATA_NOTIFY_TOKEN": "t"}, WebhookSink("https://example.org/hook", "t")),
    ({"STRATA_NOTIFY": "http://127.0.0.1:9/hook"}, WebhookSink("http://127.0.0.1:9/hook")),
])
def test_the_environment_names_the_sink(environment: dict[str, str], sink: object) -> None:
    assert sink_of(SETTINGS, environment) == sink


@pytest.mark.parametrize(("value", "problem"), [
    ("http://example.org/hook", "in the clear"), ("http://127.0.0.1.example.org/", "in the clear"), ("https://user:secret@example.org/", "holds a login"),
    ("ftp://example.org", "names no sink"), ("mail", "names no sink"), ("smtp://", "names no sink"), ("smtp://mail.example.org:port", "no address"),
    ("smtp://mail.example.org", "_FROM is no address"), ("https://[example.org", "no address"),
])
def test_a_sink_that_cannot_work_is_refused_without_showing_a_secret(value: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        sink_of(SETTINGS, {"STRATA_NOTIFY": value, "STRATA_NOTIFY_FROM": "a\nb"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("hours", ["0", "-1", "1.5", "a day", "99999", "٣"])
def test_a_window_that_is_no_number_of_hours_is_refused(hours: str) -> None:
    with pytest.raises(SettingsError, match="FOLD_HOURS is no number of hours"):
        sink_of(SETTINGS, {"STRATA_NOTIFY_FOLD_HOURS": hours})


def test_the_window_is_a_day_unless_the_environment_says_otherwise() -> None:
    assert (fold_of({}), fold_of({"STRATA_NOTIFY_FOLD_HOURS": "72"})) == (timedelta(days=1), timedelta(days=3))


def test_a_run_meets_a_wrong_setting_as_a_sink_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_NOTIFY", "nonsense")
    with pytest.raises(NoticeError, match="names no sink"):
        sink_or_reason(SETTINGS).send(MESSAGE)


def test_no_secret_shows_in_a_sinks_name() -> None:
    shown = repr(SmtpSink("h", 1, "s@example.org", password="CANARY")) + repr(WebhookSink("https://CANARY", "CANARY"))
    assert "CANARY" not in shown


def test_a_header_is_one_line_of_bounded_length() -> None:
    assert one_line("a\r\n b\tc\x1b[0m") == "a b c [0m"
    assert len(one_line("x" * 5000)) == 200


def certificate(folder: Path, host: str) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate of an address: its file, for who trusts it, and a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)]), datetime.now(UTC)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
            .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256()))
    trusted, secret = folder / "certificate.pem", folder / "key.pem"
    trusted.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(trusted, secret)
    return trusted, context


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_mail_to_another_machine_goes_by_tls_with_a_login_if_its_certificate_is_trusted(
        mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_trusted: bool) -> None:
    trusted, context = certificate(tmp_path, "127.0.0.2")
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    logins: list[bytes] = []

    def login(_server: object, _session: object, _envelope: object, _mechanism: str, data: LoginPassword) -> AuthResult:
        logins.append(data.login)
        return AuthResult(success=data.password == b"s3cret")

    other = Controller(mail.handler, hostname="127.0.0.2", port=free_port("127.0.0.2"), tls_context=context, require_starttls=True, authenticator=login,
                       auth_required=True)
    other.start()
    sink = SmtpSink("127.0.0.2", other.port, "strata@example.org", user="strata", password="s3cret")
    try:
        if is_trusted:
            sink.send(MESSAGE)
        else:
            with pytest.raises(SinkDownError, match="SSLCertVerificationError"):
                sink.send(MESSAGE)
    finally:
        other.stop(no_assert=True)
    assert (len(mail.handler.mails), logins) == ((1, [b"strata"]) if is_trusted else (0, []))
