"""Counting rules are stored under bytes that never change, else every center would be asked for a rebuild."""

from streamer.events.counting_rules import CountingRules, diff_rules, encode_rules
from streamer.settings import Settings

DEFAULT_RULES = (
    b'{"horizon_ms":3024000000,"retention_ms":8640000000,"fcr_ms":604800000,"fcr_same_reason":false,'
    b'"crowd":500,"currency":"EUR","offered_counts_overflow":false,"offered_counts_callback":false,'
    b'"service_level":{"within_ms":20000,"short_ms":5000,"formula":"negative"},"queues":{},"pairs":[],'
    b'"customer_key":"0"}'
)
OTHER_RULES = (
    b'{"horizon_ms":2592000000,"retention_ms":17280000000,"fcr_ms":259200000,"fcr_same_reason":true,'
    b'"crowd":7,"currency":"USD","offered_counts_overflow":true,"offered_counts_callback":true,'
    b'"service_level":{"within_ms":30000,"short_ms":4000,"formula":"positive"},"queues":{'
    b'"billing":{"within_ms":30000,"short_ms":3000,"formula":"positive"},'
    b'"vip":{"within_ms":10000,"short_ms":4000,"formula":"ignore"}},'
    b'"pairs":[["queue","channel"],["site","team"]],"customer_key":"10","agent_silence_ms":7200000}'
)
OTHER_SETTINGS = {
    "horizon": "30d",
    "retention": "200d",
    "fcr_window": "3d",
    "fcr_same_reason": True,
    "shared_id_limit": 7,
    "currency": "USD",
    "offered_counts_overflow": True,
    "offered_counts_callback": True,
    "service_level": "30s",
    "short_abandon": "4s",
    "service_level_formula": "positive",
    "dimension_pairs": ["site,team", "queue,channel"],
    "queues": {
        "vip": {"service_level": "10s", "service_level_formula": "ignore"},
        "billing": {"short_abandon": "3s"},
    },
    "agent_silence": "2h",
    "customer_keys": {"9": "k" * 32, "10": "l" * 32},
}


def test_the_default_rules_are_stored_under_the_bytes_they_always_were() -> None:
    assert encode_rules(CountingRules()) == DEFAULT_RULES


def test_every_setting_that_changes_numbers_is_stored_under_the_bytes_it_always_was() -> None:
    rules = Settings.model_validate(OTHER_SETTINGS).counting_rules()
    default = CountingRules()
    assert all(getattr(rules, name) != getattr(default, name) for name in rules.__struct_fields__)
    assert encode_rules(rules) == OTHER_RULES


def test_a_difference_is_described_by_the_name_of_the_setting_not_the_stored_one() -> None:
    configured = encode_rules(CountingRules(shared_id_limit=7))
    assert diff_rules(DEFAULT_RULES, configured) == ["shared_id_limit: stored 500, set 7"]


def test_a_store_of_before_a_rule_existed_has_its_default() -> None:
    assert diff_rules(DEFAULT_RULES, encode_rules(CountingRules(agent_silence_ms=1))) == [
        "agent_silence_ms: stored 43200000, set 1"
    ]
    assert diff_rules(encode_rules(CountingRules(agent_silence_ms=1)), DEFAULT_RULES) == [
        "agent_silence_ms: stored 1, set 43200000"
    ]
