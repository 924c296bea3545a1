//! Every record of a family, for an operator who asks what there is. No server asks that; it takes a user of Redis who may `SCAN`.

use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo};
use redis::{ErrorKind, RedisError, Value, cmd, from_redis_value};
use tokio::time::timeout;

use crate::store::backend::{Family, Key, Outcome, Step, Unavailable};
use crate::store::redis::Redis;
use crate::store::redis::command::{key_of, pattern};
use crate::store::redis::link::{Connection, Failed};
use crate::store::redis::place::DEADLINE;

/// How many keys Redis looks at for each answer, and how many records are fetched at once.
const AT_ONCE: usize = 500;

/// A server that has keys; `None` is the only one.
type Node = Option<SingleNodeRoutingInfo>;

impl Redis {
    pub(super) async fn everything(
        &self,
        family: Family,
        see: &mut (dyn FnMut(Key, Vec<u8>) + Send),
    ) -> Result<(), Failed> {
        let mut connection = self.link.current().ok_or(Failed::Down)?;
        let pattern = pattern(&self.prefix, family);
        for node in within(connection.primaries()).await? {
            let mut cursor = "0".to_owned();
            loop {
                let (next, names) = within(connection.scan(node.as_ref(), (&cursor, &pattern))).await?;
                let keys: Vec<Key> = names.iter().filter_map(|name| key_of(&self.prefix, family, name)).collect();
                for (key, bytes) in self.fetch(&keys).await? {
                    see(key, bytes);
                }
                if next == "0" {
                    break;
                }
                cursor = next;
            }
        }
        Ok(())
    }

    /// What is there under `keys` still.
    async fn fetch(&self, keys: &[Key]) -> Result<Vec<(Key, Vec<u8>)>, Failed> {
        let mut found = Vec::new();
        for keys in keys.chunks(AT_ONCE) {
            let outcomes = self.trip(keys.iter().map(|key| Step::Load(*key)).collect()).await?;
            let there = keys.iter().zip(outcomes).filter_map(|(key, outcome)| match outcome {
                Outcome::Found(bytes) => Some((*key, bytes?)),
                Outcome::Done(_) | Outcome::Parcels(_) => None,
            });
            found.extend(there);
        }
        Ok(found)
    }
}

async fn within<T>(asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, Failed> {
    timeout(DEADLINE, asked).await.map_err(|_| Failed::Late)?.map_err(|error| Failed::of(&error))
}

impl Failed {
    /// What is said of it to who wanted to see everything.
    pub(super) const fn unlisted(self) -> Unavailable {
        match self {
            Self::Forbidden => Unavailable(
                "Redis does not allow this user to list keys (SCAN); docs/redis.md has the ACL of one who may",
            ),
            other => other.unavailable(),
        }
    }
}

impl Connection {
    async fn primaries(&mut self) -> Result<Vec<Node>, RedisError> {
        let Self::Cluster(connection) = self else { return Ok(vec![None]) };
        let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let Value::Map(answers) = connection.route_command(cmd("PING"), everywhere).await? else {
            return Err(odd());
        };
        answers
            .into_iter()
            .map(|(address, _)| Ok(Some(node(&from_redis_value::<String>(address)?).ok_or_else(odd)?)))
            .collect()
    }

    /// The next cursor, and some names.
    async fn scan(
        &mut self,
        node: Option<&SingleNodeRoutingInfo>,
        (cursor, pattern): (&str, &str),
    ) -> Result<(String, Vec<String>), RedisError> {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(AT_ONCE);
        let answer = match (self, node) {
            (Self::Cluster(connection), Some(node)) => {
                connection.route_command(scan, RoutingInfo::SingleNode(node.clone())).await?.extract_error()?
            }
            (connection, _) => connection.ask(&scan).await?,
        };
        Ok(from_redis_value(answer)?)
    }
}

fn node(address: &str) -> Option<SingleNodeRoutingInfo> {
    let (host, port) = address.rsplit_once(':')?;
    Some(SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? })
}

fn odd() -> RedisError {
    RedisError::from((ErrorKind::UnexpectedReturnType, "the cluster names no primaries"))
}
