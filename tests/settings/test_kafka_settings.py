"""Settings of [kafka]: what is refused is named with value and expectation, and secrets are never shown."""

from pathlib import Path

import pytest

from streamer.dead_letters.dead_letter import DeadLetterError
from streamer.dead_letters.edit import recheck_record
from streamer.demo.run import DemoAddresses, _environment
from streamer.events.decoding import KafkaRecord
from streamer.settings import SettingsError, load_settings

LOGIN = {"STREAMER_KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "STREAMER_KAFKA__SASL_MECHANISM": "PLAIN"}
USER = {"STREAMER_KAFKA__SASL_USERNAME": "ann", "STREAMER_KAFKA__SASL_PASSWORD": "plain-Secret-1"}
REFUSED = [
    (
        'security_protocol = "SASL_SSL"',
        "kafka.sasl_mechanism is not set: expected PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, since "
        "security_protocol is SASL_SSL",
    ),
    (
        'sasl_mechanism = "PLAIN"',
        "kafka.security_protocol = 'PLAINTEXT': expected SASL_PLAINTEXT or SASL_SSL, since sasl_mechanism is "
        "set",
    ),
    (
        'ssl_ca_file = "here.pem"',
        "kafka.security_protocol = 'PLAINTEXT': expected SSL or SASL_SSL, since ssl_ca_file is set",
    ),
    (
        'security_protocol = "SSL"\nssl_key_file = "here.pem"',
        "kafka.ssl_cert_file is not set: expected the certificate of the key, since ssl_key_file is set",
    ),
    (
        'security_protocol = "SSL"\nssl_ca_file = "away.pem"',
        "kafka.ssl_ca_file = 'away.pem': expected a file that this process may read (No such file or "
        "directory)",
    ),
    (
        'security_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"\nsasl_username = "ann"',
        "kafka.sasl_password is not set: expected a value, since sasl_mechanism is PLAIN",
    ),
    (
        'security_protocol = "SASL_SSL"\nsasl_mechanism = "OAUTHBEARER"\nsasl_oauth_client_id = "a"',
        "kafka.sasl_oauth_token_endpoint is not set: expected a value, since sasl_mechanism is OAUTHBEARER",
    ),
    (
        'security_protocol = "SASL_SSL"\nsasl_mechanism = "PLAIN"\nsasl_username = "ann"\n'
        'sasl_password = "plain-Secret-1"\nsasl_oauth_client_id = "a"',
        "kafka.sasl_mechanism = 'PLAIN': expected OAUTHBEARER, since sasl_oauth_client_id is set",
    ),
    ('security_protocol = "TLS"', "kafka.security_protocol = 'TLS': expected input should be 'PLAINTEXT'"),
    ("sasl_password = 17", "kafka.sasl_password: expected input should be a valid string"),
    ('topic_prefix = "a/b"', "kafka.topic_prefix = 'a/b': expected string should match pattern"),
    (
        'topics.survey-sent = "call-completed"',
        "kafka.topics = 'call-completed': expected a name for each topic, since call-completed and "
        "survey-sent have this one",
    ),
    ('topics.calls = "a"', "kafka.topics.calls.[key] = 'calls': expected input should be 'call-completed'"),
]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.pem").touch()
    monkeypatch.delenv("STREAMER_KAFKA", raising=False)


@pytest.mark.parametrize(("lines", "sentence"), REFUSED, ids=[lines for lines, _ in REFUSED])
def test_what_cannot_work_is_refused_in_one_line_without_a_secret(lines: str, sentence: str) -> None:
    Path("streamer.toml").write_text(f"[kafka]\n{lines}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(sentence)
    assert "plain-Secret-1" not in str(caught.value)


@pytest.mark.parametrize("toml", ['kafka = "one:1"', '[kafka]\nbootstrap_servers = "one:1"', ""])
def test_the_addresses_alone_leave_the_rest_of_the_table_in_force(
    toml: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("streamer.toml").write_text(toml)
    for name, value in (LOGIN | USER).items():
        monkeypatch.setenv(name, value)
    kafka = load_settings().kafka
    assert kafka.bootstrap_servers == ("one:1" if toml else "127.0.0.1:9092")
    assert (kafka.security_protocol, kafka.sasl_username) == ("SASL_SSL", "ann")
    monkeypatch.setenv("STREAMER_KAFKA", "two:2")
    kafka = load_settings().kafka
    assert (kafka.bootstrap_servers, kafka.security_protocol) == ("two:2", "SASL_SSL")
    assert load_settings(kafka="three:3").kafka.bootstrap_servers == "three:3"


def test_secrets_come_from_files_and_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("password").write_text("plain-Secret-1\n")
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STREAMER_KAFKA__SASL_USERNAME", "ann")
    monkeypatch.setenv("STREAMER_KAFKA__SASL_PASSWORD_FILE", "password")
    monkeypatch.setenv("STREAMER_KAFKA__SSL_CA_FILE", "here.pem")
    settings = load_settings()
    assert settings.kafka.ssl_ca_file == Path("here.pem")
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "plain-Secret-1"
    assert "plain-Secret-1" not in f"{settings!r} {settings.model_dump()} {settings.model_dump_json()}"


def test_the_demo_talks_to_its_own_broker_whatever_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("streamer.toml").write_text('[kafka]\nsecurity_protocol = "SSL"\nssl_ca_file = "here.pem"\n')
    addresses = DemoAddresses("127.0.0.1:1", "redis://127.0.0.1:2/0", "http://127.0.0.1:3")
    environment = _environment(addresses, {})
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    kafka = load_settings().kafka
    assert (kafka.bootstrap_servers, kafka.security_protocol) == ("127.0.0.1:1", "PLAINTEXT")
    assert kafka.ssl_ca_file is None


def test_topics_and_groups_have_the_prefix_or_a_name_of_their_own() -> None:
    kafka = load_settings(
        kafka={"topic_prefix": "madrid.", "topics": {"call-completed": "genesys.calls"}}
    ).kafka
    assert kafka.group_id("streamer-ingest") == "madrid.streamer-ingest"
    names = {
        topic: kafka.names.on_broker(topic) for topic in ("call-completed", "survey-sent", "ingest-twilio")
    }
    assert names == {
        "call-completed": "genesys.calls",
        "survey-sent": "madrid.survey-sent",
        "ingest-twilio": "madrid.ingest-twilio",
    }
    assert {name: kafka.names.in_contract(name) for name in names.values()} == {
        name: topic for topic, name in names.items()
    }
    others = ("call-completed", "madrid.call-completed", "survey-sent", "nyc.survey-sent")
    assert [kafka.names.in_contract(name) for name in others] == [None] * 4


def test_a_rejected_record_is_checked_again_under_the_name_its_topic_has_on_the_broker() -> None:
    settings = load_settings(kafka={"topic_prefix": "madrid."})
    value = b'{"response_id":"r-9","answered_at":1795255200,"answers":{"nps":11}}'
    record = KafkaRecord("madrid.survey-completed", 0, 17, 1_795_255_200_000, None, value, ())
    rejected = recheck_record(record, settings)
    assert rejected is not None
    assert rejected.reason == "off-scale"
    assert recheck_record(record._replace(value=value.replace(b"11", b"10")), settings) is None
    with pytest.raises(DeadLetterError, match="does not read the topic survey-completed"):
        recheck_record(record._replace(topic="survey-completed"), settings)
