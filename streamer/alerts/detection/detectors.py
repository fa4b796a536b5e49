"""The detectors by kind of rule."""

from collections.abc import Mapping
from typing import Final

from streamer.alerts.detection.detector import RuleDetector
from streamer.alerts.detection.drop import DropDetector
from streamer.alerts.detection.live_rules import LimitDetector, UnattendedDetector
from streamer.alerts.detection.no_data import NoDataDetector
from streamer.alerts.detection.threshold import ThresholdDetector
from streamer.alerts.verdict import RuleKind

DETECTORS: Final[Mapping[RuleKind, RuleDetector]] = {
    "threshold": ThresholdDetector(),
    "drop": DropDetector(),
    "no_data": NoDataDetector(),
    "limit": LimitDetector(),
    "unattended": UnattendedDetector(),
}
