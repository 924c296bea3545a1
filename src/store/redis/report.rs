//! What `INFO` and `TIME` say of a Redis, and whether it is fit to keep what must not be forgotten. Pure.

use crate::clock::Timestamp;
use crate::store::backend::Trouble;

/// The oldest version with several sections in one `INFO`.
const OLDEST: (u32, u32) = (7, 0);

/// By how many seconds the clocks of Redis and of this server may differ: all servers are held against the one Redis, and so against each other.
const CLOCKS: u64 = 2;

/// By how many they may differ before it is unsafe to go on: two servers that far off, on either side, still agree on which ids are spent.
const CLOCKS_AT_MOST: u64 = 20;

/// The fields of an `INFO`.
pub(super) struct Report<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Report<'a> {
    /// Reads `text`, line by line; what is no field is left out.
    pub(super) fn read(text: &'a str) -> Self {
        Self(text.lines().filter_map(|line| line.trim_end().split_once(':')).collect())
    }

    fn field(&self, name: &str) -> &'a str {
        self.0.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    }

    fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap_or(0)
    }

    /// Whether it is the primary: another may have become that.
    pub(super) fn is_primary(&self) -> bool {
        self.field("role") == "master"
    }

    /// Whether a replica that takes its place may lack what was answered last; `always` where one may, whether or not it is seen just now.
    pub(super) fn unreplicated(&self, always: bool) -> Option<Trouble> {
        let fails_over = always || self.number("connected_slaves") > 0;
        (fails_over && self.field("min_slaves_good_slaves").is_empty()).then(|| {
            Trouble::Unfit(
                "Redis answers before any replica has what it answers, so a replica that takes its place may have forgotten it; \
                 run: CONFIG SET min-replicas-to-write 1, and CONFIG SET min-replicas-max-lag 1"
                    .to_owned(),
            )
        })
    }

    /// The first thing that is wrong with it.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let version = self.field("redis_version");
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        let older = (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < OLDEST;
        let policy = self.field("maxmemory_policy");
        let (used, most) = (self.number("used_memory"), self.number("maxmemory"));
        match () {
            () if older => Some(Trouble::Unfit(format!(
                "Redis is of version {version}; {}.{} is the oldest that will do",
                OLDEST.0, OLDEST.1
            ))),
            // Before what follows: while it loads, Redis says that it has no append-only file.
            () if self.field("loading") == "1" => Some(Trouble::Passing("Redis is loading its data".to_owned())),
            () if policy != "noeviction" => Some(Trouble::Unfit(format!(
                "the maxmemory-policy of Redis is {policy}, so it may forget spent ids; run: CONFIG SET maxmemory-policy noeviction"
            ))),
            () if self.field("aof_enabled") != "1" => Some(Trouble::Unfit(
                "Redis forgets spent ids when it restarts; run: CONFIG SET appendonly yes, and CONFIG SET appendfsync always".to_owned(),
            )),
            () if self.field("aof_last_write_status") != "ok" => {
                Some(Trouble::Passing("Redis could not write its append-only file; see its log and its disk".to_owned()))
            }
            () if most > 0 && used >= most => Some(Trouble::Passing(
                "Redis has reached its maxmemory, and refuses what is new; raise maxmemory".to_owned(),
            )),
            () => None,
        }
    }
}

/// Whether the clocks of `redis` and of this server, which says `ours`, are too far apart.
pub(super) fn clock_trouble(redis: Timestamp, ours: Timestamp) -> Option<Trouble> {
    let ahead = redis.since(ours);
    let says = || format!("the clock of Redis is {ahead} s ahead of this server's, where {CLOCKS} s is the most");
    match ahead.unsigned_abs() {
        0..=CLOCKS => None,
        off if off <= CLOCKS_AT_MOST => Some(Trouble::Passing(says())),
        _ => Some(Trouble::Unfit(says())),
    }
}

/// Whether a cluster lacks a primary for some keys, by its `CLUSTER INFO`.
pub(super) fn cluster_trouble(info: &str) -> Option<Trouble> {
    let served = Report::read(info).field("cluster_state") == "ok";
    (!served).then(|| Trouble::Passing("the cluster of Redis has no primary for some of the keys".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIT: &str = "# Server\r\nredis_version:7.0.15\r\nused_memory:94\r\nmaxmemory:100\r\nmaxmemory_policy:noeviction\r\n\
                       loading:0\r\naof_enabled:1\r\naof_last_write_status:ok\r\nrole:master\r\n";

    fn unfit(change: (&str, &str)) -> bool {
        assert!(FIT.contains(change.0), "{}", change.0);
        matches!(Report::read(&FIT.replace(change.0, change.1)).trouble(), Some(Trouble::Unfit(_)))
    }

    fn passing(change: (&str, &str)) -> bool {
        assert!(FIT.contains(change.0), "{}", change.0);
        matches!(Report::read(&FIT.replace(change.0, change.1)).trouble(), Some(Trouble::Passing(_)))
    }

    #[test]
    fn a_redis_that_remembers_is_fit() {
        assert_eq!(Report::read(FIT).trouble(), None);
        assert_eq!(Report::read(&FIT.replace("maxmemory:100", "maxmemory:0")).trouble(), None);
        assert_eq!(Report::read(&FIT.replace("7.0.15", "10.0.0")).trouble(), None);
        assert!(Report::read(FIT).is_primary());
        assert!(!Report::read(&FIT.replace("role:master", "role:slave")).is_primary());
    }

    #[test]
    fn a_redis_that_may_forget_or_is_too_old_is_unfit() {
        assert!(unfit(("7.0.15", "6.2.14")));
        assert!(unfit(("redis_version:7.0.15\r\n", "")));
        assert!(unfit(("noeviction", "allkeys-lru")));
        assert!(unfit(("noeviction", "volatile-ttl")));
        assert!(unfit(("aof_enabled:1", "aof_enabled:0")));
    }

    #[test]
    fn a_redis_that_is_loading_or_full_or_cannot_write_will_be_fit_again() {
        assert!(passing(("loading:0", "loading:1")));
        assert!(passing(("loading:0\r\naof_enabled:1", "loading:1\r\naof_enabled:0")));
        assert!(passing(("aof_last_write_status:ok", "aof_last_write_status:err")));
        assert!(passing(("used_memory:94", "used_memory:100")));
    }

    #[test]
    fn clocks_may_differ_by_two_seconds_and_not_by_half_a_minute() {
        let at = Timestamp::from_seconds;
        for redis in [100, 102, 98] {
            assert_eq!(clock_trouble(at(redis), at(100)), None, "{redis}");
        }
        for redis in [103, 97, 120, 80] {
            assert!(matches!(clock_trouble(at(redis), at(100)), Some(Trouble::Passing(_))), "{redis}");
        }
        for redis in [121, 79, i64::MAX, i64::MIN] {
            assert!(matches!(clock_trouble(at(redis), at(100)), Some(Trouble::Unfit(_))), "{redis}");
        }
    }

    #[test]
    fn a_primary_that_may_be_replaced_waits_for_a_replica() {
        let alone = format!("{FIT}connected_slaves:0\r\n");
        assert_eq!(Report::read(&alone).unreplicated(false), None);
        assert!(matches!(Report::read(&alone).unreplicated(true), Some(Trouble::Unfit(_))));
        let followed = alone.replace("connected_slaves:0", "connected_slaves:1");
        assert!(matches!(Report::read(&followed).unreplicated(false), Some(Trouble::Unfit(_))));
        assert_eq!(Report::read(&format!("{followed}min_slaves_good_slaves:1\r\n")).unreplicated(true), None);
    }

    #[test]
    fn a_cluster_serves_all_keys_or_is_in_trouble() {
        assert_eq!(cluster_trouble("cluster_enabled:1\r\ncluster_state:ok\r\n"), None);
        for info in ["cluster_state:fail\r\n", ""] {
            assert!(matches!(cluster_trouble(info), Some(Trouble::Passing(_))), "{info}");
        }
    }
}
