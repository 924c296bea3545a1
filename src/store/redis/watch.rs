//! [`Watch`]: keeps the connection up, and looks four times a second whether Redis is fit.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisError, from_redis_value};
use tokio::join;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::clock::{Clock, Timestamp};
use crate::store::backend::Trouble;
use crate::store::redis::command::probe;
use crate::store::redis::link::{Connection, Link};
use crate::store::redis::place::{CONNECT, Door, Place};
use crate::store::redis::report::{Report, clock_trouble};

/// How long between two looks, and how long one may take: trouble is known within the second.
const EVERY: Duration = Duration::from_millis(250);
const LOOK: Duration = Duration::from_millis(700);

/// How long to wait before connecting again, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What is known of Redis, as of the last look. Ends its looking when dropped.
pub(super) struct Watch {
    seen: watch::Receiver<Option<Trouble>>,
    strict: bool,
    task: AbortHandle,
}

impl Watch {
    /// Looks once, then goes on looking. Where `strict`, an unfit Redis is not used.
    pub(super) async fn over((place, link): (Place, Arc<Link>), clock: Arc<dyn Clock>, strict: bool) -> Self {
        let mut looker = Looker { door: None, wait: FIRST_WAIT, place, link, clock };
        let first = looker.look().await;
        let (tell, seen) = watch::channel(first);
        let task = tokio::spawn(looker.keep_looking(tell)).abort_handle();
        Self { seen, strict, task }
    }

    /// What is wrong, if anything is.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        self.seen.borrow().clone()
    }

    /// Whether nothing may be asked of Redis as it is.
    pub(super) fn refuses(&self) -> bool {
        self.strict && matches!(*self.seen.borrow(), Some(Trouble::Unfit(_)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Looker {
    place: Place,
    door: Option<Door>,
    link: Arc<Link>,
    clock: Arc<dyn Clock>,
    wait: Duration,
}

impl Looker {
    async fn keep_looking(mut self, tell: watch::Sender<Option<Trouble>>) {
        loop {
            if self.link.current().is_some() {
                self.link.broken_within(EVERY).await;
            } else {
                sleep(self.wait).await;
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
            }
            let found = self.look().await;
            tell.send_if_modified(|before| {
                let changed = *before != found;
                if changed {
                    report(before.as_ref(), found.as_ref());
                    before.clone_from(&found);
                }
                changed
            });
        }
    }

    /// Connects where there is no connection, and looks. A connection that does not answer is given up.
    async fn look(&mut self) -> Option<Trouble> {
        let connection = match self.link.current() {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(trouble) => return Some(trouble),
        };
        match timeout(LOOK, self.ask(&mut connection)).await {
            Ok(Ok(trouble)) => {
                self.wait = FIRST_WAIT;
                self.link.set(Some(connection));
                trouble
            }
            Ok(Err(error)) => {
                self.link.set(None);
                Some(trouble(&error))
            }
            Err(_) => {
                self.link.set(None);
                Some(Trouble::Passing("Redis does not answer".to_owned()))
            }
        }
    }

    async fn connect(&mut self) -> Result<Connection, Trouble> {
        let door = match &mut self.door {
            Some(door) => door,
            none => none.insert(self.place.door().map_err(|error| trouble(&error))?),
        };
        match timeout(CONNECT, door.connect()).await {
            Ok(connected) => connected.map_err(|error| trouble(&error)),
            Err(_) => Err(Trouble::Passing("Redis does not answer".to_owned())),
        }
    }

    /// Asks everything at once, in one round trip. That it has become a replica is an error of the connection: another one will lead to the primary.
    async fn ask(&self, connection: &mut Connection) -> Result<Option<Trouble>, RedisError> {
        let [write, time, info] = probe(&self.place.prefix);
        let [mut for_write, mut for_time] = [connection.clone(), connection.clone()];
        let (infos, told, written) = join!(connection.ask_all(info), for_time.ask(&time), for_write.ask(&write));
        let infos: Vec<String> = infos?.into_iter().map(from_redis_value).collect::<Result<_, _>>()?;
        let reports: Vec<Report<'_>> = infos.iter().map(|info| Report::read(info)).collect();
        if !reports.iter().all(Report::is_primary) {
            return Err(RedisError::from((redis::ErrorKind::Server(redis::ServerErrorKind::ReadOnly), "a replica")));
        }
        let (seconds, _): (i64, i64) = from_redis_value(told?)?;
        if let Some(found) = reports.iter().find_map(Report::trouble) {
            return Ok(Some(found));
        }
        written?;
        Ok(clock_trouble(Timestamp::from_seconds(seconds), self.clock.now()))
    }
}

/// An error of Redis in words. They name addresses and certificates, never what was sent.
fn trouble(error: &RedisError) -> Trouble {
    use redis::{ErrorKind, ServerErrorKind};
    let said = error.to_string();
    match error.kind() {
        // A cluster says so of each node, in an error of its own.
        _ if ["AuthenticationFailed", "NOAUTH"].iter().any(|refused| said.contains(refused)) => {
            Trouble::Unfit("Redis refuses store.user or store.password".to_owned())
        }
        ErrorKind::Server(ServerErrorKind::NoPerm) => Trouble::Unfit(format!(
            "the user of Redis may not do all that is needed; docs/redis.md has the ACL: {said}"
        )),
        ErrorKind::InvalidClientConfig => Trouble::Unfit(format!("Redis cannot be called like that: {said}")),
        _ => Trouble::Passing(format!("Redis cannot be used: {said}")),
    }
}

fn report(before: Option<&Trouble>, now: Option<&Trouble>) {
    match (before, now) {
        (_, Some(trouble)) => tracing::error!(%trouble, "the store is in trouble"),
        (Some(_), None) => tracing::info!("the store is well again"),
        (None, None) => {}
    }
}
