export default {
  "nps_score": "answers", "cnx_score": "answers", "csat_ratio": "answers", "csat_mean": "answers",
  "ces_score": "answers", "ces_easy_ratio": "answers", "effort_score": "answers", "fcr_survey_ratio": "answers",
  "fcr_agent_ratio": "contacts", "fcr_ratio": "contacts", "fcr_maturity_ratio": "contacts", "fcr_final_ratio": "contacts",
  "repeat_ratio": "contacts",
  "handle_time_seconds": "contacts", "talk_time_seconds": "contacts", "hold_time_seconds": "contacts",
  "acw_time_seconds": "contacts", "wait_time_seconds": "contacts", "abandon_time_seconds": "contacts",
  "outbound_handle_time_seconds": "contacts",
  "service_level_ratio": "contacts", "abandon_ratio": "contacts", "transfer_ratio": "contacts",
  "contacts": null, "offered": null, "answered": null, "abandoned": null, "short_abandoned": null, "callbacks": null,
  "outbound": null, "surveys": null, "detractors": null, "comments": null,
  "workload_erlangs": "contacts", "active_agents": null,
  "response_ratio": "surveys", "qa_score": "evaluations", "value_at_risk": "customers", "value_mean": "contacts"
}
