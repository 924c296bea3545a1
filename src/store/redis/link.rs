//! [`Link`]: the connection of the moment. Commands go out on it, many at once; when it breaks, whoever is on it fails, and the
//! [watch](super::watch) makes another.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo};
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value, cmd, from_redis_value,
};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::store::backend::Unavailable;
use crate::store::redis::place::{CONNECT, Door};

/// How often a command that was not carried out, because the cluster moves keys or elects a primary, is sent again, and after how long.
const MOVED: u32 = 4;
const MOVED_WAIT: Duration = Duration::from_millis(50);

/// A trip that led to nothing known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// There is no connection just now.
    Down,
    /// No answer within the deadline.
    Late,
    /// The connection broke.
    Broken,
    /// Redis loads its data, has become a replica, or elects a primary.
    NotServing,
    /// Redis is full.
    Full,
    /// Redis lets this user do something less.
    Forbidden,
    /// Redis refused for another reason.
    Refused,
    /// Redis answered something else than what was asked.
    Odd,
}

impl Failed {
    /// What is said of it.
    pub(super) const fn unavailable(self) -> Unavailable {
        Unavailable(match self {
            Self::Down => "there is no connection to Redis",
            Self::Late => "Redis did not answer in time",
            Self::Broken => "the connection to Redis broke",
            Self::NotServing => "Redis is loading, is a replica, or has no primary",
            Self::Full => "Redis is out of memory",
            Self::Forbidden => "Redis does not allow a command",
            Self::Refused => "Redis refused a command",
            Self::Odd => "Redis answered something else",
        })
    }

    pub(super) fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
            ) => Self::NotServing,
            ErrorKind::Server(ServerErrorKind::NoPerm) => Self::Forbidden,
            ErrorKind::Server(_) | ErrorKind::Extension if error.code() == Some("OOM") => Self::Full,
            ErrorKind::Server(_) | ErrorKind::Extension => Self::Refused,
            _ if error.is_timeout() => Self::Late,
            _ => Self::Broken,
        }
    }

    /// Whether another connection may do better.
    pub(super) const fn is_of_the_connection(self) -> bool {
        matches!(self, Self::Broken | Self::NotServing)
    }
}

#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Door {
    /// A new connection.
    pub(super) async fn connect(&mut self) -> Result<Connection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        Ok(match self {
            Self::One(client) => Connection::One(client.get_multiplexed_async_connection_with_config(&config).await?),
            Self::Sentinel(client) => Connection::One(client.get_async_connection_with_config(&config).await?),
            Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }
}

impl Connection {
    /// The answer to each command, or the first error there was.
    async fn send(&mut self, commands: Vec<Cmd>) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::One(connection) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                let count = commands.len();
                for command in commands {
                    pipeline.add_command(command);
                }
                let values = connection.send_packed_commands(&pipeline, 0, count).await?;
                values.into_iter().map(Value::extract_error).collect()
            }
            Self::Cluster(connection) => {
                let sent = commands.into_iter().map(|command| settled(connection.clone(), command));
                join_all(sent).await.into_iter().collect()
            }
        }
    }

    /// Whether it leads to one server alone.
    pub(super) const fn is_of_one(&self) -> bool {
        matches!(self, Self::One(_))
    }

    /// What a cluster says of itself; nothing, where there is none.
    pub(super) async fn ask_of_the_cluster(&mut self) -> Result<Option<String>, RedisError> {
        match self {
            Self::One(_) => Ok(None),
            Self::Cluster(_) => Ok(Some(from_redis_value(self.ask(cmd("CLUSTER").arg("INFO")).await?)?)),
        }
    }

    /// The answer of every primary to `command`.
    pub(super) async fn ask_all(&mut self, command: Cmd) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::One(connection) => Ok(vec![connection.send_packed_command(&command).await?.extract_error()?]),
            Self::Cluster(connection) => {
                let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                match connection.route_command(command, everywhere).await? {
                    Value::Map(answers) => answers.into_iter().map(|(_, answer)| answer.extract_error()).collect(),
                    Value::Array(answers) => answers.into_iter().map(Value::extract_error).collect(),
                    other => Ok(vec![other]),
                }
            }
        }
    }

    /// The answer of any to `command`.
    pub(super) async fn ask(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::One(connection) => connection.send_packed_command(command).await?.extract_error(),
            Self::Cluster(connection) => connection.req_packed_command(command).await?.extract_error(),
        }
    }
}

/// Sends `command` until it is carried out or refused for good; it is sent again only where Redis said that it was not carried out.
async fn settled(mut connection: ClusterConnection, command: Cmd) -> Result<Value, RedisError> {
    let mut left = MOVED;
    let mut answer = connection.req_packed_command(&command).await.and_then(Value::extract_error);
    while let Err(error) = &answer
        && left > 0
        && Failed::of(error) == Failed::NotServing
    {
        left -= 1;
        answer = if let Some(node) = asked(error) {
            // The node takes it after an `ASKING` alone, so the two travel together.
            let mut pipeline = Pipeline::with_capacity(2);
            pipeline.cmd("ASKING").add_command(command.clone());
            connection.route_pipeline(pipeline, 1, 1, node).await.and_then(|answers| {
                let none = || RedisError::from((ErrorKind::UnexpectedReturnType, "no answer"));
                answers.into_iter().next().ok_or_else(none)?.extract_error()
            })
        } else {
            sleep(MOVED_WAIT).await;
            connection.req_packed_command(&command).await.and_then(Value::extract_error)
        };
    }
    answer
}

/// The node to ask instead, while a slot is on its way there: all that is new in the slot is there already.
fn asked(error: &RedisError) -> Option<SingleNodeRoutingInfo> {
    let (address, _) = error.redirect_node().filter(|_| error.kind() == ErrorKind::Server(ServerErrorKind::Ask))?;
    let (host, port) = address.rsplit_once(':')?;
    Some(SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port: port.parse().ok()? })
}

/// The connection of the moment.
pub(super) struct Link {
    connection: RwLock<Option<Connection>>,
    broken: Notify,
}

impl Link {
    /// None yet.
    pub(super) fn new() -> Self {
        Self { connection: RwLock::new(None), broken: Notify::new() }
    }

    /// The connection, if there is one.
    pub(super) fn current(&self) -> Option<Connection> {
        self.connection.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts `connection` in place of the one before.
    pub(super) fn set(&self, connection: Option<Connection>) {
        *self.connection.write().unwrap_or_else(PoisonError::into_inner) = connection;
    }

    /// Sends `commands` together; the answers come in their order.
    pub(super) async fn send(&self, commands: Vec<Cmd>) -> Result<Vec<Value>, Failed> {
        let mut connection = self.current().ok_or(Failed::Down)?;
        connection.send(commands).await.map_err(|error| {
            let failed = Failed::of(&error);
            if failed.is_of_the_connection() {
                self.broken.notify_one();
            }
            failed
        })
    }

    /// Waits for somebody to find the connection broken, or for `at_most`.
    pub(super) async fn broken_within(&self, at_most: Duration) {
        timeout(at_most, self.broken.notified()).await.ok();
    }
}
