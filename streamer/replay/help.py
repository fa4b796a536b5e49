"""Here is what `streamer replay` says of itself. Imports nothing: every `--help` comes by here."""

from typing import Final

COMMAND: Final = """\
Publish the events of FILES to Kafka, each under its own time.

\b
FILE is NDJSON (.ndjson, .jsonl, .json; also one JSON array), CSV (.csv, .tsv) or
Parquet (.parquet, .pq), gzip or not, whatever its name; - is standard input.
What a row says is told by one of:
\b
  nothing         the contract's events: bare data or CloudEvents as JSON, what
                  --dry-run prints, or a table whose columns have the contract's
                  names. The topic is told by --topic, else by a field topic or the
                  CloudEvents type, else by fields that only one topic has.
  --format NAME   payloads of a known source (`streamer sources`), with its options
                  in streamer.toml. Where several make one contact, all are read
                  first, and each contact is published once, in the order of time.
  --map FILE      a table of your own. `streamer replay --guess FILE` writes a first
                  map for you to edit, `streamer replay --map-help` explains it.

Each event is checked as a worker checks it. What would be rejected is not sent, but counted by reason,
and the first ones are shown by line. Sending something twice is harmless: it counts once.

Customers' data: events are published as the file has them, with customer ids and comments, under
Kafka's own retention. Workers replace customer ids by keyed hashes and take card numbers, addresses and
the like out of comments before they store anything; Kafka's log keeps what was published.

Time: a record bears its event's own time, so that history is accepted. Kafka deletes records that are
older than a topic's retention.ms, and you are warned before such are sent. --shift-to moves all times by
one amount; it reads the files twice, and keeps standard input in memory or a temporary file meanwhile.
Of a year of calls in one file and their surveys in another publish both, then start the workers: one that
has counted December no longer finds what a survey of January belongs to.

Interrupted, by Ctrl-C or worse, the same command goes on where it stopped: it keeps its position in
FILE.replayed beside FILE, or in the folder --state, until all FILES are done. Standard input begins anew.

\b
Exit code: 0 all sent, 3 some events rejected and the others sent, 2 the command or
its map is wrong, 1 Kafka or another part failed, 130 interrupted.

\b
  streamer replay events.ndjson.gz
  streamer replay --format asterisk-queue-log /var/log/asterisk/queue_log
  streamer replay --guess calls.csv > calls.toml
  streamer replay --map calls.toml --dry-run calls.csv | head
  streamer replay --map calls.toml --shift-to now --speed 60 calls.csv
"""

MAP: Final = """\
A map says in TOML what the columns of a table mean. Names on the left are ours, as in
`streamer schema`; on the right stand your columns (of JSON also a path such as queue.name).

  topic = "call-completed"      # call-completed, survey-sent, survey-completed,
                                # contact-evaluated or customer-valued
  source = "pbx-2019"           # keeps its ids apart from those of other sources
  encoding = "latin-1"          # of CSV; utf-8 unless said
  delimiter = ";"               # of CSV; a comma unless said
  decimal = ","                 # 12,5; a point unless said
  unknown = ["", "NA"]          # cells that say nothing: unknown is never 0 and never ""

  [columns]
  contact_id = "{line}-{call}"  # several columns; unknown if one of them is
  queue = "type"
  customer_id = ["crm_id", "phone"]    # the first in which something is known
  ended_at = "end"
  wait_s = "q_time"
  outcome = "result"
  resolved = "solved"
  # of surveys: answers.nps = "score" (0-10), answers.csat (1-5), answers.ces (1-7),
  # answers.effort (1-5), answers.cnx (1-10), answers.resolved_first

  [constants]                   # the same for all rows
  channel = "voice"

  [times]
  formats = ["%d/%m/%Y %H:%M"]  # of strptime, or rfc3339 (unless said), epoch, epoch_ms, epoch_us;
                                # the first that fits
  zone = "Europe/Madrid"        # of times that name none
  date = 2026-11-21             # of formats with the clock's time only

  [units]                       # of durations; seconds unless said
  wait_s = "h:mm:ss"            # or ms, s, min, h; h:mm:ss takes mm:ss too

  [values.outcome]              # what a cell means; another cell stays as it is
  AGENT = "answered"
  [values.resolved]
  Y = true
  N = false
  [values.agent_id]
  NO_SERVER = ""                # unknown

  [[rows]]                      # rules for rows, all that hold, from top to bottom
  when = { result = "PHANTOM" }
  skip = "noise"                # not sent, counted under this name

  [[rows]]                      # all conditions hold: "= 0" "!= 0" "< 5" "<= 5" "> 0" ">= 1" a number,
  when = { result = "HANG", q_time = "> 0" }    # "TEXT" itself, "!= TEXT" not, "" unknown,
  set = { outcome = "abandoned", talk_s = "" }  # ["A", "B"] one of them; "" makes a field unknown

"?" stands where something is still to be said, as --guess leaves it; such a map is refused.
"""
