"""Help texts of `streamer replay`. Imports nothing but typing, since every `--help` loads it."""

from typing import Final

COMMAND: Final = """\
Publish the events of FILES to Kafka, each with its own time.

\b
FILE is NDJSON (.ndjson, .jsonl, .json; also one JSON array), CSV (.csv, .tsv) or
Parquet (.parquet, .pq; needs pip install 'contact-center-streamer[parquet]').
It may be gzipped whatever its name. - is standard input.
Choose how rows are read:
\b
  no option       contract events: bare data or CloudEvents as JSON, the output of
                  --dry-run, or a table whose columns have the contract's names.
                  --topic sets the topic; else the field topic or the CloudEvents
                  type does; else the fields that only one topic has.
  --format NAME   payloads of a known source (`streamer sources`), with its options
                  in streamer.toml. If several payloads make one contact, all are
                  read first; each contact is published once, ordered by time.
  --map FILE      a table of your own. `streamer replay --guess FILE` writes a first
                  map for you to edit, `streamer replay --map-help` explains maps.

Each event is checked as a worker checks it. Events that a worker would reject are not sent; they are
counted by reason, and the first ones are listed by line. Sending an event twice is harmless: it counts once.

Customer data: events are published as they stand in the file, with customer ids and comments, and Kafka
keeps them for its own retention. Workers replace customer ids with keyed hashes and remove card numbers,
addresses and the like from comments before they store anything. Kafka's log keeps what was published.

Time: each record carries its event's own time, so old events are accepted. Kafka deletes records older
than a topic's retention.ms; you are warned before such records are sent. --shift-to moves all times by one
amount. It reads the files twice and keeps standard input in memory or in a temporary file meanwhile.
If calls and their surveys are in different files, publish both before you start the workers: a worker that
has counted December can no longer find the call of a survey from January.

After an interruption (Ctrl-C, a crash), run the same command again: it continues where it stopped.
Its position is in FILE.replayed beside FILE, or in the folder --state, until all FILES are done. Standard
input starts over.

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
A map is a TOML file that says what the columns of a table mean. On the left are the contract's
names, as in `streamer schema`; on the right your columns (for JSON also paths such as queue.name).

  topic = "call-completed"      # call-completed, survey-sent, survey-completed,
                                # contact-evaluated or customer-valued
  source = "pbx-2019"           # keeps its ids apart from other sources' ids
  encoding = "latin-1"          # of CSV; default utf-8
  delimiter = ";"               # of CSV; default comma
  decimal = ","                 # for 12,5; default point
  unknown = ["", "NA"]          # cells that mean unknown; unknown is never 0 or ""

  [columns]
  contact_id = "{line}-{call}"  # several columns; unknown if one of them is
  queue = "type"
  customer_id = ["crm_id", "phone"]    # the first one that is not unknown
  ended_at = "end"
  wait_s = "q_time"
  outcome = "result"
  resolved = "solved"
  # for surveys: answers.nps = "score" (0-10), answers.csat (1-5), answers.ces (1-7),
  # answers.effort (1-5), answers.cnx (1-10), answers.resolved_first;
  # for evaluations: items.greeting = "Greeting" (0-100), likewise for any item of the form

  [constants]                   # the same for all rows
  channel = "voice"

  [times]
  formats = ["%d/%m/%Y %H:%M"]  # strptime formats, rfc3339 (default), epoch, epoch_ms, epoch_us;
                                # the first that fits is used
  zone = "Europe/Madrid"        # for times without a zone
  date = 2026-11-21             # for formats with a clock time only

  [units]                       # of durations; default seconds
  wait_s = "h:mm:ss"            # or ms, s, min, h; h:mm:ss also reads mm:ss

  [values.outcome]              # what cells mean; others stay as they are
  AGENT = "answered"
  [values.resolved]
  Y = true
  N = false
  [values.agent_id]
  NO_SERVER = ""                # unknown

  [[rows]]                      # rules for rows; all that match apply, from top to bottom
  when = { result = "PHANTOM" }
  skip = "noise"                # not sent; counted under this name

  [[rows]]                      # all conditions must hold. Numbers: "= 0" "!= 0" "< 5" "<= 5" "> 0" ">= 1";
  when = { result = "HANG", q_time = "> 0" }    # text: "TEXT", "!= TEXT", ["A", "B"] for one of them;
  set = { outcome = "abandoned", talk_s = "" }  # "" is unknown, in conditions and in set

"?" marks a value that you still have to fill in, as --guess leaves it; such a map is refused.
"""
