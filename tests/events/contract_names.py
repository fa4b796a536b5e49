"""Names of the contract on the wire, as literals: a derived list would hide a lost or renamed one."""

_COMMON = {"deleted", "version", "updated_at", "customer_id"}
_DIMENSIONS = {"site", "queue", "team", "agent_id", "channel", "reason", "language"}
FIELDS = {
    "call-completed": _COMMON | _DIMENSIONS | {
        "contact_id", "segment_id", "direction", "queued_at", "ended_at", "wait_s", "talk_s", "hold_s",
        "acw_s", "outcome", "transfer", "resolved", "customer_value", "currency",
    },
    "survey-sent": _COMMON | _DIMENSIONS | {"survey_id", "contact_id", "sent_at"},
    "survey-completed": _COMMON | _DIMENSIONS | {
        "response_id", "survey_id", "contact_id", "answered_at", "answers", "scale", "comment", "excluded",
    },
    "contact-evaluated": _COMMON | {
        "evaluation_id", "contact_id", "agent_id", "score", "evaluated_at", "form", "evaluator_id", "items",
        "calibration",
    },
    "customer-valued": _COMMON | {"value", "currency", "as_of"},
    "contact-state": _COMMON | _DIMENSIONS | {
        "contact_id", "segment_id", "state", "at", "queued_at", "priority", "direction",
    },
    "agent-state": _COMMON | {
        "agent_id", "state", "at", "seen_at", "reason", "queues", "team", "site", "channels", "contact_id",
        "heart_beat_s",
    },
}  # fmt: skip
ANSWERS = {"nps", "csat", "ces", "effort", "cnx", "resolved_first"}
REQUIRED = {
    "call-completed": {"contact_id", "queue", "ended_at", "outcome"},
    "survey-sent": {"survey_id", "sent_at"},
    "survey-completed": {"response_id", "answered_at", "answers"},
    "contact-evaluated": {"evaluation_id", "score", "evaluated_at"},
    "customer-valued": {"customer_id", "value", "as_of"},
    "contact-state": {"contact_id", "state", "at"},
    "agent-state": {"agent_id", "state", "at"},
}
