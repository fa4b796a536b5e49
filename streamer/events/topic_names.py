"""Names that the contract's topics have on the broker."""

from collections.abc import Mapping


class TopicNames:
    """Names on the broker: the contract's, after a prefix; or, for some topics, names of their own.

    >>> names = TopicNames("madrid.", {"call-completed": "calls"})
    >>> names.on_broker("survey-sent"), names.on_broker("call-completed")
    ('madrid.survey-sent', 'calls')
    >>> names.in_contract("madrid.survey-sent"), names.in_contract("survey-sent")
    ('survey-sent', None)
    """

    def __init__(self, prefix: str = "", own_names: Mapping[str, str] | None = None) -> None:
        self._prefix, self._own_names = prefix, own_names or {}
        self._contract_names = {name: topic for topic, name in self._own_names.items()}

    def on_broker(self, topic: str) -> str:
        """Return the name on the broker of a topic of the contract."""
        return self._own_names.get(topic) or f"{self._prefix}{topic}"

    def in_contract(self, name: str) -> str | None:
        """Return the contract's name of a topic on the broker; None if that is another center's."""
        if name in self._contract_names:
            return self._contract_names[name]
        topic = name.removeprefix(self._prefix)
        is_ours = name.startswith(self._prefix) and topic not in self._own_names
        return topic if is_ours else None


CONTRACT_NAMES = TopicNames()
"""The contract's own names."""
