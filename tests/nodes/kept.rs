//! [`Kept`]: everything that lies in Redis, key by key, as an administrator sees it.

use redis::aio::MultiplexedConnection;

use crate::node::Nodes;

/// A connection of somebody who may do anything.
pub(crate) struct Kept(MultiplexedConnection);

impl Kept {
    /// Of the Redis of `nodes`.
    pub(crate) async fn by(nodes: &Nodes) -> Self {
        Self(nodes.redis.admin().await)
    }

    /// All keys that begin with `cs:` and this, in order.
    pub(crate) async fn keys(&mut self, family: &str) -> Vec<String> {
        let pattern = format!("cs:{family}*");
        let mut keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut self.0).await.expect("it runs");
        keys.sort();
        keys
    }

    /// The value of a key that is no outbox.
    pub(crate) async fn value(&mut self, key: &str) -> Vec<u8> {
        redis::cmd("GET").arg(key).query_async(&mut self.0).await.expect("a string")
    }

    /// All the parcels.
    pub(crate) async fn parcels(&mut self) -> Vec<Vec<u8>> {
        redis::cmd("ZRANGE").arg("cs:outbox").arg(0).arg(-1).query_async(&mut self.0).await.expect("it runs")
    }

    /// Puts `value` there, to stay as long as what was there would have, or for good.
    pub(crate) async fn put(&mut self, key: &str, value: &[u8]) {
        redis::cmd("SET").arg(key).arg(value).arg("KEEPTTL").exec_async(&mut self.0).await.expect("it runs");
    }

    /// Milliseconds that a key has left; negative for one that stays.
    pub(crate) async fn left(&mut self, key: &str) -> i64 {
        redis::cmd("PTTL").arg(key).query_async(&mut self.0).await.expect("it runs")
    }
}
