//! A [`Step`] as a command, and its answer as an [`Outcome`].

use redis::{Cmd, Value, cmd};

use crate::clock::Timestamp;
use crate::store::backend::{Family, Key, NEVER, Outcome, Record, Step};

/// Puts `ARGV[2]` where exactly `ARGV[1]` is, for `ARGV[3]` milliseconds, or for good where that is empty. It travels with every call, so that there is
/// nothing to load again after a restart, a failover or a `SCRIPT FLUSH`.
const SWAP: &str = "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end \
    if ARGV[3]=='' then redis.call('SET',KEYS[1],ARGV[2]) else redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) end return 1";

/// Puts `ARGV[2]` in the outbox with the time `ARGV[1]`, and lets the outbox stay for `ARGV[3]` milliseconds at least.
const POST: &str = "redis.call('ZADD',KEYS[1],ARGV[1],ARGV[2]) \
    if redis.call('PTTL',KEYS[1])<tonumber(ARGV[3]) then redis.call('PEXPIRE',KEYS[1],ARGV[3]) end return 1";

/// Finds up to `ARGV[3]` parcels whose time is at most `ARGV[1]`, and moves their time to `ARGV[2]`.
const TAKE_OVER: &str = "local due=redis.call('ZRANGEBYSCORE',KEYS[1],'-inf',ARGV[1],'LIMIT',0,ARGV[3]) \
    for _,parcel in ipairs(due) do redis.call('ZADD',KEYS[1],ARGV[2],parcel) end return due";

/// The command for `step`.
pub(super) fn command(prefix: &str, step: &Step, now: Timestamp) -> Cmd {
    let mut command = Cmd::new();
    match step {
        Step::Insert(key, Record { bytes, sweep_at }) => {
            command.arg("SET").arg(name(prefix, key)).arg(bytes).arg("NX");
            if let Some(milliseconds) = ttl(*sweep_at, now) {
                command.arg("PX").arg(milliseconds);
            }
        }
        Step::Load(key) => {
            command.arg("GET").arg(name(prefix, key));
        }
        Step::Swap(key, seen, Record { bytes, sweep_at }) => {
            let ttl = ttl(*sweep_at, now).map(|milliseconds| milliseconds.to_string()).unwrap_or_default();
            command.arg("EVAL").arg(SWAP).arg(1).arg(name(prefix, key)).arg(seen).arg(bytes).arg(ttl);
        }
        Step::Exchange(key, bytes) => {
            command.arg("SET").arg(name(prefix, key)).arg(bytes).arg("XX").arg("GET").arg("KEEPTTL");
        }
        Step::Post(parcel, due, sweep_at) => {
            let ttl = ttl(*sweep_at, now).unwrap_or(LONGEST * 1_000);
            command.arg("EVAL").arg(POST).arg(1).arg(outbox(prefix)).arg(due.seconds()).arg(parcel).arg(ttl);
        }
        Step::Hold(parcel, due) => {
            command.arg("ZADD").arg(outbox(prefix)).arg("XX").arg("CH").arg(due.seconds()).arg(parcel);
        }
        Step::CrossOut(parcel) => {
            command.arg("ZREM").arg(outbox(prefix)).arg(parcel);
        }
        Step::TakeOver { now, until, most } => {
            let (now, until) = (now.seconds(), until.seconds());
            command.arg("EVAL").arg(TAKE_OVER).arg(1).arg(outbox(prefix)).arg(now).arg(until).arg(*most);
        }
    }
    command
}

/// What `value` says of `step`; `None` where it is no answer to it.
pub(super) fn outcome(step: &Step, value: Value) -> Option<Outcome> {
    match (step, value) {
        (Step::Insert(..), Value::Okay) | (Step::Swap(..), Value::Int(1)) => Some(Outcome::Done(true)),
        (Step::Insert(..), Value::Nil) | (Step::Swap(..), Value::Int(0)) => Some(Outcome::Done(false)),
        (Step::Post(..) | Step::Hold(..) | Step::CrossOut(_), Value::Int(count)) => Some(Outcome::Done(count > 0)),
        (Step::TakeOver { .. }, Value::Array(parcels)) => {
            let bytes = |parcel| if let Value::BulkString(bytes) = parcel { Some(bytes) } else { None };
            parcels.into_iter().map(bytes).collect::<Option<_>>().map(Outcome::Parcels)
        }
        (Step::Load(_) | Step::Exchange(..), Value::BulkString(bytes)) => Some(Outcome::Found(Some(bytes))),
        (Step::Load(_) | Step::Exchange(..), Value::Nil) => Some(Outcome::Found(None)),
        _ => None,
    }
}

/// The commands by which Redis says how it is: a key is written to see whether it can be, then `TIME` and `INFO`.
pub(super) fn probe(prefix: &str) -> [Cmd; 3] {
    let [mut write, time, mut info] = [cmd("SET"), cmd("TIME"), cmd("INFO")];
    write.arg(format!("{prefix}:probe")).arg("").arg("PX").arg(60_000);
    info.arg("server").arg("memory").arg("persistence").arg("replication");
    [write, time, info]
}

fn outbox(prefix: &str) -> String {
    format!("{prefix}:outbox")
}

/// What the names of a family match. A prefix has no character that means something in a pattern.
pub(super) fn pattern(prefix: &str, family: Family) -> String {
    format!("{prefix}:{}:*", word(family))
}

/// The key of that name; none, if it is not of the family.
pub(super) fn key_of(prefix: &str, family: Family, name: &str) -> Option<Key> {
    let digest = name.strip_prefix(prefix)?.strip_prefix(':')?.strip_prefix(word(family))?.strip_prefix(':')?;
    Some(Key { family, digest: digest.parse().ok()? })
}

fn name(prefix: &str, Key { family, digest }: &Key) -> String {
    format!("{prefix}:{}:{digest}", word(*family))
}

const fn word(family: Family) -> &'static str {
    match family {
        Family::Grant => "grant",
        Family::Pace => "pace",
        Family::Slower => "slower",
        Family::AccessToken => "access",
        Family::RefreshToken => "refresh",
        Family::Spent => "spent",
        Family::Client => "client",
        Family::Standing => "standing",
        Family::Attempts => "attempts",
    }
}

/// How long until `sweep_at`, at least a second, in milliseconds; `None` for what stays.
fn ttl(sweep_at: Timestamp, now: Timestamp) -> Option<i64> {
    (sweep_at != NEVER).then(|| sweep_at.since(now).clamp(1, LONGEST) * 1_000)
}

/// A hundred years: longer than anything lives, and no number that Redis refuses.
const LONGEST: i64 = 100 * 365 * 86_400;
