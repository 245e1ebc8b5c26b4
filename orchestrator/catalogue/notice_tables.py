"""The tables of what people are told: notices, who is to be told of each, and the messages that tell it.

Of a channel its name is kept, never its address. A message is written down before it is sent, and what it says is made
from its notices: sent again it says the same, under the same id.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text

from orchestrator.catalogue.columns import UtcTime, metadata

#: Something that people are told of. What lasts is over at `over_at`, and open until then; what just happened is over
#: when it happens. Of one event about one subject, one notice at most is open.
notices = Table(
    "notices",
    metadata,
    Column("id", String(240), primary_key=True),
    Column("event", String(20), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("subject", String(180), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("noted_at", UtcTime, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("over_at", UtcTime),
)
_open = notices.c.over_at.is_(None)
Index("notices_open", notices.c.event, notices.c.subject, unique=True, sqlite_where=_open, postgresql_where=_open)

#: One message to one channel: waiting until it got through, or until it was given up.
messages = Table(
    "messages",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("channel", String(40), nullable=False),
    Column("state", String(10), nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("error", Text),
    Index("messages_by_state", "channel", "state", "made_at"),
)

#: Which channel is told of which notice, and by which message; none until there is one.
tellings = Table(
    "tellings",
    metadata,
    Column("channel", String(40), primary_key=True),
    Column("notice_id", String(240), ForeignKey("notices.id"), primary_key=True),
    Column("message_id", String(40), ForeignKey("messages.id")),
    Index("tellings_by_message", "message_id"),
    Index("tellings_by_notice", "notice_id"),
)
_untold = tellings.c.message_id.is_(None)
Index("tellings_waiting", tellings.c.channel, sqlite_where=_untold, postgresql_where=_untold)

#: Up to when the catalogue was looked through for news (`looked`), and since when each `channel:NAME` is known.
notice_marks = Table(
    "notice_marks",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("at", UtcTime, nullable=False),
)
