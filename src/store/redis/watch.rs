//! [`Watch`]: keeps the connection up, and looks four times a second whether Redis is fit.

use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind, from_redis_value};
use tokio::join;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::clock::{Clock, Timestamp};
use crate::store::backend::Trouble;
use crate::store::redis::command::probe;
use crate::store::redis::link::{Connection, Failed, Link};
use crate::store::redis::place::{CONNECT_ANY, Door, Place, Topology};
use crate::store::redis::report::{Report, clock_trouble, cluster_trouble};

/// How long between two looks, and how long one may take: trouble is known within the second.
const EVERY: Duration = Duration::from_millis(250);
const LOOK: Duration = Duration::from_millis(700);

/// How long to wait before connecting again, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// After how many looks at a cluster that led to nothing its connection is made anew.
const MISSES: u32 = 8;

/// What is known of Redis, as of the last look. Ends its looking when dropped.
pub(super) struct Watch {
    seen: watch::Receiver<Option<Trouble>>,
    strict: bool,
    task: AbortHandle,
}

impl Watch {
    /// Looks once, then goes on looking. Where `strict`, an unfit Redis is not used.
    pub(super) async fn over((place, link): (Place, Arc<Link>), clock: Arc<dyn Clock>, strict: bool) -> Self {
        let mut looker = Looker { door: None, wait: FIRST_WAIT, misses: 0, place, link, clock, strict };
        let (found, connection) = looker.look().await;
        looker.link.set(connection);
        let (tell, seen) = watch::channel(found);
        let task = tokio::spawn(looker.keep_looking(tell)).abort_handle();
        Self { seen, strict, task }
    }

    /// What is wrong, if anything is.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        match self.seen.has_changed() {
            Ok(_) => self.seen.borrow().clone(),
            Err(_) => Some(Trouble::Unfit("nobody looks at Redis any more; start the server anew".to_owned())),
        }
    }

    /// Whether nothing may be asked of Redis as it is.
    pub(super) fn refuses(&self) -> bool {
        self.strict && matches!(self.trouble(), Some(Trouble::Unfit(_)))
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
    strict: bool,
    wait: Duration,
    /// How many looks in a row led to nothing.
    misses: u32,
}

impl Looker {
    async fn keep_looking(mut self, tell: watch::Sender<Option<Trouble>>) {
        loop {
            if self.link.current().is_some() {
                self.link.broken_within(EVERY).await;
                sleep(FIRST_WAIT).await;
            } else {
                sleep(self.wait).await;
                self.wait = (self.wait * 2).min(LONGEST_WAIT);
            }
            let (found, connection) = self.look().await;
            // Trouble is known before anybody goes there, and the way is open before it is said to be.
            if found.is_none() {
                self.link.set(connection.clone());
            }
            tell.send_if_modified(|before| {
                let changed = *before != found;
                if changed {
                    report(before.as_ref(), found.as_ref());
                    before.clone_from(&found);
                }
                changed
            });
            self.link.set(connection);
        }
    }

    /// Connects where there is no connection, and looks. Says what was found, and which connection to go on with.
    async fn look(&mut self) -> (Option<Trouble>, Option<Connection>) {
        let connection = match self.link.current() {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(trouble) => return (Some(trouble), None),
        };
        let (found, dead) = match timeout(LOOK, self.ask(&mut connection)).await {
            Ok(Ok(found)) => {
                (self.wait, self.misses) = (FIRST_WAIT, 0);
                return (found, Some(connection));
            }
            Ok(Err(error)) => (trouble(&error), Failed::of(&error).is_of_the_connection()),
            Err(_) => (Trouble::Passing("Redis does not answer".to_owned()), true),
        };
        self.misses += 1;
        // A cluster's connection mends itself, and of several primaries one may be dead: it is given up only when that goes on.
        let given_up = dead && (connection.is_of_one() || self.misses >= MISSES);
        (Some(found), Some(connection).filter(|_| !given_up))
    }

    async fn connect(&mut self) -> Result<Connection, Trouble> {
        let door = match &mut self.door {
            Some(door) => door,
            none => none.insert(self.place.door().map_err(|error| trouble(&error))?),
        };
        self.misses = 0;
        match timeout(CONNECT_ANY, door.connect()).await {
            Ok(connected) => connected.map_err(|error| trouble(&error)),
            Err(_) => Err(Trouble::Passing("Redis does not answer".to_owned())),
        }
    }

    /// Asks everything at once, in one round trip. That it has become a replica is an error of the connection: another one will lead to the primary.
    async fn ask(&self, connection: &mut Connection) -> Result<Option<Trouble>, RedisError> {
        let [write, time, info] = probe(&self.place.prefix);
        let [mut for_write, mut for_time, mut for_state] = [(); 3].map(|()| connection.clone());
        let (infos, told, written, state) = join!(
            connection.ask_all(info),
            for_time.ask(&time),
            for_write.ask(&write),
            for_state.ask_of_the_cluster(),
        );
        let infos = match infos {
            // An older one does not understand the question.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => {
                return Ok(Some(Trouble::Unfit(format!("Redis does not know what 7.0 knows: {error}"))));
            }
            infos => infos?,
        };
        let infos: Vec<String> = infos.into_iter().map(from_redis_value).collect::<Result<_, _>>()?;
        let reports: Vec<Report<'_>> = infos.iter().map(|info| Report::read(info)).collect();
        if !reports.iter().all(Report::is_primary) {
            return Err(RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), "a replica")));
        }
        let (seconds, _): (i64, i64) = from_redis_value(told?)?;
        let fails_over = self.strict && matches!(self.place.topology, Topology::Sentinel(..));
        let unreplicated = |report: &Report<'_>| if self.strict { report.unreplicated(fails_over) } else { None };
        if let Some(found) = reports.iter().find_map(|report| report.trouble().or_else(|| unreplicated(report))) {
            return Ok(Some(found));
        }
        written?;
        if let Some(found) = state?.and_then(|state| cluster_trouble(&state)) {
            return Ok(Some(found));
        }
        Ok(clock_trouble(Timestamp::from_seconds(seconds), self.clock.now()))
    }
}

/// An error of Redis in words. They name addresses and certificates, never what was sent.
fn trouble(error: &RedisError) -> Trouble {
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
