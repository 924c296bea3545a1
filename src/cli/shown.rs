//! How the commands show things that several of them do.

use time::OffsetDateTime;

use crate::clock::Timestamp;

/// RFC 3339, UTC, to the second.
pub(super) fn date(at: Timestamp) -> String {
    if at == Timestamp::from_seconds(0) {
        return "ever".to_owned();
    }
    let at = OffsetDateTime::from_unix_timestamp(at.seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    format!("{date}T{:02}:{:02}:{:02}Z", time.hour(), time.minute(), time.second())
}
